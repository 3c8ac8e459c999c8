"""Which marks begin calls in what an assistant says, and the text without them (notebook 01).

    split_calls('Sure. <tool_call>{"name": "f", "arguments": {}}</tool_call>')   -> ("Sure.", [f], [text])

A mark offers a call. One that can't be read loses the record, under a reason that names the mark: to train it as words
would teach to write calls that nothing makes. Only spoken of is a mark in backticks or quotes, and one within a
sentence with neither a call behind it nor a closing tag: it stays in the text. A user's message is not read for calls.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import islice
from typing import NamedTuple

from xlam_lib.data.accounting import Drop
from xlam_lib.data.formats.call_forms import FoundCall
from xlam_lib.data.formats.dialects import tokens
from xlam_lib.data.formats.dialects.bodies import (
    DSML,
    END_TOKENS,
    SPACE,
    UNREADABLE,
    calls_of_body,
    end_of_turn,
    function_tags,
    json_end,
    may_go_on,
)
from xlam_lib.data.formats.dialects.tokens import Found

TRIED = 16  # closing tags that are tried: one may stand within a value

BLOCKS = {  # opening -> closing
    "<tool_call>": "</tool_call>",
    "<functioncall>": "</functioncall>",
    "<TOOLCALL>": "</TOOLCALL>",
    "<tool_calls>": "</tool_calls>",
    "<function_call>": "</function_call>",
    "<function_calls>": "</function_calls>",
    "<|tool_call|>": "<|/tool_call|>",
    "<longcat_tool_call>": "</longcat_tool_call>",
    "<seed:tool_call>": "</seed:tool_call>",
    "<minimax:tool_call>": "</minimax:tool_call>",
    "<｜DSML｜function_calls>": "</｜DSML｜function_calls>",
    "<｜DSML｜tool_calls>": "</｜DSML｜tool_calls>",
    "<|tool_call_start|>": "<|tool_call_end|>",
    "<|python_start|>": "<|python_end|>",
    "<|action_start|><|plugin|>": "<|action_end|>",
}
MISTRAL, PYTHON_TAG = "[TOOL_CALLS]", "<|python_tag|>"
TOKENS: dict[str, Callable[[str, int], Found]] = {
    MISTRAL: tokens.mistral,
    PYTHON_TAG: tokens.python_tag,
    "<|tool_calls_section_begin|>": tokens.kimi,
    "<｜tool▁calls▁begin｜>": tokens.deepseek,
    "<｜tool_calls_begin｜>": tokens.deepseek,
}
TAGS = ("<function=", "<invoke name=", "<|tool_call_begin|>", "<｜tool▁call▁begin｜>")  # of calls without a block
OTHERS = (  # known to begin calls, in forms that are not read
    "<start_function_call>",
    "<|tool_call>",
    "<|tools_prefix|>",
    "<|action_start|>",
    "<|plamo:begin_tool_request:plamo|>",
    "<|channel|>commentary to=",
    "<steptml:invoke",
)
TAG_MARKS = sorted((mark for mark in (*BLOCKS, *TOKENS, *TAGS, *OTHERS) if mark.startswith("<")), key=len, reverse=True)
TAG = re.compile(  # a tag whose second character begins no mark is passed over at once: texts may be full of them
    rf"<(?=[{''.join({mark[1] for mark in TAG_MARKS})}])(?:{'|'.join(re.escape(mark[1:]) for mark in TAG_MARKS)})"
)
MARK = re.compile(rf"{TAG.pattern}|{re.escape(MISTRAL)}")  # slower, for texts that have the other mark
ENDS = {mark: re.compile(f"(?P<closing>{re.escape(end)})|(?={re.escape(mark)})") for mark, end in BLOCKS.items()}
AFTER = re.compile(rf"\s*(?:{END_TOKENS})")  # a token that ends the turn goes with the calls
OFFERED = re.compile(  # behind a mark that isn't only spoken of: arguments follow the name
    rf"[^\s<]*\s*<(?:{DSML}param|\|tool_call_argument_begin\|>|｜tool[▁_]sep｜>)|\s*[A-Za-z_]\w*\.call\("
)
QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’"}


class Mark(NamedTuple):
    """Where a mark stands: `Mark("<tool_call>", 6, 17)`."""

    text: str
    start: int
    end: int


def split_calls(content: str) -> tuple[str, list[FoundCall], list[str]]:
    """(the text around the calls, the calls, their texts with the marks) of an assistant's message."""
    if "<" not in content and MISTRAL not in content:
        return content, [], []
    words: list[str] = []
    calls: list[FoundCall] = []
    texts: list[str] = []
    closings: dict[str, int] = {}
    start = at = 0
    search = (MARK if MISTRAL in content else TAG).search
    while found := search(content, at):
        mark = Mark(found[0], *found.span())
        at = mark.end
        if quoted := _quoted(content, mark):
            at = quoted
            continue
        try:
            read, end = _read(content, mark)
        except Drop as error:
            if _is_spoken_of(content, mark, closings):
                continue
            reason = f"call text in {mark.text} can't be read" if error.reason == UNREADABLE else error.reason
            raise Drop(reason, error.detail) from error
        words.append(content[start : mark.start])
        texts.append(content[mark.start : end])
        calls += read
        after = AFTER.match(content, end)
        start = at = after.end() if after else end
    if not calls:
        return content, [], []
    return "\n".join([*words, content[start:]]).strip(), calls, texts


