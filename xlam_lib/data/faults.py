"""A file spoiled on purpose, to see what the pipeline makes of it: good conversations and every kind of bad ones.

    spoiled(trajectories, "raw/chats.jsonl", ["Find the area of a triangle with a base of 10 units ..."], each=5)
    unify("openai_chat", "raw/chats.jsonl", "data/chats", options=Options(strict=True, dedup="near", ...))

Notebook 01 shows the funnel through which such a file goes, and the tests hold the books against what was put in.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from xlam_lib.data.export import to_openai_row
from xlam_lib.files import writing
from xlam_lib.trajectory import Trajectory

Row = dict[str, Any]
WORDS = 60  # a near-duplicate has at least so many, so that one word more changes little


def spoiled(
    trajectories: Iterable[Trajectory], path: str | Path, questions: Sequence[str], each: int = 5, seed: int = 0
) -> dict[str, int]:
    """Writes a file of OpenAI conversations in random order, `each` of every fault; returns how many of what.

    Example: `spoiled(ts, "chats.jsonl", questions)["near-duplicate"]` -> 5
    """
    rng = random.Random(seed)
    rows = [to_openai_row(t) for t in trajectories]
    calling = [row for row in rows if any(message.get("tool_calls") for message in row["messages"])]
    long = [row for row in rows if len(json.dumps(row["messages"]).split()) >= WORDS]
    if min(len(calling), len(long), len(questions)) < each:
        raise ValueError(
            f"{len(calling)} conversations with calls, {len(long)} of {WORDS} words and {len(questions)} questions: "
            f"{each} of each are needed"
        )
    made: dict[str, list[bytes]] = {"sound": [_line(row) for row in rows]}
    for kind, spoil in BYTES.items():
        made[kind] = [spoil(_line(_copy(row, kind, n))) for n, row in enumerate(rng.sample(calling, each))]
    for kind, change in ROWS.items():
        chosen = rng.sample(long if kind == "near-duplicate" else calling, each)
        made[kind] = [_line(change(_copy(row, kind, n))) for n, row in enumerate(chosen)]
    asked = zip(rng.sample(list(questions), each), rng.sample(calling, each), strict=True)
    made["benchmark's question"] = [
        _line(_asks(_copy(row, "asked", n), question)) for n, (question, row) in enumerate(asked)
    ]
    lines = [line for kind in made.values() for line in kind]
    rng.shuffle(lines)
    with writing(path, "wb") as file:
        file.writelines(line + b"\n" for line in lines)
    return {kind: len(lines) for kind, lines in made.items()}


def _line(row: Row) -> bytes:
    return json.dumps(row, ensure_ascii=False).encode()


def _copy(row: Row, kind: str, number: int) -> Row:
    return copy.deepcopy(row) | {"id": f"{kind} {number}"}


def _first_call(row: Row) -> Row:
    return next(message["tool_calls"][0] for message in row["messages"] if message.get("tool_calls"))["function"]


def _undeclared(row: Row) -> Row:
    """The tool of the first call and of all its results goes by another name than the declared one."""
    name = _first_call(row)["name"]
    for message in row["messages"]:
        functions = [call["function"] for call in message.get("tool_calls") or []]
        for named in (message, *functions):
            if named.get("name") == name:
                named["name"] = f"{name}_of_old"
    return row


def _ill_typed(row: Row) -> Row:
    call = _first_call(row)
    arguments = json.loads(call["arguments"])
    call["arguments"] = json.dumps({**arguments, **{name: {"value": [value]} for name, value in arguments.items()}})
    return row


def _speechless(row: Row) -> Row:
    row["messages"] = [message for message in row["messages"] if message["role"] != "user"]
    return row


def _one_word_more(row: Row) -> Row:
    row["messages"][-1]["content"] = (row["messages"][-1].get("content") or "") + " Indeed"
    return row


def _asks(row: Row, question: str) -> Row:
    next(message for message in row["messages"] if message["role"] == "user")["content"] = question
    return row


BYTES: dict[str, Callable[[bytes], bytes]] = {
    "cut off": lambda line: line[: len(line) * 2 // 3],
    "not UTF-8": lambda line: line.replace(b'"user"', b'"us\xe9r"', 1),
}
ROWS: dict[str, Callable[[Row], Row]] = {
    "nobody asks": _speechless,
    "undeclared tool": _undeclared,
    "wrongly typed argument": _ill_typed,
    "duplicate": lambda row: row,
    "near-duplicate": _one_word_more,
}
