"""What went wrong in an episode, in one word, for the tables of failures of notebook 05.

    failure_of(episode)      # "" for a success, else one of FAILURES: "loop"

Used by the tasks whose items are played in environments (`tasks/tool_query.py`, `tasks/tau.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from xlam_lib.schema import Step, ToolCall
from xlam_lib.trajectory import Trajectory
from xlam_lib.validation import argument_problems

FAILURES = {
    "bad_format": "what was answered is no action",
    "wrong_function": "calls of tools that don't exist",
    "wrong_argument": "calls whose arguments don't fit the tool",
    "loop": "the same action again and again",
    "gave_up": "ended without an answer",
    "wrong_answer": "ended with an answer, or in a state, that is not the right one",
    "max_steps": "not finished within the steps allowed",
}
REPEATED = 3  # equal actions at the end of an episode that make a loop
Reading = Callable[[str], tuple[str, dict[str, Any]] | None]


def failure_of(episode: Trajectory, read: Reading | None = None, answered: bool = True) -> str:
    """Why an episode failed: `failure_of(episode, QueryActions().parse)` -> "wrong_answer"; "" for a success.

    `read` reads an action of words that call nothing; without it words are no mistake. `answered` says whether an
    episode that ended had an answer. Of several mistakes in an unfinished episode the most frequent one counts, if it
    was made in at least every third action. Episodes that the infrastructure ended have no failure.
    """
    outcome = episode.outcome
    if outcome.success or outcome.termination == "infra_error":
        return ""
    if outcome.termination != "max_steps":
        return "bad_format" if "error" in episode.extra else "wrong_answer" if answered else "gave_up"
    actions = [step for step in episode.steps if step.role == "assistant"]
    keys = [(step.content, *((call.name, repr(call.arguments)) for call in step.tool_calls)) for step in actions]
    if len(keys) >= REPEATED and len(set(keys[-REPEATED:])) == 1:
        return "loop"
    faults = Counter(fault for step in actions if (fault := _fault(step, episode, read)))
    name, times = faults.most_common(1)[0] if faults else ("", 0)
    return name if 3 * times >= len(actions) > 0 and name else "max_steps"


def _fault(step: Step, episode: Trajectory, read: Reading | None) -> str:
    calls = step.tool_calls
    if not calls and read is not None:
        found = read(step.content)
        if found is None:
            return "bad_format"
        calls = (ToolCall(*found),)
    tools = {tool.name: tool for tool in episode.tools}
    if any(call.name not in tools for call in calls):
        return "wrong_function"
    return "wrong_argument" if any(argument_problems(tools[call.name], call.arguments) for call in calls) else ""
