"""A file that completes another: what is joined is one record, what is left over is accounted, in every path alike."""

import json
from pathlib import Path

import pytest

from xlam_lib.data.accounting import Accounting
from xlam_lib.data.golden import samples_dir
from xlam_lib.data.inputs import paired_file_of, with_paired_files
from xlam_lib.data.pipeline import shards
from xlam_lib.data.reading import data_files
from xlam_lib.data.sources import SOURCES, load_source
from xlam_lib.data.unify import LOSSES, TRAJECTORIES, unify

BFCL = SOURCES["bfcl_v4"]
(JOINED,) = (samples_dir("bfcl_v4") / "raw").glob("joined.jsonl")
WHOLE = [json.loads(line) for line in JOINED.read_text(encoding="utf-8").splitlines()]
LEFT_OVER = "an answer without its question: no trajectory to convert"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Questions of two files; the answers of the first are in another order, one twice, one for nobody, one broken."""
    raw = tmp_path / "raw"
    (raw / "possible_answer").mkdir(parents=True)
    questions = [{key: value for key, value in row.items() if key != "ground_truth"} for row in WHOLE]
    answers = [{"id": row["id"], "ground_truth": row["ground_truth"]} for row in WHOLE]
    (raw / "a.json").write_text("".join(json.dumps(row) + "\n" for row in questions))
    (raw / "b.json").write_text(json.dumps({**questions[0], "id": "alone_1"}) + "\n")
    nobody = {"id": "nobody_1", "ground_truth": []}
    lines = [*map(json.dumps, [*reversed(answers), answers[0], nobody]), "{broken", json.dumps({"ground_truth": []})]
    (raw / "possible_answer" / "a.json").write_text("\n".join(lines))
    (raw / "possible_answer" / "gone.json").write_text(json.dumps(answers[0]) + "\n")
    return raw


def test_which_files_are_paired(folder: Path) -> None:
    files = data_files(folder)[0]
    found = with_paired_files(BFCL, files)
    assert {file.relative_to(folder).as_posix(): bool(paired) for file, paired in found.items()} == {
        "a.json": True, "b.json": False, "possible_answer/gone.json": False
    }  # fmt: skip
    assert paired_file_of(SOURCES["glaive"], folder / "a.json") is None
    assert list(with_paired_files(SOURCES["glaive"], files)) == files


def test_the_books_of_joined_files(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = Accounting("bfcl_v4")
    converted = list(load_source("bfcl_v4", folder, own))
    own.check()
    count = len(WHOLE)
    assert len(converted) == own.records_converted == count
    assert own.dropped == {LEFT_OVER: 4, "a question without an answer: no trajectory to convert": 1}
    assert (own.files, own.records_in, own.quarantined) == (4, count + 6, 1)
    monkeypatch.setattr(shards, "SHARD", 100)  # smaller than a line: what has a paired file stays whole
    for workers in (1, 2):
        books = unify("bfcl_v4", folder, tmp_path / f"{workers}", workers=workers)
        assert books is not None and (books.dropped, books.files) == (own.dropped, own.files)
        assert (books.records_in, books.quarantined) == (own.records_in, own.quarantined)
    losses = [json.loads(line) for line in (tmp_path / "2" / LOSSES).read_text(encoding="utf-8").splitlines()]
    places = [(Path(loss["file"]).relative_to(folder).as_posix(), loss["line"]) for loss in losses]
    paired = [("possible_answer/a.json", count + number) for number in (1, 2, 3, 4)]
    assert places == [*paired, ("b.json", 1), ("possible_answer/gone.json", 1)]
    for name in (TRAJECTORIES, LOSSES):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


def test_one_file_finds_its_paired_file_and_sees_it_change(folder: Path, tmp_path: Path) -> None:
    books = unify("bfcl_v4", folder / "a.json", tmp_path / "out")
    assert books is not None and (books.files, books.records_converted) == (2, len(WHOLE))
    (folder / "possible_answer" / "a.json").unlink()
    without = unify("bfcl_v4", folder / "a.json", tmp_path / "other")
    assert without is not None and without.records_converted == 0 and without.records_in == len(WHOLE)
    again = unify("bfcl_v4", folder / "a.json", tmp_path / "out")
    assert again is not None and again.records_in == len(WHOLE) != books.records_in
