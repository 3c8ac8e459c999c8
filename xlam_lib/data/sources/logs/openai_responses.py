"""Items of OpenAI's Responses API: what was put in, what came out, or a whole conversation of both (notebook 01).

Raw record (`items` may stand for both lists; a file may be the bare list of them, or hold {"request", "response"}):

    {"instructions": "Answer briefly.",
     "input": [{"role": "user", "content": [{"type": "input_text", "text": "Weather in Oslo?"}]},
               {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "I look it up."}]},
               {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": "{\\"city\\": \\"Oslo\\"}"},
               {"type": "function_call_output", "call_id": "c1", "output": "4 degrees"}],
     "output": [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "4 degrees."}]}],
     "tools": [{"type": "function", "name": "weather", "description": "...", "parameters": {...}}]}

Decisions:
- `instructions` and messages of role system or developer are the system text.
- What the model says, thinks and calls between two answers is one turn. Thoughts are the reasoning's own text, or its
  summary where that is all there is; encrypted ones can't be read.
- A custom tool takes a text: it is a tool with the one argument `input`. A call of an MCP server has its result in
  itself, and the server's tools are those that `mcp_list_tools` names.
- Other built-in tools (web search, shell, computer, ...) have no function that could be called: a record in which one
  was used is dropped, under its name; one that was merely offered stands in `extra["built_in_tools"]`.
- A record that continues a response which isn't in it (`previous_response_id`) is half a conversation: `Drop`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from xlam_lib.data.accounting import Drop
from xlam_lib.data.formats.base import SourceInfo, need_objects, unique_tools
from xlam_lib.data.formats.call_forms import FoundCall
from xlam_lib.data.formats.conversations import Turn, assemble, json_text, raw_id_of, read_turns
from xlam_lib.data.formats.tool_forms import tools_of
from xlam_lib.data.recognise import refused
from xlam_lib.data.sources.logs.values import FORMAT, filled, outcome_of, split_list, text_of
from xlam_lib.trajectory import Outcome, Tool, Trajectory

LISTS = ("items", "input", "output", "request.input", "response.output")
READ = ("type", "role", "content", "name", "arguments", "input", "output", "error", "tools", "server_label")
TOP = ("id", "instructions", "tools", "model", "status", "error", "incomplete_details", "metadata", "reward", "success")
LEFT = {
    **dict.fromkeys(("type", "role", "content[].type"), FORMAT),
    "server_label": "the server of a tool, which has a name of its own",
    "id": "an id, which ours replace",
    "call_id": "an id, which ours replace",
    "status": "whether the item is complete",
    "phase": "what kind of message it is, which its place says",
    "encrypted_content": "can't be read",
    "summary": "read where the reasoning itself isn't there",
    "content[].annotations": "where a text is quoted from",
    "content[].logprobs": "numbers, not text",
}
SOURCE = SourceInfo(
    name="openai_responses",
    license="unknown",
    url="https://platform.openai.com/docs/api-reference/responses",
    files=("*.json", "*.jsonl"),
    text_files=("*.json",),
    fields=(
        *(f"{at}{key}" for at in ("", "request.", "response.") for key in TOP),
        *(f"{at}[].{key}" for at in LISTS for key in READ),
        *(f"{at}[].content[].{key}" for at in LISTS for key in ("type", "text", "refusal")),
    ),
    left_out={
        **{f"{at}[].{key}": reason for at in LISTS for key, reason in LEFT.items()},
        **{f"{at}tools[].**.type": "the kind of the tool and of its parts" for at in ("", "request.", "response.")},
        **{f"{at}{key}": "how the request was to be served" for at in ("", "request.", "response.") for key in (
            "object", "parallel_tool_calls", "tool_choice", "text", "truncation", "reasoning", "store", "user",
            "service_tier", "usage", "include", "stream", "background", "prompt_cache_key", "safety_identifier",
        )},
    },
)  # fmt: skip
CALLS = {"function_call": "arguments", "custom_tool_call": "input", "mcp_call": "arguments"}
RESULTS = ("function_call_output", "custom_tool_call_output")
ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
BUILT_IN = (
    *("web_search_call", "file_search_call", "computer_call", "code_interpreter_call", "image_generation_call"),
    *("local_shell_call", "shell_call", "apply_patch_call", "tool_search_call", "program", "mcp_approval_request"),
)
REFERENCES = ("item_reference", "compaction")  # that stand for items which aren't there


def _is_item(value: Any) -> bool:
    """Whether it is a part of a conversation, and no record of its own."""
    return isinstance(value, dict) and ("type" in value or "role" in value)


def split(text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """The records of a .json file; a bare list of items is one."""
    return split_list(text, _is_item, "items")


def convert(record: dict[str, Any], where: str) -> list[Trajectory]:
    """One conversation -> one trajectory."""
    nested = [record[key] for key in ("request", "response") if isinstance(record.get(key), dict)]
    whole = {key: value for part in [*nested, record] for key, value in part.items() if value is not None}
    items = _items(whole)
    conversation = read_turns(list(turns_of_items(items)))
    notes: list[str] = []
    tools, built_in = _tools(whole.get("tools"), items, notes)
    kept = {key: whole.get(key) for key in ("model", "metadata", "incomplete_details")}
    extra = filled({**kept, "built_in_tools": built_in, "unknown_types": notes})
    return [assemble(SOURCE, raw_id_of(whole, where), conversation, tools, outcome=_outcome(whole), extra=extra)]


def _items(whole: dict[str, Any]) -> list[dict[str, Any]]:
    """All items in their order, the instructions before them."""
    system = whole.get("instructions")
    first = [{"role": "system", "content": system}] if system and isinstance(system, str) else []
    if isinstance(system, list):  # a prompt that was kept on the server, as items
        first = need_objects(system, "instructions")
    if "items" in whole:
        return [*first, *need_objects(whole["items"], "items")]
    if whole.get("previous_response_id"):
        raise Drop("continues a response that isn't here", str(whole["previous_response_id"])[:80])
    given = whole.get("input")
    given = [{"role": "user", "content": given}] if isinstance(given, str) else given
    if given is None and "output" not in whole:
        raise refused(whole, "no items", SOURCE.name)
    output = need_objects(whole.get("output") or [], "output")
    return [*first, *need_objects(given or [], "input"), *output]


def turns_of_items(items: Iterable[dict[str, Any]]) -> Iterator[Turn]:
    """The turns of items: `list(turns_of_items([{"role": "user", "content": "Hi"}]))` -> [Turn("user", "Hi")]."""
    spoken = _Spoken()
    for number, item in enumerate(items):
        kind, where = item.get("type") or "message", f"item {number}"
        kind = kind if isinstance(kind, str) else repr(kind)
        if kind == "message" and item.get("role") == "assistant":
            spoken.texts.append(_text(item.get("content"), where))
        elif kind == "reasoning":
            spoken.thoughts.append(text_of(item.get("content"), where) or text_of(item.get("summary"), where))
        elif kind in CALLS:
            spoken.calls.append(_call(item, where))
            if kind == "mcp_call":
                yield from spoken.turns()
                failed = bool(item.get("error"))
                result = item.get("error") if failed else item.get("output")
                yield Turn("tool", json_text(result) if result else "", raw_id=_id(item), is_error=failed)
        elif kind in RESULTS:
            yield from spoken.turns()
            output = item.get("output")
            yield Turn(
                "tool", text_of(output, where) if isinstance(output, list) else json_text(output), raw_id=_id(item)
            )
        elif kind == "message":
            yield from spoken.turns()
            if not isinstance(item.get("role"), str) or item["role"] not in ROLES:
                raise Drop("message of an unknown role", f"{str(item.get('role'))[:80]!r} at {number}")
            yield Turn(ROLES[item["role"]], text_of(item.get("content"), where))
        elif kind not in ("mcp_list_tools", "mcp_approval_response"):
            raise _unread(kind, where)
    yield from spoken.turns()


class _Spoken:
    """What the model says, thinks and calls before anything comes back."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.thoughts: list[str] = []
        self.calls: list[FoundCall] = []

    def turns(self) -> Iterator[Turn]:
        """It as one turn, if there is any; what follows begins anew."""
        text, thought = ("\n".join(filter(None, parts)) for parts in (self.texts, self.thoughts))
        if text or thought or self.calls:
            yield Turn("assistant", text, thought, tuple(self.calls))
        self.__init__()


