"""ReAct's few-shot prompts: model episodes of HotpotQA, FEVER, ALFWorld and WebShop, written by people (notebook 01).

Raw record (a name and its text, of a file that is one object; shortened):

    {"webthink_simple6": "\\nQuestion: What is the elevation range for the area that ...?\\n
     Thought 1: I need to search Colorado orogeny, ...\\nAction 1: Search[Colorado orogeny]\\n
     Observation 1: The Colorado orogeny was an episode of mountain building ...\\n...Action 5: Finish[1,800 ...]\\n",
     "act_clean_2": "You are in the middle of a room. ...\\nYour task is to: clean some soapbar ...\\n
     > go to toilet 1\\nOn the toilet 1, you see a soapbar 4, and a soapbar 3.\\n> take soapbar 4 from toilet 1\\n..."}

Decisions, from looking at the records:
- A name with its text is a record; it becomes as many trajectories as there are episodes in the text. The text decides
  of which kind it is, never the name.
- These episodes are examples to follow: tagged "gold". Whether the last action succeeded isn't recorded where the text
  ends before an observation.
- "Thought n" is the reasoning of "Action n"; so is `think[...]` or `think: ...` before the next action.
- A question with nothing but a (thought and an) answer is a conversation without tools; `native` gives "Answer: ...".
- What stands above all claims (FEVER's rule for SUPPORTS, REFUTES, NOT ENOUGH INFORMATION) is the task's instruction.
- In three places a prompt sign has no space behind it; these are `extra["unspaced_prompts"]`, by action.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from xlam_lib.data.accounting import Drop
from xlam_lib.data.formats.base import SourceInfo, need, place
from xlam_lib.data.formats.environments import (
    ALFWORLD,
    ALFWORLD_ERRORS,
    THINK_BRACKETS,
    THINK_COLON,
    WEBSHOP,
    WIKI,
    household_task,
    shop_goal,
    task_name,
)
from xlam_lib.data.formats.episodes import NOTES, Episode, native_actions
from xlam_lib.data.formats.transcripts import Turn, labelled_turns, prompted_turns
from xlam_lib.data.quality.findings import Policy
from xlam_lib.trajectory import Outcome, Step, Task, Tool, Trajectory

SOURCE = SourceInfo(
    name="react",
    license="MIT",
    url="https://github.com/ysymyth/ReAct",
    files=("prompts/*.json",),
    policy=Policy(composed=("Search.entity",)),  # a title to look for may be the model's own guess
    samples={
        "fever.json": ("webthink_simple3", "cotqa_simple3"),
        "alfworld_3prompts.json": ("react_clean_2",),
    },
    fields=("name", "text"),
    layout={r"^(Question|Claim|Thought|Action|Observation|Answer)( \d+)?:": "labels of the parts"},
)
BLOCK = re.compile(r"^(Question|Claim):[^\S\n]*", re.MULTILINE)
ANSWER = re.compile(r"^Answer:([^\S\n]*)(.*)", re.MULTILINE | re.DOTALL)
THOUGHT = re.compile(r"^Thought:[^\S\n]*", re.MULTILINE)
DATA = {"Question": "hotpotqa", "Claim": "fever"}
TIGHT = "answer_without_space"


def unpack(value: dict[str, Any]) -> list[dict[str, Any]]:
    """Names and texts of a prompt file as records: {"name": "act_clean_2", "text": "You are ..."}."""
    if not value or not all(isinstance(text, str) for text in value.values()) or set(value) == {"name", "text"}:
        return [value]
    return [{"name": name, "text": text} for name, text in value.items()]


def convert(record: dict[str, Any], where: str) -> list[Trajectory]:
    """One text -> a trajectory for each episode in it."""
    name, text = need(record, "name", str), need(record, "text", str)
    base = f"{place(where).rpartition('/')[2].partition(':')[0]}/{name}"
    if BLOCK.search(text):
        made = list(_questions(text))
    elif re.search(r"^>", text, re.MULTILINE):
        made = [_household(text)]
    else:
        made = list(_shops(text))
    if not made:
        raise Drop("a text without an action or an answer", text[:80])
    return [_trajectory(f"{base}/{number}", *parts) for number, parts in enumerate(made)]


Parts = tuple[str, str, tuple[Tool, ...], tuple[Step, ...], str, dict[str, Any]]


def _trajectory(
    raw_id: str, kind: str, task_id: str, tools: tuple[Tool, ...], steps: tuple[Step, ...], rule: str, extra: dict
) -> Trajectory:
    return Trajectory(
        trajectory_id=f"{SOURCE.name}/{raw_id}",
        source=SOURCE.source(raw_id),
        task=Task(rule, task_id=task_id),
        tools=tools,
        steps=steps,
        outcome=Outcome(),
        tags=("gold", kind, "multi_step" if tools else "no_tools"),
        extra={key: value for key, value in extra.items() if value},
    )


def native(t: Trajectory) -> list[str]:
    """The actions as the prompt has them; of a conversation without tools the line of the answer."""
    if "no_tools" in t.tags:
        return [
            f"Answer:{'' if TIGHT in t.extra else ' '}{step.content}" for step in t.steps if step.role == "assistant"
        ]
    if "webshop" in t.tags:
        return native_actions(t, WEBSHOP, THINK_BRACKETS)
    if "alfworld" in t.tags:
        return native_actions(t, ALFWORLD, THINK_COLON)
    return native_actions(t, WIKI)


def _questions(text: str) -> Iterator[Parts]:
    marks = list(BLOCK.finditer(text))
    rule = text[: marks[0].start()].strip()
    for mark, end in zip(marks, [*(m.start() for m in marks[1:]), len(text)], strict=False):
        head, turns = labelled_turns(text[mark.end() : end])
        kind = DATA[mark[1]]
        if any(turn.action is not None for turn in turns):
            if not head.strip():
                raise Drop("an episode without a task", text[mark.start() : end][:80])
            steps, notes = _walk(Episode(WIKI), head.strip(), turns)
            yield kind, task_name(kind, head), WIKI.tools(), steps, rule, {NOTES: notes}
            continue
        body = text[mark.end() : end]
        answer = ANSWER.search(body)
        question, *thoughts = THOUGHT.split(body[: answer.start()] if answer else "", 1)
        if answer is None or not question.strip() or not answer[2].strip():
            raise Drop("a question without an answer: no trajectory to convert", body[:80])
        thought = "".join(thoughts).strip()
        origin = "native" if thought else "none"
        reply = Step("assistant", answer[2].strip(), thought, reasoning_origin=origin)
        yield kind, task_name(kind, question), (), (Step("user", question.strip()), reply), rule, {TIGHT: not answer[1]}


def _household(text: str) -> Parts:
    head, turns, tight = prompted_turns(text)
    if not head.strip():
        raise Drop("an episode without a task", text[:80])
    steps, notes = _walk(Episode(ALFWORLD, THINK_COLON, ALFWORLD_ERRORS), head.strip(), turns)
    extra = {NOTES: notes, "unspaced_prompts": tight}
    return "alfworld", task_name("alfworld", household_task(head)), ALFWORLD.tools(), steps, "", extra


def _shops(text: str) -> Iterator[Parts]:
    """Episodes one below the other: the page below an action without an observation begins the next."""
    page, turns = labelled_turns(text)
    episodes: list[tuple[str, list[Turn]]] = []
    for turn in turns:
        if turn.first or not episodes:
            episodes.append((page.strip(), []))
        episodes[-1][1].append(turn)
        page = turn.rest
    for page, played in episodes:
        if not page:
            raise Drop("an episode without a task", played[0].action or "")
        steps, notes = _walk(Episode(WEBSHOP, THINK_BRACKETS, ("Invalid action!",)), page, played)
        yield "webshop", task_name("webshop", shop_goal(page)), WEBSHOP.tools(), steps, "", {NOTES: notes}


def _walk(episode: Episode, task: str, turns: list[Turn]) -> tuple[tuple[Step, ...], dict[str, list[str]]]:
    episode.user(task)
    for turn in turns:
        episode.act(turn.action, turn.observation, turn.thought)
    return episode.finish(), episode.notes
