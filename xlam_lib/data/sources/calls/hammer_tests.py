"""Test sets as Hammer published them (API-Bank, Seal-Tools, ToolAlpaca), and HammerBench's dialogues (notebook 01).

Raw record (shortened; "query" may be one text, and Seal-Tools' answers are {"tool": ..., "parameters": ...}):

    {"query": [{"role": "user", "content": "Can you help me reschedule my appointment with Dr. Smith on April 12th?"},
               {"role": "agent", "content": "Sure, please provide me with your appointment ID."},
               {"role": "assistant", "content": "```[{\\"name\\": \\"ModifyRegistration\\", ...}]```"},
               {"role": "tool", "content": "success"}, ..., {"role": "user", "content": "Fatigue.\\nGenerate ..."}],
     "tools": [{"name": "EmergencyKnowledge", "description": "...", "parameters": {"symptom": {"type": "str", ...}}}],
     "answers": [{"name": "EmergencyKnowledge", "arguments": {"symptom": "fatigue"}}]}

and {"id": "Based_0_3", "messages": [{"role": "user", ...}, {"role": "function call", "content": {"name": ...,
"arguments": {...}}}, {"role": "assistant", "content": "What city is ...?"}, ...], "multiple_tools": [...]}.

Decisions, from looking at the records:
- "agent" is what the assistant says, "assistant" is what it calls; words right before calls are their turn's content.
- "Generate API Request:" at the end comes from the prompt: cut, and counted in `extra["prompt_words"]`.
- Only the answer is learnt from; what stands before it is history, and records of their own.
- A right answer may name a tool that the list lacks (upstream lost it): the tool is inferred from the call and named in
  `extra["inferred_tools"]`. What tools return is `extra["returns"]`. "components" in the lists of
  ToolAlpaca is no tool but a note on output formats: `extra`.
- HammerBench notes after each word of the user what should be called so far, without calling it: each such call is a
  trajectory of its own, with the messages before it ("Based_0_3@1", "@2", ...), and the calls noted earlier left out.
- Python type names become JSON Schema; arguments that are texts where a number is asked for are counted as warnings.
"""

from __future__ import annotations

import json
from typing import Any

from xlam_lib.data.accounting import Drop
from xlam_lib.data.formats.base import SPEAKER, TYPE_WORD, SourceInfo, content_id, need, need_objects
from xlam_lib.data.formats.flat_tools import tool, with_inferred
from xlam_lib.data.formats.native_actions import ActionBuilder, native_texts
from xlam_lib.trajectory import Task, Tool, Trajectory

SOURCE = SourceInfo(
    name="hammer_tests",
    license="Apache-2.0",
    url="https://github.com/MadeAgents/Hammer",
    files=("data/test/*.json",),
    samples={
        "apibank_l1.json": (1,),
        "apibank_l2.json": (1,),
        "sealtool.json": (0,),
        "toolalpaca.json": (0,),
        "hammerbench_example.json": None,
    },
    version="2",
    fields=(
        *("id", "answers", "multiple_tools", "single_tool", "messages[].role", "messages[].content"),
        *(f"tools[].{key}" for key in ("name", "description", "parameters", "required", "return")),
        *("query[].role", "query[].content"),
    ),
    left_out={
        "query[].role": SPEAKER,
        "messages[].role": SPEAKER,
        "tools[].parameters.**.type": TYPE_WORD,
        "tools[].return.**.type": TYPE_WORD,
    },
    layout={r"^components$": "the name of a note among the tools"},
)
PROMPT = "Generate API Request:"
NOTE = "components"


def convert(record: dict[str, Any], where: str) -> list[Trajectory]:
    """One test -> one trajectory; one dialogue of HammerBench -> one for each call noted in it."""
    if "messages" in record and "query" not in record:
        return _noted(record)
    builder, cut = ActionBuilder(), []
    reply = _history(record.get("query"), builder, cut)
    calls = [_answer(item) for item in need_objects(need(record, "answers", list), "answers")]
    if not calls:
        raise Drop("a query without an answer: no trajectory to convert")
    builder.parallel(calls, _native_text, content=reply)
    builder.learn_last()
    raw = need_objects(need(record, "tools", list), "tools")
    notes = [item["description"] for item in raw if item.get("name") == NOTE and item.get("description")]
    return [_trajectory(content_id(record), builder, raw, {"components": notes, "prompt_words": cut})]


def native(trajectory: Trajectory) -> list[str]:
    """Each call as JSON, with the keys that the record uses: '{"name": "EmergencyKnowledge", "arguments": {...}}'."""
    return native_texts(trajectory, lambda call: _native_text(call.name, call.arguments))


