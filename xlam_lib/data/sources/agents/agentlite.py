"""AgentLite: a task and the chain of actions and observations by which an agent did it (notebook 01).

Raw record, a task package with its chain (shortened), or the same as text (.txt), as AgentLite writes it into prompts:

    {"task": {"instruction": "What is the weather in Oslo?", "completion": "completed", "answer": "4 degrees", ...},
     "actions": [{"name": "GetWeather", "description": "Weather of a city", "parameters": {"city": "its name"}}],
     "action_chain": [[{"name": "Think", "params": {"response": "I should look it up."}}, "OK"],
                      [{"name": "GetWeather", "params": {"city": "Oslo"}}, "4 degrees"],
                      [{"name": "Finish", "params": {"response": "4 degrees"}}, "4 degrees"]], "reward": 1.0}

    Task:What is the weather in Oslo?
    Action:Think[{"response": "I should look it up."}]
    Observation: OK
    Action:GetWeather[{"city": "Oslo"}]
    Observation: 4 degrees

Decisions, from the framework's sources (it publishes no chains but the examples in its prompts):
- One `Think` that is answered by "OK" and followed by an action of another kind is that turn's `reasoning`, native.
  `Plan`, several thoughts in a row and thoughts at the end stay calls, as `Finish` does: they are actions there.
- What a chain calls without documenting it is inferred; `Think`, `Plan` and `Finish` are known.
- A line that isn't `Name[{...}]` is a text that isn't learnt from, and its observation the user's message.
- The reward is as the record says; "completed" says that the agent finished, not that it was right: success unknown.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from xlam_lib.data.accounting import Drop
from xlam_lib.data.formats.api_requests import json_or_literal
from xlam_lib.data.formats.base import SourceInfo, as_reward, content_id, need, need_objects
from xlam_lib.data.formats.flat_tools import with_inferred
from xlam_lib.data.formats.native_actions import ActionBuilder
from xlam_lib.data.formats.tool_forms import lawful_tools
from xlam_lib.data.formats.transcripts import line_numbers
from xlam_lib.trajectory import Outcome, Task, Tool, Trajectory

ACTION = re.compile(r"(?:Action: ?)?(?P<name>\w+)\[(?P<arguments>.*)\]", re.DOTALL)
DOCUMENT = re.compile(r"\[Action_Doc\]\n(.*?)(\n\[End of Action_Doc\]|\Z)", re.DOTALL)
SOURCE = SourceInfo(
    name="agentlite",
    license="Apache-2.0",
    url="https://github.com/SalesforceAIResearch/AgentLite",
    files=("*.json", "*.jsonl", "*.txt"),
    text_files=("*.txt",),
    version="2",
    fields=("task", "actions", "action_chain", "reward"),
    layout={r"^(Task|Action|Observation):": "labels of the steps", r"^OK$": "what answers a thought"},
)
INNER = {
    "Think": "Conduct thinking and reasoning process for solving task.",
    "Plan": "Plan step-by-step solutions for a task.",
    "Finish": "Complete the task with a response.",
}
OK = "OK"
TASK = re.compile(r"^Task: ?", re.MULTILINE)
STEP = re.compile(r"^Action: ?(.*?)(?:\nObservation: ?(.*?))?(?=^Action:|\Z)", re.DOTALL | re.MULTILINE)


def split(text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """The chains of a text, each from its "Task:" on."""
    starts, line_of = [found.start() for found in TASK.finditer(text)], line_numbers(text)
    for start, end in zip(starts, [*starts[1:], len(text)], strict=False):
        chain = text[start:end]
        task = TASK.sub("", chain.partition("\nAction:")[0], count=1).strip()
        steps = [[found[1], (found[2] or "").rstrip("\n")] for found in STEP.finditer(chain)]
        yield line_of(start), {"task": {"instruction": task}, "action_chain": steps}


def convert(record: dict[str, Any], where: str) -> list[Trajectory]:
    """One task with its chain -> one trajectory."""
    task = record.get("task")
    task = {"instruction": task} if isinstance(task, str) else need(record, "task", dict)
    chain = need(record, "action_chain", list)
    if not chain:
        raise Drop("a task without an action: no trajectory to convert")
    builder = ActionBuilder()
    builder.user(need(task, "instruction", str))
    _walk([_step(item) for item in chain], builder)
    documented = [tool_of_document(raw) for raw in need_objects(record.get("actions") or [], "actions")]
    notes: list[str] = []
    declared = lawful_tools([tool for tool in documented if tool is not None], notes)
    called = {call.name for step in builder.steps for call in step.tool_calls} - {tool.name for tool in declared}
    tools, inferred = with_inferred([*declared, *(_inner(name) for name in INNER if name in called)], builder.steps)
    reward = as_reward(record.get("reward"))
    raw_id = task["task_id"] if isinstance(task.get("task_id"), str) and task["task_id"] else content_id(record)
    extra = {key: value for key, value in task.items() if key not in ("instruction", "task_id")}
    extra["inferred_tools"] = inferred
    extra["unknown_types"] = notes
    return [
        Trajectory(
            trajectory_id=f"{SOURCE.name}/{raw_id}",
            source=SOURCE.source(raw_id),
            task=Task(task_id=raw_id),
            tools=tools,
            steps=tuple(builder.steps),
            outcome=Outcome(reward=reward),
            tags=("multi_step",),
            extra=builder.kept() | {key: value for key, value in extra.items() if value},
        )
    ]


def native(trajectory: Trajectory) -> list[str]:
    """Each action as a chain has it, thoughts included: 'Think[{"response": "I should look it up."}]'."""
    kept, unread = trajectory.extra.get("native", {}), trajectory.extra.get("unread_actions", ())
    texts: list[str] = []
    for i, step in enumerate(trajectory.steps):
        if step.reasoning:
            thought = kept.get(f"thought {step.tool_calls[0].id}") if step.tool_calls else None
            texts.append(thought or render_action("Think", {"response": step.reasoning}))
        if i in unread:
            texts.append(step.content)
        texts += [kept.get(call.id) or render_action(call.name, call.arguments) for call in step.tool_calls]
    return texts


def _inner(name: str) -> Tool:
    parameters = {"response": "What is thought, planned or answered."}
    tool = tool_of_document({"name": name, "description": INNER[name], "parameters": parameters})
    assert tool is not None
    return tool


def _step(item: Any) -> tuple[tuple[str, dict[str, Any]] | None, str, str]:
    """(action or None, its text, what was observed) of one link of a chain."""
    action, observation = item if isinstance(item, list) and len(item) == 2 else (None, None)
    observation = "" if observation is None else observation if isinstance(observation, str) else str(observation)
    if isinstance(action, str):
        return parse_action(action), action, observation
    if isinstance(action, dict) and isinstance(action.get("name"), str) and action["name"]:
        arguments = action.get("params") or {}
        if isinstance(arguments, dict):
            return (action["name"], arguments), render_action(action["name"], arguments), observation
    raise Drop("a link that isn't an action and its observation", str(item)[:120])


def _walk(links: list[tuple[tuple[str, dict[str, Any]] | None, str, str]], builder: ActionBuilder) -> None:
    thought, native_text = "", ""  # the thought, and the text of its action
    for i, (action, text, observation) in enumerate(links):
        if action is None:
            builder.no_call(text, observation)
            continue
        if _is_thought(links, i):
            thought, native_text = action[1]["response"], text
            continue
        builder.act(*action, text, render_action, thought)
        if thought and native_text != render_action("Think", {"response": thought}):
            builder.native[f"thought call_{len(builder.raw_ids) - 1}"] = native_text
        builder.result(observation)
        thought = native_text = ""


def _is_thought(links: list[tuple[tuple[str, dict[str, Any]] | None, str, str]], i: int) -> bool:
    """Whether link `i` is a single thought before another action."""

    def name(at: int) -> str:
        action = links[at][0] if 0 <= at < len(links) else None
        return action[0] if action else ""

    action, _, observation = links[i]
    if name(i) != "Think" or observation != OK or action is None:
        return False
    fits = action[1].keys() == {"response"} and isinstance(action[1]["response"], str) and action[1]["response"] != ""
    return fits and name(i - 1) != "Think" and name(i + 1) not in ("", "Think")


def parse_action(text: str) -> tuple[str, dict[str, Any]] | None:
    """(name, arguments) of an action, whose arguments are JSON or a Python literal; None when it is none."""
    found = ACTION.fullmatch(text.strip())
    arguments = json_or_literal(found["arguments"]) if found else None
    return (found["name"], arguments) if found and isinstance(arguments, dict) else None


def render_action(name: str, arguments: dict[str, Any]) -> str:
    """The action as AgentLite writes it: `render_action("Finish", {"n": 4})` -> 'Finish[{"n": 4}]'."""
    return f"{name}[{json.dumps(arguments)}]"


def tool_of_document(raw: Any) -> Tool | None:
    """A tool from {"name", "description", "parameters": {parameter: what it is}}; a schema may stand there, too."""
    if not isinstance(raw, dict) or not isinstance(raw.get("name"), str) or not raw["name"]:
        return None
    parameters, about = raw.get("parameters") or {}, raw.get("description") or ""
    if not isinstance(parameters, dict):
        return None
    if not isinstance(parameters.get("properties"), dict):
        properties = {
            key: {"type": "string", "description": text} if isinstance(text, str) else {}
            for key, text in parameters.items()
        }
        parameters = {"type": "object", "properties": properties, "required": list(properties)}
    return Tool(raw["name"], about if isinstance(about, str) else "", parameters)


def action_tools(prompt: str) -> list[Tool]:
    """The tools of a prompt's [Action_Doc] block: a list of documents, or an object of descriptions."""
    found = DOCUMENT.search(prompt)
    value = json_or_literal(found[1]) if found and found[2] else None
    if isinstance(value, dict):
        value = [{"name": name, "description": text} for name, text in value.items()]
    tools = [tool_of_document(raw) for raw in value] if isinstance(value, list) else []
    return [tool for tool in tools if tool is not None]
