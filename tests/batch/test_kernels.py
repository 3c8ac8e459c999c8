"""The runner with real kernels: killed in the middle, taken up again, failing, and done."""

import json
import os
import signal
import subprocess
import sys
import time

import nbformat
import psutil
import pytest

from xlam_lib import run
from xlam_lib.batch import execute, guard


def test_the_kernel_is_this_interpreter_whatever_is_installed_under_its_name():
    spec = execute._ThisInterpreter().get_kernel_spec("python3")
    assert spec.argv[0] == sys.executable and "ipykernel_launcher" in spec.argv


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_killed_then_resumed_then_failed_then_done(folder, capsys):
    folder.put("02_sum", "wait: 300\n")
    command = [sys.executable, "-m", "xlam_lib.run", *folder.arguments()]
    log = folder.path / "log.txt"  # no pipe: what the killed runner leaves running would hold it open
    with open(log, "w") as file:
        runner = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
    wait_for(lambda: (folder.out / "waiting").exists() and sleeping(runner.pid), runner, log)
    runner.send_signal(signal.SIGKILL)
    runner.wait()
    output = log.read_text()
    assert "3/6" in output and "TCP" not in output and "%|" not in output  # one line a cell, no noise of others
    assert not (folder.out / "02_sum.ipynb").exists() and (folder.out / "02_sum.partial.ipynb").exists()

    folder.put("02_sum", "fail: true\n")
    assert run.main(folder.arguments()) == 1
    output = "".join(capsys.readouterr())
    assert "stopped a process left over from an earlier run" in output and "time.sleep(300" in output
    assert "01_numbers (1/2) kept" in output and "it was interrupted" in output
    assert "02_sum failed in In [4]: out = folder(out_dir)" in output  # the injected cell counts, as in the notebook
    assert "ConnectionError: port 8000 is in use" in output
    partial = nbformat.read(folder.out / "02_sum.partial.ipynb", as_version=4)
    assert any(o.output_type == "error" for c in partial.cells for o in c.get("outputs", []))

    folder.put("02_sum", "")
    assert run.main(folder.arguments()) == 0
    assert not list(folder.out.glob("*.partial.ipynb"))
    done = nbformat.read(folder.out / "02_sum.ipynb", as_version=4)
    assert [c.execution_count for c in done.cells if c.cell_type == "code"] == [1, 2, 3, 4, 5, 6, 7]
    steps = json.loads((folder.out / "manifest.json").read_text())["steps"]
    assert [s["status"] for s in steps] == ["done", "done"]
    assert not [p for p in psutil.process_iter() if guard._carries(p, str(folder.out))]


def sleeping(pid):
    """Whether the child that waits has begun its program: before, it is a copy of the kernel."""
    try:
        return any("time.sleep(300" in " ".join(p.cmdline()) for p in psutil.Process(pid).children(recursive=True))
    except psutil.NoSuchProcess:  # one that ended meanwhile
        return False


def wait_for(condition, runner, log, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert runner.poll() is None, log.read_text()
        assert time.monotonic() < end
        time.sleep(0.1)


class Kept:
    def __init__(self):
        self.lines = []

    def cell(self, first_line): ...
    def printed(self, text):
        self.lines.append(text)

    def cell_done(self): ...


class Silent:
    def cell(self, first_line): ...
    def printed(self, text): ...
    def cell_done(self): ...


def notebook(path, *sources):
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(s) for s in sources]), path)
    return path


def test_a_cell_that_shows_nothing_new_is_stopped_where_it_stands(tmp_path):
    stuck = notebook(tmp_path / "stuck.ipynb", "x = 1", "import time\ntime.sleep(600)")
    with pytest.raises(execute.NotebookFailed, match=r"In \[2\]: import time.*\n.*showed nothing new for 9 s"):
        execute.execute(stuck, tmp_path / "out.ipynb", {}, Silent(), stalled_after=9)  # a busy machine starts it late
    assert not (tmp_path / "out.ipynb").exists()
    assert "time.sleep(600)" in (tmp_path / "out.partial.ipynb").read_text()  # the traceback says where


def test_a_cell_that_does_not_listen_to_an_interrupt_is_stopped_by_force(tmp_path, monkeypatch):
    monkeypatch.setattr(execute, "GRACE", 0.5)
    deaf = "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\ntime.sleep(600)"
    stuck = notebook(tmp_path / "stuck.ipynb", deaf)
    with pytest.raises(execute.NotebookFailed, match="showed nothing new for 2 s"):
        execute.execute(stuck, tmp_path / "out.ipynb", {}, Silent(), stalled_after=2)


def test_a_cell_that_goes_on_may_take_as_long_as_it_needs(tmp_path):
    lines = notebook(tmp_path / "lines.ipynb", "import time\nfor n in range(12): time.sleep(0.5); print(n)")
    execute.execute(lines, tmp_path / "out.ipynb", {}, Silent(), stalled_after=5)
    counts = "import time\nfrom xlam_lib.batch import progress\nprogress.EVERY = 0\ncount = progress.Counted('rows')"
    counts = notebook(tmp_path / "counts.ipynb", f"{counts}\nfor n in range(13): time.sleep(0.5); count(n, 12)")
    shown = Kept()
    execute.execute(counts, tmp_path / "out.ipynb", {}, shown, stalled_after=5)
    assert "4 of 12 rows   2" in " ".join(shown.lines)  # a second, as the runner shows it
    (cell,) = nbformat.read(tmp_path / "out.ipynb", as_version=4).cells[-1:]
    assert [o.data["text/plain"][:13] for o in cell.outputs] == ["12 of 12 rows"]  # one line is left


def test_a_kernel_that_dies_is_reported(tmp_path):
    dying = notebook(tmp_path / "dying.ipynb", "x = 1", "import os; os._exit(1)")
    with pytest.raises(execute.NotebookFailed, match=r"In \[2\]: import os.*\n.*the kernel died"):
        execute.execute(dying, tmp_path / "out.ipynb", {}, Silent())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["dying.ipynb", "out.partial.ipynb"]


def test_a_kernel_that_does_not_start_is_reported(tmp_path):
    fine = notebook(tmp_path / "fine.ipynb", "x = 1")
    broken = {"PYTHONHOME": str(tmp_path / "nowhere")}
    with pytest.raises(execute.NotebookFailed, match=r"kernel did not start: .*Fatal Python error"):
        execute.execute(fine, tmp_path / "out.ipynb", {}, Silent(), environment=broken)