def _unread(kind: str, where: str) -> Drop:
    """Why an item can't be read."""
    if kind in REFERENCES:
        return Drop("an item stands for others that aren't here", f"{kind!r}: {where}")
    name = kind.removesuffix("_output")
    if name in BUILT_IN:
        return Drop(f"a built-in tool was used: {name}", where)
    return Drop("item of an unknown type", f"{kind[:80]!r}: {where}")


def _call(item: dict[str, Any], where: str) -> FoundCall:
    name, given = item.get("name"), item.get(CALLS[item["type"]])
    if not isinstance(name, str) or not name:
        raise Drop("call without a name", f"{where}: found {name!r}"[:200])
    arguments = {"input": given} if item["type"] == "custom_tool_call" else given
    return FoundCall(name, arguments, _id(item))


def _id(item: dict[str, Any]) -> str:
    """What a call and its result have in common."""
    found = item.get("call_id") or item.get("id")
    return found if isinstance(found, str) else ""


def _text(content: Any, where: str) -> str:
    """What the model says; a refusal is said, too."""
    parts = content if isinstance(content, list) else [content]
    refusals = [part for part in parts if isinstance(part, dict) and part.get("type") == "refusal"]
    texts = [text_of(part["refusal"] if part in refusals else part, where) for part in parts if part is not None]
    return "\n".join(texts)


def _tools(given: Any, items: list[dict[str, Any]], notes: list[str]) -> tuple[tuple[Tool, ...], list[Any]]:
    """(tools that can be called, others that were offered)."""
    made: list[Tool] = []
    built_in = []
    lists = [item for item in items if item.get("type") == "mcp_list_tools"]
    for raw in [*need_objects(given or [], "tools"), *lists]:
        kind = raw.get("type", "function")
        if kind in ("function", "mcp_list_tools"):
            made += tools_of(raw.get("tools") if kind == "mcp_list_tools" else raw, notes)
        elif kind == "namespace":
            inner, others = _tools(raw.get("tools"), [], notes)
            made, built_in = [*made, *inner], [*built_in, *others]
        elif kind == "custom":
            made.append(_custom_tool(raw))
        else:
            built_in.append(raw)
    return unique_tools(made), built_in


def _custom_tool(raw: dict[str, Any]) -> Tool:
    """A tool that takes a text; the grammar of the text, where there is one, describes it."""
    grammar = raw["format"] if isinstance(raw.get("format"), dict) else {}
    about = "\n".join(grammar[key] for key in ("syntax", "definition") if isinstance(grammar.get(key), str))
    taken = {"type": "string", **({"description": about} if about else {})}
    schema = {"type": "object", "properties": {"input": taken}, "required": ["input"]}
    return Tool(str(raw.get("name") or ""), str(raw.get("description") or ""), schema)


def _outcome(whole: dict[str, Any]) -> Outcome:
    checks = filled({"status": whole.get("status"), "error": whole.get("error")})
    return outcome_of(whole, "infra_error" if whole.get("error") else "unknown", checks)
