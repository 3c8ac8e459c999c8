"""Ends a process group when the process that started it is gone, even if that one was killed.

`vllm.py` starts it beside vLLM (notebook 04_serving): a notebook's kernel that is killed can't stop its server any
more, but its end of the pipe closes, and this process reads to the end of that pipe.

    python -m xlam_lib.serve.engines.watch GROUP        # waits for the end of its standard input
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time

GRACE = 10.0  # seconds between asking and forcing


def end_group(group: int, grace: float = GRACE, leader_ended=lambda: False) -> None:
    """Ask all processes of the group to end, then force those that stay; a group that is gone is fine."""
    with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS denies it when only zombies are left
        os.killpg(group, signal.SIGTERM)
        limit = time.monotonic() + grace
        while time.monotonic() < limit and not leader_ended():
            time.sleep(0.05)
            os.killpg(group, 0)
        os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    sys.stdin.buffer.read()
    end_group(int(sys.argv[1]))
