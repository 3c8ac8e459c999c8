"""Chat messages -> steps: what the converters of all chat-shaped sources share (notebook 01).

Calls get ids of our own, call_0, call_1, ..., because raw ids may repeat (tau-bench) or be absent (`function_call`); a
result is linked to the open call with its raw id, whatever name it gives, else to the first open one of its name, of
which a prefix ("functions.") may be missing. A result that answers no call, or a turn that begins while a call is
unanswered, is broken structure: Drop.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from xlam_lib.answers import read_arguments
from xlam_lib.data.accounting import Drop
from xlam_lib.trajectory import Step, ToolCall
from xlam_lib.views import RawCall, given_calls, raw_call

PREFIXED = (".", ":", "/", "__")  # what stands between the prefix of a tool's name and the name


@dataclass
class StepBuilder:
    """Steps in the making: `b.user("Hi"); b.assistant("", [RawCall(...)]); b.result("4 degrees", "get_weather")`."""

    steps: list[Step] = field(default_factory=list)
    raw_ids: list[str] = field(default_factory=list)  # of all calls, in their order
    repairs: list[str] = field(default_factory=list)
    open: list[tuple[ToolCall, str]] = field(default_factory=list)
    other_names: dict[str, str] = field(default_factory=dict)  # of results that call their tool otherwise, by call

    def user(self, content: str) -> None:
        """What the user says."""
        self.steps.append(Step("user", content))

    def assistant(self, content: str = "", calls: list[RawCall] | None = None, reasoning: str = "") -> None:
        """One turn of the model; calls may be parallel."""
        if self.open:
            raise Drop("call without a result", f"the next turn begins before {self.open[0][0].name!r} was answered")
        made = tuple(self._call(call) for call in calls or [])
        if not (content or reasoning or made):
            raise Drop("empty assistant turn", f"message {len(self.steps)} has neither text nor a call")
        origin = "native" if reasoning else "none"
        self.steps.append(Step("assistant", content, reasoning, made, reasoning_origin=origin))

    def result(self, content: str, name: str = "", raw_id: str = "", is_error: bool = False) -> None:
        """What a tool gave back."""
        if not isinstance(name, str):
            raise Drop("name of a result is not text", repr(name)[:80])
        call = self._answered(name, raw_id)
        if name and name != call.name:
            self.other_names[call.id] = name
        self.steps.append(Step("tool", content, tool_call_id=call.id, name=call.name, is_error=is_error))

    def _call(self, raw: RawCall) -> ToolCall:
        arguments, repair = parse_arguments(raw.arguments, raw.name)
        call = ToolCall(raw.name, arguments, f"call_{len(self.raw_ids)}")
        if repair:
            self.repairs.append(f"{call.id}: {repair}")
        self.raw_ids.append(raw.id)
        self.open.append((call, raw.id))
        return call

    def _answered(self, name: str, raw_id: str) -> ToolCall:
        fits = [pair for pair in self.open if raw_id and pair[1] == raw_id]
        if len(fits) > 1:  # ids that repeat
            fits = [pair for pair in fits if pair[0].name == name] or fits
        if not fits:
            loose = [pair for pair in self.open if not raw_id or not pair[1]]
            fits = [pair for pair in loose if name in ("", pair[0].name)]
            fits = fits or [pair for pair in loose if same_tool(name, pair[0].name)]
        if not fits:
            waiting = ", ".join(call.name for call, _ in self.open) or "none"
            found = f"{name or 'a tool'} ({raw_id or 'no id'})"
            raise Drop("result without a call", f"{found} answers nothing; open calls: {waiting}")
        self.open.remove(fits[0])
        return fits[0][0]


def same_tool(one: str, other: str) -> bool:
    """Whether two names differ by a prefix only: `same_tool("functions.weather", "weather")` -> True."""
    short, long = sorted((one, other), key=len)
    return long == short or (short != "" and long.endswith(tuple(f"{mark}{short}" for mark in PREFIXED)))


def parse_arguments(raw: Any, name: str) -> tuple[dict[str, Any], str]:
    """(arguments, repair made) of JSON text or an object: `parse_arguments("", "f")` -> ({}, "empty text read as {}").

    The repairs are those of `answers.read_arguments`. Anything else that isn't a JSON object is a Drop; guessing would
    put words into the model's mouth.
    """
    try:
        return read_arguments(raw)
    except TypeError as error:
        raise Drop("arguments are not an object", f"{name}: {error}") from error
    except ValueError as error:
        raise Drop("arguments are not JSON", f"{name}: {error}") from error


def calls_of(message: dict[str, Any]) -> list[RawCall]:
    """Calls of an assistant message in either OpenAI form: `tool_calls` or the older `function_call`."""
    raw = given_calls(message) or []
    if not isinstance(raw, list):
        raise Drop("calls are not a list", f"found {type(raw).__name__}")
    calls = []
    for item in raw:
        call = raw_call(item)
        if not isinstance(call.name, str) or "function" not in item:
            raise Drop("call without a name", f"found {item!r}"[:200])
        calls.append(RawCall(call.name, call.arguments, str(call.id)))
    return calls
