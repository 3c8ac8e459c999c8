"""Trajectories seen as other formats, and back: OpenAI messages, xLAM history steps, TRL rows. Pure functions.

What a format has no field for is lost in it, and nothing else: xLAM steps don't tell reasoning from content, OpenAI
messages (`openai_messages.py`, offered here, too) have no `is_error`, `trainable`, `reward` and `reasoning_origin`.
Used by notebooks 01 (side by side), 02 and 03 (rows) and 04 (messages for the server): `to_openai(t.steps)`,
`from_openai(messages)`, `to_trl_rows(t)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from xlam_lib.answers import json_text
from xlam_lib.chat_template import AFTER, BEFORE, model_prompt
from xlam_lib.codec import SEED_STYLE, PromptStyle, history_steps, prompts_of
from xlam_lib.errors import TrajectoryError
from xlam_lib.openai_messages import call_ids, from_openai, read_calls, take_answered, to_openai, tools_to_openai
from xlam_lib.trajectory import Step, ToolCall, Trajectory

__all__ = [
    "from_openai",
    "from_xlam_steps",
    "to_openai",
    "to_trl_row",
    "to_trl_rows",
    "to_xlam_steps",
    "tools_to_openai",
]


def to_xlam_steps(
    steps: Sequence[Step], observations: Literal["text", "decoded"] = "text"
) -> tuple[str, list[dict[str, Any]]]:
    """(query, history) as the original models were prompted with; the same as `codec.history_steps`."""
    return history_steps(steps, observations)


def from_xlam_steps(query: str, history: Sequence[dict[str, Any]]) -> tuple[Step, ...]:
    """Steps of an xLAM history; `to_xlam_steps` makes the same history of them.

    A thought beside calls is reasoning, without calls it is content. An observation answers the turn's only call;
    of several calls each has its own {"name", "content"}, and any other observation answers the first.
    Example: `from_xlam_steps("Hi", [{"step_id": 1, "thought": "Hello!", "tool_calls": [], "next_observation": ""}])`
    """
    steps = [Step("user", query)]
    ids = call_ids()
    for index, entry in enumerate(history):
        where = f"history step {entry.get('step_id', index + 1)}"
        given = read_calls(entry.get("tool_calls"), where)
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
    unanswered = [("", call) for call in calls]
    answered = [(take_answered(unanswered, "", row["name"] or "", where), row["content"]) for row in rows]
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
