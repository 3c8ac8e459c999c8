"""The pipeline under faults: any number of workers gives the same bytes; nothing is lost, doubled or half written."""

import dataclasses
import gzip
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pipeline_checks import ROWS, SMALL, outputs, rows, write

from xlam_lib import files
from xlam_lib.data.accounting import UNFORESEEN
from xlam_lib.data.convert import DUPLICATE, RENAMED
from xlam_lib.data.pipeline import entries, executors, merge, shards, steps, work
from xlam_lib.data.pipeline.merge import EXACT, NEAR, PARQUET
from xlam_lib.data.pipeline.phases import Phase
from xlam_lib.data.pipeline.splitting import check_disjoint
from xlam_lib.data.quality.findings import Policy
from xlam_lib.data.reading import read_records
from xlam_lib.data.sources import SOURCES
from xlam_lib.data.unify import LOSSES, TRAJECTORIES, Options, main, unify
from xlam_lib.trajectory import read_jsonl


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "SHARD", SMALL)


@pytest.mark.parametrize("size", [1, 50, 100, 333, 5000])
def test_the_shards_of_a_file_are_the_file(tmp_path: Path, size: int) -> None:
    lines = [b'{"id": %d, "x": "%s"}' % (i, b"y" * (i * 7 % 90)) for i in range(30)] + [b"", b"{broken", b"\xff", b"{}"]
    for name, data in (("a.jsonl", b"\n".join(lines)), ("b.jsonl", b"\n".join(lines) + b"\n"), ("c.jsonl", b"{}")):
        (tmp_path / name).write_bytes(data)
        planned = shards.plan([tmp_path / name], size=size)
        found = [raw for shard in planned for raw in shards.records(SOURCES["xlam_fc_60k"], shard)]
        assert found == list(read_records(tmp_path / name))
        assert size > 100 or name == "c.jsonl" or len(planned) > 5


def test_a_line_of_many_shards_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"a": 1}\n{"b": "' + b"x" * 3_000_000 + b'"}\n{"c": 1}\n{"d": 1}\n')
    start = time.process_time()
    planned = shards.plan([tmp_path / "a.jsonl"], size=9)
    assert [(part.start, part.line) for (part,) in planned] == [(0, 1), (9, 2), (3_000_019, 3), (3_000_028, 4)]
    assert time.process_time() - start < 5  # looking for the end of that line from each of its bytes takes minutes


def test_small_files_share_a_shard(tmp_path: Path) -> None:
    files = [write(tmp_path / f"{i}.jsonl", rows(1)) for i in range(10)]
    planned = shards.plan(files, size=3 * files[0].stat().st_size)
    assert [len(shard) for shard in planned] == [3, 3, 3, 1]


