"""ATIF, the Agent Trajectory Interchange Format: what Harbor and others write of any agent's run (notebook 01).

Raw record (one object a file; shortened):

    {"schema_version": "ATIF-v1.6", "session_id": "run-7", "trajectory_id": "main",
     "agent": {"name": "demo-agent", "version": "1.0", "model_name": "some-model", "tool_definitions": [
       {"type": "function", "function": {"name": "weather", "description": "...", "parameters": {...}}}]},
     "steps": [
       {"step_id": 1, "source": "system", "message": "You answer briefly."},
       {"step_id": 2, "source": "user", "message": "Weather in Oslo?"},
       {"step_id": 3, "source": "agent", "message": "I look it up.", "reasoning_content": "There is a tool for it.",
        "tool_calls": [{"tool_call_id": "c1", "function_name": "weather", "arguments": {"city": "Oslo"}}],
        "observation": {"results": [{"source_call_id": "c1", "content": "4 degrees"}]},
        "metrics": {"prompt_tokens": 80, "completion_tokens": 12}},
       {"step_id": 4, "source": "agent", "message": "4 degrees."}],
     "final_metrics": {"total_cost_usd": 0.01}}

Decisions:
- A result that names no call answers the calls of its step; of a step without calls it is what the environment says to
  the agent, a user's turn, or a note of the system where the step is the system's.
- Steps copied from an earlier trajectory (`is_copied_context`) are context, and steps that no model made
  (`llm_call_count` 0) are not a model's: neither is to be learnt from.
- Trajectories of subagents that lie in the record are records of their own, which name their parent in
  `extra["parent"]`; results that refer to one keep the reference in `extra["step_notes"]`.
- Images and audio lose the record. The format has no outcome; a `reward` or the like in an `extra` is taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from xlam_lib.data.accounting import Drop
from xlam_lib.data.formats.base import SourceInfo, need, need_objects, place
from xlam_lib.data.formats.call_forms import FoundCall
from xlam_lib.data.formats.conversations import Turn, assemble, read_turns
from xlam_lib.data.formats.tool_forms import tools_of
from xlam_lib.data.recognise import refused
from xlam_lib.data.sources.logs.values import FORMAT, filled, outcome_of, text_of
from xlam_lib.trajectory import Trajectory

STEP = ("step_id", "source", "message", "reasoning_content", "is_copied_context", "llm_call_count")
NOTED = ("model_name", "reasoning_effort", "extra")
SOURCE = SourceInfo(
    name="atif",
    license="unknown",
    url="https://github.com/laude-institute/harbor",
    files=("trajectory.json", "*.json", "*.jsonl"),
    fields=(
        *(f"agent.{key}" for key in ("name", "version", "model_name", "extra")),
        *(f"agent.tool_definitions[].{key}" for key in ("function", "name", "description", "parameters")),
        *("steps[].message[].text", "steps[].message[].source"),
        *("schema_version", "session_id", "trajectory_id", "notes", "extra", "final_metrics", "parent"),
        *("continued_trajectory_ref", *(f"steps[].{key}" for key in STEP + NOTED)),
        *(f"steps[].tool_calls[].{key}" for key in ("tool_call_id", "function_name", "arguments", "extra")),
        *(f"steps[].observation.results[].{key}" for key in ("source_call_id", "content", "extra")),
        "steps[].observation.results[].subagent_trajectory_ref",
    ),
    left_out={
        **{key: FORMAT for key in ("schema_version", "steps[].source", "steps[].message[].type")},
        "agent.tool_definitions[].type": FORMAT,
        "steps[].timestamp": "when it was said",
        "steps[].metrics": "what the step cost, and numbers of tokens",
        "steps[].tool_calls[].tool_call_id": "an id, which ours replace",
        "steps[].observation.results[].source_call_id": "an id, which ours replace",
    },
)
ROLES = {"system": "system", "user": "user", "agent": "assistant"}


def unpack(value: dict[str, Any]) -> list[dict[str, Any]]:
    """The trajectory and those of its subagents, and of theirs; each names its parent."""
    inner = value.get("subagent_trajectories")
    if not isinstance(inner, list):
        return [value]
    parent = {"parent": _named(value)}
    found = [{key: item for key, item in value.items() if key != "subagent_trajectories"}]
    for each in inner:
        found += unpack({**each, **parent} if isinstance(each, dict) else {"trajectory": each, **parent})
    return found


def convert(record: dict[str, Any], where: str) -> list[Trajectory]:
    """One run of one agent -> one trajectory."""
    if "schema_version" not in record:
        raise refused(record, "no 'schema_version'", SOURCE.name)
    version = need(record, "schema_version", str)
    if not version.startswith("ATIF"):
        raise Drop("not an ATIF trajectory", f"schema_version is {version[:80]!r}")
    agent = record["agent"] if isinstance(record.get("agent"), dict) else {}
    steps = need_objects(need(record, "steps", list), "steps")
    conversation = read_turns([turn for step in steps for turn in _turns(step)])
    notes: list[str] = []
    tools = tools_of(agent.get("tool_definitions"), notes)
    kept = {key: record.get(key) for key in ("notes", "extra", "final_metrics", "continued_trajectory_ref", "parent")}
    extra = {
        **kept,
        "agent": filled({key: value for key, value in agent.items() if key != "tool_definitions"}),
        "step_notes": {str(step.get("step_id")): note for step in steps if (note := _note(step))},
        "unknown_types": notes,
    }
    made = assemble(SOURCE, _raw_id(record, where), conversation, tools, outcome=_outcome(record), extra=filled(extra))
    session = record.get("session_id")
    return [replace(made, task=replace(made.task, task_id=session))] if isinstance(session, str) and session else [made]


def _raw_id(record: dict[str, Any], where: str) -> str:
    """The ids of session and trajectory: one alone may come again."""
    return _named(record) or place(where)


def _named(record: dict[str, Any]) -> str:
    ids = [record.get(key) for key in ("parent", "session_id", "trajectory_id")]
    return "/".join(dict.fromkeys(name for name in ids if isinstance(name, str) and name))


def _turns(step: dict[str, Any]) -> Iterator[Turn]:
    """What a step says, and what came back in it."""
    source, where = step.get("source"), f"step {step.get('step_id')}"
    if not isinstance(source, str) or source not in ROLES:
        raise Drop("a step of an unknown source", f"{str(source)[:80]!r}: {where}")
    text = text_of(step.get("message"), where)
    raw = need_objects(step.get("tool_calls") or [], "tool_calls") if source == "agent" else []
    calls = tuple(FoundCall(_name(call), call.get("arguments"), _id(call)) for call in raw)
    if source != "agent":
        yield from [Turn(ROLES[source], text)] if text.strip() else []
    elif text or step.get("reasoning_content") or calls:
        thought = text_of(step.get("reasoning_content"), where)
        trainable = step.get("is_copied_context") is not True and step.get("llm_call_count") != 0
        yield Turn("assistant", text, thought, calls, trainable=trainable)
    role = "tool" if calls else "system" if source == "system" else "user"
    for result in _results(step):
        content = text_of(result.get("content"), where)
        if role == "tool" or content.strip():
            yield Turn(role, content, raw_id=_id(result))


def _name(call: dict[str, Any]) -> str:
    name = need(call, "function_name", str)
    if not name:
        raise Drop("call without a name", str(call)[:200])
    return name


def _results(step: dict[str, Any]) -> list[dict[str, Any]]:
    observation = step.get("observation")
    if observation is None:
        return []
    if not isinstance(observation, dict):
        raise Drop("'observation' is not an object", f"found {type(observation).__name__}")
    return need_objects(observation.get("results") or [], "results")


def _id(part: dict[str, Any]) -> str:
    """What a call and its result have in common."""
    found = part.get("tool_call_id") or part.get("source_call_id")
    return found if isinstance(found, str) else ""


def _note(step: dict[str, Any]) -> dict[str, Any]:
    """What a step has besides the conversation."""
    calls = {_id(call): call.get("extra") for call in step.get("tool_calls") or []}
    results = [filled({key: one.get(key) for key in ("extra", "subagent_trajectory_ref")}) for one in _results(step)]
    note = {**{key: step.get(key) for key in NOTED}, "calls": filled(calls)}
    return filled({**note, "results": results if any(results) else []})


def _outcome(record: dict[str, Any]) -> Any:
    """The outcome that an `extra` may tell."""
    metrics = record["final_metrics"] if isinstance(record.get("final_metrics"), dict) else {}
    told = [part for part in (metrics.get("extra"), record.get("extra")) if isinstance(part, dict)]
    return outcome_of({key: value for part in told for key, value in part.items()})
