"""Trajectories seen as other formats, and back: OpenAI messages, xLAM history steps, TRL rows. Pure functions.

What a format has no word for is lost in it, and nothing else: OpenAI messages don't say `is_error`, `trainable`,
`reward` and `reasoning_origin`; xLAM steps don't tell reasoning from content. Used by notebooks 01 (side by side),
02 and 03 (rows) and 04 (messages for the server): `to_openai(t.steps)`, `from_openai(messages)`, `to_trl_rows(t)`.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from xlam_lib.answers import json_text
from xlam_lib.chat_template import AFTER, BEFORE, model_prompt
from xlam_lib.codec import SEED_STYLE, PromptStyle, history_steps, prompts_of
from xlam_lib.errors import TrajectoryError
from xlam_lib.trajectory import Step, Tool, ToolCall, Trajectory


def tools_to_openai(tools: Sequence[Tool]) -> list[dict[str, Any]]:
    """OpenAI's tool dicts, which `codec.tools_from_any` reads back: [{"type": "function", "function": {...}}]."""
    return [
        {
            "type": "function",
            "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters},
        }
        for tool in tools
    ]


def to_openai(steps: Sequence[Step]) -> list[dict[str, Any]]:
    """Messages for an OpenAI client; arguments are JSON text there: [{"role": "user", "content": "Hi"}]."""
    return [_message(step) for step in steps]


def _message(step: Step) -> dict[str, Any]:
    message: dict[str, Any] = {"role": step.role, "content": step.content}
    if step.role == "tool":
        message |= {"tool_call_id": step.tool_call_id} | ({"name": step.name} if step.name else {})
    if step.reasoning:
        message["reasoning"] = step.reasoning
    if step.tool_calls:
        message["content"] = step.content or None
        message["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": json_text(call.arguments)}}
            for call in step.tool_calls
        ]
    return message


def from_openai(messages: Sequence[dict[str, Any]]) -> tuple[Step, ...]:
    """Steps of OpenAI messages; calls are numbered anew, "call_0", "call_1", ..., since real ids repeat or are missing.

    A result without `tool_call_id` answers the first open call of its name, or else the first open call.
    Example: `from_openai([{"role": "user", "content": "Hi"}])` -> (Step("user", "Hi"),)
    """
    steps: list[Step] = []
    waiting: list[tuple[str, ToolCall]] = []  # (id in the message, call), not yet answered
    ids = _ids()
    for index, message in enumerate(messages):
        where = f"message {index}"
        role = "system" if message.get("role") == "developer" else message.get("role")
        content = _text(message.get("content"), where)
        if role in ("system", "user"):
            steps.append(Step(role, content))
        elif role == "assistant":
            given = _calls(message.get("tool_calls"), where)
            calls = tuple(ToolCall(call.name, call.arguments, next(ids)) for call in given)
            waiting += [(old.id, new) for old, new in zip(given, calls, strict=True)]
            reasoning = message.get("reasoning") or message.get("reasoning_content") or ""
            steps.append(Step(role, content, reasoning, calls))
        elif role == "tool":
            call = _answered(message, waiting, where)
            steps.append(Step(role, content, tool_call_id=call.id, name=call.name))
        else:
            raise TrajectoryError(f"{where}: role is {role!r}, expected system, developer, user, assistant or tool")
    return tuple(steps)


def _ids() -> Iterator[str]:
    return (f"call_{number}" for number in itertools.count())


def _text(content: Any, where: str) -> str:
    if isinstance(content, list) and all(isinstance(part, dict) and part.get("type") == "text" for part in content):
        content = "\n".join(part["text"] for part in content)
    if content is None or isinstance(content, str):
        return content or ""
    raise TrajectoryError(f"{where}: content is {type(content).__name__}, expected text or a list of text parts")


def _calls(given: Any, where: str) -> list[ToolCall]:
    """The calls of a message, with its ids: a list of them, or the one dict of the original client."""
    items = [given] if isinstance(given, dict) else given or []
    return [_call(item, f"{where}, call {number}") for number, item in enumerate(items)]