def _native_text(name: str, arguments: dict[str, Any]) -> str:
    return json.dumps({"name": name, "arguments": arguments}, ensure_ascii=False)


def _trajectory(raw_id: str, builder: ActionBuilder, raw: list[dict[str, Any]], more: dict[str, Any]) -> Trajectory:
    types: list[str] = []
    declared = _tools(raw, types)
    returns = {item["name"]: item["return"] for item in raw if item.get("return") and item.get("name") != NOTE}
    tools, inferred = with_inferred(declared, builder.steps)
    extra = builder.kept() | more | {"returns": returns, "inferred_tools": inferred, "unknown_types": types}
    last = builder.steps[-1]
    return Trajectory(
        trajectory_id=f"{SOURCE.name}/{raw_id}",
        source=SOURCE.source(raw_id),
        task=Task(task_id=raw_id.partition("@")[0]),
        tools=tools,
        steps=tuple(builder.steps),
        tags=("gold", "single" if len(last.tool_calls) == 1 else "parallel"),
        extra={key: value for key, value in extra.items() if value},
    )


def _tools(raw: list[dict[str, Any]], types: list[str]) -> list[Tool]:
    tools = {}
    for item in raw:
        if item.get("name") != NOTE:
            made = tool(item.get("name"), item.get("description"), item.get("parameters"), types, item.get("required"))
            if tools.setdefault(made.name, made) != made:
                raise Drop("two different tools of one name", made.name)
    return list(tools.values())


def _answer(item: dict[str, Any]) -> tuple[str, dict[str, Any], str]:
    """(name, arguments, text) of a call in either notation."""
    name, arguments = ("tool", "parameters") if "tool" in item else ("name", "arguments")
    return need(item, name, str), need(item, arguments, dict), json.dumps(item, ensure_ascii=False)


def _history(query: Any, builder: ActionBuilder, cut: list[str]) -> str:
    """The steps of a query; returns the last message of the assistant, if the answer follows it."""
    messages = [{"role": "user", "content": query}] if isinstance(query, str) else need_objects(query, "query")
    reply = ""
    for message in messages:
        role, content = message.get("role"), need(message, "content", str)
        if content.endswith(PROMPT):
            content = content.removesuffix(PROMPT).rstrip("\n")
            cut.append(PROMPT)
        if role == "assistant":
            builder.parallel(_calls(content), _native_text, content=reply)
            reply = ""
            continue
        if reply:
            builder.assistant(reply)
            reply = ""
        if role == "user":
            builder.user(content)
        elif role == "agent":
            reply = content
        elif role == "tool":
            builder.result(content)
        else:
            raise Drop("message of an unknown role", f"{role!r}")
    if not builder.steps or builder.steps[0].role != "user":
        raise Drop("a dialogue without its beginning", str(messages)[:120])
    return reply


def _calls(content: str) -> list[tuple[str, dict[str, Any], str]]:
    """The calls of a fenced list: '```[{"name": "f", "arguments": {}}]```'."""
    try:
        value = json.loads(content.strip().strip("`").removeprefix("json"))
    except (ValueError, RecursionError) as error:
        raise Drop("calls are not JSON", f"{error}: {content[:80]!r}") from error
    return [_answer(item) for item in need_objects(value, "calls")]


def _noted(record: dict[str, Any]) -> list[Trajectory]:
    """A dialogue of HammerBench: a trajectory for each call noted."""
    messages = need_objects(need(record, "messages", list), "messages")
    raw = record.get("multiple_tools") or need(record, "single_tool", list)
    raw_id = record["id"] if isinstance(record.get("id"), str) and record["id"] else content_id(record)
    made = []
    for end, message in enumerate(messages):
        if message.get("role") == "function call":
            builder = ActionBuilder()
            for earlier in messages[:end]:
                if earlier.get("role") == "user":
                    builder.user(need(earlier, "content", str))
                elif earlier.get("role") == "assistant":
                    builder.assistant(need(earlier, "content", str))
            content = message.get("content")
            builder.parallel(
                [_answer(c) for c in need_objects(content if isinstance(content, list) else [content], "calls")],
                _native_text,
            )
            builder.learn_last()
            made.append(_trajectory(f"{raw_id}@{len(made) + 1}", builder, need_objects(raw, "tools"), {}))
    unknown = {str(m.get("role")) for m in messages} - {"user", "assistant", "function call"}
    if unknown or not made:
        raise Drop("message of an unknown role" if unknown else "a dialogue without a call", ", ".join(sorted(unknown)))
    return made
