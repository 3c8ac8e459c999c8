"""Results and the calls that they answer: what users tell in tags, one result for several calls (notebook 01).

    told_by_users([call, Turn("user", "<tool_response>4</tool_response>")]) -> [call, Turn("tool", "4")]
    answers_of([Turn("tool", "[1, 2]")], [("f", ""), ("g", "")], ends=False) -> ([Turn("tool", "1"), ...], False)

What a message's own fields say about it is in `results.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from xlam_lib.data.formats.chats.results import blocks_of
from xlam_lib.data.formats.chats.turn import Turn, json_text
from xlam_lib.serialize import loads

Call = tuple[str, str]  # name and raw id of a call that waits for its result, each "" where it says nothing


def told_by_users(turns: Sequence[Turn]) -> Sequence[Turn]:
    """The turns with results that a user tells, in tags behind calls, as results; what is said around stays theirs."""
    if not any(turn.role == "user" and blocks_of(turn.content) for turn in turns):
        return turns
    made: list[Turn] = []
    waiting, around = False, []
    for turn in turns:
        blocks = blocks_of(turn.content) if waiting and turn.role == "user" else None
        if blocks:
            made += [replace(turn, role="tool", content=text) for text in blocks.inner]
            around += [blocks.around] if blocks.around else []
            continue
        if around:
            made.append(Turn("user", "\n".join(around)))
            around = []
        made.append(turn)
        waiting = turn.role == "assistant" and bool(turn.calls)
    return [*made, *([Turn("user", "\n".join(around))] if around else [])]


def answers_of(results: Sequence[Turn], calls: Sequence[Call], ends: bool) -> tuple[list[Turn], bool]:
    """(one result a call, whether one of them is for several calls) of results that follow one another.

    `calls` are those that wait for an answer; `ends` says that the conversation does.
    """
    if len(results) == 1 and _is_plain(results[0], calls):
        return [results[0]], False
    results = _untagged([_with_id(turn, calls) for turn in results], len(calls))
    found: list[Turn] = []
    joint = False
    for turn in results:
        if turn.raw_ids:
            parted = _parted(replace(turn, name=""), [("", raw_id) for raw_id in turn.raw_ids])
        elif len(results) == 1 and len(calls) > 1 and not turn.raw_id:
            parted = _parted(turn, [(name, "") for name, _ in calls])
            if parted is None and (ends or turn.name):
                parted = [turn]
        else:
            parted = [turn]
        if parted is None:  # its text stands with the first of the calls
            joint = True
            ids = turn.raw_ids or ("",) * len(calls)
            parted = [replace(turn, content="" if at else turn.content, raw_id=raw_id) for at, raw_id in enumerate(ids)]
        found += parted
    return found, joint


def _is_plain(turn: Turn, calls: Sequence[Call]) -> bool:
    """Whether a result is one text for one call, as most are."""
    return len(calls) < 2 and not (
        turn.raw_ids or turn.parts or (turn.own_id and not turn.raw_id) or "<" in turn.content
    )


def _with_id(turn: Turn, calls: Sequence[Call]) -> Turn:
    """A result whose message has the id of such a call for its own id answers that call."""
    if turn.raw_id or turn.raw_ids or not turn.own_id or all(raw_id != turn.own_id for _, raw_id in calls):
        return turn
    unknown = {place: value for place, value in (turn.unknown or {}).items() if not place.endswith(".id")}
    return replace(turn, raw_id=turn.own_id, unknown=unknown or None)


def _untagged(results: Sequence[Turn], calls: int) -> Sequence[Turn]:
    """Results without tags, each text for itself where there are as many of them as calls to be answered."""
    texts = [_texts(turn, calls) for turn in results]
    if sum(map(len, texts)) != calls:
        texts = [("\n".join(each),) for each in texts]
    return [
        turn if text == turn.content else replace(turn, content=text)
        for turn, each in zip(results, texts, strict=True)
        for text in each
    ]


def _texts(turn: Turn, calls: int) -> tuple[str, ...]:
    """The texts of a result: in tags or parts of a list, or the one that it is."""
    if turn.parts:
        return turn.parts if not turn.raw_id else (turn.content,)
    blocks = blocks_of(turn.content)
    if blocks is None:
        return (turn.content,)
    if not blocks.around:
        return blocks.inner if not turn.raw_id else ("\n".join(blocks.inner),)
    return blocks.whole if len(blocks.whole) == calls > 1 and not turn.raw_id else (turn.content,)


def _parted(result: Turn, calls: Sequence[Call]) -> list[Turn] | None:
    """A result that is a JSON list of as many as there are calls, taken apart; else None."""
    try:
        items = loads(result.content)
    except (ValueError, RecursionError):
        return None
    if not isinstance(items, list) or len(items) != len(calls):
        return None
    given = [item.get("name") if isinstance(item, dict) else None for item in items]
    names = [name if isinstance(name, str) else "" for name in given]
    named = sorted(names) == sorted(name for name, _ in calls)
    return [
        replace(result, content=json_text(item), name=name if named else "", raw_id=raw_id)
        for item, name, (_, raw_id) in zip(items, names, calls, strict=True)
    ]
