"""AgentOhana's dictionary: a query, the model that answered it, a score, and a prompt and output a step (notebook 01).

Raw record (shortened; the older files say "next observation"):

    {"user_query": "Weather in Oslo?", "model_name": "gpt-4", "score": 1.0,
     "steps": [{"input": "[BEGIN OF TASK INSTRUCTION]\\n...\\n[END OF QUERY]\\n\\n",
                "output": "{\\"thought\\": \\"\\", \\"tool_calls\\": [{\\"name\\": \\"weather\\", ...}]}",
                "next_observation": "{\\"celsius\\": 4}"},
               {"input": "...", "output": "{\\"thought\\": \\"4 degrees.\\", ...}", "next_observation": ""}]}

Decisions, from the format's description and the loaders that upstream publishes:
- Each input is the whole prompt rendered; the instruction and the tools are read from the first one, in the xLAM
  blocks or AgentLite's ("[Action_Doc]"). Tools that no prompt declares are inferred from the calls.
- An output is xLAM's object or list of calls, or an action of AgentLite, `Think[{"response": "..."}]`; any other text
  is the content. A thought beside calls is `reasoning`.
- An observation behind words without a call is the user's next message; behind a call it is the result, and what the
  user adds stands in "user_input", as in xLAM's history.
- The score is the reward; success isn't recorded and stays unknown. "Invalid ..." results are errors.
- The way back is `export`. Prompts and outputs that it wouldn't write itself are kept in `extra`, so records come back
  exactly.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from xlam_lib.codec import (
    PromptStyle,
    answer_of,
    block_of,
    history_steps,
    render_answer,
    render_prompt,
    style_of,
    tools_from_any,
)
from xlam_lib.data.accounting import Drop
from xlam_lib.data.fields import UNKNOWN_FIELDS, of_the_record
from xlam_lib.data.formats.base import FORMAT_BLOCK, SourceInfo, as_reward, content_id, need, need_objects
from xlam_lib.data.formats.flat_tools import with_inferred
from xlam_lib.data.formats.tool_forms import lawful_tools
from xlam_lib.data.sources.agents.agentlite import action_tools, parse_action
from xlam_lib.errors import TrajectoryError
from xlam_lib.trajectory import Outcome, Step, Task, Tool, Trajectory
from xlam_lib.views import from_xlam_steps

SOURCE = SourceInfo(
    name="agentohana",
    license="unknown",
    url="https://github.com/SalesforceAIResearch/xLAM",
    files=("*/train.json",),
    version="2",
    fields=(
        *("user_query", "model_name", "score"),
        *(f"steps[].{key}" for key in ("input", "output", "next_observation", "next observation", "user_input")),
    ),
    layout={
        FORMAT_BLOCK: "how to answer",
        r"\[(BEGIN|END) OF [A-Z ]+\]": "marks of the blocks",
        r"\"(step_id|thought|tool_calls|next_observation|user_input)\":": "keys of the history",
    },
)
STYLE = PromptStyle(mark_required=True)
KNOWN = ("user_query", "model_name", "score", "steps")
SPACED = "next observation"


def convert(record: dict[str, Any], where: str) -> list[Trajectory]:
    """One dictionary -> one trajectory."""
    query, raw = need(record, "user_query", str), need_objects(need(record, "steps", list), "steps")
    if not raw:
        raise Drop("a query without an answer: no trajectory to convert")
    history = [_entry(number, step) for number, step in enumerate(raw, start=1)]
    try:
        steps = from_xlam_steps(query, history)
    except TrajectoryError as error:
        raise Drop("steps that don't fit together", str(error)) from error
    instruction, declared = _split_prompt(need(raw[0], "input", str))
    notes: list[str] = []
    tools, inferred = with_inferred(lawful_tools(declared, notes), steps)
    reward = as_reward(record.get("score"))
    raw_id = content_id(record)
    extra = {
        "model_name": record.get("model_name"),
        "inferred_tools": inferred,
        "unknown_types": notes,
        "spaced_keys": any(SPACED in step for step in raw),
        UNKNOWN_FIELDS: {key: value for key, value in record.items() if key not in KNOWN},
    }
    made = Trajectory(
        trajectory_id=f"{SOURCE.name}/{raw_id}",
        source=SOURCE.source(raw_id),
        task=Task(instruction, task_id=raw_id),
        tools=tools,
        steps=tuple(_marked(step) for step in steps),
        outcome=Outcome(reward=reward),
        extra={key: value for key, value in extra.items() if value},
    )
    return [_with_texts(made, raw, record)]


def export(trajectory: Trajectory) -> dict[str, Any]:
    """The trajectory as AgentOhana's dictionary; `convert` reads it back to the same query and history.

    Example: `export(t)["steps"][0]["next_observation"]` -> '{"celsius": 4}'
    """
    extra, style = trajectory.extra, style_of(trajectory, STYLE)
    query, history = history_steps(trajectory.steps)
    key = SPACED if extra.get("spaced_keys") else "next_observation"
    turns = [step for step in trajectory.steps if step.role == "assistant"]
    steps = []
    for number, (turn, entry) in enumerate(zip(turns, history, strict=True)):
        kept = extra.get("texts", {}).get(str(number), {})
        step = {
            "input": kept.get("input", render_prompt(trajectory.tools, query, history[:number], style)),
            "output": kept.get("output", render_answer(answer_of(turn))),
            key: kept.get("observation", entry["next_observation"]),
        }
        user = {"user_input": entry["user_input"]} if "user_input" in entry and "observation" not in kept else {}
        steps.append(step | user)
    score = extra.get("score", trajectory.outcome.reward)
    return {
        "user_query": query,
        "model_name": extra.get("model_name", ""),
        "score": score,
        "steps": steps,
        **of_the_record(extra.get(UNKNOWN_FIELDS, {})),
    }


def native(trajectory: Trajectory) -> list[str]:
    """The outputs, as the record has them."""
    return [step["output"] for step in export(trajectory)["steps"]]


def _entry(number: int, raw: dict[str, Any]) -> dict[str, Any]:
    """A step as an entry of xLAM's history."""
    thought, calls = _read(need(raw, "output", str))
    if not thought and not calls:
        raise Drop("empty assistant turn", f"step {number}")
    observation = raw.get(SPACED) if SPACED in raw else raw.get("next_observation")
    observation = "" if observation is None else observation
    entry = {"step_id": number, "thought": thought, "tool_calls": calls, "next_observation": observation}
    user = raw.get("user_input")
    if user is not None and not isinstance(user, str):
        raise Drop("'user_input' is not text", f"step {number}")
    if not calls and isinstance(observation, str) and observation:
        return entry | {"next_observation": "", "user_input": "\n".join(filter(None, (observation, user)))}
    return entry | ({"user_input": user} if user else {})