def test_shards_that_are_copied_are_as_if_each_record_was_looked_at(
    tmp_path: Path, small_shards: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An id of the first shard comes again in the middle and, with other words, at the end; losses and warnings."""
    records = rows(60)
    records[30:30] = [{**records[2], "query": "other"}, records[1], {"id": "lost"}]
    path = write(tmp_path / "raw.jsonl", [*records, {**records[2], "query": "third"}, {**records[4], "answers": "no"}])
    whole, copied = merge.Merge._copied, []
    monkeypatch.setattr(merge.Merge, "_copied", lambda *given: copied.append(whole(*given)) or copied[-1])
    books = [unify("xlam_fc_60k", path, tmp_path / "copied")]
    monkeypatch.setattr(merge.Merge, "_copied", lambda *given: False)
    books.append(unify("xlam_fc_60k", path, tmp_path / "looked_at"))
    assert outputs(tmp_path / "copied") == outputs(tmp_path / "looked_at")
    copy, looked_at = (json.dumps({**one.to_dict(), "seconds": 0}) for one in books if one)  # also the order of keys
    assert copy == looked_at and books[0].dropped[DUPLICATE] == 1 and books[0].warnings[RENAMED] == 2
    assert 0 < copied.count(False) < copied.count(True)
    assert outputs(tmp_path / "copied")[LOSSES].count(b"\n") == 3


def test_workers_make_the_same_bytes(tmp_path: Path, small_shards: None) -> None:
    records = rows(40)
    records += [records[3], {**records[5], "id": 4}, {**records[7], "id": 99}, {"id": 1}]  # duplicates far apart
    path = write(tmp_path / "rows.jsonl", records)
    options = Options(dedup="exact", split=(0.8, 0.1, 0.1), split_by=("task",), parquet=True)
    one = unify("xlam_fc_60k", path, tmp_path / "one", options=options)
    two = unify("xlam_fc_60k", path, tmp_path / "two", options=options, workers=2)
    assert outputs(tmp_path / "one") == outputs(tmp_path / "two")
    assert one.records_in == two.records_in == 44
    assert one.dropped == {DUPLICATE: 1, EXACT: 2, "no 'query'": 1}
    assert {t.split for t in read_jsonl(tmp_path / "one" / TRAJECTORIES)} == {"train", "val", "test"}
    assert check_disjoint(read_jsonl(tmp_path / "one" / TRAJECTORIES), ["task"])["train"] == 32
    assert (tmp_path / "two" / PARQUET).is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "rows.jsonl", "two"]


def test_ids_given_twice_over_shards(tmp_path: Path, small_shards: None) -> None:
    records = rows(30)
    records[20]["id"] = 2
    accounting = unify("xlam_fc_60k", write(tmp_path / "rows.jsonl", records), tmp_path / "out")
    ids = [t.trajectory_id for t in read_jsonl(tmp_path / "out" / TRAJECTORIES)]
    assert len(set(ids)) == 30 and ids[20] == "xlam_fc_60k/2~2"
    assert accounting.warnings["id given twice, renamed"] == 1


def test_near_duplicates(tmp_path: Path, small_shards: None) -> None:
    records = rows(20)
    records.append({**records[4], "id": 50, "query": records[4]["query"].replace(" ", ", ").upper() + "!"})
    path = write(tmp_path / "rows.jsonl", records)
    accounting = unify("xlam_fc_60k", path, tmp_path / "out", options=Options(dedup="near"))
    assert accounting.dropped == {NEAR: 1}
    assert accounting.losses[0].detail == "near-duplicate of xlam_fc_60k/4"


def test_decontamination_is_accounted(tmp_path: Path) -> None:
    records = rows(6)
    asked = {"id": "q7", "question": [[{"role": "user", "content": records[2]["query"].title()}]]}
    (tmp_path / "questions.jsonl").write_text(json.dumps(asked) + "\n", encoding="utf-8")
    path = write(tmp_path / "rows.jsonl", records)
    options = Options(decontaminate=(str(tmp_path / "questions.jsonl"),))
    accounting = unify("xlam_fc_60k", path, tmp_path / "out", options=options)
    assert accounting.dropped == {"a benchmark's question": 1}
    assert accounting.losses[0].detail.startswith("q7: ") and accounting.losses[0].line == 3


def test_strict_drops_errors_of_verification(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info, rule = SOURCES["xlam_fc_60k"].SOURCE, "wrongly typed argument"
    monkeypatch.setattr(
        SOURCES["xlam_fc_60k"], "SOURCE", dataclasses.replace(info, policy=Policy({rule: "error"}, repair=False))
    )
    bad = {**ROWS[0], "answers": '[{"name": "live_giveaways_by_type", "arguments": {"type": [1]}}]'}
    path = write(tmp_path / "rows.jsonl", [bad, ROWS[1]])
    lax = unify("xlam_fc_60k", path, tmp_path / "lax")
    assert (lax.dropped, lax.trajectories, lax.warnings) == ({}, 2, {rule: 1})
    strict = unify("xlam_fc_60k", path, tmp_path / "strict", options=Options(strict=True))
    assert (strict.dropped, strict.records_converted, strict.trajectories) == ({rule: 1}, 1, 1)
    assert [loss.line for loss in strict.losses] == [1]


def test_a_fault_of_a_converter_costs_the_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    convert = SOURCES["xlam_fc_60k"].convert

    def faulty(record: dict, where: str) -> list:
        return convert(record, where) if record["id"] != 1 else record["none"]

    monkeypatch.setattr(SOURCES["xlam_fc_60k"], "convert", faulty)
    accounting = unify("xlam_fc_60k", write(tmp_path / "rows.jsonl", rows(3)), tmp_path / "out")
    assert accounting.dropped == {UNFORESEEN: 1}
    assert accounting.losses[0].detail == "KeyError: 'none'"


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.gz"])
def test_mixed_encodings_and_a_cut_end(tmp_path: Path, small_shards: None, name: str) -> None:
    lines = [json.dumps(row, ensure_ascii=False).encode() for row in rows(30)]
    lines[7] = lines[7].replace(b"alpha", b"\xe9", 1).replace(b"query", b"qu\xe9ry", 1)
    lines[9] = json.dumps(rows(30)[9]).encode("utf-16")
    data = b"\n".join(lines)
    data = gzip.compress(data)[:-400] if name.endswith("gz") else data[:-5]
    (tmp_path / name).write_bytes(data)
    accounting = unify("xlam_fc_60k", tmp_path / name, tmp_path / "out")
    accounting.check()
    assert accounting.quarantined >= 3
    assert accounting.records_converted + accounting.quarantined == accounting.records_in


KILLED = """
import os, signal, sys, time
from pathlib import Path
from xlam_lib.data.pipeline import shards, steps
from xlam_lib.data.unify import unify
shards.SHARD = 4000
write = steps.Write.__call__
def slow(self, data, rank=0, world_size=1):
    write(self, data, rank, world_size)
    if rank == int(sys.argv[4]):
        os.kill(os.getpid(), signal.SIGKILL)
steps.Write.__call__ = slow
unify("xlam_fc_60k", sys.argv[1], sys.argv[2], workers=int(sys.argv[3]))
"""


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
@pytest.mark.parametrize("after", [0, 3])
def test_killed_and_taken_up(tmp_path: Path, small_shards: None, monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    path = write(tmp_path / "rows.jsonl", rows(40))
    unify("xlam_fc_60k", path, tmp_path / "whole")
    run = subprocess.run([sys.executable, "-c", KILLED, path, tmp_path / "out", "1", str(after)], check=False)
    assert run.returncode == -signal.SIGKILL and not (tmp_path / "out").exists()
    done = len(list((tmp_path / ".out.work" / "convert").glob("completions/*"))) if after else 0
    assert done == after
    read = []
    monkeypatch.setattr(steps.shards, "records", lambda source, parts: read.append(1) or _records(source, parts))
    accounting = unify("xlam_fc_60k", path, tmp_path / "out")
    accounting.check()
    assert len(read) == len(shards.plan([path])) - after
    assert outputs(tmp_path / "out") == outputs(tmp_path / "whole")
    assert not work.work_folder(tmp_path / "out").exists()


def test_what_an_older_layout_has_left_is_made_anew(tmp_path: Path, small_shards: None) -> None:
    path = write(tmp_path / "rows.jsonl", rows(40))
    unify("xlam_fc_60k", path, tmp_path / "whole")
    subprocess.run([sys.executable, "-c", KILLED, path, tmp_path / "out", "1", "1"], check=False)
    plan = tmp_path / ".out.work" / work.PLAN
    plan.write_text(plan.read_text().replace(f'"layout": {work.LAYOUT}', '"layout": 1'))
    for left in (tmp_path / ".out.work" / "shards").iterdir():
        left.write_text("of an older layout")
    unify("xlam_fc_60k", path, tmp_path / "out")
    assert outputs(tmp_path / "out") == outputs(tmp_path / "whole")


def test_lost_records_in_a_row_are_each_accounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside a duplicate, so that no shard is copied; the entries of the index are as long as they may be."""
    monkeypatch.setattr(entries, "ROW", 3)
    kept = rows(4)
    mixed = [kept[0], *[{"id": n} for n in range(7)], kept[1], kept[0], {"id": 8}, *kept[2:], {"id": "\ud800"}]
    books = unify("xlam_fc_60k", write(tmp_path / "rows.jsonl", mixed), tmp_path / "out")
    lost = [json.loads(line) for line in outputs(tmp_path / "out")[LOSSES].splitlines()]
    assert [loss["line"] for loss in lost] == [*range(2, 9), 10, 11, 14] == [loss.line for loss in books.losses]
    assert books.dropped == {"no 'query'": 9, DUPLICATE: 1} and books.records_in == 14 and books.trajectories == 4


_records = shards.records


def test_a_lost_worker_ends_the_run(tmp_path: Path) -> None:
    phase = Phase("convert", [_die], 2)
    with pytest.raises(executors.LostWorker, match="convert: a worker process was lost"):
        executors.run_local(phase, tmp_path, workers=2)


def _die(data: object, rank: int, world_size: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))
from xlam_lib.data.unify import main
sys.exit(main(["--source", "xlam_fc_60k", "--input", sys.argv[1], "--output", sys.argv[2]]))
"""


@pytest.mark.skipif(os.name != "posix", reason="needs limits")
def test_a_full_disk_is_one_clear_error(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", rows(40))
    command = [sys.executable, "-c", LIMITED, path, tmp_path / "out"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 1 and "Traceback" not in run.stderr
    assert f"the disk is full: {tmp_path / 'out'} was not written" in run.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["rows.jsonl"]


def test_a_huge_record(tmp_path: Path) -> None:
    huge = {**ROWS[0], "id": "huge", "query": "x" * 50_000_000}
    path = write(tmp_path / "rows.jsonl", [ROWS[1], huge, ROWS[2]])
    accounting = unify("xlam_fc_60k", path, tmp_path / "out", options=Options(verify=False))
    assert accounting.records_converted == accounting.records_in == 3
    assert len(list(read_jsonl(tmp_path / "out" / TRAJECTORIES))[1].steps[0].content) == 50_000_000


def test_only_one_run_at_a_time(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", rows(3))
    with work.working(tmp_path / "out", {}), pytest.raises(files.BusyError, match="being written by process"):
        unify("xlam_fc_60k", path, tmp_path / "out")
    assert unify("xlam_fc_60k", path, tmp_path / "out").records_in == 3


def test_other_options_are_another_job(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", rows(3))
    unify("xlam_fc_60k", path, tmp_path / "out")
    first = outputs(tmp_path / "out")
    unify("xlam_fc_60k", path, tmp_path / "out", options=Options(rate=False))
    assert outputs(tmp_path / "out") != first
    assert not any(t.quality for t in read_jsonl(tmp_path / "out" / TRAJECTORIES))


def test_slurm_and_ray_get_the_same_steps(tmp_path: Path) -> None:
    """What datatrove is given; `test_slurm.py` and `test_ray.py` run what it makes of it."""
    planned = shards.plan([write(tmp_path / "rows.jsonl", rows(40))], size=SMALL)
    chain = [steps.Read("xlam_fc_60k", planned), steps.Convert("xlam_fc_60k")]
    phases = [Phase("convert", chain, len(planned)), Phase("merge", [_die], 1)]
    first, second = executors.slurm_jobs(phases, tmp_path, 4, {"partition": "hopper", "time": "01:00:00"})
    assert (first.tasks, first.workers, first.pipeline, second.depends) == (len(planned), 4, chain, first)
    script = first.get_launch_file_contents(first.get_sbatch_args(len(planned)), "run")
    assert f"#SBATCH --array=0-{len(planned) - 1}%4" in script and "#SBATCH --partition=hopper" in script
    ray = executors.ray_job(phases[0], tmp_path, 4, {"cpus_per_task": 2})
    assert (ray.world_size, ray.workers, ray.cpus_per_task) == (len(planned), 4, 2)


def test_tasks_that_fail_on_ray_end_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """datatrove's executor only warns of them, and returns."""

    class Warns:
        def run(self) -> None:
            (tmp_path / "convert" / "completions").mkdir(parents=True)
            (tmp_path / "convert" / "completions" / "00001").touch()

    monkeypatch.setattr(executors, "ray_job", lambda *_: Warns())
    with pytest.raises(executors.LostWorker, match=r"convert: 1 of 2 task\(s\) failed on Ray \(the first is 0;"):
        executors.run_on_ray(Phase("convert", [_die], 2), tmp_path, 2, {})


