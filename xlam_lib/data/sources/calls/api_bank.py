"""API-Bank: dialogues in which an assistant serves a user by calling APIs, one dialogue a file (notebook 01).

Raw record (the turns of a .jsonl file, shortened):

    {"role": "User", "text": "Can you add a schedule for me at 2pm on September 12th called ...?"}
    {"role": "AI", "text": "Absolutely. To schedule the meeting, I first need to authenticate your account. ..."}
    {"role": "User", "text": "My username is JaneSmith, ... and my password is password."}
    {"role": "API", "api_name": "GetUserToken", "param_dict": {"username": "JaneSmith", "password": "password"},
     "result": {"api_name": "GetUserToken", "input": {...}, "output": {"token": "o8i7u6y5"}, "exception": null}}
    {"role": "AI", "text": "Your schedule and alarm have been successfully added."}

Decisions, from looking at the dialogues:
- A file is one record: `split` takes it whole. A line that isn't JSON loses the dialogue: a turn would be missing. One
  published file is empty.
- What the AI says right before it calls an API is the content of the turn that calls.
- The result is what the API gave as output, as JSON unless it is text; an exception makes it an error.
- Dialogues don't say which APIs there were. Those that the file's name lists were described to the model, so they are
  the tools, as `api_bank_tools.py` has them, with those called; of a dialogue that begins with the search for tools
  only ToolSearcher and those found and called. An API that nothing describes is inferred from its calls and named in
  `extra["inferred_tools"]`.
- Arguments are texts even where the API says "int" ("room_count": "1"): kept, and counted as warnings.
- The .txt files are plans: a first utterance, what the user knows, and the right calls. They become one turn with all
  calls, since what the user knows ("Key Info") stands with the utterance; tags "gold" and "plan".
- Success isn't recorded: unknown.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from xlam_lib.data.accounting import Drop
from xlam_lib.data.formats.api_requests import parse_request, render_request, searched_tools
from xlam_lib.data.formats.base import SPEAKER, SourceInfo, content_id, need, need_objects, place
from xlam_lib.data.formats.flat_tools import with_inferred
from xlam_lib.data.formats.native_actions import ActionBuilder, native_texts
from xlam_lib.data.sources.catalogs.api_bank_tools import TOOLS
from xlam_lib.trajectory import Task, Tool, ToolCall, Trajectory

FOLDER = "lv1-lv2-samples/level-"
SOURCE = SourceInfo(
    name="api_bank",
    license="Apache-2.0",
    url="https://github.com/AlibabaResearch/DAMO-ConvAI/tree/main/api-bank",
    files=("lv1-lv2-samples/*/*.jsonl", "lv3-samples/*.txt"),
    text_files=("*.jsonl", "*.txt"),
    samples={
        f"{FOLDER}1-given-desc/AddAgenda-AddAlarm-GetUserToken-level-2-1.jsonl": None,
        f"{FOLDER}2-toolsearcher/BookHotel-level-3-1.jsonl": None,
        "lv3-samples/Reminder.txt": None,
        "lv3-samples/Hospital.txt": None,
    },
    version="2",
    fields=(
        "plan",
        *(f"turns[].{key}" for key in ("role", "text", "api_name", "param_dict")),
        *(f"turns[].result.{key}" for key in ("api_name", "input", "output", "exception")),
    ),
    left_out={"turns[].role": SPEAKER},
    layout={r"^(Scene|First Utterance|API Calls?):": "headings of a plan"},
)
PLAN = re.compile(r"(?>(.*?)^First Utterance:)[ \t]*(.*?)^API Calls?:(.*)", re.DOTALL | re.MULTILINE)


def split(text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """The one record of a file: the turns of a dialogue, or a plan's text."""
    if text.strip() and not text.lstrip().startswith("{"):
        yield 1, {"plan": text}
    else:
        yield 1, {"turns": [_turn(line) for line in text.split("\n") if line.strip()]}


