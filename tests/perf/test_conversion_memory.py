"""What is measured of a command's memory."""

import json
import sys
from pathlib import Path

import pytest

from xlam_lib.data.golden import samples_dir
from xlam_lib.perf.conversion.__main__ import main as speed
from xlam_lib.perf.conversion.memory import memory, watch

HOLDS = "import time; held = bytearray(b'x' * {0}); time.sleep({1})"
PARENT = f"""
import subprocess, sys, time
held = bytearray(b"x" * 50_000_000)
children = [subprocess.Popen([sys.executable, "-c", {HOLDS.format(40_000_000, 1.5)!r}]) for _ in range(2)]
sys.exit([child.wait() for child in children][0])
"""


def test_all_processes_count() -> None:
    found = watch([sys.executable, "-c", PARENT])
    assert (found.status, found.processes) == (0, 3)
    assert 130e6 < found.together < 230e6
    assert 50e6 < found.one < 100e6 and found.seconds > 1


def test_the_status_is_reported() -> None:
    assert watch([sys.executable, "-c", "raise SystemExit(3)"]).status == 3


def test_the_command(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    raw = str(samples_dir("glaive") / "raw")
    given = ["--source", "glaive", "--input", raw, "--gigabytes", "0.0005", "--folder", str(tmp_path)]
    assert speed([*given, "--", "--dedup", "exact"]) == 0
    found = json.loads(capfd.readouterr().out.splitlines()[-1])
    assert found["options"] == ["--dedup", "exact"] and 500_000 <= found["bytes"] < 600_000
    assert 5e6 < found["peak_of_one_process"] <= found["peak_bytes"] < 1e9
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="unify ended with status"):
        memory("glaive", raw, 0.0001, tmp_path, 0)
