"""What a model generates in one turn: `Answer`, its text, and the one parser that reads the text back.

Part of the codec (import the names from `xlam_lib.codec`); used by training, serving and grading in notebooks 01 to 05.
Two forms of text are known: the v1 object `{"thought": "", "tool_calls": [{"name": "", "arguments": {}}]}` and the
v2 list `[{"name": "", "arguments": {}}]`, whose thought stands before it between <think> and </think>.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from xlam_lib.trajectory import Tool, ToolCall
from xlam_lib.validation import argument_problems

MAX_DEPTH = 100  # levels of nesting that an answer may have
MAX_TRIES = 16  # places in a text where JSON is looked for
MALFORMED = "malformed or cut-off JSON"
NO_ANSWER = "JSON, but neither an answer nor a list of calls"

_START = re.compile(r'\{\s*"|\[\s*\{')  # where an answer may begin within other text
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.S)  # a string or a bracket


@dataclass(frozen=True)
class Answer:
    """One model turn: `Answer("Look it up.", (ToolCall("get_weather", {"city": "Oslo"}),))`. Without call ids."""

    thought: str = ""
    calls: tuple[ToolCall, ...] = ()


@dataclass(frozen=True)
class Parsed:
    """An answer as read from text, with everything that was wrong about the text; no problems means clean."""

    answer: Answer
    problems: tuple[str, ...]
    form: Literal["object", "list", "text"]


def json_text(value: Any) -> str:
    """JSON as it stands in prompts and answers: '{"city": "Malmö"}', default separators, no escapes beyond need."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def calls_as_dicts(calls: Sequence[ToolCall]) -> list[dict[str, Any]]:
    """Calls as a model writes them: [{"name": "get_weather", "arguments": {"city": "Oslo"}}]."""
    return [{"name": call.name, "arguments": call.arguments} for call in calls]


def render_answer(answer: Answer, form: Literal["object", "list"] = "object") -> str:
    """The text of an answer; `parse_answer` reads both forms back to an equal answer.

    Example: `render_answer(Answer("Nothing to do."))` -> '{"thought": "Nothing to do.", "tool_calls": []}'
    """
    calls = calls_as_dicts(answer.calls)
    if form == "object":
        return json_text({"thought": answer.thought, "tool_calls": calls})
    if form == "list":
        return (f"<think>\n{answer.thought}\n</think>\n" if answer.thought else "") + json_text(calls)
    raise ValueError(f"form is {form!r}, expected 'object' or 'list'")


def parse_answer(text: str, tools: Sequence[Tool] | None = None) -> Parsed:
    """Reads what a model generated; never raises, whatever the text.

    Clean are the object and the list, alone, in a code fence, after </think> or after [TOOL_CALLS]. All else is read
    as far as its meaning is plain and noted in `problems`: text around the JSON, arguments as a string, "parameters"
    for "arguments", keys missing, unknown or repeated, calls without a name. What is cut off, malformed or no JSON
    becomes the thought of an answer without calls, form "text", so no text turns into an empty message.
    Given `tools`, calls that don't fit them are problems too.

    Example: `parse_answer('[{"name": "now", "arguments": {}}]').answer.calls[0].name` -> 'now'
    """
    parsed = _parse(text.encode("utf-8", "replace").decode().strip())
    if tools is None:
        return parsed
    return Parsed(parsed.answer, parsed.problems + tuple(_misfits(parsed.answer.calls, tools)), parsed.form)


def same_calls(a: Sequence[ToolCall], b: Sequence[ToolCall]) -> bool:
    """Whether two turns make the same calls, in any order: equal names and arguments, 1 == 1.0 but True != 1.

    Example: `same_calls([ToolCall("add", {"n": 1})], [ToolCall("add", {"n": 1.0})])` -> True
    """
    return Counter(map(_key, a)) == Counter(map(_key, b))


def _key(value: Any) -> Any:
    """A hashable that is equal exactly when the values are the same JSON."""
    if isinstance(value, ToolCall):
        return value.name, _key(value.arguments)
    if isinstance(value, dict):
        return dict, frozenset((key, _key(item)) for key, item in value.items())
    if isinstance(value, list | tuple):
        return list, tuple(map(_key, value))
    return (bool, value) if isinstance(value, bool) else value


def _misfits(calls: Sequence[ToolCall], tools: Sequence[Tool]) -> Iterator[str]:
    by_name = {tool.name: tool for tool in tools}
    for call in calls:
        if call.name in by_name:
            yield from argument_problems(by_name[call.name], call.arguments)
        else:
            yield f"calls {call.name!r}, which is not among the tools"


def _parse(text: str) -> Parsed:
    if not text:
        return Parsed(Answer(), ("the answer is empty",), "text")
    problem = ""
    for thought, body in _unwrapped(text):
        try:
            value, end, notes = _decode(body, 0)
        except ValueError as error:
            problem = problem or (f"{MALFORMED}: {error}" if body.startswith(("{", "[")) else "")
            continue
        if end == len(body):
            if parsed := _read(value, notes, thought, text):
                return parsed
            problem = problem or NO_ANSWER
    return _search(text, problem)


def _unwrapped(text: str) -> Iterator[tuple[str, str]]:
    """(thought, body) for each way in which the text may be an answer and nothing else."""
    yield "", _bare(text)
    if text.startswith(("{", "[")):  # no thought, so </think> is part of the content
        return
    for found in list(re.finditer("</think>", text))[:MAX_TRIES]:
        thought = text[: found.start()].removeprefix("<think>").removeprefix("\n").removesuffix("\n")
        yield thought, _bare(text[found.end() :])