def _read(content: str, mark: Mark) -> Found:
    """(the calls that a mark begins, where they end)."""
    opening = mark.text
    if opening in BLOCKS:
        return _block(content, mark)
    if opening in TOKENS:
        return TOKENS[opening](content, mark.end)
    if opening.startswith("<|tool_call_begin"):
        return tokens.kimi(content, mark.start)
    if opening.startswith("<｜tool"):
        return tokens.deepseek(content, mark.start)
    if opening in TAGS:
        return function_tags(content, mark.start)
    raise Drop(UNREADABLE, f"{content[mark.start : mark.end + 80]!r}")


def _block(content: str, mark: Mark) -> Found:
    """The calls between an opening and a closing tag, which may be missing at the end or before the next block."""
    failed = None
    for end_of_text, end in islice(_ends(content, mark), TRIED):
        try:
            if found := calls_of_body(content[mark.end : end_of_text]):
                return found, end
            raise Drop(UNREADABLE, f"{content[mark.start : end][:80]!r} is empty")
        except Drop as error:
            failed = failed or error
    raise failed or Drop(UNREADABLE, f"{mark.text} ends the text")


def _ends(content: str, mark: Mark) -> Iterator[tuple[int, int]]:
    """Where the text of a block and the block itself may end: at a tag, with the message, or behind its JSON."""
    start, closed = mark.end, False
    for tag in ENDS[mark.text].finditer(content, start):
        closed = closed or tag["closing"] is not None
        yield tag.start(), tag.end()
        if not may_go_on(content, start):
            end = end_of_turn(content, start)
            yield from ((end, end),) if end < tag.start() else ()
            return
    end = end_of_turn(content, start)
    yield end, end
    if not closed and (end := json_end(content, start)):
        yield end, end


def _quoted(content: str, mark: Mark) -> int:
    """Where a quotation ends that the mark begins, be it a mark in quotes or a line's text in backticks; 0 if none."""
    before = content[mark.start - 1 : mark.start]
    if before == "`" and content[mark.start - 3 : mark.start] != "```":
        return content.find("`", mark.end) + 1 or mark.end
    return mark.end if before in QUOTES and content[mark.end : mark.end + 1] == QUOTES[before] else 0


def _is_spoken_of(content: str, mark: Mark, closings: dict[str, int]) -> bool:
    """Whether an unreadable mark stands within a sentence that goes on behind it, and nothing closes it.

    `closings` is where each closing tag stands that was looked for, the last one of its kind.
    """
    line = content.rfind("\n", 0, mark.start) + 1
    begins = SPACE.match(content, line).end() >= mark.start
    if begins or content.startswith(("{", "[", "<"), SPACE.match(content, mark.end).end()):
        return False
    if mark.text in (PYTHON_TAG, *TAGS) and OFFERED.match(content, mark.end):
        return False
    if (closing := BLOCKS.get(mark.text)) is None:
        return True
    if closing not in closings:
        closings[closing] = content.rfind(closing)
    return closings[closing] < mark.end
