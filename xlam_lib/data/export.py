"""Trajectories -> files of other formats (notebook 01).

    python -m xlam_lib.data.export --input trajectories.jsonl --format openai --output messages.jsonl

    openai        {"id", "messages", "tools"}: OpenAI's fine-tuning format, which TRL reads as conversations, too
    trl           {"prompt", "completion"}: a row for each turn to be learnt from, rendered as the model sees it
    trl_chat      {"prompt", "completion", "tools"}: the same rows as messages, for a tokenizer with our chat template
    xlam          {"id", "task_instruction", "tools", "query", "steps"}: the history of the original models
    agentohana    {"user_query", "model_name", "score", "steps"}: AgentOhana's dictionary
    actionstudio  {"unique_trajectory_id", "task_instruction", "tools", "conversation"}: unified format 2.0
    adp           {"id", "content", "details", "tools"}: Agent Data Protocol, standard form

All but TRL's are read back, by `from_openai_row` and `from_xlam` here and by the sources; what a format has no word for
(errors, rewards, ratings) is lost in it. A trajectory that a format can't hold is left out, logged, and counted by its
reason.

Of an `openai` row plain TRL learns one answer, the last, if the row ends in one: our chat template writes all before it
as history. Rows that end otherwise, mostly in a tool's result, teach nothing; the command counts them by the role of
their last message ("no_last_answer"). `trl_chat` has every turn to be learnt from, and its tools as JSON text, since a
table of Arrow would fill up each tool with the parameters of all others.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from xlam_lib.codec import tools_from_any
from xlam_lib.data.sources.exchange import actionstudio, agentohana
from xlam_lib.errors import TrajectoryError, as_command
from xlam_lib.files import writing
from xlam_lib.trajectory import Source, Step, Task, Trajectory, read_jsonl
from xlam_lib.views import from_openai, from_xlam_steps, to_openai, to_trl_rows, to_xlam_steps, tools_to_openai

log = logging.getLogger(__name__)
Row = dict[str, Any]


def to_openai_row(t: Trajectory) -> Row:
    """The task instruction is the system message, unless there is one: `to_openai_row(t)["messages"][0]["role"]`."""
    steps = t.steps
    if t.task.instruction and not (steps and steps[0].role == "system"):
        steps = (Step("system", t.task.instruction), *steps)
    return {"id": t.trajectory_id, "messages": to_openai(steps), "tools": tools_to_openai(t.tools)}


def to_trl_chat(t: Trajectory) -> list[Row]:
    """A row for each turn to be learnt from, as messages: `to_trl_chat(t)[0]["completion"]` -> [{"role": ...}]."""
    messages, tools = to_openai_row(t)["messages"], json.dumps(tools_to_openai(t.tools), ensure_ascii=False)
    first = len(messages) - len(t.steps)  # 1 where the task instruction stands before the steps
    learnt = [n for n, step in enumerate(t.steps, first) if step.role == "assistant" and step.trainable]
    return [{"prompt": messages[:n], "completion": [messages[n]], "tools": tools} for n in learnt]


def from_openai_row(row: Row) -> Trajectory:
    """A trajectory of such a row, with its very steps and tools; the source `openai_chat` reads any form."""
    source = Source("openai_messages", "unknown", raw_id=row["id"])
    return Trajectory(row["id"], source, tools=tuple(tools_from_any(row["tools"])), steps=from_openai(row["messages"]))


def to_xlam(t: Trajectory) -> Row:
    """The query and history that the original models are prompted with: `to_xlam(t)["steps"][0]["thought"]`."""
    query, history = to_xlam_steps(t.steps)
    tools = [tool.to_dict() for tool in t.tools]
    return {
        "id": t.trajectory_id,
        "task_instruction": t.task.instruction,
        "tools": tools,
        "query": query,
        "steps": history,
    }


def from_xlam(row: Row) -> Trajectory:
    """A trajectory of such a row; `to_xlam` makes the same row of it."""
    return Trajectory(
        row["id"],
        Source("xlam_steps", "unknown", raw_id=row["id"]),
        Task(row["task_instruction"]),
        tuple(tools_from_any(row["tools"])),
        from_xlam_steps(row["query"], row["steps"]),
    )


def to_adp(t: Trajectory) -> Row:
    """The events of Agent Data Protocol: `to_adp(t)["content"][0]["class_"]` -> "text_observation".

    Parallel calls are actions in a row, the thought before the first of them. The protocol can't hold text beside
    calls, nor a call that is left unanswered before the next turn.
    """
    events = [_observation("system", t.task.instruction)] if t.task.instruction else []
    for index, step in enumerate(t.steps):
        if step.role == "tool":
            events.append(_observation("environment", step.content, step.tool_call_id, step.name))
        elif step.role == "assistant":
            if step.content and step.tool_calls:
                raise TrajectoryError(f"trajectory {t.trajectory_id!r}, step {index}: ADP has no text beside calls")
            events += _actions(step)
        else:
            events.append(_observation(step.role, step.content))
    return {"id": t.trajectory_id, "content": events, "details": {}, "tools": tools_to_openai(t.tools)}


def _observation(source: str, content: str, call: str = "", name: str = "") -> Row:
    event = {"class_": "text_observation", "content": content, "source": source}
    return event | ({"tool_call_id": call} if call else {}) | ({"name": name} if name else {})


def _actions(step: Step) -> list[Row]:
    reward = {} if step.reward is None else {"reward": step.reward}
    if not step.tool_calls:
        return [{"class_": "message_action", "content": step.content, "description": step.reasoning, **reward}]
    events: list[Row] = [
        {"class_": "api_action", "function": call.name, "kwargs": call.arguments, "tool_call_id": call.id}
        for call in step.tool_calls
    ]
    events[0] |= {"description": step.reasoning, **reward}
    return events


FORMATS: dict[str, Callable[[Trajectory], list[Row]]] = {
    "openai": lambda t: [to_openai_row(t)],
    "trl": lambda t: list(to_trl_rows(t)),
    "trl_chat": to_trl_chat,
    "xlam": lambda t: [to_xlam(t)],
    "agentohana": lambda t: [agentohana.export(t)],
    "actionstudio": lambda t: [actionstudio.export(t)],
    "adp": lambda t: [to_adp(t)],
}


def export(trajectories: Iterable[Trajectory], format: str, output: str | Path) -> dict[str, Any]:
    """Writes JSON Lines and returns how many: `export(read_jsonl("t.jsonl"), "openai", "m.jsonl")["rows"]`."""
    if format not in FORMATS:
        raise ValueError(f"no format {format!r}; there are {', '.join(FORMATS)}")
    counts: dict[str, Any] = {"format": format, "trajectories": 0, "rows": 0, "left_out": {}}
    unlearnt: Counter[str] = Counter()
    with writing(output) as file:
        for t in trajectories:
            counts["trajectories"] += 1
            try:
                rows = FORMATS[format](t)
            except ValueError as error:
                reason = str(error).rpartition(": ")[2]
                counts["left_out"][reason] = counts["left_out"].get(reason, 0) + 1
                log.warning("left out: %s", error)
                continue
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            counts["rows"] += len(rows)
            if format == "openai":
                unlearnt.update(role for row in rows if (role := row["messages"][-1]["role"]) != "assistant")
    if unlearnt:
        counts["no_last_answer"] = dict(unlearnt)
        log.warning(
            "%d of %d rows don't end in an answer (%s): a trainer that learns the last answer, as TRL does with our "
            "chat template, learns nothing from them; the format trl_chat has a row for each turn to be learnt from",
            unlearnt.total(),
            counts["rows"],
            ", ".join(f"{count} end in a {role} message" for role, count in unlearnt.items()),
        )
    return counts


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit status and ends with the counts as JSON."""
    parser = argparse.ArgumentParser(
        prog="python -m xlam_lib.data.export", description="Trajectories -> other formats."
    )
    parser.add_argument("--input", required=True, help="trajectories.jsonl")
    parser.add_argument("--format", required=True, choices=tuple(FORMATS))
    parser.add_argument("--output", required=True, help="the file of JSON Lines to make")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)

    def work() -> None:
        counts = export(read_jsonl(options.input), options.format, options.output)
        print(json.dumps(counts, ensure_ascii=False))

    return as_command(work, status=1, also=(ValueError,))


if __name__ == "__main__":
    sys.exit(main())
