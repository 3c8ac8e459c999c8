"""API-Bank's training and test texts: a dialogue so far, and the API request or answer that comes next (notebook 01).

Raw record (shortened; training rows have "output", and describe their tools at the top of the input):

    {"file": "QueryScene-level-1-3.jsonl", "id": 0,
     "instruction": "\\nGenerate an API request in the format of [ApiName(key1='value1', key2='value2', ...)] ...\\n
       The current year is 2023.\\n...\\nAPI descriptions:\\n{\\"name\\": \\"QueryScene\\", \\"description\\": ...}",
     "input": "User: Can you tell me about the devices included in the Morning Routine scene?\\nAI: Sure, ...\\n
       User: Morning Routine\\nGenerate API Request:\\n",
     "expected_output": "API-Request: [QueryScene(name='Morning Routine')]"}

and, in test-data_level-3.json, {"requirement": "Book a meeting ...", "response": "The meeting has been booked ...",
"apis": [{"api_name": "ToolSearcher", "input": {...}, "output": {"output": {...}, "exception": null}}]}.

Decisions, from looking at the records:
- What the AI says right before a request is the content of the turn that makes it. "->" begins the result of a request.
- Only the last turn, the expected output, may be learnt from: what stands before it are records of their own.
- Requests are written in many ways (bare or double-quoted values, no brackets, quotes within quotes); they are read,
  and the text stays in `extra["native"]` where our way of writing gives another one. What can't be read stays a text.
- Lines of the instruction on the format of requests are left out; the others ("The current year is 2023.") are kept,
  but where the time was left a blank ("{{time}}"). What tools give back ("output_parameters") is in `extra`.
- Tools: those described, those that ToolSearcher found, and, named in `extra["inferred_tools"]`, those only called.
- Values stay the texts that they are even where the API says "int"; such are counted as warnings.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

from xlam_lib.data.accounting import Drop
from xlam_lib.data.formats.api_requests import described, parse_request, render_request, searched_tools
from xlam_lib.data.formats.base import SourceInfo, content_id, need, need_objects, place
from xlam_lib.data.formats.flat_tools import with_inferred
from xlam_lib.data.formats.native_actions import ActionBuilder, json_object, native_texts
from xlam_lib.trajectory import Task, Tool, ToolCall, Trajectory

SOURCE = SourceInfo(
    name="api_bank_sft",
    license="Apache-2.0",
    url="https://huggingface.co/datasets/liminghao1630/API-Bank",
    files=("training-data/*.json", "test-data/*.json"),
    hub_id="liminghao1630/API-Bank",
    samples={
        "test-data_level-1-api.json": (2,),
        "test-data_level-1-response.json": (0,),
        "test-data_level-3.json": (3,),
        "training-data_lv3-response-train.json": (1,),
    },
    version="2",
    fields=(
        *("file", "id", "instruction", "input", "output", "expected_output", "requirement", "response"),
        *(f"apis[].{key}" for key in ("api_name", "input", "output")),
    ),
    layout={
        r"^(User|AI|API-Request|Generate API Request|Generate AI Response):": "labels of the turns",
        r"^Generate an API request in the format of \[ApiName\(key1='value1', key2='value2', ...\)\] based on the "
        r"(user's utterance and available API requests|previous dialogue context)\.$": "how to write a request",
        r"^Generate a response as an AI assistant based on the "
        r"(user's utterance and API Requests|previous dialogue context and API request)\.$": "what comes next",
        r"^(Input|Expected output|API descriptions):": "headings of the parts",
        r"User's [Uu]tter[ae]nce|AI's response": "an example",
        r"ApiName\(key1='value1', key2='value2', ...\)": "an example",
        r"^The current \w+ is \{\{\w+\}\}\.?$": "a time that was left a blank",
    },
)
MARK = "API-Request:"
LINE = re.compile(r"(User|AI|API-Request|Generate API Request|Generate AI Response|TIME)\s*:", re.IGNORECASE)
ON_FORMAT = re.compile(
    r"Generate an API request in the format of|Generate a response as an AI assistant|Input:|Expected output:"
    r"|User: User's |AI: AI's |API-Request: \[ApiName\(|.*\{\{"
)
RESULT = re.compile(r"(.*?\)\]?|.*?)->(.*)", re.DOTALL)  # behind a request's brackets, if it has them


def convert(record: dict[str, Any], where: str) -> list[Trajectory]:
    """One row -> one trajectory, which ends in the expected output."""
    builder = ActionBuilder()
    tools: list[Tool] = []
    instruction = ""
    outputs: dict[str, Any] = {}
    chain = "apis" in record and "requirement" in record
    if chain:
        _chain(record, builder)
    else:
        instruction, described_text = _split_instruction(need(record, "instruction", str))
        tools = list(_tools(described_text + "\n" + need(record, "input", str), outputs))
        _dialogue(need(record, "input", str), builder)
        _answer(builder, need(record, "expected_output" if "expected_output" in record else "output", str).strip())
        builder.learn_last()
    tools += searched_tools(builder.steps).values()
    declared, inferred = with_inferred(tools, builder.steps)
    raw_id = f"{place(where).rpartition('/')[2].partition(':')[0]}/{_name(record)}"
    return [
        Trajectory(
            trajectory_id=f"{SOURCE.name}/{raw_id}",
            source=SOURCE.source(raw_id),
            task=Task(instruction, task_id=raw_id),
            tools=declared,
            steps=tuple(builder.steps),
            tags=("gold", "api" if builder.steps[-1].tool_calls else "response"),
            extra=builder.kept()
            | ({"inferred_tools": inferred} if inferred else {})
            | ({"output_parameters": outputs} if outputs else {})
            | ({"form": "chain"} if chain else {}),
        )
    ]


def native(trajectory: Trajectory) -> list[str]:
    """Each request as the row has it: "API-Request: [QueryScene(name='Morning Routine')]"."""
    return native_texts(trajectory, _fragment if trajectory.extra.get("form") == "chain" else _native_text)


def _native_text(call: ToolCall) -> str:
    return _render(call.name, call.arguments)


def _render(name: str, arguments: dict[str, Any]) -> str:
    return f"{MARK} [{render_request(name, arguments)}]"


def _fragment(call: ToolCall) -> str:
    """How a chain of level 3 has a call."""
    return json.dumps({"api_name": call.name, "input": call.arguments}, ensure_ascii=False)[1:-1]


def _name(record: dict[str, Any]) -> str:
    file, number = record.get("file"), record.get("id")
    return (
        f"{PurePath(file).stem}/{number}" if isinstance(file, str) and isinstance(number, int) else content_id(record)
    )


def _split_instruction(instruction: str) -> tuple[str, str]:
    """(the instruction beside the format, the descriptions of the tools)."""
    head, _, tools = instruction.partition("API descriptions:")
    facts = [line.strip() for line in head.split("\n") if line.strip() and not ON_FORMAT.match(line)]
    return "\n".join(facts), tools


def _tools(text: str, outputs: dict[str, Any]) -> Iterator[Tool]:
    """The tools described by lines of a text; `outputs` gets what they give back."""
    for line in text.split("\n"):
        raw = json_object(line) if line.lstrip().startswith("{") else None
        if raw is not None and (tool := described(raw)):
            if given_back := raw.get("output_parameters") or raw.get("response"):
                outputs[tool.name] = given_back
            yield tool


def _dialogue(text: str, builder: ActionBuilder) -> None:
    """The turns of the input; lines that begin no turn belong to the one before."""
    turns: list[list[str]] = []
    for line in text.split("\n"):
        found = LINE.match(line)
        if found and found[1].lower().startswith("generate"):
            continue
        if found and found[1].upper() != "TIME":
            turns.append([found[1].lower(), line[found.end() :].removeprefix(" ")])
        elif turns:
            turns[-1][1] += "\n" + line
        elif line.strip() and not line.lstrip().startswith("{"):
            raise Drop("text before the first turn", line[:120])
    content = ""
    for role, words in turns:
        if role == "api-request":
            _history_request(builder, f"{MARK} {words}", content)
            content = ""
            continue
        if content:
            builder.assistant(content)
        content = words.strip() if role == "ai" else ""
        if role == "user":
            builder.user(words.strip())
    if content:
        builder.assistant(content)
    if not builder.steps or builder.steps[0].role != "user":
        raise Drop("a dialogue without its beginning", text[:120])


def _history_request(builder: ActionBuilder, text: str, content: str) -> None:
    found = RESULT.fullmatch(text.rstrip())
    action, result = found.groups() if found else (text.rstrip(), "")
    if _request(builder, action, content):
        builder.result(result)
    elif result:
        builder.user(result)


def _request(builder: ActionBuilder, text: str, content: str = "") -> bool:
    """A request as a call, or, when it can't be read, as a text; whether it was read."""
    inside = text.removeprefix(MARK).strip()
    if inside.startswith("[") and inside.endswith("]"):
        inside = inside[1:-1]
    request = parse_request(inside)
    if request is None:
        builder.no_call(text, reasoning=content)
        return False
    builder.parallel([(*request, text)], _render, content=content)
    return True


def _answer(builder: ActionBuilder, text: str) -> None:
    if not text:
        raise Drop("an empty answer")
    if text.startswith(MARK):
        _request(builder, text)
    else:
        builder.assistant(text.removeprefix("AI:").strip())


def _chain(record: dict[str, Any], builder: ActionBuilder) -> None:
    """A requirement, the calls with their results, and what is answered."""
    builder.user(need(record, "requirement", str))
    for api in need_objects(record["apis"], "apis"):
        name, arguments = need(api, "api_name", str), need(api, "input", dict)
        text = _fragment(ToolCall(name, arguments))
        builder.parallel([(name, arguments, text)], lambda *call: _fragment(ToolCall(*call)))
        output = api.get("output")
        whole = output if isinstance(output, dict) and "exception" in output else {"output": output}
        failed = whole.get("exception")
        content = failed if failed else whole.get("output")
        builder.result(
            content if isinstance(content, str) else json.dumps(content, ensure_ascii=False), is_error=bool(failed)
        )
    builder.assistant(need(record, "response", str))
