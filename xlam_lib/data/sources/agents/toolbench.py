"""ToolBench: tool use found by searching a tree of actions; the accepted path becomes the trajectory (notebook 01).

Raw record (one file each, named by query and method; shortened):

    {"win": true, "tree": {"size": 10, "max_length": 10, "tree": {"node_type": "Action Input", "children": [...]}},
     "answer_generation": {"valid_data": true, "finish_type": "give_answer", "query": "Help me find ...",
       "final_answer": "{\\"return_type\\": ...}", "function": [{"name": "transitaire_for_transitaires", ...}],
       "train_messages": [..., [{"role": "system", "content": "You are AutoGPT, ..."},
         {"role": "user", "content": "\\nHelp me find ...\\nBegin!\\n"},
         {"role": "assistant", "content": null, "function_call": {
            "name": "transitaire_for_transitaires", "arguments": "{\\n  \\"is_id\\": \\"Gondrand\\"\\n}"}},
         {"role": "function", "name": "transitaire_for_transitaires",
          "content": "{\\"error\\": \\"\\", \\"response\\": \\"\\"}"},
         {"role": "assistant", "content": null, "function_call": {"name": "Finish", "arguments": "{...}"}}]]}}

Decisions, from looking at the trees:
- `train_messages[-1]` is the accepted path. A search without one (`valid_data` false) still shows what an agent did:
  its last explored branch is kept, tagged "failed_search", with success False.
- Text beside a call is the agent's thought: `reasoning`, native. A message without a call that another assistant
  message follows is a thought too and joins that turn.
- `Finish` stays a call, as the agent made it, the last one and unanswered; its text is in `extra["final_answer"]`.
- `win` says that the search ended in an answer, not that the answer is right: success stays unknown. Giving up is
  False.
- User messages with `"valid": false` come from the search ("this is not the first time you try ..."), not from a user:
  they leave the conversation and stand in `extra["search_hints"]`.
- A result whose "error" isn't empty is marked `is_error`.
- Calls of functions that don't exist and arguments that aren't JSON lose the record: `Drop`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from xlam_lib.data.accounting import Drop
from xlam_lib.data.formats.base import (
    SPEAKER,
    SourceInfo,
    cached_by_value,
    need,
    need_declared,
    need_objects,
    place,
    unique_tools,
)
from xlam_lib.data.formats.chat import StepBuilder, calls_of, parse_arguments
from xlam_lib.data.formats.tool_forms import lawful
from xlam_lib.data.siblings import Sibling
from xlam_lib.serialize import loads
from xlam_lib.trajectory import Outcome, Step, Task, Tool, ToolCall, Trajectory

FIELDS = (
    *("win", "try_count", "forward_args", "try_list"),
    *(f"answer_generation.{key}" for key in ("valid_data", "finish_type", "query", "final_answer", "function")),
    *(f"answer_generation.{key}" for key in ("query_count", "total_tokens", "chain", "train_messages")),
)
SEARCH = "what the search tried; its accepted path is the trajectory, what it left is read by `rejected_siblings`"
LEFT_OUT = {
    **{key: SEARCH for key in ("tree", "trys", "compare_candidates")},
    "answer_generation.train_messages[][].role": SPEAKER,
}
SOURCE = SourceInfo(
    name="toolbench",
    license="Apache-2.0",
    url="https://github.com/OpenBMB/ToolBench",
    files=("answer/G*_answer/*_DFS_woFilter_w2.json",),
    samples={
        "answer/G1_answer/10_ChatGPT_DFS_woFilter_w2.json": None,
        "answer/G2_answer/127_ChatGPT_DFS_woFilter_w2.json": None,
        "toolllama_answers/raw_answer/G1_demo/82217_ChatGPT_DFS_woFilter_w2.json": None,
    },
    version="2",
    fields=FIELDS,
    left_out=LEFT_OUT,
    layout={r"\bBegin!": "how a prompt ends"},
)
FINISH = "Finish"
OTHER_FORMS = {"api_list": "a query without an answer", "conversations": "a row of the first release, not a tree"}


def convert(record: dict[str, Any], where: str) -> list[Trajectory]:
    """One answer tree -> one trajectory, the accepted path (or the last failed branch)."""
    answer = _answer(record)
    notes: list[str] = []
    tools = unique_tools([tool_of(raw, notes) for raw in need_objects(need(answer, "function", list), "function")])
    accepted = _accepted(answer)
    messages = accepted or list(_failed_branch(record, answer))
    builder, instruction, hints = _walk(messages, answer)
    calls = [call for step in builder.steps for call in step.tool_calls]
    need_declared([call.name for call in calls], tools)
    finish = calls[-1].arguments if calls and calls[-1].name == FINISH else {}
    raw_id = place(where)
    extra = {"final_answer": finish.get("final_answer", ""), "search_hints": hints, "repairs": builder.repairs}
    kind = answer.get("finish_type")
    extra |= {"unknown_types": notes, "finish_type": kind if kind != finish.get("return_type") else ""}
    return [
        Trajectory(
            trajectory_id=f"{SOURCE.name}/{raw_id}",
            source=SOURCE.source(raw_id),
            task=Task(instruction, task_id=raw_id),
            tools=tools,
            steps=tuple(builder.steps),
            outcome=_outcome(record, bool(accepted), finish.get("return_type")),
            tags=("multi_step",) if accepted else ("multi_step", "failed_search"),
            extra={key: value for key, value in extra.items() if value},
        )
    ]


def _answer(record: dict[str, Any]) -> dict[str, Any]:
    for key, form in OTHER_FORMS.items():
        if key in record and "answer_generation" not in record:
            raise Drop(f"{form}: no trajectory to convert")
    return need(record, "answer_generation", dict)


def tool_of(raw: dict[str, Any], notes: list[str]) -> Tool:
    """A tool as ToolBench declares it to the model; `notes` gets what JSON Schema refuses of it."""
    return _tool(notes, raw)


@cached_by_value
def _tool(notes: list[str], raw: dict[str, Any]) -> Tool:
    description = raw.get("description") or ""
    if not isinstance(description, str):
        raise Drop("tool description is not text", f"{raw.get('name')}: {str(description)[:80]!r}")
    schema = raw.get("parameters") or {"type": "object", "properties": {}}
    if not isinstance(schema, dict):
        raise Drop("tool parameters are not an object", f"{raw.get('name')}: {str(schema)[:80]!r}")
    name = need(raw, "name", str)
    return Tool(name, description, lawful(schema, name, notes))


def _accepted(answer: dict[str, Any]) -> list[dict[str, Any]]:
    paths = answer.get("train_messages") or []
    if not isinstance(paths, list):
        raise Drop("'train_messages' is not a list", f"found {type(paths).__name__}")
    return need_objects(paths[-1], "train_messages") if paths else []


def _outcome(record: dict[str, Any], accepted: bool, finish: Any) -> Outcome:
    checks = {"win": bool(record.get("win")), "finish": str(finish or "")}
    if not accepted or finish != "give_answer":
        return Outcome(success=False, termination="failure", checks=checks)
    return Outcome(termination="success", checks=checks)


def _walk(messages: list[dict[str, Any]], answer: dict[str, Any]) -> tuple[StepBuilder, str, list[dict[str, Any]]]:
    """(steps, system text, what the search added in the user's name) of the messages of one path."""
    builder, instruction, hints, thought = StepBuilder(), "", [], ""
    for message in messages:
        role, content = message.get("role"), message.get("content") or ""
        if not isinstance(content, str):
            raise Drop("message content is not text", f"{role}: {type(content).__name__}")
        if role == "system" and not builder.steps:
            instruction = content.strip()
        elif role == "user" and message.get("valid") is False:
            hints.append({"before_step": len(builder.steps), "content": content})
        elif role == "user":
            if thought:
                builder.assistant(content=thought)
                thought = ""
            builder.user(_query(content, answer))
        elif role == "assistant":
            thought = "\n".join(part for part in (thought, content) if part)
            if calls := calls_of(message):
                builder.assistant(calls=calls, reasoning=thought)
                thought = ""
        elif role in ("function", "tool"):
            builder.result(content, message.get("name") or "", is_error=is_error(content))
        else:
            raise Drop("message of an unknown role", f"{role!r}")
    if thought:
        builder.assistant(content=thought)
    return builder, instruction, hints


def _query(content: str, answer: dict[str, Any]) -> str:
    """The user's words without what the prompt put around them."""
    text = content.strip().removesuffix("Begin!").strip()
    query = answer.get("query")
    return query if isinstance(query, str) and query.strip() == text else text


def is_error(content: str) -> bool:
    """{"error": "...", "response": "..."} with an error; long results are cut off and no longer JSON."""
    try:
        value = loads(content)
    except (ValueError, RecursionError):
        return content.startswith('{"error": "') and not content.startswith('{"error": ""')
    return isinstance(value, dict) and bool(value.get("error"))


def _failed_branch(record: dict[str, Any], answer: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The last branch that a failed search explored, as the messages it would have had."""
    yield {"role": "user", "content": need(answer, "query", str)}
    thoughts, name, acted = [], "", False
    for node in _last_branch(record):
        kind, text = node.get("node_type"), str(node.get("description") or "")
        if kind == "Thought" and text:
            thoughts.append(text)
        elif kind == "Action":
            name = text
        elif kind == "Action Input" and name:
            call = {"name": name, "arguments": text}
            yield {"role": "assistant", "content": "\n".join(thoughts), "function_call": call}
            if name != FINISH:
                yield {"role": "function", "name": name, "content": str(node.get("observation") or "")}
            thoughts, name, acted = [], "", True
    if not acted:
        raise Drop("a search without any action")


def _last_branch(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Nodes from the root to the last leaf of a tree, or the last of several single chains."""
    if "tree" not in record and record.get("trys"):
        last = need_objects(record["trys"], "trys")[-1]
        yield from need_objects(last.get("chain"), "chain")
        return
    children = [need(need(record, "tree", dict), "tree", dict)]
    while children:
        yield children[-1]
        children = need_objects(children[-1].get("children") or [], "children")


@dataclass(frozen=True)
class _Move:
    """One decision in the tree: a thought, a call, what came back, and where one stands then."""

    thought: str
    name: str
    arguments: str
    observation: str
    node: dict[str, Any]


def rejected_siblings(record: dict[str, Any], where: str) -> list[Sibling]:
    """What the search tried at the states of the accepted path and left: raw stuff for preference pairs.

    Example: `rejected_siblings(tree, "G2_answer/127.json:1")[0].rejected.tool_calls[0].name`. Siblings that repeat the
    chosen call, call what doesn't exist or have broken arguments are left out.
    """
    if not _accepted(_answer(record)):
        return []
    steps = convert(record, where)[0].steps
    known = {tool["name"] for tool in record["answer_generation"]["function"]}
    turns = [(i, step) for i, step in enumerate(steps) if step.tool_calls]
    path = _match(need(need(record, "tree", dict), "tree", dict), [step for _, step in turns]) or []
    found = []
    for (index, chosen), (state, taken) in zip(turns, path, strict=False):
        for move in _moves(state):
            arguments = _arguments(move)
            if move is taken or arguments is None or move.name not in known or _same(move, chosen):
                continue
            call = ToolCall(move.name, arguments, chosen.tool_calls[0].id)
            origin = "native" if move.thought else "none"
            step = Step("assistant", reasoning=move.thought, tool_calls=(call,), reasoning_origin=origin)
            found.append(Sibling(index, chosen, step, move.observation))
    return found


def _match(state: dict[str, Any], turns: list[Step]) -> list[tuple[dict[str, Any], _Move]] | None:
    """The accepted path in the tree as (state, move taken there), or None; the same call may stand there twice."""
    if not turns:
        return []
    for move in _moves(state):
        if _same(move, turns[0]) and (rest := _match(move.node, turns[1:])) is not None:
            return [(state, move), *rest]
    return None


def _moves(state: dict[str, Any], thought: str = "", name: str = "") -> list[_Move]:
    """The decisions taken at a state: chains Thought* -> Action -> Action Input below it."""
    moves = []
    for node in need_objects(state.get("children") or [], "children"):
        kind, text = node.get("node_type"), str(node.get("description") or "")
        if kind == "Thought":
            moves += _moves(node, "\n".join(part for part in (thought, text) if part), name)
        elif kind == "Action":
            moves += _moves(node, thought, text)
        elif kind == "Action Input":
            moves.append(_Move(thought, name, text, str(node.get("observation") or ""), node))
    return moves


def _arguments(move: _Move) -> dict[str, Any] | None:
    try:
        return parse_arguments(move.arguments, move.name)[0]
    except Drop:
        return None


def _same(move: _Move, turn: Step) -> bool:
    call = turn.tool_calls[0]
    return move.name == call.name and _arguments(move) == call.arguments