def test_the_command_takes_the_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "rows.jsonl", [*rows(20), *rows(2)])
    arguments = ["--source", "xlam_fc_60k", "--input", str(path), "--output", str(tmp_path / "out")]
    more = ["--dedup", "exact", "--split", "0.5", "0.25", "0.25", "--split-by", "task", "--no-verify", "--no-rate"]
    assert main([*arguments, *more]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["dropped"] == {DUPLICATE: 2}
    assert check_disjoint(read_jsonl(tmp_path / "out" / TRAJECTORIES), ["task"]) == {"train": 10, "val": 5, "test": 5}
    assert main([*arguments, "--no-verify", "--strict"]) == 1
    assert "strict is about what verification finds" in capsys.readouterr().err


def test_a_file_changed_by_time_only_is_converted_again(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", rows(3))
    unify("xlam_fc_60k", path, tmp_path / "out")
    stamp = (tmp_path / "out" / files.MARKER).read_bytes()
    os.utime(path, (time.time(), time.time() + 5))
    unify("xlam_fc_60k", path, tmp_path / "out")
    assert (tmp_path / "out" / files.MARKER).read_bytes() != stamp


@pytest.mark.parametrize("there", ["a folder", "a link"])
def test_a_hidden_folder_that_no_run_made_is_left_alone(tmp_path: Path, there: str) -> None:
    path, kept = write(tmp_path / "rows.jsonl", rows(3)), tmp_path / "kept"
    kept.mkdir()
    (kept / "thesis.txt").write_text("ten years")
    hidden = work.work_folder(tmp_path / "out")
    hidden.symlink_to(kept) if there == "a link" else kept.rename(hidden)
    with pytest.raises(files.NotOursError, match="not the working folder of an earlier run"):
        unify("xlam_fc_60k", path, tmp_path / "out")
    assert (hidden / "thesis.txt").read_text() == "ten years"
    assert unify("xlam_fc_60k", path, tmp_path / "other").records_in == 3
    hidden.rename(work.work_folder(tmp_path / "other"))  # the answer is there: nothing is to be done, nor removed
    unify("xlam_fc_60k", path, tmp_path / "other")
    assert (work.work_folder(tmp_path / "other") / "thesis.txt").is_file()
