"""What makes a trajectory sound: the rules behind `Trajectory.validate`, used by notebook 01 and every converter.

Also home of `argument_problems`, by which the codec and the data checks hold a call against its tool's JSON Schema.
"""

from __future__ import annotations

import functools
import json
import marshal
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from referencing.exceptions import Unresolvable

from xlam_lib.exact_json import dumps, plain_bytes
from xlam_lib.records import SCHEMA_VERSION, TrajectoryError, typed_dict
from xlam_lib.schema_quick import Accepts, quick_check

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

    from xlam_lib.trajectory import Step, Tool, ToolCall, Trajectory

OWNER = {  # fields that belong to one role
    "reasoning": "assistant",
    "tool_calls": "assistant",
    "tool_call_id": "tool",
    "name": "tool",
    "is_error": "tool",
}


@dataclass(frozen=True)
class ArgumentFault:
    """One thing wrong with the arguments of a call; see `argument_faults`."""

    kind: str
    path: tuple[str | int, ...]  # to the value: () for the arguments as a whole
    text: str
    error: Any = None  # the ValidationError, where there is one


def check(trajectory: Trajectory, argument_level: str = "error") -> list[str]:
    """Raises TrajectoryError at the first fault; returns the warnings. See `Trajectory.validate`."""
    return check_and_line(trajectory, argument_level)[0]


def check_and_line(trajectory: Trajectory, argument_level: str = "error") -> tuple[list[str], bytes]:
    """(the warnings, the line of JSON without its end): what is checked was written, so it needn't be written twice."""
    if argument_level not in ("error", "warning"):
        raise ValueError(f"argument_level is {argument_level!r}, expected 'error' or 'warning'")
    where = f"trajectory {trajectory.trajectory_id!r}"
    line = written(trajectory, where)
    _check_outcome(trajectory, where)
    tools = _check_tools(trajectory.tools, where)
    warnings: list[str] = []
    open_calls: dict[str, str] = {}
    seen_ids: set[str] = set()
    for index, step in enumerate(trajectory.steps):
        here = f"{where}, step {index}"
        _check_role(step, index, trajectory, here)
        if step.role == "tool":
            _close_call(step, open_calls, here)
        if step.role == "assistant":
            if open_calls:
                raise TrajectoryError(f"{here}: the next turn begins before call {min(open_calls)!r} was answered")
            for call in step.tool_calls:
                _open_call(call, tools, seen_ids, here)
                open_calls[call.id] = call.name
                warnings += [f"{here}: {problem}" for problem in argument_problems(tools[call.name], call.arguments)]
        if warnings and argument_level == "error":
            raise TrajectoryError(warnings[0])
    return warnings, line


def argument_problems(tool: Tool, arguments: dict) -> list[str]:
    """What is wrong with arguments: ["weather: unknown argument 'town'"].

    Stricter than JSON Schema in one point: a name that the schema does not list is a problem
    unless the schema speaks of additionalProperties or patternProperties itself.
    """
    texts = []
    for fault in argument_faults(tool, arguments):
        path = "".join(f"[{part!r}]" for part in fault.path)
        texts.append(f"{tool.name}: {path + ': ' if path else ''}{fault.text}")
    return sorted(texts)


def argument_faults(tool: Tool, arguments: dict) -> list[ArgumentFault]:
    """The same with where and what kind: [ArgumentFault("unknown", (), "unknown argument 'town'")].

    The kind is a keyword of JSON Schema ("type", "required", "enum", ...), "unknown", or "schema" where the schema
    itself cannot be applied.
    """
    faults = []
    try:
        validator, accepts = _rules(_key(tool.parameters))
        for error in () if accepts(arguments) else validator().iter_errors(arguments):
            kind = "unknown" if error.validator == "additionalProperties" else str(error.validator)
            faults.append(ArgumentFault(kind, tuple(error.absolute_path), _short(error.message), error))
    except (TrajectoryError, Unresolvable, re.error, RecursionError) as error:
        faults.append(ArgumentFault("schema", (), f"its schema cannot be applied ({_short(str(error))})"))
    if not {"additionalProperties", "patternProperties"} & tool.parameters.keys():
        known = tool.parameters.get("properties") or {}
        faults += [
            ArgumentFault("unknown", (), f"unknown argument {name!r}") for name in arguments if name not in known
        ]
    return faults


def _key(schema: Any) -> bytes | str:
    """A schema as a key of the cache; marshal writes it in a third of the time that JSON takes."""
    try:
        return marshal.dumps(schema, 2)  # version 2: equal values give equal bytes
    except ValueError:
        return json.dumps(schema)


@functools.lru_cache(maxsize=8192)
def _rules(key: bytes | str) -> tuple[Callable[[], Draft202012Validator], Accepts]:
    """(makes the full validator, the quick test) of a schema; raises TrajectoryError for what is none."""
    text = json.dumps(marshal.loads(key)) if isinstance(key, bytes) else key
    validator, accepts = functools.partial(_validator, text), quick_check(json.loads(text))
    if accepts is None:
        validator()
    return validator, accepts or _never


