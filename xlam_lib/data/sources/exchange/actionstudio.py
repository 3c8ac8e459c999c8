"""ActionStudio's unified format 2.0: a task instruction, tools and an OpenAI-like conversation (notebook 01).

Raw record (shortened):

    {"unique_trajectory_id": "toolace_17", "task_instruction": "You are a helpful assistant.",
     "tools": [{"type": "function", "function": {"name": "weather", "description": "...", "parameters": {...}}}],
     "conversation": [{"role": "user", "content": "Weather in Oslo?"},
       {"role": "assistant", "content": "I look it up.", "tool_calls": [{"id": "call_1", "type": "function",
         "function": {"name": "weather", "arguments": {"city": "Oslo"}}}]},
       {"role": "tool", "name": "weather", "content": "{\\"celsius\\": 4}", "tool_call_id": "call_1"},
       {"role": "assistant", "content": "4 degrees."}]}

Decisions, from the converters that upstream publishes (its data lie in large files elsewhere):
- Text beside calls is the thought: `reasoning`, native. Text without calls is `content`.
- Arguments may be an object or JSON text; tools may stand bare or under "function".
- The way back is `export`, exact for records of the shape above: ids of calls, the notation of tools and arguments, and
  keys we don't know are kept in `extra` where they differ from what `export` writes by itself.
- Upstream drops assistant messages whose text is "None" or "null"; so do we, with the record, since a turn is missing.
- An id of upstream names a trajectory; records without one get an id from their content.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from xlam_lib.data.accounting import Drop
from xlam_lib.data.fields import UNKNOWN_FIELDS, of_the_record
from xlam_lib.data.formats.base import (
    ALWAYS_FUNCTION,
    SPEAKER,
    SourceInfo,
    content_id,
    need,
    need_declared,
    need_objects,
    unique_tools,
)
from xlam_lib.data.formats.chat import StepBuilder, calls_of
from xlam_lib.data.sources.agents.toolbench import tool_of
from xlam_lib.trajectory import Step, Task, Tool, Trajectory
from xlam_lib.views import call_to_openai, tools_to_openai

SOURCE = SourceInfo(
    name="actionstudio",
    license="CC-BY-NC-4.0",
    url="https://github.com/SalesforceAIResearch/xLAM/tree/main/actionstudio",
    files=("unified_data/*/train/train.json",),
    version="2",
    fields=(
        *("unique_trajectory_id", "task_instruction", "tools"),
        *(
            f"conversation[].{key}"
            for key in ("role", "content", "tool_calls", "function_call", "tool_call_id", "name")
        ),
    ),
    left_out={
        "conversation[].role": SPEAKER,
        "conversation[].tool_calls[].type": ALWAYS_FUNCTION,
        "tools[].type": ALWAYS_FUNCTION,
    },
)
KNOWN = ("unique_trajectory_id", "task_instruction", "tools", "conversation")
FIRST = "call_{}".format


def convert(record: dict[str, Any], where: str) -> list[Trajectory]:
    """One record -> one trajectory."""
    messages = need_objects(need(record, "conversation", list), "conversation")
    raw_tools = need_objects(record.get("tools") or [], "tools")
    notes: list[str] = []
    tools = unique_tools([tool_of(_function(raw), notes) for raw in raw_tools])
    builder = _walk(messages)
    need_declared([call.name for step in builder.steps for call in step.tool_calls], tools)
    instruction = record.get("task_instruction") or ""
    if not isinstance(instruction, str):
        raise Drop("'task_instruction' is not text", f"found {type(instruction).__name__}")
    raw_id = record.get("unique_trajectory_id")
    raw_id = raw_id if isinstance(raw_id, str) and raw_id else content_id(record)
    calls = [call["function"] for message in messages if message["role"] == "assistant" for call in _raw_calls(message)]
    extra = {
        "raw_call_ids": [] if builder.raw_ids == [FIRST(i) for i in range(len(builder.raw_ids))] else builder.raw_ids,
        "bare_tools": bool(raw_tools) and not any("function" in raw for raw in raw_tools),
        "arguments_as_text": bool(calls) and all(isinstance(call.get("arguments"), str) for call in calls),
        UNKNOWN_FIELDS: {key: value for key, value in record.items() if key not in KNOWN},
        "repairs": builder.repairs,
        "unknown_types": notes,
    }
    return [
        Trajectory(
            trajectory_id=f"{SOURCE.name}/{raw_id}",
            source=SOURCE.source(raw_id),
            task=Task(instruction, task_id=raw_id),
            tools=tools,
            steps=tuple(builder.steps),
            extra={key: value for key, value in extra.items() if value},
        )
    ]


def export(trajectory: Trajectory) -> dict[str, Any]:
    """The trajectory in ActionStudio's format; `convert` reads it back to the same steps, tools and instruction.

    Example: `export(t)["conversation"][0]` -> {"role": "user", "content": "Weather in Oslo?"}
    """
    extra, steps = trajectory.extra, trajectory.steps
    system = steps[0].content if steps and steps[0].role == "system" else ""
    ids = [call.id for step in steps for call in step.tool_calls]
    raw_ids = dict(zip(ids, extra.get("raw_call_ids") or [FIRST(i) for i in range(len(ids))], strict=False))
    as_text = bool(extra.get("arguments_as_text"))
    return {
        "unique_trajectory_id": trajectory.source.raw_id or trajectory.trajectory_id,
        "task_instruction": trajectory.task.instruction or system,
        "tools": [_tool(tool, bool(extra.get("bare_tools"))) for tool in trajectory.tools],
        "conversation": [_message(step, raw_ids, as_text) for step in steps if step.role != "system"],
        **of_the_record(extra.get(UNKNOWN_FIELDS, {})),
    }


def _function(raw: dict[str, Any]) -> dict[str, Any]:
    return raw["function"] if isinstance(raw.get("function"), dict) else raw


def _raw_calls(message: dict[str, Any]) -> list[dict[str, Any]]:
    return [] if message.get("function_call") else message.get("tool_calls") or []


def _walk(messages: list[dict[str, Any]]) -> StepBuilder:
    builder = StepBuilder()
    for number, message in enumerate(messages):
        role, content = message.get("role"), message.get("content") or ""
        if not isinstance(content, str):
            content = json.dumps(content, ensure_ascii=False) if role == "tool" else ""
            if role != "tool":
                raise Drop("message content is not text", f"{role} at {number}")
        if role == "user":
            builder.user(content)
        elif role == "assistant":
            calls = calls_of(message)
            if not calls and content.strip().lower() in ("", "none", "null"):
                raise Drop("empty assistant turn", f"message {number}: {content!r}")
            builder.assistant("" if calls else content, calls, content if calls else "")
        elif role == "tool":
            builder.result(content, str(message.get("name") or ""), str(message.get("tool_call_id") or ""))
        else:
            raise Drop("message of an unknown role", f"{role!r} at {number}")
    return builder


def _tool(tool: Tool, bare: bool) -> dict[str, Any]:
    written = tools_to_openai([tool])[0]
    return written["function"] if bare else written


def _message(step: Step, raw_ids: dict[str, str], as_text: bool) -> dict[str, Any]:
    if step.role == "tool":
        named = {"name": step.name} if step.name else {}
        return {"role": "tool", **named, "content": step.content, "tool_call_id": raw_ids[step.tool_call_id]}
    content = "\n".join(part for part in (step.reasoning, step.content) if part)
    if not step.tool_calls:
        return {"role": step.role, "content": content}
    calls = [call_to_openai(replace(call, id=raw_ids[call.id]), as_text) for call in step.tool_calls]
    return {"role": step.role, "content": content, "tool_calls": calls}