def _call(item: Any, where: str) -> ToolCall:
    call = item.get("function", item) if isinstance(item, dict) else {}
    arguments = call.get("arguments") or {}
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except (ValueError, RecursionError) as error:
            raise TrajectoryError(f"{where}: arguments are not JSON ({error})") from error
    if not isinstance(call.get("name"), str) or not isinstance(arguments, dict):
        raise TrajectoryError(f"{where}: expected a name and an object of arguments, found {item!r}")
    return ToolCall(call["name"], arguments, item.get("id") or "")


def _answered(message: dict[str, Any], waiting: list[tuple[str, ToolCall]], where: str) -> ToolCall:
    """The call that a result answers, taken off the list."""
    id_, name = message.get("tool_call_id") or "", message.get("name") or ""
    fitting = (
        [entry for entry in waiting if entry[0] == id_]
        if id_
        else ([entry for entry in waiting if entry[1].name == name] or waiting)
    )
    if not fitting:
        raise TrajectoryError(f"{where}: a result for {id_ or name!r}, but no such call is open")
    found = fitting[0]  # `fitting` may be `waiting` itself
    waiting.remove(found)
    return found[1]


def to_xlam_steps(
    steps: Sequence[Step], observations: Literal["text", "decoded"] = "text"
) -> tuple[str, list[dict[str, Any]]]:
    """(query, history) as the original models were prompted with; the same as `codec.history_steps`."""
    return history_steps(steps, observations)


def from_xlam_steps(query: str, history: Sequence[dict[str, Any]]) -> tuple[Step, ...]:
    """Steps of an xLAM history; `to_xlam_steps` makes the same history of them.

    A thought beside calls is reasoning, without calls it is what was said. An observation answers the turn's only call;
    of several calls each has its own {"name", "content"}, and any other observation answers the first.
    Example: `from_xlam_steps("Hi", [{"step_id": 1, "thought": "Hello!", "tool_calls": [], "next_observation": ""}])`
    """
    steps = [Step("user", query)]
    ids = _ids()
    for index, entry in enumerate(history):
        where = f"history step {entry.get('step_id', index + 1)}"
        given = _calls(entry.get("tool_calls"), where)
        calls = tuple(ToolCall(call.name, call.arguments, next(ids)) for call in given)
        thought = entry.get("thought") or ""
        steps.append(Step("assistant", reasoning=thought, tool_calls=calls) if calls else Step("assistant", thought))
        last = index == len(history) - 1 and not entry.get("user_input")
        steps += _results(calls, entry.get("next_observation"), last, where)
        if entry.get("user_input"):
            steps.append(Step("user", entry["user_input"]))
    return tuple(steps)


def _results(calls: tuple[ToolCall, ...], observation: Any, last: bool, where: str) -> list[Step]:
    observation = "" if observation is None else observation
    if observation == "" and (last or len(calls) != 1):
        return []
    if not calls:
        raise TrajectoryError(f"{where}: an observation though nothing was called: {observation!r}")
    rows = [{"name": calls[0].name, "content": observation}]
    if (
        len(calls) > 1
        and isinstance(observation, list)
        and all(isinstance(row, dict) and row.keys() == {"name", "content"} for row in observation)
    ):
        rows = observation
    waiting = [("", call) for call in calls]
    answered = [(_answered({"name": row["name"]}, waiting, where), row["content"]) for row in rows]
    return [Step("tool", _observed(content, where), tool_call_id=call.id, name=call.name) for call, content in answered]


def _observed(content: Any, where: str) -> str:
    try:
        return content if isinstance(content, str) else json_text(content)
    except ValueError as error:  # 1e400 is JSON, but no number that could be written again
        raise TrajectoryError(f"{where}: an observation that can't be written as JSON ({error})") from error


def to_trl_rows(
    trajectory: Trajectory, style: PromptStyle = SEED_STYLE, eos: str = "", before: str = BEFORE, after: str = AFTER
) -> list[dict[str, str]]:
    """A row for each trainable turn, wrapped as the chat template does: [{"prompt": "...", "completion": "..."}]."""
    return [to_trl_row(prompt, answer, eos, before, after) for _, prompt, answer in prompts_of(trajectory, style)]


def to_trl_row(prompt: str, answer: str, eos: str = "", before: str = BEFORE, after: str = AFTER) -> dict[str, str]:
    """One turn as TRL reads it: {"prompt": "<|user|>\\n...<|assistant|>\\n", "completion": '{"thought": ...'}."""
    return {"prompt": model_prompt(prompt, before, after), "completion": answer + eos}
