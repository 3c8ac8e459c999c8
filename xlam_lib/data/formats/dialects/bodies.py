"""What stands between the marks of a call: JSON, XML of several kinds, or Python-like calls (notebook 01).

    {"name": "f", "arguments": {"x": 1}}, or a list of those                          most models
    <function=f><parameter=x>1</parameter></function>                                 Qwen3-Coder, Seed-OSS
    <function=f>{"x": 1}</function>                                                   Llama 3.1
    <invoke name="f"><parameter name="x">1</parameter></invoke>                       MiniMax and others
    f\\n<arg_key>x</arg_key>\\n<arg_value>1</arg_value>                                 GLM
    [f(x=1)], or a call on each line                                                  Llama 4, LFM2, OLMo

In XML every value is text. Such calls are marked (`FoundCall.as_text`), and what a number or a list is says the schema
of the tool, when it is known: see `call_forms.typed_arguments`.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from functools import lru_cache
from typing import Any

from xlam_lib.data.accounting import Drop
from xlam_lib.data.formats.bracket_calls import bracket_calls
from xlam_lib.data.formats.call_forms import FoundCall, calls_of_text, found_call
from xlam_lib.data.formats.literals import decode

UNREADABLE = "call text can't be read"
DSML = r"(?:｜DSML｜ ?)?"  # with which DeepSeek writes each of its tags since V3.2
NAMED = r"(?:=|\s+name\s*=\s*+)(?P<quote>[\"'])?(?P<name>[^\"'<>\n]*[^\"'<>\s])(?(quote)[^\S\n]*(?P=quote))"
FUNCTION = re.compile(rf"\s*<{DSML}(?P<tag>function|invoke){NAMED}\s*>")
PARAMETER = re.compile(
    rf"\s*<{DSML}(?P<tag>parameter|param){NAMED}(?:\s+string=\"(?P<string>true|false)\")?\s*>(?P<value>.*?)"
    rf"</{DSML}(?P=tag)>(?=\s*(?:<{DSML}(?:parameter|param)\b|</{DSML}(?:function|invoke)>))",
    re.DOTALL,
)
GLM_NAME = re.compile(r"\s*([^\s<>{}\[\]()\"'`,;]+)\s*(?=<arg_key>)")
GLM_ARGUMENT = re.compile(
    r"\s*(?><arg_key>(?P<name>.*?)</arg_key>\s*<arg_value>)(?P<value>.*?)</arg_value>(?=\s*(?:<arg_key>|\Z))", re.DOTALL
)
BARE_NAME = re.compile(r"\n*(?!(?:null|none|true|false)\n*\Z)([A-Za-z_][\w.:/-]*)\n*", re.IGNORECASE)
FENCE = re.compile(r"\s*```(?:json|python)?\n(.*?)\n?```\s*", re.DOTALL)
PYTHON_CALL = re.compile(r"\s*+(?:\[\s*+)?[A-Za-z_][\w.-]*\(")
END_TOKENS = r"<\|(?:eom_id|eot_id|eot|im_end|end|endoftext)\|>|</s>|<｜end▁of▁sentence｜>"  # of a turn
END_OF_TURN = re.compile(rf"{END_TOKENS}|\Z")
SPACE = re.compile(r"\s*")
JSON = json.JSONDecoder(strict=False)


def calls_of_body(text: str) -> list[FoundCall]:
    """The calls of a text between two marks, or a Drop: `calls_of_body('{"name": "f", "arguments": {}}')`."""
    if text.lstrip().startswith("{"):  # most are JSON
        return calls_of_text(text)
    if fenced := FENCE.fullmatch(text):
        text = fenced[1]
    if FUNCTION.match(text):
        calls, end = function_tags(text, 0)
        if text[end:].strip():
            raise Drop(UNREADABLE, f"{text[end:].strip()[:80]!r} behind the call")
        return calls
    if glm := _glm(text):
        return [glm]
    if PYTHON_CALL.match(text) and (calls := _python_like(text)):
        return calls
    return calls_of_text(text)


def function_tags(text: str, at: int) -> tuple[list[FoundCall], int]:
    """(the calls of <function=...> or <invoke name=...> tags from `at` on, where they end); a Drop without any."""
    calls = []
    while opening := FUNCTION.match(text, at):
        call, at = _function_tag(text, opening)
        calls.append(call)
    if not calls:
        raise Drop(UNREADABLE, f"{text[at : at + 80].strip()!r}")
    return calls, at


def _function_tag(text: str, opening: re.Match[str]) -> tuple[FoundCall, int]:
    name, at = opening["name"].strip(), opening.end()
    arguments: dict[str, Any] = {}
    while parameter := PARAMETER.match(text, at):
        arguments[parameter["name"].strip()] = _value(parameter)
        at = parameter.end()
    closing = re.compile(rf"\s*</{DSML}{opening['tag']}>")
    if end := closing.match(text, at):
        return FoundCall(name, arguments, as_text=bool(arguments)), end.end()
    if not arguments and text.startswith("{", SPACE.match(text, at).end()):
        value, at = leading_json(text, at)
        if (end := closing.match(text, at)) or not text[at : end_of_turn(text, at)].strip():
            return found_call({"name": name, "arguments": value}), end.end() if end else at
    raise Drop(UNREADABLE, f"{text[opening.start() : opening.start() + 80].strip()!r}")


def _value(parameter: re.Match[str]) -> Any:
    """A parameter's text; templates put it on lines of its own. DeepSeek says of each value whether it is JSON."""
    text = parameter["value"].removeprefix("\n").removesuffix("\n")
    if parameter["string"] != "false":
        return text
    try:
        return decode(text)[0]
    except ValueError as error:
        raise Drop(UNREADABLE, f"{error}: {text[:80]!r}") from error


