"""ToolRL's RLLA data: a dialogue so far in tags, and the next turn with thought, calls and response (notebook 01).

Raw record (shortened; the processed API-Bank tests have "system", "user" and "answer", a list of calls or one):

    {"instruction": "You are a helpful multi-turn dialogue assistant ...\\n\\n**Available Tools**\\n...\\n
       1. Name: sms\\nDescription: Schedule an SMS.\\nParameters: {\\"time\\": {\\"type\\": \\"string\\"}}\\n\\n...",
     "input": "**Dialogue Records History**\\n<user> Remind me at 9. </user>\\n\\n<think> ... </think>\\n...",
     "output": "<think> ... </think>\\n<tool_call>\\n{\\"name\\": \\"sms\\", \\"parameters\\": {...}}\\n</tool_call>"}

Decisions, from looking at the rows:
- Tools are a numbered list of prose with the parameters as JSON or as a Python literal: read back into schemas. None is
  required, since the list doesn't say; `"default": ""` stands with every parameter and is kept as it is.
- Of the instruction the parts about the native format are left out, by their headings; what it says besides is kept.
- Where a row comes from (`other`, `extra_info`, ...) is `extra["origin"]`.
- Tags inside a thought are part of it: a tag ends where another begins or the text ends.
- One line of <tool_call> is one call. A line that isn't one (cut off, not JSON) makes the turn a text that isn't learnt
  from. `<obs>` of several calls is a list with their names: each gets its own part.
- Only the last turn is learnt from: what stands before it is history, whose thoughts are one of two stock sentences.
- The last words of the API-Bank tests ("please only make one tool call") come from the test, not from the user: they
  stand in `extra["test_hint"]`.
- A tool that only the history calls is inferred and named in `extra["inferred_tools"]`; in the answer it is a Drop.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from xlam_lib.data.accounting import Drop
from xlam_lib.data.formats.api_requests import json_or_literal
from xlam_lib.data.formats.base import (
    SPEAKER,
    SourceInfo,
    cached_by_value,
    content_id,
    need,
    need_declared,
    need_objects,
)
from xlam_lib.data.formats.flat_tools import tool, with_inferred
from xlam_lib.data.formats.native_actions import ActionBuilder, json_object, native_texts
from xlam_lib.trajectory import Task, Tool, Trajectory

SOURCE = SourceInfo(
    name="toolrl_rlla",
    license="Apache-2.0",
    url="https://github.com/qiancheng0/ToolRL",
    files=("dataset/rlla_sft.json", "benchmarks/*/*_processed.json"),
    samples={
        "rlla_sft.json": (0, 2),
        "apibank_level-1_processed.json": (1,),
        "apibank_level-3_processed.json": (1,),
    },
    version="2",
    fields=(
        *("instruction", "input", "output", "system", "user", "answer", "other"),
        *("prompt", "reward_model", "data_source", "ability", "extra_info"),
    ),
    left_out={"prompt[].role": SPEAKER},
    layout={
        r"^\*\*(Steps for Each Turn|Output Format|Important Notes)\*\*\n.*?(?=\n\n\*\*|\Z)": "how to answer",
        r"^\*\*(Available Tools|Dialogue Records History)\*\*": "headings of the parts",
        r"^In your response, you can use the following tools:": "that the tools follow",
        r"^(\d+\. Name|Description|Parameters):": "labels of a tool",
        r"</?(user|think|tool_call|response|obs)>": "tags of the turns",
        r"(?<=\w), optional\b": "a type's note, as no parameter is required",
    },
)
TAGS = "user|think|tool_call|response|obs"
BLOCK = re.compile(rf"\s*<({TAGS})>(.*?)</\1>(?=\s*<(?:{TAGS})>|\s*$)", re.DOTALL)
ENTRY = re.compile(
    r"\d+\. (?:Name: (?P<name>[^\n]*)\nDescription:(?P<about>.*?)|(?P<name2>[^\n:]+):(?P<about2>.*?))"
    r"\nParameters:(?P<table>.*)",
    re.DOTALL,
)
ON_FORMAT = ("**Steps for Each Turn**", "**Output Format**", "**Important Notes**")
ORIGIN = ("other", "data_source", "ability", "extra_info")
HINT = "Based on our conversation above"


def convert(record: dict[str, Any], where: str) -> list[Trajectory]:
    """One row -> one trajectory, whose last turn is the answer."""
    system, history, answer = _parts(record)
    builder, hints, notes = ActionBuilder(), [], []
    _walk(_blocks(history.partition("**Dialogue Records History**")[2] or history), builder, hints)
    if not builder.steps or builder.steps[0].role != "user":
        raise Drop("a dialogue without its beginning", history[:120])
    before = len(builder.steps)
    if isinstance(answer, str):
        _walk(_blocks(answer), builder, [])
    else:
        items = [answer] if isinstance(answer, dict) else answer
        _calls(builder, [_call_line(item) for item in need_objects(items, "answer")], "", "")
    if len(builder.steps) == before or builder.steps[-1].role != "assistant":
        raise Drop("an empty answer")
    declared = _tools(notes, _listed(system))
    tools, inferred = with_inferred(declared, builder.steps[:before])
    need_declared([call.name for step in builder.steps[before:] for call in step.tool_calls], tools)
    builder.learn_last()
    raw_id = content_id(record)
    extra = builder.kept() | {"test_hint": hints, "inferred_tools": inferred, "unknown_types": notes}
    extra["origin"] = {key: record[key] for key in ORIGIN if record.get(key)}
    return [
        Trajectory(
            trajectory_id=f"{SOURCE.name}/{raw_id}",
            source=SOURCE.source(raw_id),
            task=Task(_instruction(system), task_id=raw_id),
            tools=tools,
            steps=tuple(builder.steps),
            tags=("gold",),
            extra={key: value for key, value in extra.items() if value},
        )
    ]


def native(trajectory: Trajectory) -> list[str]:
    """Each call as its line has it: '{"name": "scheduleSms", "parameters": {"time": "9"}}'."""
    return native_texts(trajectory, lambda call: _line(call.name, call.arguments))


def _line(name: str, arguments: dict[str, Any]) -> str:
    return json.dumps({"name": name, "parameters": arguments}, ensure_ascii=False)


def _parts(record: dict[str, Any]) -> tuple[str, str, Any]:
    """(system text, dialogue so far, answer) of the three forms."""
    if "prompt" in record and "reward_model" in record:  # as published for reinforcement learning
        messages = need_objects(record["prompt"], "prompt")
        texts = {m.get("role"): m["content"] for m in messages if isinstance(m.get("content"), str)}
        return (
            need(texts, "system", str),
            need(texts, "user", str),
            need(need(record, "reward_model", dict), "ground_truth", str),
        )
    if "answer" in record:
        return need(record, "system", str), need(record, "user", str), record["answer"]
    return need(record, "instruction", str), need(record, "input", str), need(record, "output", str)


def _instruction(system: str) -> str:
    """What a system text says besides the tools and the native format."""
    before, _, after = system.partition("**Available Tools**")
    parts = [part for part in re.split(r"\n\n(?=\*\*)", after)[1:] if not part.startswith(ON_FORMAT)]
    return "\n\n".join(part.strip() for part in (before, *parts) if part.strip())


def _listed(system: str) -> str:
    """The numbered list of tools in a system text."""
    return system.partition("use the following tools:")[2].partition("\n\n**")[0].strip()


@cached_by_value
def _tools(notes: list[str], listed: str) -> list[Tool]:
    return list(_each_tool(listed, notes))


def _each_tool(listed: str, notes: list[str]) -> Iterator[Tool]:
    for entry in _entries(listed):
        found = ENTRY.fullmatch(entry)
        if not found:
            raise Drop("a tool that can't be read", entry[:120])
        text = found["table"].strip()
        table = json_or_literal(text) if text else {}
        if not isinstance(table, dict):
            raise Drop("tool parameters are not an object", text[:120])
        name, about = found["name"] or found["name2"], found["about"] or found["about2"] or ""
        yield tool(name.strip(), about.strip(), table, notes)


def _entries(listed: str) -> list[str]:
    """The entries of the list: one begins at the next number, behind the parameters of the one before."""
    entries: list[str] = []
    for line in listed.split("\n") if listed else []:
        if not entries or ("\nParameters:" in entries[-1] and line.startswith(f"{len(entries) + 1}. ")):
            entries.append(line)
        else:
            entries[-1] += "\n" + line
    return [entry.strip() for entry in entries]


def _blocks(text: str) -> list[tuple[str, str]]:
    """(tag, text) of each block."""
    blocks, at = [], 0
    while text[at:].strip():
        found = BLOCK.match(text, at)
        if not found:
            raise Drop("text outside of tags", text[at : at + 120].strip())
        blocks.append((found[1], found[2]))
        at = found.end()
    return blocks


def _walk(blocks: list[tuple[str, str]], builder: ActionBuilder, hints: list[str]) -> None:
    """Blocks -> steps; a turn of the assistant is think, tool_call and response, in this order, each may be missing."""
    turn: dict[str, str] = {}
    order = ("think", "tool_call", "response")
    for tag, text in blocks:
        if turn and (tag not in order or order.index(tag) <= max(order.index(old) for old in turn)):
            _turn(builder, turn)
            turn = {}
        if tag in order:
            turn[tag] = text.strip()
        elif tag == "obs":
            _observation(builder, text.strip())
        elif text.strip().startswith(HINT):
            hints.append(text.strip())
        else:
            builder.user(text.strip())
    if turn:
        _turn(builder, turn)


def _turn(builder: ActionBuilder, turn: dict[str, str]) -> None:
    lines = [line.strip() for line in turn.get("tool_call", "").split("\n") if line.strip()]
    _calls(builder, lines, turn.get("think", ""), turn.get("response", ""))


def _calls(builder: ActionBuilder, lines: list[str], thought: str, response: str) -> None:
    calls = []
    for line in lines:
        item = json_object(line) or {}
        name, arguments = item.get("name"), item.get("parameters", {})
        if not isinstance(name, str) or not isinstance(arguments, dict):
            builder.no_call("\n".join([*lines, response]).strip(), reasoning=thought)
            return
        calls.append((name, arguments, line))
    builder.parallel(calls, _line, thought, response)


def _call_line(item: dict[str, Any]) -> str:
    return json.dumps(item, ensure_ascii=False)


def _observation(builder: ActionBuilder, text: str) -> None:
    """What came back; of a turn whose calls couldn't be read it is the user's message."""
    waiting = [call for call, _ in builder.open]
    if not waiting:
        builder.user(text)
        return
    value = json_or_literal(text)
    items = value if isinstance(value, list) else []
    names = [item.get("name") if isinstance(item, dict) and "results" in item else None for item in items]
    if names != [call.name for call in waiting]:
        for number, call in enumerate(waiting):
            builder.result(text if number == 0 else "", call.name)
        return
    for item in items:
        content = item["results"]
        builder.result(content if isinstance(content, str) else json.dumps(content, ensure_ascii=False), item["name"])
