"""Messages as client libraries dump them, made plain: OpenAI's own keys, and nothing that says nothing.

Used by `messages.py` (notebook 04_serving). The objects of openai, litellm and LangChain, and their dumps, carry more
keys than a model reads: empty ones (`"refusal": None`), facts about a message (`"id"`, `"response_metadata"`), and the
same thing a second time (`"parsed"`). Those are left out. LangChain says `"type": "ai"` for the role and "args" for
arguments; the old form of OpenAI has `function_call`. All else stays, for `messages.py` to refuse by its name.
"""

from __future__ import annotations

from typing import Any

READ = ("role", "content", "name", "tool_calls", "tool_call_id", "reasoning", "reasoning_content")
ABOUT = frozenset(  # facts about a message, which no model reads
    "annotations artifact created_at example finish_reason id index logprobs provider_specific_fields "
    "response_metadata status type usage usage_metadata".split()
)
AGAIN = {  # what is there a second time, and under which keys the first
    "parsed": ("content",),
    "reasoning_details": ("reasoning", "reasoning_content"),
    "thinking_blocks": ("reasoning", "reasoning_content"),
    "tool_call_chunks": ("tool_calls",),
}
ROLES = {
    "human": "user",
    "HumanMessageChunk": "user",
    "ai": "assistant",
    "AIMessageChunk": "assistant",
    "function": "tool",  # of OpenAI's old form
}


def plain_message(message: Any) -> Any:
    """A dictionary with OpenAI's keys, and those that are unknown and not empty; what is no message stays as it is.

    Example: `plain_message({"type": "ai", "content": "Hi", "example": False, "id": "run-1", "tool_calls": []})`
    -> {"role": "assistant", "content": "Hi", "tool_calls": []}
    """
    found = message.model_dump() if hasattr(message, "model_dump") else message
    if not isinstance(found, dict):
        return message
    for inside in ("data", "additional_kwargs"):  # of LangChain: the whole message, and what a provider added
        if isinstance(more := found.get(inside), dict):
            more = {key: value for key, value in more.items() if _empty(found.get(key))}
            found = {key: value for key, value in found.items() if key != inside} | more
    role = found.get("role") or found.get("type")
    made = {"role": ROLES.get(role, role) if isinstance(role, str) else role}
    made |= {key: value for key, value in found.items() if key in READ[1:]}
    made |= {key: value for key, value in found.items() if key not in (*READ, *ABOUT) and not _empty(value)}
    if not made.get("content") and isinstance(made.get("refusal"), str):
        made["content"] = made.pop("refusal")  # it is what the assistant said
    if not made.get("tool_calls") and "function_call" in made:
        made["tool_calls"] = [made.pop("function_call")]
    if isinstance(made.get("tool_calls"), list):
        made["tool_calls"] = [_plain_call(call) for call in made["tool_calls"]]
    return {key: value for key, value in made.items() if not any(map(made.get, AGAIN.get(key, ())))}


def _plain_call(call: Any) -> Any:
    """A call of LangChain, {"name", "args", "id"}, with OpenAI's word for its arguments."""
    if isinstance(call, dict) and "args" in call and not call.keys() & {"function", "arguments"}:
        return {("arguments" if key == "args" else key): value for key, value in call.items()}
    return call


def _empty(value: Any) -> bool:
    """Whether a value says nothing: null, false, an empty text, and whatever holds only such."""
    if isinstance(value, dict | list | tuple):
        return all(map(_empty, value.values() if isinstance(value, dict) else value))
    return value is None or value is False or value == ""
