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
  leaves no space between the two). So is what stands above the question: instructions, the last trial, which is
  quoted and no trajectory, and the context that some agents are given ("Context:", "Relevant Context:").
- The verdict is the result of `Finish`, and the outcome. Without a verdict the agent was halted: after six actions by
  the step limit, else for a reason that the log doesn't say; no verdict, so no success and no failure is claimed.
- The right answer stands in `extra["gold_answer"]`; the agent never saw it. Nor did it see what it wrote about this
  attempt after the verdict: `extra["reflections"]`.
- Some questions were halted before the first step. What is left is a question with its right answer, as in
  `hotpotqa`: a gold `Finish`, tagged so, which claims no outcome and gives no native action.
- Headings between the questions ("BEGIN TRIAL 3", "--- END CORRECT AGENTS ---") belong to no record.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from xlam_lib.data.accounting import Drop
from xlam_lib.data.formats.base import SourceInfo, need, place
from xlam_lib.data.formats.environments import CLOSED_BOOK, WIKI, task_name
from xlam_lib.data.formats.episodes import NOTES, Episode, native_actions
from xlam_lib.data.formats.transcripts import Turn, labelled_turns, line_numbers
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
    version="2",
    fields=("text",),
    layout={
        r"^(Thought|Action|Observation)( \d+)?:": "labels of the steps",
        r"^(Question|Correct answer|Reflections):": "labels of the parts",
        r"^Finish$": "the action of a question that was halted",
    },
)
MARK = re.compile(r"^(?:(?:Relevant )?Context:|You have attempted to answer\b|Question:)", re.MULTILINE)
QUESTION = re.compile(r"(?:^|(?<=\s))Question:[^\S\n]*", re.MULTILINE)
QUOTED = re.compile(
    r"(?<=last trial you attempted to answer the question\.)[^\S\n]*\n.*?^\(END PREVIOUS TRIAL\)",
    re.MULTILINE | re.DOTALL,
)
HEADING = re.compile(r"^(?:#{5,}|-{5,} *(?:BEGIN|END)\b|BEGIN TRIAL|Trial summary:).*", re.MULTILINE)
PLAYED = re.compile(r"^(?:(?:Thought|Action|Observation)(?: \d+)?|Correct answer):", re.MULTILINE)
GOLD = re.compile(r"^Correct answer:[^\S\n]*(.*)$", re.MULTILINE)
REFLECTIONS = re.compile(r"^Reflections?:[^\S\n]*(.*)\Z", re.MULTILINE | re.DOTALL)
AGAIN = re.compile(r"You have attempted to answer (?:the )?following question before and failed\.")
LIMIT = 6  # actions an agent was allowed


def split(text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Questions of a log: {"text": "Question: ... Correct answer: ..."}; what stands above one is a part of it."""
    text = text.replace("\r\n", "\n")
    masked, end = _masked(text), 0
    marks, line_of = list(_beginnings(masked)), line_numbers(text)
    for mark, following in zip(marks, [*marks[1:], len(text)], strict=False):
        above = HEADING.sub("", text[end:mark]).strip()
        start = text.index(above[:1], end) if above else mark
        gold, heading = GOLD.search(masked, mark, following), HEADING.search(masked, mark, following)
        end = min(gold.end() if gold else following, heading.start() if heading else following)
        yield line_of(start), {"text": "\n\n".join(filter(None, (above, text[mark:end].rstrip())))}
    if marks and (rest := HEADING.sub("", text[end:]).strip()):
        yield line_of(text.index(rest, end)), {"text": rest}


def _masked(text: str) -> str:
    """The text with the trials that prompts quote blotted out, so that none is taken for one that was played."""
    return QUOTED.sub(lambda quoted: "\0" * len(quoted[0]), text)


def _beginnings(masked: str) -> Iterator[int]:
    """Where records begin: at a question, or at what stands above it, once the one before was played."""
    asked = -1  # where the question of the record stands, -1 before there is one
    begun = False
    for mark in MARK.finditer(masked):
        is_question = mark[0] == "Question:"
        if not begun or (asked >= 0 and (is_question or PLAYED.search(masked, asked, mark.start()))):
            yield mark.start()
            begun, asked = True, -1
        line_end = masked.find("\n", mark.start())
        inline = QUESTION.search(masked, mark.start(), line_end if line_end >= 0 else len(masked))
        if inline and asked < 0:
            asked = inline.start()


def convert(record: dict[str, Any], where: str) -> list[Trajectory]:
    """One attempt at a question -> one trajectory."""
    above, asked, gold = _parts(need(record, "text", str))
    head, turns = labelled_turns(asked)
    question = QUESTION.sub("", head, count=1).strip()
    if not question:
        raise Drop("empty question")
    answer = gold.strip()
    if not turns and not answer:
        raise Drop("a question without a step or an answer: no trajectory to convert", question[:80])
    turns, reflections = _without_reflections(turns)
    episode = Episode(WIKI, errors=("Invalid Action",))
    episode.user(f"{above}\n{head.strip()}" if above else question)
    for turn in turns:
        episode.act(turn.action, turn.observation, turn.thought)
    if not turns:
        episode.act(WIKI.render("Finish", {"answer": answer}), None)
    steps = episode.finish()
    again = bool(AGAIN.search(steps[0].content))
    raw_id = place(where).rpartition("/")[2]
    extra = {"gold_answer": answer, "reflections": reflections, NOTES: episode.notes}
    return [
        Trajectory(
            trajectory_id=f"{SOURCE.name}/{raw_id}",
            source=SOURCE.source(raw_id),
            task=Task(task_id=task_name("hotpotqa", AGAIN.split(question)[0])),
            tools=WIKI.tools(),
            steps=steps,
            outcome=_outcome(steps),
            tags=(*(("multi_step",) if turns else CLOSED_BOOK), "hotpotqa", *(["reflexion"] if again else [])),
            extra={key: value for key, value in extra.items() if value},
        )
    ]


def _parts(text: str) -> tuple[str, str, str]:
    """(what stands above the question, question and steps, the right answer)."""
    masked = _masked(text)
    question = QUESTION.search(masked)
    if question is None:
        raise Drop("a text without a question", text[:80])
    gold = GOLD.search(masked, question.start())
    asked = text[question.start() : gold.start() if gold else len(text)]
    return text[: question.start()].strip(), asked, gold[1] if gold else ""


def _without_reflections(turns: list[Turn]) -> tuple[list[Turn], str]:
    """The turns without what the agent wrote behind the verdict, and that."""
    last = turns[-1] if turns else None
    found = REFLECTIONS.search(last.observation or "") if last else None
    if last is None or found is None:
        return turns, ""
    verdict = (last.observation or "")[: found.start()].rstrip()
    return [*turns[:-1], replace(last, observation=verdict)], found[1].strip()


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
