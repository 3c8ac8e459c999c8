"""LangChain messages, as its programs, LangGraph and LangSmith write them down (notebook 01).

Raw record, in any of the three ways in which LangChain writes a message:

    {"messages": [{"type": "human", "content": "Weather in Oslo?"},
                  {"type": "ai", "data": {"content": "", "tool_calls":
                    [{"name": "weather", "args": {"city": "Oslo"}, "id": "call_1", "type": "tool_call"}]}},
                  {"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", "ToolMessage"],
                   "kwargs": {"content": "4 degrees", "tool_call_id": "call_1", "status": "success"}},
                  {"type": "ai", "content": "It is 4 degrees."}],
     "tools": [{"name": "weather", "description": "...", "parameters": {...}}]}

Decisions:
- A run of LangSmith has `inputs` and `outputs`: the messages of the former, then those of the latter, unless they are
  there already. Lists of lists of messages hold one conversation each: the first is taken, more lose the record.
- `tool_calls` hold the calls; without them, blocks of the content or OpenAI's form in `additional_kwargs` do. The same
  calls stand in several of these places, so that only one is read.
- `invalid_tool_calls` are calls whose arguments LangChain couldn't read: they lose the record.
- A result of status "error" is an error. An `artifact` is not what the model reads: it stays in `extra["artifacts"]`.
- Names of speakers, of several agents say, are in `extra["speakers"]`, by message.
- Licence and outcome are not recorded: both are unknown.
"""

from __future__ import annotations

from typing import Any

from xlam_lib.data.accounting import Drop
from xlam_lib.data.formats.base import ALWAYS_FUNCTION, CALL_ID, SPEAKER, SourceInfo, need_objects
from xlam_lib.data.formats.conversations import assemble, raw_id_of, read_turns
from xlam_lib.data.formats.messages import turns_of
from xlam_lib.data.formats.system_tools import tools_and_system
from xlam_lib.data.recognise import refused
from xlam_lib.trajectory import Trajectory

ROLES = {"human": "user", "ai": "assistant", "assistant": "assistant", "user": "user", "system": "system",
         "developer": "system", "tool": "tool", "function": "tool"}  # fmt: skip
CLASSES = {"HumanMessage": "human", "AIMessage": "ai", "SystemMessage": "system", "ToolMessage": "tool",
           "FunctionMessage": "function", "ChatMessage": "chat"}  # fmt: skip
CALL_BLOCKS = ("tool_use", "tool_call", "tool_call_chunk", "function_call", "input_json_delta")
HELD = ("", ".data", ".kwargs")  # where the fields of a message lie
FIELDS = ("type", "role", "content", "tool_calls", "tool_call_id", "status", "artifact", "name", "additional_kwargs",
          "invalid_tool_calls", "is_error")  # fmt: skip
NOT_TAKEN = {
    "type": SPEAKER,
    "role": SPEAKER,
    "status": "whether the tool failed, which the step says",
    "content[].type": "the kind of the part, which decides where it goes",
    "tool_call_id": CALL_ID,
    "content[].id": CALL_ID,
    "tool_calls[].id": CALL_ID,
    "tool_calls[].type": ALWAYS_FUNCTION,
    "additional_kwargs.tool_calls[].id": CALL_ID,
    "additional_kwargs.tool_calls[].type": ALWAYS_FUNCTION,
    "id": "an id that nothing else refers to",
    "example": "a mark that LangChain no longer uses",
    "response_metadata": "what the provider says of its answer: model, tokens, why it ended",
    "usage_metadata": "counts of tokens",
    "tool_call_chunks": "pieces of the calls, as they were streamed",
    "chunk_position": "where a piece stood in the stream",
}
NESTED, GENERATED = ("inputs.messages[][]", "outputs.messages[][]"), "outputs.generations[][].message"
LISTS = ("messages[]", "inputs.messages[]", "outputs.messages[]")
ALL = (*LISTS, *NESTED, GENERATED)
SOURCE = SourceInfo(
    name="langchain",
    license="unknown",
    url="https://python.langchain.com/docs/concepts/messages/",
    files=("*.jsonl", "*.json"),
    fields=(
        *("id", "run_id", "tools", "functions", "system", "inputs.input", "inputs.tools", "outputs.output", "messages"),
        *("outputs.generations", "extra.invocation_params.tools"),
        *(f"{list_}{held}.{name}" for list_ in LISTS for held in HELD for name in FIELDS),
        *(f"{list_}.{name}" for list_ in (*LISTS, *NESTED) for name in ("lc", "id", "type", "kwargs")),
    ),
    left_out={
        "tools[].type": ALWAYS_FUNCTION,
        "extra.invocation_params.tools[].type": ALWAYS_FUNCTION,
        **{f"{list_}.id": "the name of the class, or an id that nothing else refers to" for list_ in ALL},
        **{f"{list_}.type": "the form in which LangChain keeps objects" for list_ in (*NESTED, GENERATED)},
        **{f"{list_}.kwargs.{name}": why for list_ in (*NESTED, GENERATED) for name, why in NOT_TAKEN.items()},
    }
    | {
        f"{list_}{held}.{name}": why
        for list_ in LISTS
        for held in HELD
        for name, why in NOT_TAKEN.items()
        if held or name != "id"
    },
)