def _turn(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return {"role": "not JSON", "text": line[:200]}


def convert(record: dict[str, Any], where: str) -> list[Trajectory]:
    """One dialogue or plan -> one trajectory."""
    plan = "plan" in record
    if not plan and "turns" not in record:
        texts = bool(record) and all(isinstance(value, list | str) for value in record.values())
        kind = "a table of error texts: no trajectory to convert" if texts else "a record of an unknown kind"
        raise Drop(kind, f"keys {', '.join(map(repr, list(record)[:3])) or 'none'}")
    scene = ""
    if plan:
        builder, scene = _plan(need(record, "plan", str))
    else:
        builder = _dialogue(need_objects(record["turns"], "turns"))
    raw_id = place(where) or content_id(record)
    tools, inferred = with_inferred(_tools(raw_id, builder, plan), builder.steps)
    extra = {"inferred_tools": inferred, "scene": scene}
    return [
        Trajectory(
            trajectory_id=f"{SOURCE.name}/{raw_id}",
            source=SOURCE.source(raw_id),
            task=Task(task_id=raw_id),
            tools=tools,
            steps=tuple(builder.steps),
            tags=("gold", "plan") if plan else ("multi_turn",),
            extra=builder.kept() | {key: value for key, value in extra.items() if value},
        )
    ]


def native(trajectory: Trajectory) -> list[str]:
    """Each call as the file has it: '"api_name": "GetToday", "param_dict": {}', or "GetToday()" in a plan."""
    return native_texts(trajectory, _request if "plan" in trajectory.tags else _fragment)


def _request(call: ToolCall) -> str:
    return render_request(call.name, call.arguments)


def _fragment(call: ToolCall) -> str:
    return f'"api_name": {json.dumps(call.name)}, "param_dict": {json.dumps(call.arguments)}'


def _dialogue(turns: list[dict[str, Any]]) -> ActionBuilder:
    builder, content = ActionBuilder(), ""
    for turn in turns:
        role = turn.get("role")
        if role == "API":
            _call(builder, turn, content)
            content = ""
            continue
        if content:
            builder.assistant(content)
            content = ""
        if role == "AI":
            content = need(turn, "text", str)
        elif role == "User":
            builder.user(need(turn, "text", str))
        else:
            raise Drop("turn of an unknown role", f"{role!r}: {str(turn.get('text'))[:80]}")
    if content:
        builder.assistant(content)
    if not builder.steps or builder.steps[0].role != "user":
        raise Drop(
            "a dialogue without its beginning", "no turn at all" if not turns else f"begins with {turns[0]!r}"[:200]
        )
    return builder


def _call(builder: ActionBuilder, turn: dict[str, Any], content: str) -> None:
    name, arguments = need(turn, "api_name", str), need(turn, "param_dict", dict)
    text = _fragment(ToolCall(name, arguments))
    builder.parallel([(name, arguments, text)], lambda *call: _fragment(ToolCall(*call)), content=content)
    result = turn.get("result")
    whole = result if isinstance(result, dict) else {"output": result}
    failed = whole.get("exception")
    builder.result(_text(failed if failed else whole.get("output", whole)), is_error=bool(failed))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _plan(text: str) -> tuple[ActionBuilder, str]:
    """(the turn with the calls of a plan, the scene that it is set in)."""
    found = PLAN.match(text)
    if not found:
        raise Drop("a plan without calls")
    builder, calls = ActionBuilder(), []
    for line in filter(str.strip, found[3].splitlines()):
        request = parse_request(line)
        if request is None:
            raise Drop("a call that can't be read", line[:120])
        calls.append((*request, line.strip()))
    builder.user(re.sub(r"\n{3,}", "\n\n", found[2]).strip())
    builder.parallel(calls, render_request)
    return builder, found[1].strip()


def _tools(raw_id: str, builder: ActionBuilder, plan: bool) -> list[Tool]:
    """Tools that are known: those of the file's name, those called, and what a search for tools gave."""
    called = [call.name for step in builder.steps for call in step.tool_calls]
    named = re.sub(r"-level-.*", "", raw_id.rpartition("/")[2]).split("-")
    names = [*([] if plan or "ToolSearcher" in called else named), *called]
    found = searched_tools(builder.steps)
    return [(TOOLS.get(name) or found[name]) for name in names if name in TOOLS or name in found]
