"""Answers as ToolEval, ToolBench's judge, converts them: steps nested in each other (notebook 01).

ToolBench publishes them cut to 100 characters a message, StableToolBench whole; the converters of `tooleval_default`
and `stabletoolbench` share what is here. Example: `one_by_one({"42700": {"query": ..., "answer": ...}})`.
"""

from __future__ import annotations

import ast
import codecs
import json
import re
from typing import Any

from msgspec.structs import replace

from xlam_lib.data.accounting import Drop
from xlam_lib.data.formats.base import SPEAKER, SourceInfo, need, need_objects, place, unique_tools
from xlam_lib.data.formats.native_actions import ActionBuilder, json_object, native_texts
from xlam_lib.data.sources.agents.toolbench import FINISH, is_error, tool_of
from xlam_lib.trajectory import Outcome, Task, Trajectory

CUT = 100  # what upstream's export leaves of a message
CALL = re.compile(r"""\{'name': (?P<name>'[^']*'|"[^"]*"), 'arguments': """)
CONVERTED = ("query", "query_id", "available_tools", "answer")  # fields of a converted answer
NODES = {"answer.answer_details[].**.role": SPEAKER}
SHOWN = {r"['\"](name|arguments|response)\b['\"]?:? ?": "keys of a message as Python shows it"}
RESPONSE = ", 'response': "
QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", re.DOTALL)


def one_by_one(value: dict[str, Any]) -> list[dict[str, Any]]:
    """The records of an object that holds one an id; any other object is a record itself."""
    if value and all(isinstance(item, dict) and "query" in item for item in value.values()):
        return [{"query_id": key, **item} for key, item in value.items()]
    return [value]


def convert_answer(record: dict[str, Any], where: str, source: SourceInfo) -> Trajectory:
    """One converted answer -> one trajectory."""
    answer = need(record, "answer", dict)
    notes: list[str] = []
    tools = unique_tools(
        [tool_of(raw, notes) for raw in need_objects(need(record, "available_tools", list), "available_tools")]
    )
    builder = _Answer({tool.name for tool in tools}, json_object(answer.get("final_answer")))
    builder.user(need(record, "query", str))
    for node in _path(answer):
        builder.node(node)
    builder.end()
    if len(builder.steps) == 1:
        raise Drop("an answer without any step")
    last = builder.steps[-1].tool_calls
    finish = last[0].arguments if last and last[0].name == FINISH else {}
    number = str(record.get("query_id") or "")
    raw_id = "/".join(part for part in (place(where).partition(":")[0], number) if part)
    extra = {"method": answer.get("method"), "final_answer": finish.get("final_answer", answer.get("final_answer"))}
    extra["unknown_types"] = notes
    return Trajectory(
        trajectory_id=f"{source.name}/{raw_id}",
        source=source.source(raw_id),
        task=Task(task_id=number or raw_id),
        tools=tools,
        steps=tuple(builder.steps),
        outcome=_outcome(finish.get("return_type")),
        tags=("multi_step", "cut_texts") if builder.cut else ("multi_step",),
        extra=builder.kept() | {key: value for key, value in extra.items() if value},
    )


def native_answer(trajectory: Trajectory) -> list[str]:
    """Each action as the nodes have it: "{'name': 'f', 'arguments': '{}'", up to where the arguments end."""
    return native_texts(trajectory, lambda call: _native_text(call.name, call.arguments))


def _native_text(name: str, arguments: dict[str, Any]) -> str:
    text = json.dumps(arguments, indent=2, ensure_ascii=False) if arguments else "{}"
    return f"{{'name': {name!r}, 'arguments': {text!r}"


def _path(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """The nodes from the first to the last; where there are several ways on, the last was the one taken."""
    path, nodes = [], need_objects(answer.get("answer_details"), "answer_details")
    while nodes:
        path.append(nodes[-1])
        nodes = need_objects(nodes[-1].get("next") or [], "next")
    return path


def _outcome(finish: Any) -> Outcome:
    checks = {"finish": str(finish or "")}
    if finish != "give_answer":
        return Outcome(success=False, termination="failure", checks=checks)
    return Outcome(termination="success", checks=checks)


class _Answer(ActionBuilder):
    """Steps of an answer in the making. What follows a cut text can't be learnt from."""

    def __init__(self, known: set[str], final: dict[str, Any] | None) -> None:
        super().__init__()
        self.known, self.final, self.thought, self.cut = known, final, "", False

    def node(self, node: dict[str, Any]) -> None:
        """One message of the path."""
        role, message = node.get("role"), node.get("message")
        if role == "assistant":
            text = need(node, "message", str)
            self.thought = "\n".join(part for part in (self.thought, text) if part)
            self.cut = self.cut or len(text) == CUT
        elif role == "tool":
            if isinstance(message, dict):
                self._whole(message)
            else:
                self._shown(need(node, "message", str))
        elif role not in ("system", "user"):
            raise Drop("message of an unknown role", f"{role!r}")

    def end(self) -> None:
        """The last message."""
        if self.thought:
            self.assistant(self.thought)
            self._mark()

    def _whole(self, message: dict[str, Any]) -> None:
        name, text = need(message, "name", str), need(message, "arguments", str)
        response = message.get("response") or ""
        response = response if isinstance(response, str) else json.dumps(response, ensure_ascii=False)
        self._add(name, json_object(text), f"{{'name': {name!r}, 'arguments': {text!r}", response)

    def _shown(self, text: str) -> None:
        """A message as Python shows it, perhaps cut."""
        found = CALL.match(text)
        name = found["name"][1:-1] if found else ""
        shown = _literal(text, found.end()) if found else None
        arguments = json_object(shown[0]) if shown else None
        if name == FINISH and arguments is None:
            self._add(name, self.final, text, "")
            return
        end = shown[1] if shown else len(text)
        self._add(name, arguments, text[:end] if arguments is not None else text, _rest(text, end))
        self.cut = self.cut or len(text) == CUT

    def _add(self, name: str, arguments: dict[str, Any] | None, text: str, response: str) -> None:
        thought, self.thought = self.thought, ""
        if arguments is None or name not in self.known:
            self.no_call(text, response, thought)
            return
        self.act(name, arguments, text, _native_text, thought)
        self._mark()
        if name != FINISH:
            self.result(response, name, is_error=is_error(response))

    def _mark(self) -> None:
        if self.cut:
            self.steps[-1] = replace(self.steps[-1], trainable=False)


def _literal(text: str, at: int) -> tuple[str, int] | None:
    """(value, end) of the quoted text that begins at `at`, or None where it is cut off."""
    found = QUOTED.match(text, at)
    if not found:
        return None
    escaped = found[0].replace("\n", "\\n")
    try:
        if escaped.isascii() and escaped.isprintable():  # quicker, and the same
            return codecs.decode(escaped[1:-1], "unicode_escape"), found.end()
        return ast.literal_eval(escaped), found.end()
    except (ValueError, SyntaxError):  # an escape that is none
        return None


def _rest(text: str, at: int) -> str:
    """The response as far as it is shown."""
    if not text.startswith(RESPONSE, at):
        return ""
    start = at + len(RESPONSE)
    whole = _literal(text, start)
    if whole:
        return whole[0]
    for cut in range(12):  # an escape may be cut in the middle
        try:
            return str(ast.literal_eval(text[start : len(text) - cut] + text[start : start + 1]))
        except (ValueError, SyntaxError):
            continue
    return ""
