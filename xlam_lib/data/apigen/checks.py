"""The three checks of APIGen: format, execution and meaning. They know the finished trajectory only.

Used by `pipeline.py`: `check_format(trajectory)`, `check_meaning(trajectory, "single")` and so on raise `Rejected`
with the reason, or return. Format: the schema holds for every call. Execution: every call runs again, without error
and with the recorded result. Meaning: each value stands in the conversation, all that was asked is called, nothing is
called twice, the right tool is distinguished from the others by its words, and where nothing is called no tool would
have fitted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from xlam_lib.data.apigen.generate import Rejected
from xlam_lib.data.apigen.library.values import split_of
from xlam_lib.data.wordlists import COMMON
from xlam_lib.json_schema.validator import UNFIT, JsonValidator, json_validator
from xlam_lib.trajectory import Step, Tool, ToolCall, Trajectory

NUMBER = re.compile(r"(?<![\w.-])\d+(?:\.\d+)?(?![\w-]|\.\d)")
WORD = re.compile(r"[A-Za-z]+")
ASKED = re.compile(r"\"([^\"]+)\"|(?<!\w)'([^']+)'(?!\w)|(?<=[a-z,] )([A-Z][a-z]+)|[^\s\"']+|[\"']")
UNSPACED, DIGIT = re.compile(r"\S+"), re.compile(r"\d")


def stems(text: str) -> set[str]:
    """The uncommon words of a text, without endings: `stems("Tell me the rules")` is {"rul"}."""
    words = {word.lower() for word in WORD.findall(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text))}
    return {_stem(word) for word in words if word not in COMMON and len(word) > 2}


def _stem(word: str) -> str:
    for ending in ("ing", "ies", "es", "ed", "s", "y", "e"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word


@lru_cache(maxsize=20000)
def _tool_stems(name: str, description: str) -> frozenset[str]:
    return frozenset(stems(name.replace("_", " ")) | stems(description))


def overlap(text: str, tool: Tool) -> int:
    """How many content words a text shares with a tool's name and description."""
    return len(stems(text) & _tool_stems(tool.name, tool.description))


@lru_cache(maxsize=20000)
def _validator(schema: str) -> JsonValidator:
    return json_validator({**json.loads(schema), "additionalProperties": False})


def check_format(trajectory: Trajectory) -> None:
    """Every call names a listed tool and its arguments fit the schema."""
    tools = {tool.name: tool for tool in trajectory.tools}
    if len(tools) != len(trajectory.tools):
        raise Rejected("format: two tools of one name")
    for call in calls_of(trajectory):
        if call.name not in tools:
            raise Rejected("format: tool not listed")
        try:
            fits = _validator(json.dumps(tools[call.name].parameters)).fits(call.arguments)
        except UNFIT as error:
            raise Rejected("format: the schema cannot be applied") from error
        if not fits:
            raise Rejected("format: arguments do not fit the schema")


def calls_of(trajectory: Trajectory) -> Iterator[ToolCall]:
    """All calls, in order."""
    for step in trajectory.steps:
        yield from step.tool_calls


def check_execution(trajectory: Trajectory, answers: Sequence[dict]) -> None:
    """Every call, run again, gives without error what is recorded; `answers` are those of `Executor.batch`."""
    recorded = {step.tool_call_id: step.content for step in trajectory.steps if step.role == "tool"}
    for call, answer in zip(calls_of(trajectory), answers, strict=True):
        if "error" in answer:
            raise Rejected(f"execution: {answer['error'].split(':')[0]}")
        if json.dumps(answer["result"]) != recorded.get(call.id):
            raise Rejected("execution: another result than recorded")


def check_split(trajectory: Trajectory, half: str) -> None:
    """Every open-class argument value belongs to the half ("train" or "test") by its hash."""
    tools = {tool.name: tool for tool in trajectory.tools}
    for call in calls_of(trajectory):
        for name, value in call.arguments.items():
            if "enum" in tools[call.name].parameters["properties"][name] or isinstance(value, bool):
                continue
            if any(split_of(item) != half for item in (value if isinstance(value, list) else [value])):
                raise Rejected("split: value of the other half")


