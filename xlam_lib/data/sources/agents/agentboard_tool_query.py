"""AgentBoard's tool tasks (weather, movies, papers, to-do lists, sheets) with gold answers or actions (notebook 01).

Raw record (a line; shortened):

    {"task": "tool-operation", "id": 3, "difficulty": "hard",
     "goal": "In \\"Sheet4\\", delete the empty rows and columns, then merge the titles of first and second column ...",
     "subgoals": "Reference Action Path: \\nAction 1: delete_batch_data with Action Input: {...}\\n...",
     "additional_info": {"answer": "[[\\"Product\\", ...]]", "init_config": null, "goal_type": 2, "tool": "sheet"}}

Decisions, from looking at the records:
- A reference action path (sheets) becomes one turn with its calls in order, tagged "gold". Nobody ran them for the
  record, so there are no results. The tools are inferred from the calls and named in `extra["inferred_tools"]`.
- All other tasks know only the answer (`subgoals`): an untrainable call of AgentBoard's own `finish`, tagged
  "answer_only"; how to find it isn't recorded. `additional_info.answer` stands in `extra["answer"]` where it says more.
- Date and place that the task starts with (`init_config`) are in `extra`: the agent has to ask tools for them.
- `difficulty` is a tag. Prompt files are dropped: they hold instructions and tools, but no task.
"""

from __future__ import annotations

import ast
import json
import re
from typing import Any

from xlam_lib.data.accounting import Drop
from xlam_lib.data.formats.base import SourceInfo, need, place
from xlam_lib.data.formats.schemas import tool_of_calls
from xlam_lib.trajectory import Step, Task, Tool, ToolCall, Trajectory

SOURCE = SourceInfo(
    name="agentboard_tool_query",
    license="MIT AND GPL-2.0-only",
    url="https://github.com/hkust-nlp/AgentBoard",
    files=("data/tool-query/test.jsonl", "data/tool-operation/test.jsonl"),
    version="2",
    fields=("task", "id", "difficulty", "goal", "subgoals", "additional_info"),
    layout={r"^Reference Action Path:": "a heading"},
)
PATH = "Reference Action Path:"
ACTION = re.compile(r"^Action \d+: (\w+) with Action Input: (.*)$", re.MULTILINE)
VERBATIM = "written"  # key of `extra`: {call id: action} where it differs from the rule
FINISH = Tool(
    "finish",
    "Give the answer and end the task.",
    {"type": "object", "properties": {"answer": {"description": "the answer"}}, "required": ["answer"]},
)


def convert(record: dict[str, Any], where: str) -> list[Trajectory]:
    """One task with its gold solution -> one trajectory."""
    if "goal" not in record and ("instruction" in record or "tool_set_message" in record):
        raise Drop("a prompt, not a task: no trajectory to convert")
    goal, subgoals = need(record, "goal", str), record.get("subgoals")
    info = record["additional_info"] if isinstance(record.get("additional_info"), dict) else {}
    if not goal.strip():
        raise Drop("empty query")
    path = isinstance(subgoals, str) and subgoals.lstrip().startswith(PATH)
    calls, verbatim = _path(str(subgoals)) if path else ([_answer(subgoals, info)], {})
    kind = str(info.get("tool") or place(where).rpartition("/")[2].partition(":")[0])
    raw_id = f"{kind}/{record['id']}" if isinstance(record.get("id"), str | int) else place(where)
    names = list(dict.fromkeys(call.name for call in calls)) if path else []
    answer = info.get("answer")
    extra = {
        "inferred_tools": names,
        "answer": answer if path or answer != calls[0].arguments["answer"] else None,
        "task": record.get("task"),
        **{key: value for key, value in info.items() if key not in ("answer", "tool")},
        VERBATIM: verbatim,
    }
    difficulty = [record["difficulty"]] if isinstance(record.get("difficulty"), str) else []
    return [
        Trajectory(
            trajectory_id=f"{SOURCE.name}/{raw_id}",
            source=SOURCE.source(raw_id),
            task=Task(task_id=raw_id),
            tools=tuple(tool_of_calls(n, [c.arguments for c in calls if c.name == n]) for n in names) or (FINISH,),
            steps=(Step("user", goal), Step("assistant", tool_calls=tuple(calls), trainable=path)),
            tags=("gold", *([] if path else ["answer_only"]), kind, *difficulty),
            extra={key: value for key, value in extra.items() if value not in (None, [], {}, "")},
        )
    ]


def native(t: Trajectory) -> list[str]:
    """The lines of the reference path: ["Action 1: merge_cells with Action Input: {'start_position': 'A1', ...}"]."""
    calls = [call for step in t.steps for call in step.tool_calls if step.trainable]
    return [t.extra.get(VERBATIM, {}).get(call.id) or _line(i, call) for i, call in enumerate(calls, start=1)]


def _path(text: str) -> tuple[list[ToolCall], dict[str, str]]:
    """(calls, those lines that the rule would not give back)."""
    calls: list[ToolCall] = []
    verbatim = {}
    for found in ACTION.finditer(text):
        calls.append(ToolCall(found[1], _arguments(found[2].strip(), found[1]), f"call_{len(calls)}"))
        if _line(len(calls), calls[-1]) != found[0]:
            verbatim[calls[-1].id] = found[0]
    lines = [line for line in text.partition(PATH)[2].splitlines() if line.strip()]
    if not calls or len(lines) != len(calls):
        raise Drop("reference action of an unknown form", f"{len(calls)} of {len(lines)} lines: {text[:120]!r}")
    return calls, verbatim


def _arguments(text: str, name: str) -> dict[str, Any]:
    """Arguments as a Python dictionary or as JSON; nothing else is guessed at."""
    for read in (ast.literal_eval, json.loads):
        try:
            value = read(text)
            if isinstance(value, dict) and json.loads(json.dumps(value, allow_nan=False)) == value:
                return value
        except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
            continue
    raise Drop("arguments are not an object", f"{name}: {text[:80]!r}")


def _answer(subgoals: Any, info: dict[str, Any]) -> ToolCall:
    answer = subgoals[0] if isinstance(subgoals, list) and len(subgoals) == 1 else subgoals
    answer = info.get("answer") if answer in (None, [], "") else answer
    if answer in (None, [], ""):
        raise Drop("a query without an answer: no trajectory to convert")
    return ToolCall("finish", {"answer": answer}, "call_0")


def _line(number: int, call: ToolCall) -> str:
    return f"Action {number}: {call.name} with Action Input: {call.arguments!r}"
