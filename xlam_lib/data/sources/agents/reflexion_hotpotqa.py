"""HotpotQA, played by ReAct and Reflexion agents: thoughts, searches, answers and the verdict on them (notebook 01).

Raw record (a block of the text file; shortened):

    Question: The W. H. Shipman House is in what Hawaii county?You have attempted to answer following question before
    and failed. The following reflection(s) give a plan to avoid failing ...
    Reflections:
    - I should have looked up the exact location ...
    Thought 1: I need to search W. H. Shipman House and find its county.
    Action 1: Search[W. H. Shipman House]
    Observation 1: The W. H. Shipman House is a historic home ...
    Thought 2: ...
    Action 2: Finish[Hawaii County]
    Observation 2: Answer is CORRECT
    Correct answer: Hawaii County

Decisions, from looking at the records:
- The question with the reflections on earlier attempts is the user's message, as the agent was given it (upstream
  leaves no space between the two).
- The verdict is the result of `Finish`, and the outcome. Without a verdict the agent was halted: after six actions by
  the step limit, else for a reason that the log doesn't say; no verdict, so no success and no failure is claimed.
- The right answer stands in `extra["gold_answer"]`; the agent never saw it.
- Some questions were halted before the first step. What is left is a question with its right answer, as in
  `hotpotqa`: a gold `Finish`, tagged so, which claims no outcome and gives no native action.
- Headings between the questions ("BEGIN TRIAL 3", "--- END CORRECT AGENTS ---") belong to no record.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from xlam_lib.data.accounting import Drop
from xlam_lib.data.formats.base import SourceInfo, need, place
from xlam_lib.data.formats.environments import CLOSED_BOOK, WIKI, task_name
from xlam_lib.data.formats.episodes import NOTES, Episode, native_actions
from xlam_lib.data.formats.transcripts import labelled_turns
from xlam_lib.data.quality.findings import Policy
from xlam_lib.trajectory import Outcome, Step, Task, Trajectory

SOURCE = SourceInfo(
    name="reflexion_hotpotqa",
    license="MIT",
    url="https://github.com/noahshinn/reflexion",
    files=("hotpotqa_runs/root/**/*.txt",),
    text_files=("*.txt", "*.log"),
    policy=Policy(composed=("Search.entity",)),  # a title to look for may be the model's own guess
    samples={"react_base.txt": (0, 40), "react_reflexion.txt": (7,)},
)
BEGINNING = re.compile(r"^Question:[^\S\n]*", re.MULTILINE)
HEADING = re.compile(r"^(?:#{5,}|-{5,} *(?:BEGIN|END)\b|BEGIN TRIAL|Trial summary:).*", re.MULTILINE)
GOLD = re.compile(r"^Correct answer:[^\S\n]*(.*)\s*\Z", re.MULTILINE)
AGAIN = "You have attempted to answer following question before and failed."
LIMIT = 6  # actions an agent was allowed


def split(text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Questions of a log: {"text": "Question: ... Correct answer: ..."}."""
    text = text.replace("\r\n", "\n")
    marks = [mark.start() for mark in BEGINNING.finditer(text)]
    for start, end in zip(marks, [*marks[1:], len(text)], strict=True):
        heading = HEADING.search(text, start, end)
        block = text[start : heading.start() if heading else end]
        yield text.count("\n", 0, start) + 1, {"text": block.rstrip()}


def convert(record: dict[str, Any], where: str) -> list[Trajectory]:
    """One attempt at a question -> one trajectory."""
    text = need(record, "text", str)
    gold = GOLD.search(text)
    head, turns = labelled_turns(text[: gold.start()] if gold else text)
    question = BEGINNING.sub("", head, count=1).strip()
    if not question:
        raise Drop("empty question")
    answer = gold[1].strip() if gold else ""
    if not turns and not answer:
        raise Drop("a question without a step or an answer: no trajectory to convert", question[:80])
    episode = Episode(WIKI, errors=("Invalid Action",))
    episode.user(question)
    for turn in turns:
        episode.act(turn.action, turn.observation, turn.thought)
    if not turns:
        episode.act(WIKI.render("Finish", {"answer": answer}), None)
    steps = episode.finish()
    alone = question.partition(AGAIN)[0]
    raw_id = place(where).rpartition("/")[2]
    extra = {"gold_answer": answer, NOTES: episode.notes}
    return [
        Trajectory(
            trajectory_id=f"{SOURCE.name}/{raw_id}",
            source=SOURCE.source(raw_id),
            task=Task(task_id=task_name("hotpotqa", alone)),
            tools=WIKI.tools(),
            steps=steps,
            outcome=_outcome(steps),
            tags=(
                *(("multi_step",) if turns else CLOSED_BOOK),
                "hotpotqa",
                *(["reflexion"] if AGAIN in question else []),
            ),
            extra={key: value for key, value in extra.items() if value},
        )
    ]


def native(t: Trajectory) -> list[str]:
    """The actions as the log has them: ["Search[Rome]", "Finish[Italy]"]."""
    return native_actions(t, WIKI) if "gold" not in t.tags else []


def _outcome(steps: tuple[Step, ...]) -> Outcome:
    last = steps[-1].content if steps[-1].role in ("tool", "user") else ""
    if last.startswith("Answer is CORRECT"):
        return Outcome(True, 1.0, "success")
    if last.startswith("Answer is INCORRECT"):
        return Outcome(False, 0.0, "failure")
    acted = sum(step.role == "assistant" for step in steps)
    return Outcome(termination="max_steps" if acted >= LIMIT else "unknown")
