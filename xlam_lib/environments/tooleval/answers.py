"""Answers in ToolEval's form: what was called, one step nested in the other, for rules and judges (notebook 05).

    {"query": "...", "available_tools": [...], "answer": {"method": "CoT@1", "total_steps": 4, "final_answer": "{...}",
       "answer_details": [{"role": "system", "message": "", "next": [{"role": "user", "message": "", "next": [
         {"role": "tool", "message": {"name": "f", "arguments": "{}", "response": "{...}"}, "next": [...]}]}]}]}}

    converted(run, "CoT@1")              # a raw run of ToolBench's search, as convert_to_answer_format.py does
    of_trajectory(trajectory, actions)   # an episode of ours
    shown_steps(record)                  # ("Step 1: {...}", "Final step: {...}"), as a judge sees them

Rules read from `toolbench/tooleval` of https://github.com/OpenBMB/ToolBench (there every message is cut to 100
characters) and https://github.com/THUNLP-MT/StableToolBench (whole). Those draw one of several failed tries by a global
generator, here the last is taken.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from xlam_lib.agents.manual import Actions
from xlam_lib.environments.tooleval.apis import ToolEvalError
from xlam_lib.schema import ToolCall
from xlam_lib.trajectory import Trajectory
from xlam_lib.views import tools_to_openai

FINISH = "Finish"
CUT = 100  # characters of a message that ToolBench's own conversion keeps
NAME = re.compile(r"\{'name': '([^']*)'")
Node = tuple[str, Any]  # role and message


@dataclass(frozen=True)
class Called:
    """One call of an answer: `Called("f", '{"city": "Oslo"}', '{"error": "", "response": 4}')`."""

    name: str
    arguments: str
    response: str = ""

    @property
    def message(self) -> dict[str, str]:
        """As a node has it."""
        return {"name": self.name, "arguments": self.arguments, "response": self.response}

    def read(self) -> dict[str, Any]:
        """Its arguments; {} where they are no JSON object."""
        try:
            found = json.loads(self.arguments, strict=False)
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    def read_finish(self) -> dict[str, Any]:
        """The arguments of `Finish`, of which ToolBench takes what it finds where they are no JSON."""
        found = self.read()
        if not found and '"return_type": "give_answer"' in self.arguments:
            _, named, answer = self.arguments.partition('"final_answer": "')
            return {"return_type": "give_answer"} | ({"final_answer": answer} if named else {})
        return found

    @property
    def failed(self) -> bool:
        """Whether its answer reports an error; an answer that was cut is judged by how it begins."""
        try:
            found = json.loads(self.response)
        except (ValueError, RecursionError):
            return not self.response.startswith('{"error": "", ')
        return not isinstance(found, dict) or bool(found.get("error"))


def converted(run: Mapping[str, Any], method: str, cut: int = 0) -> dict[str, Any]:
    """A raw run in ToolEval's form; `cut` as in ToolBench's own conversion (`CUT`), 0 for whole messages."""
    try:
        answer = run["answer_generation"]
        if answer["valid_data"]:
            nodes = list(_accepted(answer["train_messages"][-1]))
        elif "trys" in run:
            nodes = list(_chain(run["trys"][-1]["chain"]))
        else:
            nodes = list(_chain(_branch(run["tree"]["tree"])))
        return record(answer["query"], answer["function"], nodes, method, answer["final_answer"], cut)
    except (KeyError, IndexError, TypeError) as error:
        raise ToolEvalError(f"a run by {method} lacks {error!r}; expected an answer file of ToolBench") from error


def record(
    query: str, tools: Sequence[Mapping[str, Any]], nodes: Sequence[Node], method: str, final_answer: str, cut: int = 0
) -> dict[str, Any]:
    """Nodes after the user's, in ToolEval's form: `record("Hi", [], [("assistant", "Hello.")], "CoT@1", "")`."""
    following: list[dict[str, Any]] = []
    for role, message in reversed([("user", query if cut else ""), *nodes]):
        shown = str(message)[:cut] if cut else message
        following = [{"role": role, "message": shown, "next": following}]
    answer = {
        "method": method,
        "total_steps": len(nodes) + 2,  # with those of system and user
        "final_answer": final_answer,
        "answer_details": [{"role": "system", "message": "", "next": following}],
    }
    return {"query": query, "available_tools": list(tools), "answer": answer}


def _accepted(messages: Sequence[Mapping[str, Any]]) -> Iterator[Node]:
    """The nodes of an accepted path; what the search said in the user's name is none."""
    responses = {one["tool_call_id"]: one["content"] for one in messages if one.get("tool_call_id")}
    for at, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        if call := message.get("function_call"):
            response = "" if call["name"] == FINISH else messages[at + 1]["content"]
            yield "tool", Called(call["name"], call["arguments"], response).message
        elif calls := message.get("tool_calls"):
            for call in calls:
                name, arguments = call["function"]["name"], call["function"]["arguments"]
                yield "tool", Called(name, arguments, responses.get(call["id"], "") if name != FINISH else "").message
        else:
            yield "assistant", message["content"]


