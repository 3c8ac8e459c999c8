"""Rollouts of verifiers' environments: the lines of `results.jsonl`, and data sets made of them (notebook 01).

Raw record (`prompt` and `completion` may be text; metrics may stand under `metrics`, beside it, or both):

    {"example_id": 7, "task": "weather",
     "prompt": [{"role": "system", "content": "Use the tools."}, {"role": "user", "content": "Weather in Oslo?"}],
     "completion": [{"role": "assistant", "content": "", "tool_calls": [{"id": "c1", "type": "function",
                      "function": {"name": "weather", "arguments": "{\\"city\\": \\"Oslo\\"}"}}]},
                    {"role": "tool", "tool_call_id": "c1", "content": "4 degrees"},
                    {"role": "assistant", "content": "It is 4 degrees."}],
     "answer": "4", "info": {}, "reward": 1.0, "metrics": {"exact": 1.0}, "stop_condition": "no_tools_called",
     "is_truncated": false, "tool_defs": [{"name": "weather", "description": "...", "parameters": {...}}]}

Decisions:
- What the prompt lets an assistant say are examples: not trained. What the model said is the completion.
- The reward is the outcome's; what a success is, an environment doesn't say. All scores are in `outcome.checks`.
- Rollouts of one example are trajectories of one task, `<task>/<example_id>`, so that they can be compared for DPO.
- An error of the run is an infrastructure error, and its reward one of the checks; used up turns are `max_steps`.
- The right answer, the example's `info` and columns of the state that were asked for are in `extra`.
- A file of run metadata holds no rollout. Columns of lists, one element a rollout, are taken apart.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from xlam_lib.data.accounting import Drop
from xlam_lib.data.formats.base import (
    ALWAYS_FUNCTION,
    CALL_ID,
    SPEAKER,
    SourceInfo,
    as_reward,
    need_json,
    need_objects,
    place,
)
from xlam_lib.data.formats.conversations import Turn, assemble, read_turns
from xlam_lib.data.formats.messages import turns_of
from xlam_lib.data.formats.system_tools import tools_and_system
from xlam_lib.data.recognise import refused
from xlam_lib.trajectory import Outcome, Task, Trajectory

TOOLS = ("tool_defs", "tools", "oai_tools")
READ = ("prompt", "completion", "reward", "metrics", "example_id", "id", "task", *TOOLS)
NOT_TAKEN = {
    "timing": "how long it took",
    "token_usage": "counts of tokens",
    "is_completed": "whether the run came to its end, which the stop condition says",
    "trajectory": "the same messages as they were sent, turn by turn, with their tokens",
}
NOT_OF_MESSAGES = {
    f"{key}[].{name}": why
    for key in ("prompt", "completion")
    for name, why in (
        *(("role", SPEAKER), ("tool_call_id", CALL_ID)),
        *(("tool_calls[].id", CALL_ID), ("tool_calls[].type", ALWAYS_FUNCTION)),
    )
}
SOURCE = SourceInfo(
    name="verifiers",
    license="unknown",
    url="https://github.com/PrimeIntellect-ai/verifiers",
    files=("results.jsonl", "*.jsonl", "*.json"),
    fields=("*",),  # scores and columns of the state have names of their own: they are in `checks` and `extra`
    left_out={**NOT_TAKEN, **NOT_OF_MESSAGES},
)


def unpack(value: dict[str, Any]) -> list[dict[str, Any]]:
    """The rollouts of a file that is one object: a list of them, or a list for each column."""
    if rollouts := next((value[key] for key in ("outputs", "rollouts") if isinstance(value.get(key), list)), None):
        run = {key: inner for key, inner in value.items() if key not in ("outputs", "rollouts") and inner}
        return [{**run, **rollout} for rollout in need_objects(rollouts, "rollouts")]
    first = value["prompt"][:1] if isinstance(value.get("prompt"), list) else []
    if not first or isinstance(first[0], dict):
        return []
    count = len(value["prompt"])
    columns = _columns(value, count)
    metrics = _columns(value.get("metrics"), count)
    scores = [{key: column[row] for key, column in metrics.items()} for row in range(count)]
    run = {key: inner for key, inner in value.items() if key not in columns and key != "metrics" and inner}
    rows = [{key: column[row] for key, column in columns.items()} for row in range(count)]
    return [{**run, **row, "metrics": score} for row, score in zip(rows, scores, strict=True)]


def _columns(value: Any, count: int) -> dict[str, list[Any]]:
    found = value if isinstance(value, dict) else {}
    return {key: column for key, column in found.items() if isinstance(column, list) and len(column) == count}


def convert(record: dict[str, Any], where: str) -> list[Trajectory]:
    """One rollout -> one trajectory."""
    if "prompt" not in record or "completion" not in record:
        if {"env_id", "model"} <= record.keys():
            raise Drop("metadata of a run: no trajectory to convert", str(record["env_id"]))
        raise refused(record, "no prompt and completion", SOURCE.name)
    asked = [replace(turn, trainable=False) for turn in _turns(record["prompt"], "user")]
    said = _turns(record["completion"], "assistant")
    if not said:
        raise Drop("the completion is empty", f"error: {record.get('error') or 'none'}"[:200])
    conversation = read_turns([*asked, *said])
    info = _info(record)
    notes: list[str] = []
    tools = tools_and_system({"tools": _tools(record, info)}, conversation, notes)
    extra = {key: value for key, value in record.items() if key not in (*READ, *NOT_TAKEN) and not _is_score(value)}
    raw_id = place(where).rpartition("/")[2]
    extra = {"unknown_types": notes, "task": record.get("task"), **extra, "info": info}
    trajectory = assemble(SOURCE, raw_id, conversation, tools, outcome=_outcome(record), extra=extra)
    example = next((record[key] for key in ("example_id", "id") if record.get(key) is not None), None)
    if example is None:
        return [trajectory]
    task = f"{record['task']}/{example}" if isinstance(record.get("task"), str) else str(example)
    return [replace(trajectory, task=Task(trajectory.task.instruction, task))]


def _turns(messages: Any, role: str) -> list[Turn]:
    if isinstance(messages, str):
        messages = [{"role": role, "content": messages}] if messages else []
    return turns_of(need_objects(messages or [], "messages"))


def _info(record: dict[str, Any]) -> Any:
    """What an example brings for its environment, an object or JSON text."""
    info = record.get("info")
    if isinstance(info, str) and info.lstrip().startswith("{"):
        try:
            return need_json(record, "info")
        except Drop:
            return info
    return info


def _tools(record: dict[str, Any], info: Any) -> Any:
    """The tools of a rollout; older versions keep them in the example's info."""
    listed = [record.get(key) for key in TOOLS] + [info.get("oai_tools") if isinstance(info, dict) else None]
    return next((tools for tools in listed if tools), None)


def _is_score(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _outcome(record: dict[str, Any]) -> Outcome:
    metrics = record["metrics"] if isinstance(record.get("metrics"), dict) else {}
    scores = {key: value for key, value in record.items() if key not in READ and _is_score(value)}
    reward = as_reward(record.get("reward"))
    stopped = str(record.get("stop_condition") or "")
    ended = "unknown"
    if record.get("error"):
        ended = "infra_error"
    elif record.get("is_truncated") is True or stopped.startswith(("max_", "prompt_too_long")):
        ended = "max_steps"
    if ended == "infra_error":  # says nothing of the model
        scores, reward = {**scores, **({} if reward is None else {"reward": record["reward"]})}, None
    return Outcome(None, reward, ended, {**metrics, **scores})
