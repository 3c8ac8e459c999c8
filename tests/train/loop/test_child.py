import os
import signal
import textwrap
import time

import pytest

from xlam_lib.settings import from_command_line, to_arguments
from xlam_lib.train.loop.child import ChildError, run


@pytest.fixture()
def child(tmp_path, monkeypatch):
    """Writes a module that a child process can run."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def write(source: str) -> str:
        (tmp_path / "small_child.py").write_text("import os, sys, time\n" + textwrap.dedent(source))
        return "small_child"

    return write


def test_options_reach_the_child_and_progress_is_shown_sparsely(child, tmp_path):
    module = child("""
        print(sys.argv[1:])
        for step in range(50): print(f"step {step}/50  loss 1")
        print("done", file=sys.stderr)
    """)
    shown = []
    seconds = run(module, {"lr": 1e-3, "fresh": True, "style": None}, tmp_path / "logs" / "child.txt", shown.append)
    assert shown == ["step 0/50  loss 1", "step 49/50  loss 1"] and seconds > 0
    log = (tmp_path / "logs" / "child.txt").read_text().splitlines()
    assert log[0] == "['--lr', '0.001', '--fresh']" and len(log) == 52 and "done" in log


def test_a_failure_shows_the_childs_error_and_the_end_of_its_log(child, tmp_path):
    module = child("""
        for line in range(100): print("line", line)
        print("error: no such file: train.jsonl", file=sys.stderr); sys.exit(2)
    """)
    with pytest.raises(ChildError) as caught:
        run(module, {}, tmp_path / "child.txt")
    message = str(caught.value)
    assert message.startswith("small_child: no such file: train.jsonl\nThe end of ")
    assert "line 99" in message and "line 20" not in message
    assert "line 20" in (tmp_path / "child.txt").read_text()


def test_a_crash_shows_the_traceback(child, tmp_path):
    with pytest.raises(ChildError, match="(?s)ended with code 1.*ZeroDivisionError"):
        run(child("1 / 0"), {}, tmp_path / "child.txt")


def test_a_child_that_was_killed_is_named_so(child, tmp_path):
    with pytest.raises(ChildError, match="ended by SIGKILL .out of memory"):
        run(child("os.kill(os.getpid(), 9)"), {}, tmp_path / "child.txt")


def test_an_interrupt_ends_the_child_and_what_it_started(child, tmp_path):
    module = child("""
        import subprocess
        other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        print(f"step {other.pid}"); time.sleep(60)
    """)
    pids = []

    def interrupt(line: str) -> None:
        pids.append(int(line.removeprefix("step ")))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(module, {}, tmp_path / "child.txt", interrupt)
    for _ in range(50):
        if not alive(pids[0]):
            return
        time.sleep(0.1)
    os.kill(pids[0], signal.SIGKILL)
    pytest.fail("what the child started still runs")


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_command_line_is_read_back():
    from dataclasses import asdict, dataclass
    from typing import Literal

    from xlam_lib.settings import option

    @dataclass(frozen=True)
    class Some:
        out: str = option(..., "where")
        lr: float = option(1e-3, "rate")
        fresh: bool = option(False, "anew")
        style: Literal["brief", "seed"] = option("brief", "how")

    globals()["Literal"] = Literal
    given = Some("runs/x", 2e-4, True, "seed")
    assert from_command_line(Some, to_arguments(asdict(given)), "some", "Some.") == given
    assert from_command_line(Some, ["--out", "x"], "some", "Some.") == Some("x")


@pytest.mark.parametrize("argv", [["--out", "x", "--lrr", "1"], ["--out", "x", "--lr", "fast"], []])
def test_an_unknown_or_ill_option_ends_in_one_line(argv, capsys):
    from xlam_lib.train.preference import dpo

    with pytest.raises(SystemExit):
        from_command_line(dpo.DpoSettings, argv, "xlam_lib.train.dpo", "DPO.")
    assert "error: " in capsys.readouterr().err.splitlines()[-1]


def test_a_child_that_writes_nothing_any_more_is_ended_with_one_clear_error(child, tmp_path):
    module = child("""
        print("step 1/9  loss 1", flush=True)
        time.sleep(600)
    """)
    with pytest.raises(ChildError, match="(?s)nothing for 1 s, so it was ended.*last checkpoint.*step 1/9"):
        run(module, {}, tmp_path / "child.txt", stalled_after=1)


def test_a_slow_child_that_goes_on_is_left_alone(child, tmp_path):
    module = child("""
        for step in range(6): time.sleep(0.5); print("step", step, flush=True)
    """)
    assert run(module, {}, tmp_path / "child.txt", stalled_after=1.5) > 2.9
