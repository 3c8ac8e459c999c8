"""Runs any Python function in a confined child process: limits on time and memory, no network, no other processes.

    def halve(number: float) -> float:
        "Half of a number."
        return number / 2

    with Sandbox(Limits(seconds=2.0)) as box:
        box.run(reference(halve), {"number": 3})    # {"result": 1.5, "network": "seccomp"}
        box.held_by    # {"network": ["seccomp", "namespaces"], "files to read": ["Landlock"], ...}

Each call has a process of its own. A function that fails, never ends, eats all memory, forks, is killed or answers
without end gives one `{"error": "TimeoutError: ..."}`; the next call is not touched. What exactly is held back, and
what isn't, stands in `confine.py`. Which fences this system has is known once the child has started (`held_by`): what
none of them holds is logged; an answer's "network" says which one held that. Functions of one sandbox are loaded into
one process, so give functions that must not meddle with each other's results a sandbox each. The embedded tools have
a quicker executor (`executor.py`), for they are known to behave.
"""

from __future__ import annotations

import functools
import inspect
import logging
import os
import sys
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from xlam_lib.data.apigen.sandbox.confine import Limits
from xlam_lib.data.apigen.sandbox.line_child import LineChild
from xlam_lib.data.apigen.sandbox.lines import AnswerError, LineError
from xlam_lib.errors import XlamError
from xlam_lib.processes import hide_memory, package_dir

logger = logging.getLogger(__name__)
SLACK_SECONDS = 30.0  # to start the child and to load a module on a busy machine
SPARE_BYTES = 10_000  # what an answer may have beside a result
LONGEST_ERROR = 2100  # characters

__all__ = ["Limits", "Reference", "Sandbox", "reference"]


class SandboxError(XlamError, ValueError):
    """A function that another process could not find; the message says why."""


@dataclass(frozen=True)
class Reference:
    """Where another process finds a function: `Reference("math", "hypot")`, in a file, or by its source."""

    module: str
    name: str
    path: str = ""
    source: str = ""


def reference(function: Callable[..., Any]) -> Reference:
    """The reference to a function; a SandboxError says why there is none.

    Example: `reference(math.hypot)` -> Reference("math", "hypot"). A function of a script is found in its file, one of
    a notebook is taken along as source (and then must import what it uses itself).
    """
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", "")
    if not module or not name or "<" in name:
        raise SandboxError(f"{function!r}: give one that a module defines at its top, no lambda or inner function")
    main = sys.modules.get(module)
    if module != "__main__" and main is not None:
        if _found(main, name) is not function and inspect.unwrap(_found(main, name)) is not function:
            raise SandboxError(f"{module}.{name} is another thing than the function given; give it a name of its own")
        return Reference(module, name)
    path = getattr(main, "__file__", None)
    if path and os.path.isfile(path):
        return Reference("", name, str(Path(path).resolve()))
    try:
        return Reference("", name, source=textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError) as error:
        raise SandboxError(f"{name}: has no source that another process could run ({error})") from error


def _found(module: Any, name: str) -> Any:
    for part in name.split("."):
        module = getattr(module, part, None)
    return module


class Confined(LineChild):
    """A child process that starts confined ones: `sandbox_child.py` for calls, `interpreter_child.py` for programs."""

    def __init__(self, module: str, limits: Limits | None, slack_seconds: float, spare: int = SPARE_BYTES) -> None:
        self.limits = limits or Limits()
        self.slack_seconds = slack_seconds
        self.held_by: dict[str, list[str]] = {}
        self._folders: set[str] = set()  # of files with functions
        super().__init__(f"xlam_lib.data.apigen.sandbox.{module}", longest=self.limits.answer_bytes + spare)
        hide_memory()

    def greeting(self) -> dict[str, Any]:
        """The limits, where modules are found by now, and what else may be read."""
        places = list(dict.fromkeys(os.path.abspath(place) for place in (*sys.path, package_dir())))
        return {"limits": asdict(self.limits), "path": places, "folders": sorted(self._folders)}

    def greeted(self, answer: Any) -> None:
        """Takes note of what holds functions here."""
        self.held_by = answer
        _tell(tuple(thing for thing, fences in answer.items() if not fences))


class Sandbox(Confined):
    """A context manager around the child process; it starts with the first call and is replaced if it dies."""

    def __init__(self, limits: Limits | None = None, slack_seconds: float = SLACK_SECONDS) -> None:
        super().__init__("sandbox_child", limits, slack_seconds)

    def run(self, function: Reference, arguments: dict[str, Any]) -> dict[str, Any]:
        """One call: {"result": ..., "network": "seccomp"} or {"error": "ValueError: ..."}."""
        where = (function.module, function.name, function.path, function.source)
        if function.path and (folder := os.path.dirname(os.path.abspath(function.path))) not in self._folders:
            self._folders.add(folder)
            self.stop()  # what may be read is fixed when a child starts
        try:
            answer = self.ask({"function": where, "arguments": arguments}, self.limits.seconds + self.slack_seconds)
        except AnswerError as error:
            return {"error": f"OutputError: the answer is {error}"}
        except LineError as error:
            return {"error": f"TypeError: the arguments are {error}"}
        if answer is None:
            return {"error": "ProcessError: the child process died or hung while it loaded or ran the function"}
        if not isinstance(answer, dict) or len(answer) != 1:
            return {"error": "ProcessError: the function wrote into the answer"}
        if "result" in answer:
            return {**answer, "network": next(iter(self.held_by["network"]), "audit hook")}
        return {"error": str(answer.get("error"))[:LONGEST_ERROR]}

    def batch(self, calls: Sequence[tuple[Reference, dict[str, Any]]]) -> list[dict[str, Any]]:
        """Some calls, one after another, in order; each as in `run`."""
        return [self.run(function, arguments) for function, arguments in calls]


@functools.cache
def _tell(things: tuple[str, ...]) -> None:
    """Says once in a process what nothing here holds."""
    if things:
        logger.warning("functions in the sandbox: nothing in this system's kernel holds %s", ", ".join(things))