def check_meaning(trajectory: Trajectory, kind: str) -> None:
    """Grounded, complete, unrepeated and unambiguous; see the top of this module."""
    context = ""
    asked = ""
    made: list[str] = []
    for step in trajectory.steps:
        if step.role == "user":
            context += f" {step.content}"
            asked += f" {step.content}"
        elif step.tool_calls:
            _check_calls(step, context, made, trajectory)
        elif step.role == "tool":
            context += f" {step.content}"
        elif not made and kind == "multi_turn":
            _check_question(step, trajectory)
    if kind != "irrelevant":
        _check_asked(asked, " ".join(made))
    _check_tools(trajectory, kind, asked)
    _check_count(trajectory, kind)


def _check_calls(step: Step, context: str, made: list[str], trajectory: Trajectory) -> None:
    for call in step.tool_calls:
        text = f"{call.name} {json.dumps(call.arguments, ensure_ascii=False)}"
        if text in made:
            raise Rejected("semantic: the same call twice")
        made.append(text)
        for name, value in call.arguments.items():
            for item in value if isinstance(value, list) else [value]:
                if not _grounded(name, item, context):
                    raise Rejected("semantic: value not in the conversation")
        values = [str(value) for value in call.arguments.values()]
        if len(set(values)) < len(values):
            raise Rejected("semantic: one value for two arguments")


def _grounded(name: str, value: object, context: str) -> bool:
    if isinstance(value, bool):
        return any(stem in stems(context) for stem in stems(name.replace("_", " ")))
    if isinstance(value, int | float):
        return str(value) in NUMBER.findall(context)
    return re.search(rf"(?<!\w){re.escape(str(value))}(?!\w)", context) is not None


def _check_question(step: Step, trajectory: Trajectory) -> None:
    descriptions = [
        schema["description"] for tool in trajectory.tools for schema in tool.parameters["properties"].values()
    ]
    if not any(text in step.content for text in descriptions):
        raise Rejected("semantic: the question names no argument")


def _check_asked(asked: str, made: str) -> None:
    """Whatever looks like a value in the user's words must have become an argument."""
    if any(span.strip(".,?!:'\"") not in made for span in _values(asked)):
        raise Rejected("semantic: asked but not called")


def _values(asked: str) -> Iterator[str]:
    """What looks like a value: what stands in quotes, what has a digit in it, a name within a sentence.

    Example: `list(_values("Weather in Oslo at 'noon' on 5/6?"))` -> ["Oslo", "noon", "5/6?"]
    """
    at = digitless = 0
    while found := ASKED.search(asked, at):
        quoted, at = found[1] or found[2], found.end()
        if not quoted and found.start() >= digitless:
            end = digitless = UNSPACED.match(asked, found.start()).end()
            if DIGIT.search(asked, found.start(), end):
                at = end
                yield asked[found.start() : end]
                continue
        if quoted or found[3]:
            yield quoted or found[3]


def _check_tools(trajectory: Trajectory, kind: str, asked: str) -> None:
    """The tools called share more words with the request than the others do; without a call none shares any."""
    called = {call.name for call in calls_of(trajectory)}
    scores = {tool.name: overlap(asked, tool) for tool in trajectory.tools}
    others = max((score for name, score in scores.items() if name not in called), default=0)
    if kind == "irrelevant":
        if others:
            raise Rejected("semantic: a listed tool may fit")
        return
    least = min(scores[name] for name in called)
    if least < 1:
        raise Rejected("semantic: no word of the tool in the request")
    if others >= least:
        raise Rejected("semantic: another tool fits as well")


def _check_count(trajectory: Trajectory, kind: str) -> None:
    counts = [len(step.tool_calls) for step in trajectory.steps if step.role == "assistant"]
    fits = {
        "single": counts == [1],
        "parallel": len(counts) == 1 and counts[0] >= 2,
        "irrelevant": counts == [0],
        "multi_step": counts == [1, 1, 0],
        "multi_turn": counts in ([0, 1], [1, 0, 1]),
    }
    if not fits[kind]:
        raise Rejected("semantic: wrong number of calls")
    if kind == "multi_step" and not _uses_result(trajectory):
        raise Rejected("semantic: the first result is not used")


def _uses_result(trajectory: Trajectory) -> bool:
    question = trajectory.steps[0].content
    found = next(step.content for step in trajectory.steps if step.role == "tool")
    last = list(calls_of(trajectory))[-1]
    return any(str(value) in found and str(value) not in question for value in last.arguments.values())