def _never(value: Any) -> bool:
    return False


@functools.lru_cache(maxsize=4096)
def _validator(schema: str) -> Draft202012Validator:
    import jsonschema  # here, because its format checkers can take two seconds to import

    parsed = json.loads(schema)
    try:
        jsonschema.Draft202012Validator.check_schema(parsed)
    except jsonschema.SchemaError as error:
        fault = f"{_short(error.message)} at {error.json_path}"
        raise TrajectoryError(f"parameters are not JSON Schema: {fault}") from error
    return jsonschema.Draft202012Validator(parsed)


def _short(text: str, limit: int = 200) -> str:
    return text if len(text) <= limit else text[: limit - 3] + "..."


def written(trajectory: Trajectory, where: str) -> bytes:
    """The line of JSON, which reads back equal: catches ill types, tuples in arguments, NaN, lone surrogates."""
    plain = typed_dict(trajectory)
    if plain is not None and (line := plain_bytes({"schema_version": SCHEMA_VERSION, **plain})) is not None:
        return line
    try:
        line = dumps(trajectory.to_dict())
    except (TypeError, ValueError, RecursionError) as error:
        raise TrajectoryError(f"{where}: cannot be written as JSON ({error})") from error
    if type(trajectory).from_dict(json.loads(line), where) != trajectory:
        raise TrajectoryError(
            f"{where}: reads back differently than written; give tuples for lists of records, "
            "and only JSON values (with string keys, no tuples) inside dictionaries"
        )
    return line


def _check_outcome(trajectory: Trajectory, where: str) -> None:
    if not trajectory.trajectory_id:
        raise TrajectoryError(f"{where}: trajectory_id is empty")
    if not any(step.role == "user" for step in trajectory.steps):
        raise TrajectoryError(f"{where}: has no user step")
    if trajectory.outcome.termination == "infra_error" and trajectory.outcome.reward is not None:
        raise TrajectoryError(f"{where}, outcome: an infrastructure error carries a reward; set reward to None")
    for rating in trajectory.quality:
        if not 1 <= rating.score <= 5:
            raise TrajectoryError(f"{where}, quality: score {rating.score} of {rating.rater!r} is not within 1..5")


def _check_tools(tools: tuple[Tool, ...], where: str) -> dict[str, Tool]:
    by_name: dict[str, Tool] = {}
    for index, tool in enumerate(tools):
        here = f"{where}, tool {index} ({tool.name!r})"
        if not tool.name or tool.name in by_name:
            raise TrajectoryError(f"{here}: tool names must be unique and not empty")
        try:
            _rules(_key(tool.parameters))
        except TrajectoryError as error:
            raise TrajectoryError(f"{here}: {error}") from error.__cause__
        if tool.parameters.get("type") != "object":
            raise TrajectoryError(
                f'{here}: parameters must have "type": "object", found {tool.parameters.get("type")!r}'
            )
        by_name[tool.name] = tool
    return by_name


def _check_role(step: Step, index: int, trajectory: Trajectory, here: str) -> None:
    for name, role in OWNER.items():
        if getattr(step, name) and step.role != role:
            raise TrajectoryError(f"{here}: {name!r} is set on a {step.role} step, it belongs to {role} steps")
    if step.role == "system" and index > 0:
        raise TrajectoryError(f"{here}: a system step may only come first")
    if step.role == "user" and not step.content:
        raise TrajectoryError(f"{here}: a user step without content")
    if step.role == "assistant" and not (step.content or step.reasoning or step.tool_calls):
        raise TrajectoryError(f"{here}: an assistant step without content, reasoning and tool_calls")
    first = 1 if trajectory.steps[0].role == "system" else 0
    if index == first and step.role != "user":
        raise TrajectoryError(f"{here}: the first step after the system step must be the user's, found {step.role}")


def _open_call(call: ToolCall, tools: dict[str, Tool], seen_ids: set[str], here: str) -> None:
    if call.name not in tools:
        raise TrajectoryError(f"{here}: calls {call.name!r}, but the tools are: {', '.join(tools) or 'none'}")
    if not call.id or call.id in seen_ids:
        raise TrajectoryError(f"{here}: call id {call.id!r} must be unique in the trajectory and not empty")
    seen_ids.add(call.id)


def _close_call(step: Step, open_calls: dict[str, str], here: str) -> None:
    if step.tool_call_id not in open_calls:
        raise TrajectoryError(
            f"{here}: answers {step.tool_call_id!r}, which is no open call (open: {', '.join(open_calls) or 'none'})"
        )
    called = open_calls.pop(step.tool_call_id)
    if step.name and step.name != called:
        raise TrajectoryError(f"{here}: is named {step.name!r} but answers a call of {called!r}")
