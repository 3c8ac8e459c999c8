"""Reflexion in ALFWorld and WebShop: results of its trials, and the logs of the trials themselves (notebook 01).

Raw record of a result file (shortened) and of a log, `trial_<n>.log`:

    {"name": "env_0", "memory": ["In this attempt, I was unsuccessful. I accidentally bought ..."], "is_success": false}

    #####

    Environment #0:
    Interact with a household to solve a task. Here are two examples.
    ...
    Your memory for the task below:
    Trial 0:
    I should have gone to the desk first.
    Here is the task:
    You are in the middle of a room. ... Your task is to: look at mug under the desklamp.
    > think: First I need to find a mug.
    OK.
    > go to desk 1
    On the desk 1, you see a mug 2.

    STATUS: OK

    #####

Decisions:
- A result says whether an environment was solved, and what the agent wrote to itself; it has neither task nor steps, so
  there is no trajectory in it: dropped.
- A log is a trajectory for each environment that was played in that trial. The examples before the task are
  `extra["examples"]`; the memory is part of the user's message, because the agent acts by it.
- WebShop's logs begin with "> reset", whose page is the user's message, as in `webshop_react_log`.
- STATUS is the outcome; how a failed run ended is not recorded. A log file that is gzipped, cut or made of several
  trials is read the same way: a block is what lies between an "Environment #n:" and its STATUS.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from xlam_lib.data.accounting import Drop
from xlam_lib.data.formats.actions import Action, Grammar
from xlam_lib.data.formats.base import SourceInfo, need, place
from xlam_lib.data.formats.environments import (
    ALFWORLD,
    ALFWORLD_ERRORS,
    THINK_BRACKETS,
    THINK_COLON,
    WEBSHOP,
    household_task,
    shop_goal,
    task_name,
)
from xlam_lib.data.formats.episodes import NOTES, Episode, native_actions
from xlam_lib.data.formats.transcripts import line_numbers, prompted_turns
from xlam_lib.trajectory import Outcome, Task, Trajectory

SOURCE = SourceInfo(
    name="reflexion_results",
    license="MIT",
    url="https://github.com/noahshinn/reflexion",
    files=("*_runs/**/env_results_trial_*.json", "*_runs/**/trial_*.log"),
    text_files=("*.log", "*.txt"),
    version="2",
    fields=("environment", "log", "name", "memory", "is_success"),
    layout={
        r"^Environment #\d+:|^#{5,}": "headings of a block",
        r"^STATUS: *(OK|FAIL)": "the outcome",
        r"^Here is the task:": "that the task follows",
    },
)
BLOCK = re.compile(r"^Environment #(\d{1,9}):(.*?)(?=^#####|^Environment #|\Z)", re.MULTILINE | re.DOTALL)
STATUS = re.compile(r"^STATUS: *(OK|FAIL)\s*\Z", re.MULTILINE)
TASK = "Here is the task:\n"
MEMORY = "Your memory for the task below:"
Form = tuple[Grammar, Action, tuple[str, ...], str]
FORMS: dict[str, Form] = {
    "webshop": (WEBSHOP, THINK_BRACKETS, ("Invalid action!",), "reset"),
    "alfworld": (ALFWORLD, THINK_COLON, ALFWORLD_ERRORS, ""),
}


def split(text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Environments of a trial's log: {"environment": 0, "log": "Interact with a household ... STATUS: OK"}."""
    text = text.replace("\r\n", "\n")
    line_of = line_numbers(text)
    for block in BLOCK.finditer(text):
        yield line_of(block.start()), {"environment": int(block[1]), "log": block[2].strip()}


def convert(record: dict[str, Any], where: str) -> list[Trajectory]:
    """One environment of a log -> one trajectory."""
    if "is_success" in record and "log" not in record:
        raise Drop("a result and its reflections, without the steps: no trajectory to convert")
    number, log = need(record, "environment", int), need(record, "log", str)
    if log == "Success":
        raise Drop("solved in an earlier trial, not played again: no trajectory to convert")
    if log.startswith("Assertion Error"):
        raise Drop("the run crashed before its first step: no trajectory to convert")
    status = STATUS.search(log)
    before, _, played = (log[: status.start()].rstrip() if status else log).rpartition(TASK)
    head, turns, tight = prompted_turns(played)
    if not turns:
        raise Drop("a log without a step", f"environment {number}")
    name = "webshop" if turns[0].action == "reset" else "alfworld"
    grammar, thinks, errors, opening = FORMS[name]
    page = (turns[0].observation or "") if opening else ""
    episode = Episode(grammar, thinks, errors)
    task = page or head.strip()
    if not task:
        raise Drop("a log without a task", f"environment {number}")
    examples, mark, memory = before.rpartition(MEMORY) if MEMORY in before else (before, "", "")
    memory = (mark + memory).strip()
    episode.user("\n\n".join(part for part in (memory, task) if part))
    for turn in turns[1:] if opening else turns:
        episode.act(turn.action, turn.observation)
    steps = episode.finish()
    if len(steps) == 1:
        raise Drop("a log without a step", f"environment {number}")
    raw_id = f"{place(where).partition(':')[0]}/{number}"
    extra = {NOTES: episode.notes, "unspaced_prompts": tight, "examples": examples.strip()}
    return [
        Trajectory(
            trajectory_id=f"{SOURCE.name}/{raw_id}",
            source=SOURCE.source(raw_id),
            task=Task(task_id=task_name(name, shop_goal(task) if opening else household_task(task))),
            tools=grammar.tools(),
            steps=steps,
            outcome=_outcome(status),
            tags=("multi_step", name, *(["reflexion"] if memory else [])),
            extra={key: value for key, value in extra.items() if value},
        )
    ]


def native(t: Trajectory) -> list[str]:
    """The actions as the log has them behind its prompt signs: ["think: First ...", "go to desk 1"]."""
    name = next(name for name in FORMS if name in t.tags)
    grammar, thinks, _, opening = FORMS[name]
    return [*([opening] if opening else []), *native_actions(t, grammar, thinks)]


def _outcome(status: re.Match[str] | None) -> Outcome:
    if status is None:
        return Outcome()
    return Outcome(status[1] == "OK", None, "success" if status[1] == "OK" else "unknown")
