"""Calls that special tokens of a model begin: Mistral, Llama, Kimi, DeepSeek (notebook 01).

    [TOOL_CALLS][{"name": "f", "arguments": {"x": 1}}]                                Mistral
    [TOOL_CALLS]f[ARGS]{"x": 1}                                                       Mistral, since 2025
    <|python_tag|>{"name": "f", "parameters": {"x": 1}}; {...}                        Llama 3.1
    <|python_tag|>brave_search.call(query="x")                                        Llama 3.1, its own tools
    <|tool_calls_section_begin|><|tool_call_begin|>functions.f:0
    <|tool_call_argument_begin|>{"x": 1}<|tool_call_end|><|tool_calls_section_end|>   Kimi K2
    <｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f<｜tool▁sep｜>{"x": 1}
    <｜tool▁call▁end｜><｜tool▁calls▁end｜>                                               DeepSeek V3.1

Each function is given the text and where the first token ends, and returns (calls, where they end) or raises a Drop.
"""

from __future__ import annotations

import re

from xlam_lib.data.accounting import Drop
from xlam_lib.data.formats.bracket_calls import bracket_calls
from xlam_lib.data.formats.call_forms import FoundCall, calls_of_text, found_call
from xlam_lib.data.formats.dialects.bodies import SPACE, UNREADABLE, end_of_turn, leading_json

Found = tuple[list[FoundCall], int]
MISTRAL_NAME = re.compile(r"\s*([\w.:/-]+)\s*(?:\[CALL_ID\]\s*(\w+)\s*)?(?:\[ARGS\]\s*)?(?=\{)")
BUILTIN_NAME = re.compile(r"[A-Za-z_]\w*\.call\(")
BUILTIN = re.compile(r"([A-Za-z_]\w*)\.call(\(.*\))", re.DOTALL)
KIMI = re.compile(
    r"\s*<\|tool_call_begin\|>\s*+(?P<id>[^\n<]*[^\s<])\s*<\|tool_call_argument_begin\|>(?P<arguments>.*?)<\|tool_call_end\|>",
    re.DOTALL,
)
KIMI_END = re.compile(r"<\|tool_calls_section_end\|>")
DEEPSEEK = re.compile(
    r"\s*<｜tool[▁_]call[▁_]begin｜>(?P<head>[^<]*)<｜tool[▁_]sep｜>(?P<rest>.*?)<｜tool[▁_]call[▁_]end｜>", re.DOTALL
)
DEEPSEEK_OLD = re.compile(r"\s*+(?P<name>[^\n]*\S)\s*\n```(?:json)?\n(?P<arguments>.*?)\n?```\s*", re.DOTALL)
DEEPSEEK_END = re.compile(r"<｜tool[▁_]calls[▁_]end｜>")


def mistral(text: str, at: int) -> Found:
    """Behind [TOOL_CALLS]: a list of calls, or names with their arguments."""
    start = SPACE.match(text, at).end()
    if text.startswith(("[", "{"), start):
        value, end = leading_json(text, start)
        return [found_call(item) for item in (value if isinstance(value, list) else [value])], end
    calls, end = [], at
    while name := MISTRAL_NAME.match(text, end):
        arguments, end = leading_json(text, name.end())
        calls.append(FoundCall(name[1], arguments, name[2] or ""))
    if not calls:
        raise Drop(UNREADABLE, f"{text[start : start + 80]!r}")
    return calls, end


def python_tag(text: str, at: int) -> Found:
    """Behind <|python_tag|>: objects with `;` between them, or a call of one of the tools that the model brings."""
    end, start = end_of_turn(text, at), SPACE.match(text, at).end()
    if not text.startswith(("{", "["), start) and not BUILTIN_NAME.match(text, start):
        raise Drop(UNREADABLE, f"{text[start : start + 80]!r}")
    inner = text[at:end].strip()
    if builtin := BUILTIN.fullmatch(inner):
        calls = bracket_calls(f"[{builtin[1]}{builtin[2]}]")
    else:
        calls = calls_of_text(inner) if inner.startswith(("{", "[")) else None
    if not calls:  # the code of a Python interpreter, mostly: which tool it is for isn't said
        raise Drop(UNREADABLE, f"{inner[:80]!r}")
    return calls, end


def kimi(text: str, at: int) -> Found:
    """Behind <|tool_calls_section_begin|>; an id such as functions.f:0 names the function, results repeat it whole."""
    calls = []
    while call := KIMI.match(text, at):
        name = call["id"].partition(":")[0].removeprefix("functions.")
        calls.append(found_call({"name": name, "arguments": call["arguments"], "id": call["id"]}))
        at = call.end()
    return _ended(text, at, calls, KIMI_END)


def deepseek(text: str, at: int) -> Found:
    """Behind <｜tool▁calls▁begin｜>; V3 and R1 write the word function, the name and JSON in a fence."""
    calls = []
    while call := DEEPSEEK.match(text, at):
        old = DEEPSEEK_OLD.fullmatch(call["rest"]) if call["head"].strip() == "function" else None
        name, arguments = (old["name"], old["arguments"]) if old else (call["head"].strip(), call["rest"])
        calls.append(found_call({"name": name, "arguments": arguments}))
        at = call.end()
    return _ended(text, at, calls, DEEPSEEK_END)


def _ended(text: str, at: int, calls: list[FoundCall], closing: re.Pattern[str]) -> Found:
    if not calls:
        raise Drop(UNREADABLE, f"{text[at : at + 80].strip()!r}")
    end = closing.match(text, SPACE.match(text, at).end())
    return calls, end.end() if end else at
