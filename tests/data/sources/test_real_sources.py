"""The real public records, all of them: what is converted, what is not and why. Needs XLAM_REAL_DATA."""

import json
from collections import Counter
from pathlib import Path

import pytest
from source_checks import NOT_THERE, turns_that_come_back

from xlam_lib.data.accounting import Accounting
from xlam_lib.data.sources import SOURCES, load_source
from xlam_lib.data.sources.agents.toolbench import convert, rejected_siblings
from xlam_lib.data.unify import Options, unify
from xlam_lib.trajectory import Trajectory, read_jsonl

TRUE_REASONS = {  # of the sources tested in this file; others have a file of their own
    "a query without an answer: no trajectory to convert",
    "a row of the first release, not a tree: no trajectory to convert",
    "a text transcript, which leaves out the calls: no trajectory to convert",
    "a score without messages: no trajectory to convert",
    "call of an undeclared tool",
}


def load(folder: Path, source: str) -> tuple[list[Trajectory], Accounting]:
    accounting = Accounting(source)
    trajectories = list(load_source(source, folder, accounting))
    accounting.check()
    return trajectories, accounting


HERE = ("tau_bench", "toolbench", "xlam_fc_60k")


def test_all_other_sources_have_real_records(real_data: Path) -> None:
    assert {source for source in SOURCES if not (real_data / source).is_dir()} == NOT_THERE


@pytest.mark.parametrize("source", sorted(SOURCES.keys() - NOT_THERE))
def test_every_record_is_accounted(real_data: Path, source: str) -> None:
    trajectories, accounting = load(real_data / source, source)
    assert accounting.quarantined == 0
    assert len({t.trajectory_id for t in trajectories}) == accounting.trajectories
    assert trajectories or all(reason.endswith(": no trajectory to convert") for reason in accounting.dropped)
    if source in HERE:
        assert set(accounting.dropped) <= TRUE_REASONS
        assert accounting.records_in == _count(real_data / source)


def _count(folder: Path) -> int:
    """Records by another way than the reader's."""
    total = 0
    for path in folder.rglob("*.json*"):
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".jsonl":
            total += sum(bool(line.strip()) for line in text.splitlines())
        else:
            value = json.loads(text)
            total += len(value) if isinstance(value, list) else 1
    return total


@pytest.mark.parametrize(
    ("source", "files", "records", "dropped"),
    [
        ("tau_bench", "gpt-4o-airline.json", 34, 0),
        ("toolbench", "answer", 7, 1),
        ("toolbench", "toolllama_answers", 4, 0),
        ("xlam_fc_60k", "", 10, 0),
        ("toolbench", "../stabletoolbench/answer", 4, 0),
    ],
)
def test_native_files(real_data: Path, source: str, files: str, records: int, dropped: int) -> None:
    trajectories, accounting = load(real_data / source / files, source)
    assert (accounting.records_in, sum(accounting.dropped.values())) == (records, dropped)
    assert len(trajectories) == records - dropped


@pytest.mark.parametrize("source", HERE)
def test_written_and_read_back(real_data: Path, tmp_path: Path, source: str) -> None:
    unify(source, real_data / source, tmp_path / "out", options=Options(verify=False, rate=False))
    assert list(read_jsonl(tmp_path / "out" / "trajectories.jsonl")) == load(real_data / source, source)[0]


@pytest.mark.parametrize("source", HERE)
def test_every_turn_renders_and_parses_back(real_data: Path, source: str) -> None:
    assert turns_that_come_back(load(real_data / source, source)[0]) >= 10


def test_tau_messages_are_all_there(real_data: Path) -> None:
    path = real_data / "tau_bench" / "gpt-4o-airline.json"
    records = json.loads(path.read_text(encoding="utf-8"))
    for record, t in zip(records, load(path, "tau_bench")[0], strict=True):
        raw = [m for m in record["traj"] if m["role"] != "system" and m.get("content") != "###STOP###"]
        assert [step.role for step in t.steps] == [m["role"] for m in raw]
        for message, step in zip(raw, t.steps, strict=True):
            assert step.content == (message["content"] or "").replace("###STOP###", "").strip(
                None if "###STOP###" in (message["content"] or "") else ""
            )
            raw_calls = [c["function"] for c in message.get("tool_calls") or []]
            assert [(c.name, c.arguments) for c in step.tool_calls] == [
                (f["name"], json.loads(f["arguments"])) for f in raw_calls
            ]
        assert (t.outcome.reward, t.outcome.success) == (record["reward"], record["reward"] == 1.0)
        assert t.validate("error") == []


def test_tau_ends_and_errors(real_data: Path) -> None:
    trajectories, _ = load(real_data / "tau_bench" / "gpt-4o-airline.json", "tau_bench")
    ends = Counter(t.outcome.termination for t in trajectories)
    assert ends == {"user_stop": 25, "success": 5, "failure": 2, "max_steps": 2}
    assert sum(step.is_error for t in trajectories for step in t.steps) == 22
    assert all("inferred_tools" not in t.extra for t in trajectories)


def test_toolbench_paths_lead_through_their_trees(real_data: Path) -> None:
    siblings = 0
    for path in sorted((real_data / "toolbench").rglob("*_DFS_woFilter_w2.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        if "21_ChatGPT" in path.name:  # calls what doesn't exist
            continue
        (t,) = convert(record, str(path))
        found = rejected_siblings(record, str(path))
        assert all(s.chosen == t.steps[s.step_index] and s.rejected != s.chosen for s in found)
        siblings += len(found)
    assert siblings == 3


def test_argument_warnings_are_where_the_data_contradict_themselves(real_data: Path) -> None:
    expected = {"tau_bench": 0, "toolbench": 0, "xlam_fc_60k": 3}
    for source, count in expected.items():
        _, accounting = load(real_data / source, source)
        assert accounting.warnings.get("argument against its schema", 0) == count
