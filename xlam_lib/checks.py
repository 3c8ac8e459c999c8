"""What makes a trajectory sound: the rules behind `Trajectory.validate`, used by notebook 01 and every converter.

Also home of `argument_problems`, by which the codec and the data checks hold a call against its tool's JSON Schema.
"""

from __future__ import annotations

import functools
import json
import marshal
import re
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from referencing.exceptions import Unresolvable

from xlam_lib.exact_json import dumps, plain_bytes
from xlam_lib.records import SCHEMA_VERSION, TrajectoryError, typed_dict
from xlam_lib.schema_quick import Accepts, quick_check

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

    from xlam_lib.trajectory import Step, Tool, ToolCall, Trajectory

KNOWN, TOOLS = 8192, 4096  # schemas and tools that are remembered
BEFORE_TOOLS = ("schema_version", "trajectory_id", "source", "task")
_known: dict[bytes | str, Rules] = {}
OWNER = {  # fields that belong to one role
    "reasoning": "assistant",
    "tool_calls": "assistant",
    "tool_call_id": "tool",
    "name": "tool",
    "is_error": "tool",
}
FOREIGN = {  # role -> what its steps may not have
    role: attrgetter(*(name for name, owner in OWNER.items() if owner != role))
    for role in ("system", "user", "assistant", "tool")
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


def check_and_line(
    trajectory: Trajectory, argument_level: str = "error", known: KnownTools | None = None
) -> tuple[list[str], bytes]:
    """(the warnings, the line of JSON without its end): what is checked was written, so it needn't be written twice.

    Whoever checks many trajectories gives each the same `known`: tools that come again are not checked again.
    """
    if argument_level not in ("error", "warning"):
        raise ValueError(f"argument_level is {argument_level!r}, expected 'error' or 'warning'")
    known = KnownTools() if known is None else known
    line = written(trajectory, known)
    _check_outcome(trajectory)
    tools = _check_tools(trajectory, known)
    warnings: list[str] = []
    open_calls: dict[str, str] = {}
    seen_ids: set[str] = set()
    for index, step in enumerate(trajectory.steps):
        if fault := _role_fault(step, index, trajectory):
            raise TrajectoryError(f"{_where(trajectory, index)}: {fault}")
        if step.role == "tool":
            if fault := _closing_fault(step, open_calls):
                raise TrajectoryError(f"{_where(trajectory, index)}: {fault}")
        elif step.role == "assistant":
            if open_calls:
                waiting = min(open_calls)
                raise TrajectoryError(
                    f"{_where(trajectory, index)}: the next turn begins before call {waiting!r} was answered"
                )
            for call in step.tool_calls:
                if fault := _opening_fault(call, tools, seen_ids):
                    raise TrajectoryError(f"{_where(trajectory, index)}: {fault}")
                seen_ids.add(call.id)
                open_calls[call.id] = call.name
                tool, rules = tools[call.name]
                if rules.accepts(call.arguments) and rules.names.issuperset(call.arguments):
                    continue
                for problem in _problems(tool, rules, call.arguments):
                    warnings.append(f"{_where(trajectory, index)}: {problem}")
        if warnings and argument_level == "error":
            raise TrajectoryError(warnings[0])
    return warnings, line


def _where(trajectory: Trajectory, step: int | None = None) -> str:
    """How errors begin; made only where there is one, as most trajectories have none."""
    where = f"trajectory {trajectory.trajectory_id!r}"
    return where if step is None else f"{where}, step {step}"


def argument_problems(tool: Tool, arguments: dict) -> list[str]:
    """What is wrong with arguments: ["weather: unknown argument 'town'"].

    Stricter than JSON Schema in one point: a name that the schema does not list is a problem
    unless the schema speaks of additionalProperties or patternProperties itself.
    """
    return _problems(tool, None, arguments)


def _problems(tool: Tool, rules: Rules | None, arguments: dict) -> list[str]:
    texts = []
    for fault in _faults(tool, rules, arguments):
        path = "".join(f"[{part!r}]" for part in fault.path)
        texts.append(f"{tool.name}: {path + ': ' if path else ''}{fault.text}")
    return sorted(texts)


def argument_faults(tool: Tool, arguments: dict) -> list[ArgumentFault]:
    """The same with where and what kind: [ArgumentFault("unknown", (), "unknown argument 'town'")].

    The kind is a keyword of JSON Schema ("type", "required", "enum", ...), "unknown", or "schema" where the schema
    itself cannot be applied.
    """
    return _faults(tool, None, arguments)


def _faults(tool: Tool, rules: Rules | None, arguments: dict) -> list[ArgumentFault]:
    faults = []
    try:
        rules = rules or _rules(tool.parameters)
        for error in () if rules.accepts(arguments) else _validator(rules).iter_errors(arguments):
            kind = "unknown" if error.validator == "additionalProperties" else str(error.validator)
            faults.append(ArgumentFault(kind, tuple(error.absolute_path), _short(error.message), error))
    except (TrajectoryError, Unresolvable, re.error, RecursionError) as error:
        faults.append(ArgumentFault("schema", (), f"its schema cannot be applied ({_short(str(error))})"))
    if "additionalProperties" not in tool.parameters and "patternProperties" not in tool.parameters:
        known = tool.parameters.get("properties") or {}
        for name in arguments:
            if name not in known:
                faults.append(ArgumentFault("unknown", (), f"unknown argument {name!r}"))
    return faults


class Rules(NamedTuple):
    """What is remembered of a schema."""

    key: bytes | str  # the schema itself, by marshal, which takes a third of JSON's time, or as JSON
    accepts: Accepts  # the quick test
    quick: bool  # whether that test understood the schema, so that it is known to be one
    names: frozenset[str]  # of the arguments that it lists, so that none of them is unknown


def _rules(schema: Any) -> Rules:
    try:
        key = marshal.dumps(schema, 2)  # version 2: equal values give equal bytes
    except ValueError:
        key = json.dumps(schema)
    rules = _known.get(key)
    if rules is None:
        accepts = quick_check(schema)
        rules = Rules(key, accepts or _never, accepts is not None, _names(schema))
        if len(_known) >= KNOWN:
            _known.clear()
        _known[key] = rules
    return rules


def _names(schema: Any) -> frozenset[str]:
    listed = schema.get("properties") if isinstance(schema, dict) else None
    return frozenset(listed) if isinstance(listed, dict) else frozenset()


def _never(value: Any) -> bool:
    return False


@functools.lru_cache(maxsize=4096)
def _validator(rules: Rules) -> Draft202012Validator:
    """The full validator of a schema; a TrajectoryError for what is none."""
    import jsonschema  # here, because its format checkers can take two seconds to import

    parsed = json.loads(rules.key if isinstance(rules.key, str) else json.dumps(marshal.loads(rules.key)))
    try:
        if not rules.quick:
            jsonschema.Draft202012Validator.check_schema(parsed)
    except jsonschema.SchemaError as error:
        fault = f"{_short(error.message)} at {error.json_path}"
        raise TrajectoryError(f"parameters are not JSON Schema: {fault}") from error
    return jsonschema.Draft202012Validator(parsed)


def _short(text: str, limit: int = 200) -> str:
    return text if len(text) <= limit else text[: limit - 3] + "..."


class KnownTool:
    """A tool that was written, and checked once it has `rules`."""

    __slots__ = ("line", "rules", "tool")

    def __init__(self, tool: Tool, line: bytes) -> None:
        self.tool, self.line = tool, line
        self.rules: Rules | None = None


class KnownTools(dict[int, KnownTool]):
    """The tools seen so far, by identity: it holds them, so that no other can get the number of one of them.

    Nobody may edit their schemas meanwhile; converters hand out the same tool for the same text, and never edit it.
    """

    def of(self, tool: Tool) -> KnownTool | None:
        """What is known of a tool, None for one of ill types: `known.of(tool).line` -> b'{"name": "add"}'."""
        known = self.get(id(tool))
        if known is None:
            from xlam_lib.trajectory import Tool  # which imports this module

            plain = typed_dict(tool) if type(tool) is Tool else None
            line = None if plain is None else plain_bytes(plain)
            if line is None:
                return None
            if len(self) >= TOOLS:
                self.clear()
            known = self[id(tool)] = KnownTool(tool, line)
        return known


def written(trajectory: Trajectory, known: KnownTools) -> bytes:
    """The line of JSON, which reads back equal: catches ill types, tuples in arguments, NaN, lone surrogates."""
    if (line := _quickly_written(trajectory, known)) is not None:
        return line
    where = _where(trajectory)
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


def _quickly_written(trajectory: Trajectory, known: KnownTools) -> bytes | None:
    """The line where all is as it should be: its tools are put in as they were written when they were first seen."""
    plain = typed_dict(trajectory, "tools")
    if plain is None or type(trajectory.tools) is not tuple:
        return None
    tools = [known.of(tool) for tool in trajectory.tools]
    plain = {"schema_version": SCHEMA_VERSION, **plain}
    line = plain_bytes(plain)
    if line is None or None in tools:
        return None
    if not tools:
        return line
    before = plain_bytes({key: plain[key] for key in BEFORE_TOOLS if key in plain})
    at = len(before) - 1
    return b'%s, "tools": [%s]%s' % (line[:at], b", ".join([tool.line for tool in tools]), line[at:])


def _check_outcome(trajectory: Trajectory) -> None:
    outcome = trajectory.outcome
    if not trajectory.trajectory_id:
        raise TrajectoryError(f"{_where(trajectory)}: trajectory_id is empty")
    if not any([step.role == "user" for step in trajectory.steps]):
        raise TrajectoryError(f"{_where(trajectory)}: has no user step")
    if outcome.termination == "infra_error" and outcome.reward is not None:
        where = f"{_where(trajectory)}, outcome"
        raise TrajectoryError(f"{where}: an infrastructure error carries a reward; set reward to None")
    for rating in trajectory.quality:
        if not 1 <= rating.score <= 5:
            where = f"{_where(trajectory)}, quality"
            raise TrajectoryError(f"{where}: score {rating.score} of {rating.rater!r} is not within 1..5")


def _check_tools(trajectory: Trajectory, known: KnownTools) -> dict[str, tuple[Tool, Rules]]:
    by_name: dict[str, tuple[Tool, Rules]] = {}
    for tool in trajectory.tools:
        if not tool.name or tool.name in by_name:
            raise TrajectoryError(f"{_of_tool(trajectory, len(by_name))}: tool names must be unique and not empty")
        one = known.of(tool)
        rules = one.rules if one else None
        if rules is None:
            rules = _checked_rules(trajectory, tool, len(by_name))
            if one:
                one.rules = rules
        by_name[tool.name] = (tool, rules)
    return by_name


def _checked_rules(trajectory: Trajectory, tool: Tool, index: int) -> Rules:
    rules = _rules(tool.parameters)
    try:
        if not rules.quick:
            _validator(rules)
    except TrajectoryError as error:
        raise TrajectoryError(f"{_of_tool(trajectory, index)}: {error}") from error.__cause__
    if tool.parameters.get("type") != "object":
        found = tool.parameters.get("type")
        raise TrajectoryError(f'{_of_tool(trajectory, index)}: parameters must have "type": "object", found {found!r}')
    return rules


def _of_tool(trajectory: Trajectory, index: int) -> str:
    return f"{_where(trajectory)}, tool {index} ({trajectory.tools[index].name!r})"


def _role_fault(step: Step, index: int, trajectory: Trajectory) -> str:
    role = step.role
    if any(FOREIGN[role](step)):
        name = next(name for name, owner in OWNER.items() if getattr(step, name) and owner != role)
        return f"{name!r} is set on a {role} step, it belongs to {OWNER[name]} steps"
    if role == "system" and index > 0:
        return "a system step may only come first"
    if role == "user" and not step.content:
        return "a user step without content"
    if role == "assistant" and not (step.content or step.reasoning or step.tool_calls):
        return "an assistant step without content, reasoning and tool_calls"
    if role != "user" and index <= 1 and index == (trajectory.steps[0].role == "system"):
        return f"the first step after the system step must be the user's, found {role}"
    return ""


def _opening_fault(call: ToolCall, tools: dict[str, tuple[Tool, Rules]], seen_ids: set[str]) -> str:
    if call.name not in tools:
        return f"calls {call.name!r}, but the tools are: {', '.join(tools) or 'none'}"
    if not call.id or call.id in seen_ids:
        return f"call id {call.id!r} must be unique in the trajectory and not empty"
    return ""


def _closing_fault(step: Step, open_calls: dict[str, str]) -> str:
    if step.tool_call_id not in open_calls:
        return f"answers {step.tool_call_id!r}, which is no open call (open: {', '.join(open_calls) or 'none'})"
    called = open_calls.pop(step.tool_call_id)
    if step.name and step.name != called:
        return f"is named {step.name!r} but answers a call of {called!r}"
    return ""
