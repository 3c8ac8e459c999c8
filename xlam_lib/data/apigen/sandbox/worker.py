"""The child process in which the embedded tools run: limited processor time a call, limited memory, fenced for good.

Started by `executor.py` as `python -m xlam_lib.data.apigen.sandbox.worker`; reads a batch of requests a line from
standard input and answers each batch with one line.
"""

from __future__ import annotations

import json
import signal
import sys

from xlam_lib.data.apigen.sandbox.confine import Fences, Limits

LIMITS = Limits(cpu_seconds=300, memory_mb=2048)
ERRORS = (  # what a tool may raise; anything else ends the child, which the parent notices
    ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError, TimeoutError, TypeError, ValueError,
)  # fmt: skip


def _too_long(signum: int, frame: object) -> None:
    raise TimeoutError("the call took too long")


def run_one(request: dict, call_seconds: float = 1.0) -> dict:
    """Runs one request: `{"tool": "add_numbers", "arguments": {...}}` -> `{"result": ...}` or `{"error": ...}`."""
    from xlam_lib.data.apigen.library.facts import echo
    from xlam_lib.data.apigen.library.registry import TOOLS

    name, arguments, returns = request["tool"], request["arguments"], request.get("returns")
    if returns is None and name not in TOOLS:
        return {"error": f"NameError: no tool {name!r}"}
    try:
        signal.setitimer(signal.ITIMER_PROF, call_seconds)
        result = echo(arguments, returns) if returns is not None else TOOLS[name].function(**arguments)
        json.dumps(result, allow_nan=False)
        signal.setitimer(signal.ITIMER_PROF, 0)
    except ERRORS as error:
        signal.setitimer(signal.ITIMER_PROF, 0)
        return {"error": f"{type(error).__name__}: {error}"}
    return {"result": result}


def main(call_seconds: float = 1.0) -> None:
    """Serves batches from standard input until it closes."""
    Fences(sys.path).around_call(LIMITS, hook=False)  # these tools are known: no message is needed, and it takes time
    signal.signal(signal.SIGPROF, _too_long)
    for line in sys.stdin.buffer:
        answers = [run_one(request, call_seconds) for request in json.loads(line)]
        sys.stdout.write(json.dumps(answers) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 1.0)
