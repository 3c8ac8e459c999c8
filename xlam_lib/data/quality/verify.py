"""Is a trajectory fit to be learnt from? Undefined functions, wrong arguments, hallucinated values, broken order.

Used by the pipeline after conversion (notebook 01). A pure function: it gives the trajectory back, with those repairs
that change no meaning, and what it found; it never raises, whatever the trajectory.

    trajectory, findings = verify(trajectory, policy_of(tau_bench.SOURCE))
    if bad := first_error(findings): raise Drop(bad.rule, bad.found)
    print(findings_table(findings))
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

from xlam_lib.data.quality.findings import Finding, Policy, findings_table, first_error, policy_of
from xlam_lib.data.quality.grounding import Context
from xlam_lib.data.quality.observations import final_findings, observation_rule
from xlam_lib.data.quality.repair import REPAIRED, argument_findings, repaired, unrepaired
from xlam_lib.trajectory import Step, ToolCall, Trajectory

__all__ = ["Finding", "Policy", "findings_table", "first_error", "policy_of", "unrepaired", "verify"]

USUAL = Policy()
Found = tuple[int, str, str]  # step, rule, what


def verify(trajectory: Trajectory, policy: Policy = USUAL) -> tuple[Trajectory, list[Finding]]:
    """(the trajectory, repaired where that is safe; findings in the order of the steps): see the top of this module."""
    notes: list[Found] = []
    if policy.repair:
        trajectory, notes = _repair(trajectory)
    found = [
        *notes,
        *_calls(trajectory),
        *_values(trajectory, policy),
        *_order(trajectory),
        *_repeats(trajectory),
        *_observations(trajectory, policy),
        *final_findings(trajectory, policy),
    ]
    findings = [
        Finding(trajectory.trajectory_id, step, rule, policy.level(rule), _line(what))
        for step, rule, what in sorted(found, key=lambda one: one[0])
        if policy.level(rule) != "off"
    ]
    return trajectory, findings


def _line(text: str, limit: int = 200) -> str:
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 3] + "..."


def _repair(trajectory: Trajectory) -> tuple[Trajectory, list[Found]]:
    """The trajectory with safe repairs; `extra["repaired"]` keeps what stood there, by step and call."""
    tools = {tool.name: tool for tool in trajectory.tools}
    notes: list[Found] = []
    before: dict[str, dict] = {}
    steps = list(trajectory.steps)
    for index, step in enumerate(trajectory.steps):
        calls = list(step.tool_calls)
        for number, call in enumerate(calls):
            arguments, made = repaired(tools[call.name], call.arguments) if call.name in tools else ({}, [])
            if made:
                calls[number] = replace(call, arguments=arguments)
                before[f"{index}.{number}"] = call.arguments
                notes += [(index, "repaired argument", f"{call.name}: {note}") for note in made]
        if any(key.startswith(f"{index}.") for key in before):
            steps[index] = replace(step, tool_calls=tuple(calls))
    if not before:
        return trajectory, []
    extra = {**trajectory.extra, REPAIRED: {**before, **trajectory.extra.get(REPAIRED, {})}}
    return replace(trajectory, steps=tuple(steps), extra=extra), notes


def _calls(trajectory: Trajectory) -> Iterator[Found]:
    """Every call names a tool that there is, with arguments that fit it."""
    tools = {tool.name: tool for tool in trajectory.tools}
    for index, call in _each_call(trajectory):
        if call.name not in tools:
            names = ", ".join(tools) or "none"
            yield index, "undefined function", f"calls {call.name!r}, but the tools are: {names}"
            continue
        for rule, what in argument_findings(tools[call.name], call.arguments):
            yield index, rule, what


def _each_call(trajectory: Trajectory) -> Iterator[tuple[int, ToolCall]]:
    for index, step in enumerate(trajectory.steps):
        for call in step.tool_calls:
            yield index, call


def _values(trajectory: Trajectory, policy: Policy) -> Iterator[Found]:
    """Every value stands in the context before it; reported once for each value.

    Gold calls are not looked at: they are right by definition, and one may need what another, not carried out, gives.
    """
    if policy.level("ungrounded value") == "off" or "gold" in trajectory.tags:
        return
    tools = {tool.name: tool for tool in trajectory.tools}
    context, reported = Context(), set()
    context.add(trajectory.task.instruction)
    for index, step in enumerate(trajectory.steps):
        for call in step.tool_calls:
            arguments = {
                name: value
                for name, value in call.arguments.items()
                if name not in policy.composed and f"{call.name}.{name}" not in policy.composed
            }
            for name, value in context.ungrounded(arguments, tools.get(call.name)):
                if (name, value) not in reported:
                    reported.add((name, value))
                    yield index, "ungrounded value", f"{call.name}: {name} is {value!r}, which nobody said"
        context.add(step.content)


def _order(trajectory: Trajectory) -> Iterator[Found]:
    """Each call is answered before the next turn, unless the trajectory ends there; each result answers a call."""
    waiting: dict[str, tuple[int, str]] = {}
    answered = False
    for index, step in enumerate(trajectory.steps):
        if step.role == "tool":
            answered = True
            if waiting.pop(step.tool_call_id, None) is None:
                yield index, "result without call", f"answers {step.tool_call_id!r}, which is no open call"
        elif step.role == "assistant":
            yield from _unanswered(waiting)
            waiting, answered = {call.id: (index, call.name) for call in step.tool_calls}, False
    if answered:
        yield from _unanswered(waiting)


def _unanswered(waiting: dict[str, tuple[int, str]]) -> Iterator[Found]:
    for id, (index, name) in waiting.items():
        yield index, "call without result", f"{name} ({id}) is never answered"


def _repeats(trajectory: Trajectory) -> Iterator[Found]:
    """The same call twice in one turn; or again with the same result, and nothing new was observed or done in between.

    Going back to a place after something was done elsewhere is no repetition. Gold calls are not looked at.
    """
    if "gold" in trajectory.tags:
        return
    results = {step.tool_call_id: step.content for step in trajectory.steps if step.role == "tool"}
    seen: dict[str, tuple[int, str | None, int]] = {}
    news, acted = 0, True
    for index, step in enumerate(trajectory.steps):
        if step.role == "user" and acted:
            news += 1
        if step.role == "assistant":
            acted = step.trainable
        for call in step.tool_calls:
            key = f"{call.name} {json.dumps(call.arguments, sort_keys=True, default=str)}"
            before, result = seen.get(key), results.get(call.id)
            if before is not None and (before[0] == index or before[1:] == (result, news)):
                yield index, "repeated call", f"as in step {before[0]}, with nothing new: {key}"
                continue
            if before is None or before[1] != result:
                news += 1
            seen[key] = (index, result, news)


def _observations(trajectory: Trajectory, policy: Policy) -> Iterator[Found]:
    """What tools and environments complain about."""
    before: Step | None = None
    for index, step in enumerate(trajectory.steps):
        rule = observation_rule(step, before, policy)
        if rule:
            yield index, rule, f"{step.name or 'the environment'} says {step.content[:150]!r}"
        before = step
