"""BFCL v4, the Berkeley Function-Calling Leaderboard: questions, and the answers its checker accepts (notebook 01).

Raw record (a question, and from a file of another folder its answer, both shortened):

    {"id": "simple_python_4", "question": [[{"role": "user", "content": "Solve a quadratic equation where a=2, ..."}]],
     "function": [{"name": "solve_quadratic_equation", "description": "...", "parameters": {"type": "dict",
       "properties": {"a": {"type": "integer", "description": "Coefficient of x squared"}, ...}, "required": [...]}}]}
    {"id": "simple_python_4", "ground_truth": [{"solve_quadratic_equation": {"a": [2], "b": [6], "c": [5]}}]}

Decisions, from looking at the files:
- A question whose tools can't help ("irrelevance" in its id) has its answer in itself: no call. It becomes a trajectory
  as in `xlam_fc_60k`, with the thought NO_CALL, marked as generated.
- Every other question has its answer in the file of the same name in possible_answer/, its paired file: the two are
  read as one record, a gold trajectory. Of the accepted values the first is taken; an argument whose first accepted
  value is "" (left out) is left out; where there
  are others, all are `extra["accepted"]`. A half without its other half is dropped for what it lacks.
- Answers in several turns are calls without results, and the agentic sets tell the words of the answer and not the
  calls: dropped.
- Types are Python's, Java's or JavaScript's ("dict", "HashMap"): read into JSON Schema; system messages are the task.
- This is a benchmark: use it to decontaminate and to look at, not to train on. All have the tag "benchmark".
"""

from __future__ import annotations

from typing import Any

from xlam_lib.data.accounting import Drop
from xlam_lib.data.formats.base import SPEAKER, TYPE_WORD, PairedFile, SourceInfo, need, need_declared, need_objects
from xlam_lib.data.formats.chat import RawCall, StepBuilder
from xlam_lib.data.formats.flat_tools import tool
from xlam_lib.data.sources.calls.xlam_fc_60k import NO_CALL
from xlam_lib.trajectory import Step, Task, Trajectory

SOURCE = SourceInfo(
    name="bfcl_v4",
    license="Apache-2.0",
    url="https://github.com/ShishirPatil/gorilla/tree/main/berkeley-function-call-leaderboard",
    files=("bfcl_eval/data/BFCL_v4_*.json", "bfcl_eval/data/possible_answer/BFCL_v4_*.json"),
    version="2",
    paired_file=PairedFile("possible_answer/{name}", "id"),
    fields=("id", "question[][].role", "question[][].content", "function", "ground_truth", "source", "scenario"),
    left_out={
        "question[][].role": SPEAKER,
        "function[].**.type": TYPE_WORD,
    },
)


def join(record: dict[str, Any], other: dict[str, Any]) -> dict[str, Any] | None:
    """A question with its answer; None where one of them is something else."""
    if "question" not in record or "ground_truth" not in other:
        return None
    return {**other, **record}


def convert(record: dict[str, Any], where: str) -> list[Trajectory]:
    """One question that needs no call, or a question joined with its answer -> one trajectory."""
    if "question" not in record:
        if "ground_truth" in record:
            raise Drop("an answer without its question: no trajectory to convert", str(record.get("id")))
        if "parameters" in record and "description" in record:
            raise Drop("a function's description: no trajectory to convert", str(record.get("name")))
    turns, raw_id = need(record, "question", list), need(record, "id", str)
    if "ground_truth" not in record and "irrelevance" not in raw_id:
        raise Drop("a question without an answer: no trajectory to convert", raw_id)
    calls = _calls(record["ground_truth"]) if "ground_truth" in record else []
    instruction, builder = _words(turns)
    notes: list[str] = []
    raw = need_objects(need(record, "function", list), "function")
    tools = tuple(tool(f.get("name"), f.get("description"), f.get("parameters"), notes) for f in raw)
    need_declared([call.name for call in calls], tools)
    truth: Any = record.get("ground_truth")
    extra = {"unknown_types": notes, "accepted": truth if any(map(_has_others, truth or ())) else None}
    if calls:
        builder.assistant(calls=calls)
    else:
        builder.steps.append(Step("assistant", reasoning=NO_CALL, reasoning_origin="generated"))
    return [
        Trajectory(
            trajectory_id=f"{SOURCE.name}/{raw_id}",
            source=SOURCE.source(raw_id),
            task=Task(instruction, task_id=raw_id),
            tools=tools,
            steps=tuple(builder.steps),
            tags=("benchmark", "gold", "no_call" if not calls else "single" if len(calls) == 1 else "parallel"),
            extra={key: value for key, value in extra.items() if value},
        )
    ]


def _words(turns: list[Any]) -> tuple[str, StepBuilder]:
    """(system messages, steps) of the one turn of a question."""
    if len(turns) != 1:
        raise Drop("several turns without results: no trajectory to convert", f"{len(turns)} turns")
    builder, system = StepBuilder(), []
    for message in need_objects(turns[0], "question"):
        role, content = message.get("role"), need(message, "content", str)
        if role == "system":
            system.append(content)
        elif role == "user":
            builder.user(content)
        elif role == "assistant":
            builder.assistant(content)
        else:
            raise Drop("message of an unknown role", f"{role!r}")
    return "\n".join(system), builder


def _calls(truth: Any) -> list[RawCall]:
    """The calls of a ground truth, each {function: {parameter: [accepted values]}}."""
    if not isinstance(truth, list) or not all(isinstance(item, dict) for item in truth):
        kind = "several turns without results" if str(truth).startswith("[[") else "an answer without the calls to it"
        raise Drop(f"{kind}: no trajectory to convert", str(truth)[:80])
    calls = []
    for item in truth:
        for name, accepted in item.items():
            if not isinstance(accepted, dict):
                raise Drop("accepted values are not an object", f"{name}: {str(accepted)[:80]}")
            calls.append(RawCall(name, _first(accepted)))
    return calls


def _has_others(truth: Any) -> bool:
    """Whether a parameter has more than one accepted value: `_has_others({"f": {"a": [1, 2]}})` -> True."""
    if isinstance(truth, dict):
        return any(_has_others(inner) for inner in truth.values())
    return isinstance(truth, list) and (len(truth) > 1 or any(_has_others(inner) for inner in truth))


def _first(accepted: dict[str, Any]) -> dict[str, Any]:
    """The first accepted value of each parameter, objects within included; "" stands for leaving it out."""
    chosen = {key: values[0] for key, values in accepted.items() if isinstance(values, list) and values}
    return {key: _plain(value) for key, value in chosen.items() if value != ""}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return _first(value) if all(isinstance(item, list) for item in value.values()) else value
    return [_plain(item) for item in value] if isinstance(value, list) else value