def _read(output: str) -> tuple[str, list[dict[str, Any]]]:
    """(thought, calls) of an output."""
    text = output.strip()
    try:
        value = json.loads(text) if text.startswith(("{", "[")) else None
    except (ValueError, RecursionError):
        value = None
    thought = ""
    if isinstance(value, dict) and isinstance(value.get("tool_calls"), list):
        thought, value = value.get("thought") or "", value["tool_calls"]
    if isinstance(value, list) and isinstance(thought, str) and all(_is_call(item) for item in value):
        return thought, value
    action = parse_action(text)
    return ("", [{"name": action[0], "arguments": action[1]}]) if action else (text, [])


def _is_call(item: Any) -> bool:
    fits = isinstance(item, dict) and set(item) <= {"name", "arguments"} and isinstance(item.get("name"), str)
    return fits and isinstance(item.get("arguments", {}), dict)


def _split_prompt(prompt: str) -> tuple[str, list[Tool]]:
    """(task instruction, tools) of a rendered prompt."""
    found = block_of(prompt, "AVAILABLE TOOLS")
    if found is None:
        return "", action_tools(prompt)
    try:
        return block_of(prompt, "TASK INSTRUCTION") or "", tools_from_any(json.loads(found))
    except (ValueError, TypeError, RecursionError) as error:
        raise Drop("a prompt whose tools can't be read", str(error)[:120]) from error


def _marked(step: Step) -> Step:
    """Reasoning is the model's own; a result that says so is an error."""
    if step.role == "tool" and step.content.startswith("Invalid"):
        return Step("tool", step.content, tool_call_id=step.tool_call_id, name=step.name, is_error=True)
    if step.role == "assistant" and step.reasoning:
        return Step("assistant", step.content, step.reasoning, step.tool_calls, reasoning_origin="native")
    return step


def _with_texts(made: Trajectory, raw: list[dict[str, Any]], record: dict[str, Any]) -> Trajectory:
    """The trajectory with those texts of the record that `export` wouldn't write."""
    exported = export(made)
    texts: dict[str, dict[str, Any]] = {}
    for number, (ours, theirs) in enumerate(zip(exported["steps"], raw, strict=True)):
        observation = theirs.get(SPACED) if SPACED in theirs else theirs.get("next_observation")
        kept = {key: theirs[key] for key in ("input", "output") if key in theirs and theirs[key] != ours[key]}
        if observation != ours.get(SPACED, ours.get("next_observation")):
            kept["observation"] = observation
        if kept:
            texts[str(number)] = kept
    more = {"texts": texts} if texts else {}
    if record.get("score") != exported["score"] or isinstance(record.get("score"), bool):
        more["score"] = record.get("score")
    if not more:
        return made
    return dataclasses.replace(made, extra=made.extra | more)