def convert(record: dict[str, Any], where: str) -> list[Trajectory]:
    """One conversation -> one trajectory."""
    fields = [_fields(message) for message in messages_of(record)]
    conversation = read_turns(turns_of([_chat(message) for message in fields]))
    extra: dict[str, Any] = {
        "speakers": {str(number): message["name"] for number, message in enumerate(fields) if _is_speaker(message)},
        "artifacts": {
            str(message.get("tool_call_id")): message["artifact"]
            for message in fields
            if message.get("artifact") is not None
        },
        "unknown_types": [],
    }
    tools = tools_and_system({**record, "tools": _tools(record)}, conversation, extra["unknown_types"])
    raw_id = str(record["run_id"]) if isinstance(record.get("run_id"), str) else raw_id_of(record, where)
    return [assemble(SOURCE, raw_id, conversation, tools, extra=extra)]


def messages_of(record: dict[str, Any]) -> list[dict[str, Any]]:
    """The messages as they lie in a record: those of `messages`, or of `inputs` and `outputs` of a run."""
    if record.get("messages"):
        return _listed(record["messages"])
    given, made = record.get("inputs"), record.get("outputs")
    before = _listed(next((given[key] for key in ("messages", "input") if given.get(key)), None)) if _is(given) else []
    after = _listed(_output(made)) if _is(made) else []
    if not before and not after:
        raise refused(record, "no messages", SOURCE.name)
    return after if after[: len(before)] == before else before + after


def _output(made: dict[str, Any]) -> Any:
    found = next((made[key] for key in ("messages", "output", "generations") if made.get(key)), None)
    while isinstance(found, list) and len(found) == 1 and isinstance(found[0], list):
        found = found[0]
    if made.get("generations") is not None and isinstance(found, list):
        if len(found) != 1:
            raise Drop("several answers to one question", f"{len(found)} generations")
        return found[0].get("message") if _is(found[0]) else None
    return found


def _is(value: Any) -> bool:
    return isinstance(value, dict)


def _listed(value: Any) -> list[dict[str, Any]]:
    """A list of messages, one message, or the list of one conversation."""
    if isinstance(value, str) and value:
        return [{"type": "human", "content": value}]
    if isinstance(value, list) and value and all(isinstance(one, list) for one in value):
        if len(value) > 1:
            raise Drop("several conversations in one record", f"{len(value)} lists of messages")
        value = value[0]
    return need_objects([value] if _is(value) else value or [], "messages")


def _fields(message: dict[str, Any]) -> dict[str, Any]:
    """The fields of a message, wherever they lie, with its type."""
    inner = next((message[key] for key in ("data", "kwargs") if _is(message.get(key))), message)
    kind = inner.get("type") or message.get("type") or inner.get("role")
    if isinstance(message.get("id"), list) and message["id"]:
        kind = str(message["id"][-1])
    kind = kind.removesuffix("Chunk") if isinstance(kind, str) else kind
    kind = CLASSES.get(kind, kind) if isinstance(kind, str) else None
    return {**inner, "type": inner.get("role") if kind == "chat" else kind}


def _is_speaker(message: dict[str, Any]) -> bool:
    return message["type"] not in ("tool", "function") and bool(message.get("name"))


def _chat(message: dict[str, Any]) -> dict[str, Any]:
    """A message with OpenAI's role, of which `turns_of` reads the rest."""
    role = ROLES.get(message["type"]) if isinstance(message["type"], str) else None
    if role is None:
        raise Drop("message of an unknown type", f"{str(message['type'])[:80]!r}: {str(message.get('content'))[:80]!r}")
    more = message["additional_kwargs"] if _is(message.get("additional_kwargs")) else {}
    chat = {"role": role, "content": message.get("content")}
    if role == "tool":
        failed = message.get("status") == "error" or message.get("is_error") is True
        named = {key: message[key] for key in ("tool_call_id", "name") if message.get(key)}
        return {**chat, **named, "is_error": failed}
    if role != "assistant":
        return chat
    if message.get("invalid_tool_calls"):
        raise Drop("a call that LangChain couldn't read", f"{str(message['invalid_tool_calls'])[:200]}")
    calls = message.get("tool_calls") or []
    content = _content(chat["content"], bool(calls))
    if not calls and not _has_calls(content):
        calls = more.get("tool_calls") or ([more["function_call"]] if more.get("function_call") else [])
    reasoning = {"reasoning_content": more["reasoning_content"]} if more.get("reasoning_content") else {}
    return {**chat, "content": content, "tool_calls": calls, **reasoning}


def _content(content: Any, has_calls: bool) -> Any:
    """The content, without blocks of calls that are listed beside it, and thoughts as one text."""
    if not isinstance(content, list):
        return content
    blocks = [block for block in content if not (has_calls and _is(block) and block.get("type") in CALL_BLOCKS)]
    return [_thought(block) if _is(block) and block.get("type") == "reasoning" else block for block in blocks]


def _thought(block: dict[str, Any]) -> dict[str, Any]:
    parts = block["summary"] if isinstance(block.get("summary"), list) else []
    texts = [block.get("reasoning"), *(part.get("text") for part in parts if _is(part))]
    return {"type": "reasoning", "text": "\n".join(text for text in texts if isinstance(text, str) and text)}


def _has_calls(content: Any) -> bool:
    return isinstance(content, list) and any(_is(block) and block.get("type") in CALL_BLOCKS for block in content)


def _tools(record: dict[str, Any]) -> Any:
    """The tools of a record, or those with which a run called its model."""
    extra, inputs = record.get("extra"), record.get("inputs")
    invoked = extra.get("invocation_params") if _is(extra) else None
    listed = (record.get("tools"), *(held.get("tools") for held in (inputs, invoked) if _is(held)))
    return next((tools for tools in listed if tools), None)