def _glm(text: str) -> FoundCall | None:
    """GLM's name and pairs of tags; a name that stands alone is a call without arguments."""
    if bare := BARE_NAME.fullmatch(text):
        return FoundCall(bare[1], {})
    if not (name := GLM_NAME.match(text)):
        return None
    at, arguments = name.end(), {}
    while pair := GLM_ARGUMENT.match(text, at):
        arguments[pair["name"].strip()] = pair["value"]
        at = pair.end()
    if text[at:].strip():
        raise Drop(UNREADABLE, f"{text[at:].strip()[:80]!r} behind {name[1]!r}")
    return FoundCall(name[1], arguments, as_text=True)


def _python_like(text: str) -> list[FoundCall]:
    """[f(a=1), g()], or one call a line; [] where it is anything else."""
    text = text.strip()
    if text.startswith("["):
        return bracket_calls(text) or []
    lines = [bracket_calls(f"[{line}]") for line in text.splitlines() if line.strip()]
    return [call for line in lines for call in line or ()] if all(lines) else []


def may_go_on(text: str, at: int) -> bool:
    """Whether what begins there may hold a closing tag: JSON, tags or a Python-like call, but no words."""
    start = SPACE.match(text, at).end()
    if text.startswith(("{", "[", "<", "(", "```", ",", ";"), start):
        return True
    return PYTHON_CALL.match(text, at) is not None or GLM_NAME.match(text, at) is not None


def end_of_turn(text: str, at: int) -> int:
    """Where the turn ends in which `at` lies, at a token or with the text: `end_of_turn("a</s>b", 0)` -> 1."""
    ends = _ends_of_turns(text)
    return ends[bisect_left(ends, at)]


@lru_cache(maxsize=1)  # asked for every mark of one text
def _ends_of_turns(text: str) -> list[int]:
    return [found.start() for found in END_OF_TURN.finditer(text)]


def leading_json(text: str, at: int) -> tuple[Any, int]:
    """(the JSON value that begins behind the space at `at`, where it ends), or a Drop."""
    try:
        return JSON.raw_decode(text, SPACE.match(text, at).end())
    except (ValueError, RecursionError) as error:
        raise Drop(UNREADABLE, f"{error}: {text[at : at + 80]!r}") from error


def json_end(text: str, at: int) -> int:
    """Where the JSON ends that begins behind the space at `at`, 0 where there is none."""
    try:
        return JSON.raw_decode(text, SPACE.match(text, at).end())[1]
    except (ValueError, RecursionError):
        return 0
