"""Synatra's records: a web page, an objective and past actions as Python -> the next call (notebook 01).

No source itself; see `adp_other.py` for a record. The response, taken apart:

    # step 2: The menu is open ...                 reasoning, with all lines before the call
    click(element_id="23")                         the call
    # step summary: Click on the 'Menu' button     content
"""

from __future__ import annotations

import ast
import json
import re
from typing import Any

from xlam_lib.data.accounting import Drop
from xlam_lib.data.formats.base import SourceInfo, content_id, need
from xlam_lib.data.formats.schemas import tool_of_calls
from xlam_lib.data.formats.turn_layouts import LAYOUTS, literal
from xlam_lib.trajectory import Step, Task, ToolCall, Trajectory

USUAL = "{thought}\n{call}\n{content}"
LINE = re.compile(r"^[ \t]*[A-Za-z_]\w*\(.*\)[ \t]*$", re.MULTILINE)
OPENING = re.compile(r'"""(.*?)"""\n(.+)', re.DOTALL)
PAST = "# past actions\n"


def trajectory_of(record: dict[str, Any], source: SourceInfo) -> Trajectory:
    """The trajectory of one step: the prompt, and the call."""
    prompt, response = need(record, "prompt", str), need(record, "response", str)
    if not prompt or not response.strip():
        raise Drop("a query without an answer: no trajectory to convert")
    opening = OPENING.fullmatch(prompt)
    instruction, question = (opening[1], opening[2]) if opening else ("", prompt)
    calls = _calls(response)
    past = [(name, arguments) for name, arguments, _ in _calls(question.rpartition(PAST)[2])]
    layouts: dict[str, str] = {}
    if calls:
        step = _turn(response, calls[-1], layouts)
        past.append((step.tool_calls[0].name, step.tool_calls[0].arguments))
    else:
        step = Step("assistant", response, trainable=False)
    names = sorted({name for name, _ in past})
    raw_id = "synatra-" + (str(record["id"]) if isinstance(record.get("id"), str | int) else content_id(record))
    extra = {"environment": "web", "inferred_tools": names, LAYOUTS: layouts}
    return Trajectory(
        trajectory_id=f"{source.name}/{raw_id}",
        source=source.source(raw_id),
        task=Task(instruction, task_id=raw_id),
        tools=tuple(tool_of_calls(name, [a for other, a in past if other == name]) for name in names),
        steps=(Step("user", question), step),
        tags=("web",),
        extra={key: value for key, value in extra.items() if value},
    )


def native(t: Trajectory) -> str:
    """The response as it was: "# step 2: ...\\nclick(element_id=\\"23\\")\\n# step summary: ..."."""
    step = t.steps[-1]
    if not step.tool_calls:
        return step.content
    call = step.tool_calls[0]
    layout = t.extra.get(LAYOUTS, {}).get(call.id, USUAL)
    return layout.format(thought=step.reasoning, content=step.content, call=_native_text(call.name, call.arguments))


def _turn(response: str, found: tuple[str, dict[str, Any], re.Match[str]], layouts: dict[str, str]) -> Step:
    name, arguments, line = found
    before, after = response[: line.start()], response[line.end() :]
    thought, content = before.strip(), after.strip()
    text = line[0].strip()
    parts = [
        _around(before, thought, "{thought}"),
        line[0].replace(text, "\0").replace("\0", "{call}" if _native_text(name, arguments) == text else literal(text)),
        _around(after, content, "{content}"),
    ]
    call = ToolCall(name, arguments, "call_0")
    if "".join(parts) != USUAL:
        layouts[call.id] = "".join(parts)
    return Step("assistant", content, thought, (call,), reasoning_origin="native" if thought else "none")


def _around(text: str, inner: str, slot: str) -> str:
    """The text with its inner part replaced by a slot; what is around it is space."""
    if not inner:
        return text
    at = text.index(inner)
    return text[:at] + slot + text[at + len(inner) :]


def _calls(text: str) -> list[tuple[str, dict[str, Any], re.Match[str]]]:
    """Lines that are a call with literal keyword arguments: (name, arguments, line)."""
    found = []
    for line in LINE.finditer(text):
        try:
            node = ast.parse(line[0].strip(), mode="eval").body
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.args:
                continue
            arguments = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in node.keywords}
            if json.loads(json.dumps(arguments, allow_nan=False)) != arguments or "None" in arguments:
                continue
        except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
            continue
        found.append((node.func.id, arguments, line))
    return found


def _native_text(name: str, arguments: dict[str, Any]) -> str:
    """A call as most records write it: `click(element_id="93")`."""
    return f"{name}({', '.join(f'{key}={_literal(value)}' for key, value in arguments.items())})"


def _literal(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
