"""The jobs that Slurm would get, run to their end by a small stand-in for `sbatch` and the like: the local run's bytes.

There is no cluster here. What stands in for it runs each task of an array as Slurm does, a process of the submitted
script with SLURM_ARRAY_TASK_ID set, and holds back jobs that depend on one which failed.
"""

import json
import os
import re
import sys
from pathlib import Path

import pytest
from pipeline_checks import outputs, rows, write

from xlam_lib.data.pipeline import shards
from xlam_lib.data.pipeline.work import work_folder
from xlam_lib.data.unify import Options, main, unify

SBATCH = """#!{python}
import json, os, re, subprocess, sys
from pathlib import Path
*flags, script = sys.argv[1:]
text, log = Path(script).read_text(), Path(os.environ["SUBMITTED"])
jobs = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
name = re.search("^#SBATCH --job-name=(.*)$", text, re.M)[1]
first, last = map(int, re.search("^#SBATCH --array=(\\\\d+)-(\\\\d+)", text, re.M).groups())
needed = re.findall("--dependency[ =]afterok:(\\\\d+)", " ".join(flags) + text)
state = "done" if all(jobs[int(id) - 1]["state"] == "done" for id in needed) else "held back"
surroundings = dict(os.environ, SLURM_JOB_ID=str(len(jobs) + 1), SLURM_NODELIST="localhost")
surroundings.update(pair.split("=") for flag in flags for pair in flag.removeprefix("--export=ALL,").split(",")
                    if flag.startswith("--export=ALL,"))
for task in range(first, last + 1) if state == "done" else []:
    lost = os.environ.get("LOST") == f"{{name}} {{task}}"
    command = ["false"] if lost else ["bash", script]
    run = subprocess.run(command, env=dict(surroundings, SLURM_ARRAY_TASK_ID=str(task)), stdout=2)
    state = "failed" if run.returncode else state
with open(log, "a") as file:
    about = dict(name=name, flags=flags, text=text, tasks=last + 1, needed=needed, state=state)
    file.write(json.dumps(about) + "\\n")
print("Submitted batch job", len(jobs) + 1)
"""
SRUN = '#!/bin/sh\n[ "$1 $2 $3" = "-l -n 1" ] && shift 3 && exec "$@"\n'
SCONTROL = '#!/bin/sh\n[ "$1 $2" = "show hostnames" ] && echo "$3"\n'


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Puts the stand-in on PATH; the file in which it notes what was submitted."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in {"sbatch": SBATCH.format(python=sys.executable), "srun": SRUN, "scontrol": SCONTROL}.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("SUBMITTED", str(tmp_path / "submitted.jsonl"))
    monkeypatch.setattr(shards, "SHARD", 8000)
    return tmp_path / "submitted.jsonl"


def submitted(log: Path) -> list[dict]:
    return [job for job in map(json.loads, log.read_text().splitlines()) if "launch_pickled_pipeline" in job["text"]]


def test_the_jobs_of_slurm_make_the_bytes_of_a_local_run(cluster: Path, tmp_path: Path) -> None:
    """One task of the array is lost at first: the merge doesn't start, and the same command runs just that task."""
    path = write(tmp_path / "rows.jsonl", [*rows(30), rows(30)[4], {"id": 1}])
    options = Options(dedup="exact", split=(0.8, 0.1, 0.1), split_by=("task",))
    local = unify("xlam_fc_60k", path, tmp_path / "local", options=options)
    tasks = len(shards.plan([path]))
    assert tasks == 3

    def submit() -> object:
        asked = {"partition": "hopper", "time": "01:00:00"}
        return unify("xlam_fc_60k", path, tmp_path / "out", False, 2, "slurm", options, asked)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOST", "xlam-convert 1")
        assert submit() is None
    convert, merge = submitted(cluster)
    assert [(job["name"], job["tasks"], job["state"]) for job in (convert, merge)] == [
        ("xlam-convert", tasks, "failed"), ("xlam-merge", 1, "held back")
    ]  # fmt: skip
    assert merge["needed"] == ["1"] and not convert["needed"]
    expected = ("--array=0-2%2", "--partition=hopper", "--time=01:00:00", "--cpus-per-task=1", "--nodes=1")
    assert all(f"#SBATCH {line}\n" in convert["text"] for line in expected)
    assert re.search(r"^srun +-l -n 1 launch_pickled_pipeline \S+/convert/executor.pik$", convert["text"], re.M)
    assert not (tmp_path / "out").exists()

    assert submit() is None
    again = submitted(cluster)[2:]
    assert [(job["name"], job["tasks"], job["state"]) for job in again] == [
        ("xlam-convert", 1, "done"), ("xlam-merge", 1, "done")
    ]  # fmt: skip
    books = submit()  # the jobs have ended: nothing is submitted, the books are shown
    assert len(submitted(cluster)) == 4 and books is not None and local is not None
    assert books.to_dict() | {"seconds": 0} == local.to_dict() | {"seconds": 0}
    assert outputs(tmp_path / "out") == outputs(tmp_path / "local")
    assert not work_folder(tmp_path / "out").exists()


def test_a_refusal_of_slurm_is_one_error(
    cluster: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "rows.jsonl", rows(3))
    given = ["--source", "xlam_fc_60k", "--input", str(path), "--output", str(tmp_path / "out"), "--executor", "slurm"]
    (tmp_path / "bin" / "sbatch").write_text("#!/bin/sh\necho 'invalid partition specified: cpu' >&2\nexit 1\n")
    assert main(given) == 1
    stderr = capfd.readouterr().err
    assert "invalid partition specified: cpu" in stderr
    assert "error: sbatch refused the jobs (exit status 1" in stderr and "Traceback" not in stderr
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(given) == 1
    assert "error: there is no sbatch here" in capfd.readouterr().err
