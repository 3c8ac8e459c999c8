"""Contents of the Gemini API: requests, requests with their responses, and rows to tune a model by (notebook 01).

Raw record, also with keys in snake_case, and also as `request` and `response` of a batch:

    {"systemInstruction": {"parts": [{"text": "You are a helpful assistant."}]},
     "contents": [{"role": "user", "parts": [{"text": "Weather in Oslo?"}]},
                  {"role": "model", "parts": [{"text": "I look it up.", "thought": true},
                                              {"functionCall": {"name": "weather", "args": {"city": "Oslo"}}}]},
                  {"role": "user", "parts": [{"functionResponse": {"name": "weather", "response": {"celsius": 4}}}]},
                  {"role": "model", "parts": [{"text": "It is 4 degrees."}]}],
     "tools": [{"functionDeclarations": [{"name": "weather", "parameters":
       {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}}}]}]}

Decisions:
- Texts of a model's turn are pieces of one text, as the API streams them; those of a user stand on lines of their own.
- Parts marked `thought` are its reasoning. What stands in `thoughtSignature` is enciphered, and left out.
- A response is a result by its id, else by its name; one with the key `error` is an error. It is kept as JSON.
- Types in capitals, `nullable` and counts as text become JSON Schema; `parametersJsonSchema` is JSON Schema.
- The answer in `candidates` is the last turn; of several the first, the others are in `extra["other_candidates"]`.
- Images, files, and code that Gemini ran by itself lose the record: they are no texts, and no calls of listed tools.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from xlam_lib.data.accounting import Drop
from xlam_lib.data.formats.base import CALL_ID, SPEAKER, TYPE_WORD, SourceInfo, need_objects
from xlam_lib.data.formats.conversations import assemble, raw_id_of, read_turns
from xlam_lib.data.formats.messages import turns_of
from xlam_lib.data.formats.tool_forms import tools_of
from xlam_lib.data.recognise import refused
from xlam_lib.trajectory import Trajectory

SPELLINGS = {
    "systemInstruction": "system_instruction",
    "functionDeclarations": "function_declarations",
    "functionCall": "function_call",
    "functionResponse": "function_response",
    "parametersJsonSchema": "parameters_json_schema",
}


def _paths(places: Iterable[str], keys: str) -> tuple[str, ...]:
    """Every key, in both spellings, at every place."""
    return tuple(f"{place}{word}" for place in places for key in keys.split() for word in (key, _snake(key)))


def _snake(key: str) -> str:
    return re.sub("(?<=[a-z])([A-Z])", lambda letter: f"_{letter[0].lower()}", key)


REQUESTS, RESPONSES = ("", "request."), ("", "response.")
CONTENTS = (*(f"{place}contents[]." for place in REQUESTS), *(f"{place}candidates[].content." for place in RESPONSES))
SETTINGS = "generationConfig safetySettings toolConfig labels model"
REPORTS = (
    "usageMetadata modelVersion responseId createTime candidates[].finishReason candidates[].index"
    " candidates[].avgLogprobs candidates[].safetyRatings"
)
SOURCE = SourceInfo(
    name="gemini",
    license="unknown",
    url="https://ai.google.dev/api/generate-content",
    files=("*.jsonl", "*.json"),
    fields=(
        *("id", "key", *_paths(REQUESTS, "systemInstruction tools[].functionDeclarations")),
        *_paths(CONTENTS, "role parts[].text parts[].thought parts[].functionCall parts[].functionResponse"),
    ),
    left_out={
        **dict.fromkeys(_paths(REQUESTS, SETTINGS), "settings of the request, nothing that is said"),
        **dict.fromkeys(_paths(CONTENTS, "role"), SPEAKER),
        **dict.fromkeys(_paths(CONTENTS, "parts[].functionCall.id parts[].functionResponse.id"), CALL_ID),
        **dict.fromkeys(_paths(REQUESTS, "tools[].functionDeclarations[].parameters.**.type"), TYPE_WORD),
        **dict.fromkeys(_paths(CONTENTS, "parts[].thoughtSignature"), "a thought that only Gemini can read"),
        **dict.fromkeys(_paths(RESPONSES, REPORTS), "what the service says of its answer: model, tokens, why it ended"),
    },
)
COUNTS = ("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties")
TABLES = ("properties", "defs", "$defs")


def convert(record: dict[str, Any], where: str) -> list[Trajectory]:
    """One request, with its answer where it is there -> one trajectory."""
    request = record["request"] if isinstance(record.get("request"), dict) else record
    response = record["response"] if isinstance(record.get("response"), dict) else record
    contents = request.get("contents")
    if not contents:
        raise refused(record, "no contents", SOURCE.name)
    if isinstance(contents, str):
        contents = [{"role": "user", "parts": [{"text": contents}]}]
    candidates = need_objects(response.get("candidates") or [], "candidates")
    contents = need_objects([contents] if isinstance(contents, dict) else contents, "contents")
    contents = [*contents, *(one["content"] for one in candidates[:1] if isinstance(one.get("content"), dict))]
    system = _get(request, "systemInstruction")
    messages = [{"role": "system", "content": _system(system)}] if system else []
    for number, content in enumerate(contents):
        messages += _messages(content, number)
    conversation = read_turns(turns_of(messages))
    notes: list[str] = []
    declared = [one for tool in need_objects(request.get("tools") or [], "tools") for one in _declared(tool)]
    extra = {"unknown_types": notes, "other_candidates": candidates[1:]}
    raw_id = record["key"] if isinstance(record.get("key"), str) else raw_id_of(record, where)
    return [assemble(SOURCE, raw_id, conversation, tools_of(declared, notes), extra=extra)]


def _get(value: dict[str, Any], key: str) -> Any:
    """A field in either spelling."""
    return value[key] if value.get(key) is not None else value.get(SPELLINGS[key])


def _system(value: Any) -> str:
    if isinstance(value, str):
        return value
    parts = value.get("parts") if isinstance(value, dict) else value
    return "\n".join(_text(part) for part in need_objects([parts] if isinstance(parts, dict) else parts, "parts"))


def _text(part: dict[str, Any]) -> str:
    if not isinstance(part.get("text"), str):
        raise Drop("message content is not text", f"a part of {', '.join(sorted(part)) or 'nothing'}")
    return part["text"]


def _messages(content: dict[str, Any], number: int) -> list[dict[str, Any]]:
    """A content as messages of OpenAI's roles: results first, as they answer the turn before."""
    role, parts = content.get("role") or "user", content.get("parts") or []
    if role not in ("user", "model", "function", "tool"):
        raise Drop("message of an unknown role", f"{str(role)[:80]!r} at {number}")
    results, calls, texts, thoughts = [], [], [], []
    for part in need_objects([parts] if isinstance(parts, dict) else parts, "parts"):
        if isinstance(call := _get(part, "functionCall"), dict):
            calls.append({"id": call.get("id") or "", "name": call.get("name"), "arguments": call.get("args") or {}})
        elif isinstance(result := _get(part, "functionResponse"), dict):
            results.append(_result(result))
        else:
            (thoughts if part.get("thought") is True else texts).append(_text(part))
    if role == "model":
        if results:
            raise Drop("the model gives a result itself", f"content {number}")
        message = {"role": "assistant", "content": "".join(texts), "tool_calls": calls}
        return [{**message, "reasoning_content": "".join(thoughts)}]
    if calls:
        raise Drop("a call that isn't the model's", f"content {number} of role {role!r}")
    return [*results, *([{"role": "user", "content": "\n".join(texts)}] if texts or not results else [])]


