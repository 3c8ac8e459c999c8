"""WebShop, played by ReAct: the printed log of 500 episodes of a shopping agent and their scores (notebook 01).

Raw record (a block of the text file; shortened):

    -----------------
    1
    Action: reset
    Observation:
    Webshop
    Instruction:
    i want a noise cancelling cosycost usb microphone, and price lower than 50.00 dollars
    [Search]

    Action: think[The first item B0972Q1T8T is noise cancelling cosycost usb microphone and it is less than 50 dollars.]
    Observation: OK.

    Action: click[Buy Now]
    Observation: Your score (min 0.0, max 1.0): 1.0

    2 0.5 0.5 0.0
    -------------

Decisions, from looking at the records:
- `reset` is how the runner starts; the page that it gives is the user's message, since it holds the instruction.
- A thought (`think[...]`, answered "OK.") is the reasoning of the action that follows. Some were cut off before their
  closing bracket; these are noted in `extra["native_actions"]`.
- What is no action (`exit[quit]`) stays an untrainable text; a click on what isn't there is a call with an error.
- The score is the reward; success is a score of 1. Without a score the runner counts 0: the agent bought nothing
  within its 15 actions, or the shop had no score for the purchase.
- The line below an episode (episodes so far, mean score, share of full scores, share of crashes) is `extra["so_far"]`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from xlam_lib.data.accounting import Drop
from xlam_lib.data.formats.base import SourceInfo, need
from xlam_lib.data.formats.environments import THINK_BRACKETS, WEBSHOP, shop_goal, task_name
from xlam_lib.data.formats.episodes import NOTES, Episode, native_actions
from xlam_lib.data.formats.transcripts import labelled_turns, line_numbers
from xlam_lib.trajectory import Outcome, Task, Trajectory

SOURCE = SourceInfo(
    name="webshop_react_log",
    license="MIT",
    url="https://github.com/ysymyth/ReAct",
    files=("WebShop.ipynb (its printed log as *.txt)",),
    text_files=("*.txt", "*.log"),
    samples={"episodes_000_249.txt": (0, 1, 132)},
    fields=("episode", "log", "so_far"),
    layout={r"^(Action|Observation):": "labels of the steps", r"^-+$": "lines between the episodes"},
)
BEGINNING = re.compile(r"^-{15,}\n(\d{1,9})\n", re.MULTILINE)
ENDING = re.compile(r"\n(\d+(?: [\d.e+-]+){3})\n-{5,}\s*\Z")
SCORE = re.compile(r"Your score \(min 0\.0, max 1\.0\): ([\d.]+)")
ERRORS = ("Invalid action!",)


def split(text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Episodes of a log: {"episode": 1, "log": "Action: reset ...", "so_far": "2 0.5 0.5 0.0"}."""
    text = text.replace("\r\n", "\n")
    marks, line_of = list(BEGINNING.finditer(text)), line_numbers(text)
    for mark, end in zip(marks, [*(m.start() for m in marks[1:]), len(text)], strict=False):
        body = text[mark.end() : end]
        ending = ENDING.search(body)
        record = {"episode": int(mark[1]), "log": body[: ending.start()] if ending else body}
        yield line_of(mark.start()), record | ({"so_far": ending[1]} if ending else {})


def convert(record: dict[str, Any], where: str) -> list[Trajectory]:
    """One episode -> one trajectory."""
    number, log = need(record, "episode", int), need(record, "log", str)
    _, turns = labelled_turns(log)
    if not turns or turns[0].action != "reset" or not turns[0].observation:
        raise Drop("an episode that doesn't begin with a reset", f"episode {number}: {log[:80]!r}")
    episode = Episode(WEBSHOP, THINK_BRACKETS, ERRORS)
    episode.user(turns[0].observation)
    for turn in turns[1:]:
        episode.act(turn.action, turn.observation, turn.thought)
    steps = episode.finish()
    if len(steps) == 1:
        raise Drop("an episode without an action", f"episode {number}")
    goal = shop_goal(turns[0].observation)
    so_far = record.get("so_far")
    extra = {"so_far": so_far if isinstance(so_far, str) else "", NOTES: episode.notes}
    return [
        Trajectory(
            trajectory_id=f"{SOURCE.name}/{number}",
            source=SOURCE.source(str(number)),
            task=Task(task_id=task_name("webshop", goal)),
            tools=WEBSHOP.tools(),
            steps=steps,
            outcome=_outcome(turns[-1].action or "", turns[-1].observation),
            tags=("multi_step", "webshop"),
            extra={key: value for key, value in extra.items() if value},
        )
    ]


def native(t: Trajectory) -> list[str]:
    """The actions as the log has them: ["reset", "search[...]", "think[...]", "click[...]"]."""
    return ["reset", *native_actions(t, WEBSHOP, THINK_BRACKETS)]


def _outcome(action: str, observation: str | None) -> Outcome:
    found = SCORE.match(observation or "")
    try:
        score = float(found[1]) if found else 0.0
    except ValueError:
        return Outcome()
    if found or action == "click[Buy Now]":
        return Outcome(score == 1.0, score, "success" if score == 1.0 else "failure")
    return Outcome(False, score, "max_steps")