def _bare(text: str) -> str:
    """The text without [TOOL_CALLS] before it and a code fence around it."""
    text = text.strip().removeprefix("[TOOL_CALLS]").strip()
    if len(text) >= 6 and text.startswith("```") and text.endswith("```"):
        text = re.sub(r"\A\w+", "", text[3:-3]).strip()
    return text


def _search(text: str, problem: str) -> Parsed:
    """The first answer inside other text, or the text itself as the answer."""
    start = _START.search(text)
    for _ in range(MAX_TRIES):
        if not start:
            break
        try:
            value, end, notes = _decode(text, start.start())
        except ValueError as error:  # what stands inside broken JSON is no answer: go on behind its end, if it has one
            problem = problem or f"{MALFORMED}: {error}"
            end = _closing(text, start.start())
            start = _START.search(text, end) if end else None
            continue
        before, after = (_trimmed(part) for part in (text[: start.start()], text[end:]))
        notes += [f"text before the JSON: {before[:80]!r}"] if before else []
        notes += [f"text after the JSON: {after[:80]!r}"] if after else []
        if parsed := _read(value, notes, "" if _has_thought(value) else before, text):
            return parsed
        problem = problem or NO_ANSWER
        start = _START.search(text, end)
    return Parsed(Answer(text), (problem or "plain text instead of JSON",), "text")


def _closing(text: str, start: int) -> int | None:
    """Where the bracket at `start` is closed again; None if the text ends before."""
    depth = 0
    for token in _TOKEN.finditer(text, start):
        depth += (token[0] in "[{") - (token[0] in "]}")
        if depth == 0:
            return token.end()
    return None


def _trimmed(text: str) -> str:
    """Text around JSON without the marks of fences and wrappers."""
    return re.sub(r"```\w*|\[TOOL_CALLS\]|</?think>", " ", text).strip()


def _has_thought(value: Any) -> bool:
    return isinstance(value, dict) and bool(value.get("thought"))


def _decode(text: str, start: int) -> tuple[Any, int, list[str]]:
    """(value, end, notes) of the JSON at `start`; ValueError for whatever is not JSON or too much of it."""
    notes: list[str] = []

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(items)) < len(items):
            notes.append("a key is repeated; the last one counts")
        return dict(items)

    decoder = json.JSONDecoder(object_pairs_hook=pairs, parse_constant=_number, parse_float=_number)
    try:
        value, end = decoder.raw_decode(text, start)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    _check_depth(value)
    plain = json.dumps(value, ensure_ascii=False)
    if plain != (clean := plain.encode("utf-8", "replace").decode()):
        notes.append("half a surrogate pair was replaced by '?'")
        value = json.loads(clean)
    return value, end, notes


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is not a JSON number")
    return value


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return
    raise ValueError(f"nested deeper than {MAX_DEPTH} levels")


def _read(value: Any, notes: list[str], thought: str, text: str) -> Parsed | None:
    """The decoded value as an answer; None when it is JSON of another kind."""
    form = "object" if isinstance(value, dict) and value.keys() & {"thought", "tool_calls"} else "list"
    if form == "object":
        thought, value = _halves(value, thought, notes)
    if _like_call(value):
        notes.append("a single call, not in a list")
        value = [value]
    if form == "list" and not (isinstance(value, list) and all(map(_like_call, value))):
        return None
    if not isinstance(value, list):
        notes.append(f"'tool_calls' is {type(value).__name__}, expected list")
        value = [value] if value else []
    calls = tuple(call for index, item in enumerate(value) if (call := _call(item, index, notes)))
    if value and not calls and not thought:
        return Parsed(Answer(text), tuple(notes), "text")
    return Parsed(Answer(thought, calls), tuple(notes), form)


def _halves(value: dict[str, Any], before: str, notes: list[str]) -> tuple[str, Any]:
    """(thought, calls) of an object, the thought after what was thought before it."""
    notes += [f"key {key!r} is missing" for key in ("thought", "tool_calls") if key not in value]
    notes += [f"unknown key {key!r}" for key in value if key not in ("thought", "tool_calls")]
    thought = value.get("thought", "")
    if not isinstance(thought, str):
        notes.append(f"'thought' is {type(thought).__name__}, expected str")
        thought = "" if thought is None else json_text(thought)
    return "\n".join(filter(None, (before, thought))), value.get("tool_calls", [])


def _like_call(item: Any) -> bool:
    return isinstance(item, dict) and ("name" in item or "function" in item)


def _call(item: Any, index: int, notes: list[str]) -> ToolCall | None:
    """One call of a list, or None with a note when it can't be called."""
    where = f"call {index}"
    if isinstance(item, dict) and isinstance(item.get("function"), dict):
        notes.append(f"{where} is nested in 'function'")
        item = item["function"]
    if not isinstance(item, dict) or not isinstance(item.get("name"), str) or not item["name"]:
        notes.append(f"{where} was left out: it has no name")
        return None
    key = "arguments" if "arguments" in item or "parameters" not in item else "parameters"
    if key == "parameters":
        notes.append(f"{where} says 'parameters' for 'arguments'")
    notes += [f"{where} has the unknown key {other!r}" for other in item if other not in ("name", key)]
    arguments = item.get(key)
    if isinstance(arguments, str):
        notes.append(f"{where} has its arguments in a string")
        arguments = _decoded(arguments, notes)
    if arguments is None:
        notes.append(f"{where} has no arguments")
        arguments = {}
    if not isinstance(arguments, dict):
        notes.append(f"{where} was left out: its arguments are {type(arguments).__name__}, expected object")
        return None
    return ToolCall(item["name"], arguments)


def _decoded(text: str, notes: list[str]) -> Any:
    """The value of JSON inside a string, or the string when it is none."""
    try:
        value, end, inner = _decode(text.strip(), 0)
    except ValueError:
        return text
    notes += inner
    return value if end == len(text.strip()) else text