def _result(result: dict[str, Any]) -> dict[str, Any]:
    response = result.get("response")
    failed = isinstance(response, dict) and response.get("error") not in (None, "", False)
    text = response if isinstance(response, str) else json.dumps(response, ensure_ascii=False)
    named = {"name": result.get("name"), "tool_call_id": result.get("id")}
    return {"role": "tool", "content": text, "is_error": failed, **named}


def _declared(tool: dict[str, Any]) -> list[dict[str, Any]]:
    """The declarations of one of the tools; those that Gemini runs by itself, such as googleSearch, have none."""
    declared = need_objects(_get(tool, "functionDeclarations") or [], "functionDeclarations")
    return [
        {**one, "parameters": _get(one, "parametersJsonSchema") or _schema(one.get("parameters"))} for one in declared
    ]


def _schema(value: Any) -> Any:
    """As JSON Schema: `_schema({"type": "STRING", "nullable": True})` -> {"type": ["string", "null"]}."""
    if isinstance(value, list):
        return [_schema(item) for item in value]
    if not isinstance(value, dict):
        return value
    schema = {}
    for key, inner in value.items():
        if key == "type" and isinstance(inner, str):
            kind = inner.lower()
            schema[key] = [kind, "null"] if value.get("nullable") is True else kind
        elif key in TABLES and isinstance(inner, dict):
            schema[key] = {name: _schema(part) for name, part in inner.items()}
        elif key in COUNTS and isinstance(inner, str) and inner.isdecimal() and len(inner) < 18:
            schema[key] = int(inner)
        elif key not in ("nullable", "propertyOrdering", "property_ordering"):
            schema[key] = _schema(inner) if key in ("items", "anyOf", "any_of") else inner
    if "any_of" in schema:
        schema["anyOf"] = schema.pop("any_of")
    return schema
