"""A file with known faults: the books must tell exactly those."""

from pathlib import Path

import pytest

from xlam_lib.data.apigen.embedded import embedded
from xlam_lib.data.faults import spoiled
from xlam_lib.data.pipeline.merge import EXACT, NEAR
from xlam_lib.data.unify import TRAJECTORIES, Options, unify
from xlam_lib.trajectory import Trajectory, read_jsonl

QUESTIONS = [
    f"What is the {kind} of a triangle with a base of {number} units and a height of {number + 7} units, please?"
    for number, kind in enumerate(["area", "perimeter", "centre", "longest side", "smallest angle", "median"])
]


@pytest.fixture(scope="module")
def trajectories(tmp_path_factory: pytest.TempPathFactory) -> list[Trajectory]:
    files = embedded(tmp_path_factory.mktemp("data"), seed=3, n_train=150, n_test_seen=5, n_test_unseen=5)
    return list(read_jsonl(files["train"]))


def test_every_fault_is_found_under_its_name(tmp_path: Path, trajectories: list[Trajectory]) -> None:
    put_in = spoiled(trajectories, tmp_path / "chats.jsonl", QUESTIONS, each=4)
    (tmp_path / "questions.jsonl").write_text("".join(f'{{"question": "{text}"}}\n' for text in QUESTIONS))
    clean = unify("openai_chat", _only(trajectories, tmp_path), tmp_path / "clean", options=Options(dedup="near"))
    options = Options(strict=True, dedup="near", decontaminate=(str(tmp_path / "questions.jsonl"),))
    books = unify("openai_chat", tmp_path / "chats.jsonl", tmp_path / "out", options=options)
    assert books.records_in == sum(put_in.values()) == 150 + 8 * 4
    assert books.quarantined == put_in["cut off"] + put_in["not UTF-8"]
    assert books.dropped[EXACT] == put_in["duplicate"]
    assert books.dropped["a benchmark's question"] == put_in["benchmark's question"]
    assert books.dropped["call of an undeclared tool"] == put_in["undeclared tool"]
    found = books.dropped[NEAR] - clean.dropped.get(NEAR, 0)  # the generator has some alike of its own
    alike = put_in["near-duplicate"] + put_in["wrongly typed argument"]  # which is kept, and but for that the same
    assert 0.75 * put_in["near-duplicate"] <= found <= alike
    assert books.warnings["wrongly typed argument"] >= put_in["wrongly typed argument"]
    kept = {t.source.raw_id for t in read_jsonl(tmp_path / "out" / TRAJECTORIES)}
    assert not any(id.startswith(("undeclared", "nobody", "asked")) for id in kept)


def _only(trajectories: list[Trajectory], folder: Path) -> Path:
    from xlam_lib.data.export import export

    export(trajectories, "openai", folder / "sound.jsonl")
    return folder / "sound.jsonl"


def test_too_few_to_spoil_is_reported(tmp_path: Path, trajectories: list[Trajectory]) -> None:
    with pytest.raises(ValueError, match="5 of each are needed"):
        spoiled(trajectories, tmp_path / "x.jsonl", QUESTIONS[:2])
