"""The systems of a conversation and its checker, behind a sandbox: nothing that a model calls runs in our process.

    backend = Backend()
    backend.execute(scenario, [["cd(folder='document')"], ["ls()"]])    # what the last step gives: ('{"current_...',)
    backend.check(scenario, turns).valid                                # BFCL's own verdict on a conversation
    backend.close()

A conversation's state is the list of its calls: each step executes those before it again, in a process that is thrown
away afterwards. The systems are deterministic (BFCL's checker relies on that, too) and quick; so a call that never
ends, eats the memory or kills its process costs one step, leaves nothing behind, and touches no other conversation.
Used by `environment.py` and `bench/tasks/bfcl_multi_turn.py` (notebook 05).
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from xlam_lib.agents.base import InfrastructureError
from xlam_lib.data.apigen.sandbox import Limits, Reference, Sandbox
from xlam_lib.environments.bfcl_multi_turn.calls import CallError
from xlam_lib.environments.bfcl_multi_turn.scenarios import Scenario

CHILD = "xlam_lib.environments.bfcl_multi_turn.backend_child"
LIMITS = Limits(seconds=30.0, cpu_seconds=3.0, memory_mb=1024, answer_bytes=2_000_000)
LONGEST = 2_000_000  # characters of all calls of a conversation as source
OURS = ("LoadError", "ProcessError: the child process died")  # errors of the sandbox that no call is to blame for
BEYOND = "multi_turn:beyond_limits"


@dataclass(frozen=True)
class Verdict:
    """BFCL's verdict on a conversation: `Verdict(False, "multi_turn:instance_state_mismatch", "Model ...")`."""

    valid: bool
    error_type: str = ""
    error: str = ""


class Backend:
    """A sandbox with BFCL's systems; it starts with the first call and ends with `close`, or with this object."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self._box = Sandbox(limits)
        self._one_at_a_time = threading.Lock()
        self.close = weakref.finalize(self, self._box.stop)

    def execute(self, scenario: Scenario, steps: Sequence[Sequence[str]]) -> tuple[str, ...]:
        """What the calls of the last step give, after all before it; a CallError when that is beyond the limits."""
        if _too_long(steps):
            raise CallError(f"stopped: the conversation's calls are longer than {LONGEST} characters")
        found = self._run("execute", {"entry": _entry(scenario), "steps": steps})
        if "error" in found:
            raise CallError(f"stopped: {found['error']}")
        return tuple(found["result"])

    def check(self, scenario: Scenario, turns: Sequence[Sequence[Sequence[str]]]) -> Verdict:
        """Whether all turns, each of some steps, each of some calls, lead where the scenario's answers lead.

        As in BFCL: after each turn that has an answer the systems must stand as the answers leave them, and what the
        answers give must be among what the calls gave so far. A conversation that was cut short is invalid.
        """
        if len(turns) != len(scenario.turns):
            return Verdict(False, "multi_turn:force_terminated", f"{len(turns)} turns of {len(scenario.turns)}")
        if _too_long([step for turn in turns for step in turn]):
            return Verdict(False, BEYOND, f"the calls are longer than {LONGEST} characters")
        found = self._run("check", {"entry": _entry(scenario), "turns": turns, "answers": scenario.answers})
        if "error" in found:
            return Verdict(False, BEYOND, found["error"])
        return Verdict(**found["result"])

    def _run(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        with self._one_at_a_time:
            found = self._box.run(Reference(CHILD, name), arguments)
        if str(found.get("error", "")).startswith(OURS):
            raise InfrastructureError(f"BFCL's systems can't be run: {found['error']}")
        return found


def _too_long(steps: Sequence[Sequence[str]]) -> bool:
    return sum(len(call) for step in steps for call in step) > LONGEST


def _entry(scenario: Scenario) -> dict[str, Any]:
    return {"id": scenario.id, "initial_config": scenario.config, "involved_classes": scenario.classes}
