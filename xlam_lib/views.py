"""Trajectories seen as other formats, and back: OpenAI messages, xLAM history steps, TRL rows. Pure functions.

OpenAI messages have one conversion, this one. They may be dictionaries or objects of the openai package, of today's
form (`tool_calls`, role "tool") or the old one (`function_call`, role "function"), their content text or parts of text,
a call bare or under "function", its arguments JSON text or an object.

    messages, tools = to_openai(trajectory.steps), tools_to_openai(trajectory.tools)
    from_openai(messages)       # the steps again; `step_of(message)` is one of them with its ids as they are
    message_text(message)       # a served message as the text of an answer, for `codec.parse_answer`

What a format has no field for is lost in it, and nothing else: xLAM steps don't tell reasoning from content, OpenAI
messages have no `is_error`, `trainable`, `reward` and `reasoning_origin`. Used by notebooks 01 (side by side), 02 and
03 (rows) and 04 (messages for the server). What a room is stricter or more lenient about stands there, on top of the
functions below: `serve/messages.py` (for an API), `data/formats/chat.py` (raw data sets, with repairs).
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Literal

from xlam_lib.answers import Answer, json_text, render_answer
from xlam_lib.chat_template import AFTER, BEFORE, model_prompt
from xlam_lib.codec import SEED_STYLE, PromptStyle, history_steps, prompts_of
from xlam_lib.errors import TrajectoryError
from xlam_lib.schema import Frozen, Step, Tool, ToolCall
from xlam_lib.trajectory import Trajectory

# --- steps -> messages --------------------------------------------------------------------------------------------


def tools_to_openai(tools: Iterable[Tool]) -> list[dict[str, Any]]:
    """OpenAI's tool dicts, which `codec.tools_from_any` reads back: [{"type": "function", "function": {...}}]."""
    return [
        {
            "type": "function",
            "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters},
        }
        for tool in tools
    ]


def to_openai(steps: Iterable[Step]) -> list[dict[str, Any]]:
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
        message["tool_calls"] = [call_to_openai(call) for call in step.tool_calls]
    return message


def call_to_openai(call: ToolCall, as_text: bool = True) -> dict[str, Any]:
    """One of a message's calls: {"id": "call_0", "type": "function", "function": {"name": "f", "arguments": "{}"}}."""
    return {"id": call.id, "type": "function", "function": function_to_openai(call, as_text)}


def function_to_openai(call: ToolCall, as_text: bool = True) -> dict[str, Any]:
    """What is called: {"name": "f", "arguments": "{}"}; the arguments as JSON text or as they are."""
    return {"name": call.name, "arguments": json_text(call.arguments) if as_text else call.arguments}


# --- messages -> steps --------------------------------------------------------------------------------------------


def from_openai(messages: Iterable[Any]) -> tuple[Step, ...]:
    """Steps of OpenAI messages; calls are numbered anew, "call_0", "call_1", ..., since real ids repeat or are missing.

    A result without `tool_call_id` answers the first open call of its name, or else the first open call.
    Example: `from_openai([{"role": "user", "content": "Hi"}])` -> (Step("user", "Hi"),)
    """
    steps: list[Step] = []
    unanswered: list[tuple[str, ToolCall]] = []  # (id in the message, call)
    ids = call_ids()
    for index, message in enumerate(messages):
        where = f"message {index}"
        step = step_of(message, where)
        if step.tool_calls:
            calls = tuple(replace(call, id=next(ids)) for call in step.tool_calls)
            unanswered += [(old.id, new) for old, new in zip(step.tool_calls, calls, strict=True)]
            step = replace(step, tool_calls=calls)
        elif step.role == "tool":
            call = take_answered(unanswered, step.tool_call_id, step.name, where)
            step = replace(step, tool_call_id=call.id, name=call.name)
        steps.append(step)
    return tuple(steps)


def step_of(message: Any, where: str = "message") -> Step:
    """One message as a step, with its own ids: `step_of({"role": "user", "content": "Hi"})` -> Step("user", "Hi")."""
    role, content = field(message, "role"), field(message, "content")
    text = "" if content is None or content == [] else text_of(content)
    if text is None:
        raise TrajectoryError(f"{where}: content is {type(content).__name__}, expected text or a list of text parts")
    if role in ("system", "developer", "user"):
        return Step("user" if role == "user" else "system", text)
    if role == "assistant":
        return Step(role, text, reasoning_of(message), tuple(read_calls(given_calls(message), where)))
    if role in ("tool", "function"):
        id_, name = field(message, "tool_call_id") or "", field(message, "name") or ""
        return Step("tool", text, tool_call_id=id_, name=name)
    raise TrajectoryError(f"{where}: role is {role!r}, expected system, developer, user, assistant or tool")


def read_calls(given: Any, where: str) -> list[ToolCall]:
    """The calls of a list, or the one that was given, with their ids: [ToolCall("f", {"a": 1}, "call_B1w")]."""
    items = [given] if isinstance(given, dict) else given or []
    items = items if isinstance(items, list | tuple) else [items]
    return [_call(item, f"{where}, call {number}") for number, item in enumerate(items)]


def _call(item: Any, where: str) -> ToolCall:
    call = raw_call(item)
    try:
        arguments = decode_arguments(call.arguments or {})
    except ValueError as error:
        raise TrajectoryError(f"{where}: arguments are not JSON ({error})") from error
    if not isinstance(call.name, str) or not isinstance(arguments, dict):
        raise TrajectoryError(f"{where}: expected a name and an object of arguments, found {item!r}")
    return ToolCall(call.name, arguments, call.id)


