"""Named corruptions: from a right answer make one that is wrong in a known way.

Used by `pairs.py` (notebook 03). Each function is named after the mistake it makes (`grading.FAILURES`), takes the case
and a random generator, and returns the text of a wrong answer, or None where the mistake can't be made (there is no
second call to drop, say). `corrupt` draws one and makes sure that the result is the mistake it is called after.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from xlam_lib.codec import Answer, parse_answer, query_of, render_answer
from xlam_lib.grading import Case, failure_of
from xlam_lib.trajectory import Tool, ToolCall

ATTEMPTS = 12


def corrupt(case: Case, rng: random.Random, weights: Mapping[str, float] | None = None) -> tuple[str, str] | None:
    """One wrong answer and its name, drawn by weight: ("wrong_value", '{"thought": ...'), None if none can be made."""
    names = list(CORRUPTIONS)
    for _ in range(ATTEMPTS):
        name = rng.choices(names, [(weights or {}).get(name, 1.0) for name in names])[0]
        text = CORRUPTIONS[name](case, rng)
        if text is not None and _mistake(case, text) == name:
            return name, text
    return None


def _mistake(case: Case, text: str) -> str:
    parsed = parse_answer(text)
    return "invalid_json" if parsed.problems else failure_of(case.expected.calls, parsed.answer.calls, case.tools)


def invalid_json(case: Case, rng: random.Random) -> str | None:
    """The text cut off in its second half, or without one of its brackets, quotes or commas."""
    text = case.completion
    if rng.random() < 0.5:
        return text[: rng.randrange(len(text) // 2, len(text))].rstrip()
    at = rng.choice([index for index, letter in enumerate(text) if letter in '[]{}",'])
    return text[:at] + text[at + 1 :]


def called_though_irrelevant(case: Case, rng: random.Random) -> str | None:
    """A call, though nothing had to be called."""
    if case.expected.calls or not case.tools:
        return None
    return render_answer(Answer("", (_invented(rng.choice(case.tools), case, rng),)))


def no_call(case: Case, rng: random.Random) -> str | None:
    """No call, though something had to be called."""
    return render_answer(replace(case.expected, calls=())) if case.expected.calls else None


def extra_call(case: Case, rng: random.Random) -> str | None:
    """One call too many: one of the expected ones again with another value, or an invented one."""
    if not case.expected.calls:
        return None
    call = _with_other_value(rng.choice(case.expected.calls), case, rng) if rng.random() < 0.5 else None
    if call is None and not case.tools:
        return None
    call = call or _invented(rng.choice(case.tools), case, rng)
    calls = list(case.expected.calls)
    calls.insert(rng.randint(0, len(calls)), call)
    return _render(case, calls)


def missing_call(case: Case, rng: random.Random) -> str | None:
    """One of several calls left out."""
    if len(case.expected.calls) < 2:
        return None
    calls = list(case.expected.calls)
    calls.pop(rng.randrange(len(calls)))
    return _render(case, calls)


def wrong_tool(case: Case, rng: random.Random) -> str | None:
    """Another tool of the list, given the same values as far as it takes them."""
    others = [tool for tool in case.tools if all(tool.name != call.name for call in case.expected.calls)]
    if not case.expected.calls or not others:
        return None
    at, tool = rng.randrange(len(case.expected.calls)), rng.choice(others)
    invented = _invented(tool, case, rng)
    values = iter(case.expected.calls[at].arguments.values())
    given = {key: next(values, value) for key, value in invented.arguments.items()}
    return _changed(case, at, ToolCall(tool.name, given))


def wrong_argument_name(case: Case, rng: random.Random) -> str | None:
    """An argument under a name that the tool doesn't have: another tool's, or one misspelt."""
    at, key = _argument(case, rng)
    if key is None:
        return None
    call = case.expected.calls[at]
    own = set(_properties(case, call.name))
    others = sorted({name for tool in case.tools for name in tool.parameters.get("properties") or {}} - own)
    name = rng.choice(others) if others and rng.random() < 0.7 else f"{key}_{rng.choice(('name', 'value', 'id'))}"
    renamed = {(name if old == key else old): value for old, value in call.arguments.items()}
    return _changed(case, at, replace(call, arguments=renamed))


def extra_argument(case: Case, rng: random.Random) -> str | None:
    """An optional argument of the tool that nobody asked for."""
    if not case.expected.calls:
        return None
    at = rng.randrange(len(case.expected.calls))
    call = case.expected.calls[at]
    free = {key: spec for key, spec in _properties(case, call.name).items() if key not in call.arguments}
    if not free:
        return None
    key = rng.choice(sorted(free))
    return _changed(case, at, replace(call, arguments={**call.arguments, key: _value(free[key], case, rng)}))


def missing_argument(case: Case, rng: random.Random) -> str | None:
    """An argument left out."""
    at, key = _argument(case, rng)
    if key is None:
        return None
    call = case.expected.calls[at]
    return _changed(case, at, replace(call, arguments={k: v for k, v in call.arguments.items() if k != key}))


def wrong_value(case: Case, rng: random.Random) -> str | None:
    """One value changed: another choice, a nearby number, other words of the query, a letter too many or too few."""
    at, key = _argument(case, rng)
    if key is None:
        return None
    changed = _with_other_value(case.expected.calls[at], case, rng)
    return _changed(case, at, changed) if changed else None


CORRUPTIONS: dict[str, Callable[[Case, random.Random], str | None]] = {
    function.__name__: function
    for function in (invalid_json, called_though_irrelevant, no_call, extra_call, missing_call, wrong_tool,
                     wrong_argument_name, extra_argument, missing_argument, wrong_value)
}  # fmt: skip


def _render(case: Case, calls: list[ToolCall]) -> str:
    return render_answer(replace(case.expected, calls=tuple(calls)))


def _changed(case: Case, at: int, call: ToolCall) -> str:
    return _render(case, [call if index == at else old for index, old in enumerate(case.expected.calls)])


def _argument(case: Case, rng: random.Random) -> tuple[int, str | None]:
    """(index of a call, name of one of its arguments), drawn from all; (0, None) when there is none."""
    found = [(at, key) for at, call in enumerate(case.expected.calls) for key in call.arguments]
    return rng.choice(found) if found else (0, None)


def _properties(case: Case, name: str) -> dict[str, Any]:
    return next((tool.parameters.get("properties") or {} for tool in case.tools if tool.name == name), {})


def _invented(tool: Tool, case: Case, rng: random.Random) -> ToolCall:
    """A call with every required argument and some others, values guessed from the query."""
    properties = tool.parameters.get("properties") or {}
    required = tool.parameters.get("required") or []
    keys = [key for key in properties if key in required or rng.random() < 0.2]
    return ToolCall(tool.name, {key: _value(properties[key], case, rng) for key in keys})


def _with_other_value(call: ToolCall, case: Case, rng: random.Random) -> ToolCall | None:
    if not call.arguments:
        return None
    key = rng.choice(list(call.arguments))
    other = _other(call.arguments[key], _properties(case, call.name).get(key) or {}, case, rng)
    return replace(call, arguments={**call.arguments, key: other})


def _other(value: Any, spec: dict[str, Any], case: Case, rng: random.Random) -> Any:
    """A value near the right one; it may come out the same, which `corrupt` then notices."""
    if isinstance(value, bool):
        return not value
    if choices := [choice for choice in spec.get("enum") or [] if choice != value]:
        return rng.choice(choices)
    if isinstance(value, int):
        return rng.choice((value + 1, value - 1, value * 10, int(str(value)[:-1] or 0), int(f"{value}{value % 10}")))
    if isinstance(value, float):
        return rng.choice((value + 1, round(value * 10, 4), float(int(value))))
    if isinstance(value, str) and value:
        return _other_text(value, case, rng)
    if isinstance(value, list) and value:
        at = rng.randrange(len(value))
        return value[:at] + value[at + 1 :] if rng.random() < 0.5 else [*value, _words(case, rng)]
    return _words(case, rng)


def _other_text(text: str, case: Case, rng: random.Random) -> str:
    roll, at, words = rng.random(), rng.randrange(len(text)), text.split()
    if roll < 0.35:
        return _words(case, rng)
    if roll < 0.6 and len(words) > 1:
        return " ".join(words[1:] if rng.random() < 0.5 else words[:-1])
    if roll < 0.8:
        return text[:at] + text[at + 1 :] if len(text) > 1 else text * 2
    return text[: at + 1] + text[at:]


def _value(spec: dict[str, Any], case: Case, rng: random.Random) -> Any:
    """A value of the expected type."""
    kind = spec.get("type")
    if spec.get("enum"):
        return rng.choice(spec["enum"])
    if kind == "boolean":
        return rng.random() < 0.5
    if kind in ("integer", "number"):
        numbers = re.findall(r"\d+", query_of(case.prompt))
        return int(rng.choice(numbers)[:9]) if numbers else rng.randrange(1, 20)
    if kind == "array":
        return [_value(spec.get("items") or {}, case, rng)]
    return {} if kind == "object" else _words(case, rng)


def _words(case: Case, rng: random.Random) -> str:
    """One or two words of the query, rather names than others."""
    words = re.findall(r"[^\W\d_][\w'-]*", query_of(case.prompt)) or ["unknown"]
    names = [word for word in words if word[0].isupper()]
    at = words.index(rng.choice(names if names and rng.random() < 0.7 else words))
    return " ".join(words[at : at + rng.choice((1, 1, 2))])
