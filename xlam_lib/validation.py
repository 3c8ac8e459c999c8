"""What makes a trajectory sound: the rules behind `Trajectory.validate`, used by notebook 01 and every converter.

    check(trajectory, "warning")             its warnings; a TrajectoryError for what is unsound
    check_and_serialize(trajectory, "warning")   the same with its line of JSON

`arguments.py` holds a call against its tool's JSON Schema, `serialize.py` makes the line.
"""

from __future__ import annotations

from operator import attrgetter

from xlam_lib.arguments import (
    ArgumentFault,
    Rules,
    argument_faults,
    argument_problems,
    problems,
    rules_of,
    validator_of,
)
from xlam_lib.errors import TrajectoryError
from xlam_lib.schema import Step, Tool, ToolCall, TrajectoryRecord
from xlam_lib.serialize import KnownTools, serialize

__all__ = ["ArgumentFault", "KnownTools", "argument_faults", "argument_problems", "check", "check_and_serialize"]

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
DEPTH = 100  # of lists and objects: who reads a trajectory goes down by recursion
NESTED = (dict, list)
DEEP = f"lists and objects lie more than {DEPTH} deep in one another"
NOTHING = {role: get(Step("user")) for role, get in FOREIGN.items()}
PLAIN = ("user", "assistant", "tool")  # roles of which a step with content and nothing foreign is sound


def check(trajectory: TrajectoryRecord, argument_level: str = "error") -> list[str]:
    """Raises TrajectoryError at the first fault; returns the warnings. See `Trajectory.validate`."""
    return check_and_serialize(trajectory, argument_level)[0]


def check_and_serialize(
    trajectory: TrajectoryRecord, argument_level: str = "error", known: KnownTools | None = None
) -> tuple[list[str], bytes]:
    """(the warnings, the line of JSON without its end): to check is to serialize, so it needn't be done twice.

    Whoever checks many trajectories gives each the same `known`: tools that come again are not checked again.
    """
    if argument_level not in ("error", "warning"):
        raise ValueError(f"argument_level is {argument_level!r}, expected 'error' or 'warning'")
    known = KnownTools() if known is None else known
    line = serialize(trajectory, known)
    for kept in (trajectory.extra, trajectory.outcome.checks):
        if kept and is_deeper(kept):
            raise TrajectoryError(f"{_where(trajectory)}: extra or outcome.checks: {DEEP}")
    _check_outcome(trajectory)
    tools = _check_tools(trajectory, known)
    warnings: list[str] = []
    open_calls: dict[str, str] = {}
    seen_ids: set[str] = set()
    for index, step in enumerate(trajectory.steps):
        role = step.role
        plain = role in PLAIN and FOREIGN[role](step) == NOTHING[role] and (role == "tool" or step.content)
        if (index < 2 or not plain) and (fault := _role_fault(step, index, trajectory)):
            raise TrajectoryError(f"{_where(trajectory, index)}: {fault}")
        if role == "tool":
            if fault := _closing_fault(step, open_calls):
                raise TrajectoryError(f"{_where(trajectory, index)}: {fault}")
        elif role == "assistant":
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
                for value in call.arguments.values():
                    if type(value) in NESTED and is_deeper(value, DEPTH - 1):
                        raise TrajectoryError(f"{_where(trajectory, index)}: arguments of {call.name!r}: {DEEP}")
                tool, rules = tools[call.name]
                if rules.accepts(call.arguments) and rules.names.issuperset(call.arguments):
                    continue
                for problem in problems(tool, rules, call.arguments):
                    warnings.append(f"{_where(trajectory, index)}: {problem}")
        if warnings and argument_level == "error":
            raise TrajectoryError(warnings[0])
    return warnings, line


def is_deeper(value: dict | list, most: int = DEPTH) -> bool:
    """Whether lists and objects lie more than so deep in one another: `is_deeper({"a": [1]}, 1)` -> True."""
    for inner in value.values() if type(value) is dict else value:
        if type(inner) in NESTED and (most <= 1 or is_deeper(inner, most - 1)):
            return True
    return False


def _where(trajectory: TrajectoryRecord, step: int | None = None) -> str:
    """How errors begin; made only where there is one, as most trajectories have none."""
    where = f"trajectory {trajectory.trajectory_id!r}"
    return where if step is None else f"{where}, step {step}"


def _check_outcome(trajectory: TrajectoryRecord) -> None:
    outcome = trajectory.outcome
    if not trajectory.trajectory_id:
        raise TrajectoryError(f"{_where(trajectory)}: trajectory_id is empty")
    for step in trajectory.steps:
        if step.role == "user":
            break
    else:
        raise TrajectoryError(f"{_where(trajectory)}: has no user step")
    if outcome.termination == "infra_error" and outcome.reward is not None:
        where = f"{_where(trajectory)}, outcome"
        raise TrajectoryError(f"{where}: an infrastructure error carries a reward; set reward to None")
    for rating in trajectory.quality:
        if not 1 <= rating.score <= 5:
            where = f"{_where(trajectory)}, quality"
            raise TrajectoryError(f"{where}: score {rating.score} of {rating.rater!r} is not within 1..5")


def _check_tools(trajectory: TrajectoryRecord, known: KnownTools) -> dict[str, tuple[Tool, Rules]]:
    row = known.row(trajectory.tools)
    if row is not None and row.by_name is not None:
        return row.by_name
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
    if row is not None:
        row.by_name = by_name
    return by_name


def _checked_rules(trajectory: TrajectoryRecord, tool: Tool, index: int) -> Rules:
    rules = rules_of(tool.parameters)
    try:
        if not rules.quick:  # the quick test understands none that is deep
            if is_deeper(tool.parameters):
                raise TrajectoryError(f"parameters: {DEEP}")
            validator_of(rules)
    except TrajectoryError as error:
        raise TrajectoryError(f"{_of_tool(trajectory, index)}: {error}") from error.__cause__
    if tool.parameters.get("type") != "object":
        found = tool.parameters.get("type")
        raise TrajectoryError(f'{_of_tool(trajectory, index)}: parameters must have "type": "object", found {found!r}')
    return rules


def _of_tool(trajectory: TrajectoryRecord, index: int) -> str:
    return f"{_where(trajectory)}, tool {index} ({trajectory.tools[index].name!r})"


def _role_fault(step: Step, index: int, trajectory: TrajectoryRecord) -> str:
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