def _chain(nodes: Sequence[Mapping[str, Any]]) -> Iterator[Node]:
    """The nodes of a search: Thought, or Action and its Action Input."""
    name = ""
    for node in nodes:
        if node["node_type"] == "Thought":
            yield "assistant", node["description"]
        elif node["node_type"] == "Action":
            name = node["description"]
        else:
            yield "tool", Called(name, node["description"], node["observation"]).message


def _branch(root: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The last branch of a tree, without its root."""
    branch, children = [], root["children"]
    while children:
        branch.append(children[-1])
        children = children[-1].get("children") or []
    return branch


def of_trajectory(trajectory: Trajectory, actions: Actions | None = None) -> dict[str, Any]:
    """An episode in ToolEval's form, up to its end; with `actions` words that are an action are calls, too."""
    nodes: list[Node] = []
    final = ""
    responses = {step.tool_call_id: step.content for step in trajectory.steps if step.role == "tool"}
    following = [*trajectory.steps[1:], None]
    for step, after in zip(trajectory.steps, following, strict=True):
        if step.role != "assistant":
            continue
        calls = [(call, responses.get(call.id, "")) for call in step.tool_calls]
        found = actions.parse(step.content) if actions and not calls else None
        if found:
            calls = [(ToolCall(*found), after.content if after else "")]
        if words := step.reasoning or ("" if found else step.content):
            nodes.append(("assistant", words))
        for call, response in calls:
            arguments = arguments_text(call.arguments)
            nodes.append(("tool", Called(call.name, arguments, "" if call.name == FINISH else response).message))
            if call.name == FINISH:
                final = arguments
                if ends(call.arguments):
                    break
    query = next((step.content for step in trajectory.steps if step.role == "user"), trajectory.task.instruction)
    tools = [tool["function"] for tool in tools_to_openai(trajectory.tools)]
    return record(query, tools, nodes, str(trajectory.extra.get("agent", "")), final)


def ends(finish: Mapping[str, Any]) -> bool:
    """Whether a call of `Finish` ends the task: `ends({"return_type": "give_answer"})` -> False, for lack of one."""
    kind = finish.get("return_type")
    return kind == "give_up_and_restart" or (kind == "give_answer" and "final_answer" in finish)


def arguments_text(arguments: Mapping[str, Any]) -> str:
    """Arguments as JSON, "{}" for what can't be: `arguments_text({"city": "Oslo"})` -> '{"city": "Oslo"}'."""
    try:
        return json.dumps(arguments, ensure_ascii=False)
    except (RecursionError, ValueError, TypeError):  # nested too deeply, or in itself
        return "{}"


def path_of(record: Mapping[str, Any]) -> list[Node]:
    """The nodes from system to the last: [("system", ""), ("user", ""), ("tool", {"name": ...})]."""
    nodes, following = [], record["answer"]["answer_details"]
    while following:
        nodes.append((following[0]["role"], following[0]["message"]))
        following = following[0]["next"]
    return nodes


def calls_of(record: Mapping[str, Any]) -> list[Called]:
    """The calls of an answer whose messages are whole, `Finish` among them."""
    messages = [message for role, message in path_of(record) if role == "tool" and isinstance(message, dict)]
    return [Called(*(_as_text(message.get(key)) for key in ("name", "arguments", "response"))) for message in messages]


def _as_text(value: Any) -> str:
    """Some recorded responses are objects instead of their JSON."""
    return value if isinstance(value, str) else json.dumps(value) if value is not None else ""


def names_called(record: Mapping[str, Any]) -> list[str]:
    """The names of all functions that were called, also of messages that were cut: ["f", "Finish"]."""
    messages = [message for role, message in path_of(record) if role == "tool"]
    names = [NAME.match(one) if isinstance(one, str) else one["name"] for one in messages]
    return [(name if isinstance(name, str) else name[1]) if name else "" for name in names]


def shown_steps(record: Mapping[str, Any]) -> tuple[str, str]:
    """(all calls, the last call) as ToolEval shows them to a judge and keeps them beside its verdicts."""
    shown = [str(message) for role, message in path_of(record) if role == "tool" and message]
    steps = [f"Step {number}: {text}" for number, text in enumerate(shown, start=1)]
    return "\n".join(steps), f"Final step: {shown[-1]}" if shown else ""