def call_ids(used: Container[str] = ()) -> Iterator[str]:
    """Ids for the calls of a conversation, without those in use already: "call_0", "call_1", ..."""
    return (id_ for number in itertools.count() if (id_ := f"call_{number}") not in used)


def open_calls(unanswered: Iterable[tuple[str, Any]], id_: str, name: str) -> list[tuple[str, Any]]:
    """Of the unanswered calls, as (id, call), those that a result can answer: by its id, else by its name, else any."""
    return [pair for pair in unanswered if (pair[0] == id_ if id_ else name in ("", pair[1].name))]


def take_answered(unanswered: list[tuple[str, ToolCall]], id_: str, name: str, where: str) -> ToolCall:
    """The call that a result answers, taken off the list; without an id, that may be a call of another name."""
    fitting = open_calls(unanswered, id_, name) or ([] if id_ else unanswered)
    if not fitting:
        raise TrajectoryError(f"{where}: a result for {id_ or name!r}, but no such call is open")
    found = fitting[0]  # `fitting` may be `unanswered` itself
    unanswered.remove(found)
    return found[1]


# --- a message -> an answer ---------------------------------------------------------------------------------------


def message_text(message: Any, cut_off: bool = False) -> str:
    """A served message as the text of an answer, e.g. '{"thought": "", "tool_calls": [{"name": ...}]}'.

    A message in words is an answer without calls, unless it was cut off. What the server's tool parser left as it was
    written (it begins like JSON) stays as it is, so that the codec can say what is wrong with it.
    """
    content = field(message, "content") or ""
    thought = "\n".join(filter(None, (reasoning_of(message), content)))
    if calls := [raw_call(item) for item in given_calls(message) or []]:
        listed = [{"name": call.name, "arguments": _object_or_text(call.arguments)} for call in calls]
        return json.dumps({"thought": thought, "tool_calls": listed}, ensure_ascii=False)
    as_written = cut_off or content.lstrip()[:1] in ("{", "[", "`")
    return content if as_written else render_answer(Answer(thought))


def begun_text(message: Any) -> str:
    """How an answer begins that goes on with a message, as the chat template writes it: '{"thought": "Let me see'."""
    reasoning, content = reasoning_of(message), text_of(field(message, "content")) or ""
    thought = f"{reasoning}\n{content}" if reasoning else content
    return render_answer(Answer(thought)).removesuffix('", "tool_calls": []}')


def _object_or_text(raw: Any) -> Any:
    """The object in a call's arguments, or the text itself when it is none: the codec reports that."""
    try:
        value = decode_arguments(raw) if raw else raw
    except ValueError:
        return raw
    return value if isinstance(value, dict) else raw


# --- the parts of a message ---------------------------------------------------------------------------------------


class RawCall(Frozen, frozen=True):
    """A call as a message has it, not yet checked: `RawCall("get_weather", '{"city": "Oslo"}', "call_B1w")`."""

    name: str
    arguments: Any  # JSON text or an object
    id: str = ""


def field(value: Any, key: str) -> Any:
    """A field of a dictionary or an object; None where it has none: `field({"role": "user"}, "role")` -> 'user'."""
    return value.get(key) if isinstance(value, dict) else getattr(value, key, None)


TEXT_PARTS = {"text": "text", "input_text": "text", "output_text": "text", "refusal": "refusal"}  # type -> its text


def text_of(content: Any) -> str | None:
    """The text of a content, parts joined by newlines; None when it is no text.

    Example: `text_of([{"type": "text", "text": "Weather in"}, {"type": "text", "text": "Oslo?"}])`
    """
    if isinstance(content, str):
        return content
    if not isinstance(content, list) or not content:
        return None
    texts = [
        part if isinstance(part, str) else field(part, TEXT_PARTS.get(field(part, "type"), "")) for part in content
    ]
    return "\n".join(texts) if all(isinstance(text, str) for text in texts) else None


def reasoning_of(message: Any) -> str:
    """What was thought before a message, under either name of the field: 'They greet.'."""
    return field(message, "reasoning") or field(message, "reasoning_content") or ""


def given_calls(message: Any) -> Any:
    """What a message has for its calls, unread: its `tool_calls`, or the one `function_call` as such a list."""
    single = field(message, "function_call")
    return [{"function": single}] if single else field(message, "tool_calls")


def raw_call(item: Any) -> RawCall:
    """A call, bare or under "function": `raw_call({"name": "f"})` -> RawCall("f", None); the name may be None, too."""
    function = item if isinstance(item, dict) and "function" not in item else field(item, "function")
    return RawCall(field(function, "name"), field(function, "arguments"), field(item, "id") or "")


def decode_arguments(raw: Any) -> Any:
    """Arguments as a value, of JSON text or as they are: `decode_arguments('{"a": 1}')` -> {"a": 1}; nothing gives {}.

    Raises ValueError for text that is no JSON; whether the value is an object is left to the caller.
    """
    if raw is None or raw == "":
        return {}
    try:
        return json.loads(raw) if isinstance(raw, str) else raw
    except RecursionError as error:
        raise ValueError(str(error)) from error


# --- xLAM history steps and TRL rows --------------------------------------------------------------------------------


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
