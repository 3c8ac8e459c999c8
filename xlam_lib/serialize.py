"""JSON by msgspec, several times as fast as Python's json, with the very results of json (notebook 01's conversions).

    loads('{"city": "Oslo"}')             what json.loads gives, and its errors
    dumps({"celsius": 4})                 b'{"celsius": 4}': json.dumps(value, ensure_ascii=False) as bytes
    plain_bytes({"at": (59.9, 10.7)})     None: a tuple reads back as a list
    serialize(trajectory, KnownTools())   b'{"schema_version": "1.0", "trajectory_id": "demo-1", ...}'

msgspec refuses what json lets pass (lone surrogates, NaN, 1e999), and then json is asked: nothing depends on which of
the two did the work (tests/test_serialize.py). In one point the text is another, not the value: floats that json
writes with an exponent, 1e+16 and 1e-05, are written as 1e16 and 0.00001.

Of a trajectory, what stands before the tools and what stands behind them is serialized and read again by msgspec, as
the types of `trajectory.py`: what is equal then is well typed, too. Tools that come again are put in from a cache.
Whatever isn't found equal is looked at by Python, field by field, which says what is wrong.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from xlam_lib.errors import TrajectoryError
from xlam_lib.schema import SCHEMA_VERSION, Outcome, Rating, Source, Step, Task, Tool, TrajectoryRecord, typed_dict

if TYPE_CHECKING:
    from xlam_lib.arguments import Rules

DECODE_ERRORS = (msgspec.MsgspecError, UnicodeError, RecursionError)
ENCODE_ERRORS = (*DECODE_ERRORS, TypeError, ValueError)
fast = msgspec.json.Decoder().decode  # raises one of DECODE_ERRORS where json.loads may know better
_fast_sorted = msgspec.json.Encoder(order="sorted").encode
_sorted = json.JSONEncoder(sort_keys=True).encode
DIGITS = bytes.maketrans(b"123456789", b"000000000")
fast_bytes = msgspec.json.Encoder().encode  # of values that are known to be plain: NaN would become null
TOOLS = 4096  # that are cached
ROWS = 16 << 20  # bytes of rows of tools that are cached
NO_TASK, NO_OUTCOME, NONE, UNKNOWN = Task(), Outcome(), "none", "unknown"
BARE = b"{}"
FIELDS = TrajectoryRecord.__struct_fields__


class _Head(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True):
    """What stands before the tools."""

    schema_version: Literal["1.0"]
    trajectory_id: str
    source: Source
    task: Task = NO_TASK


class _Tail(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True):
    """What stands behind the tools."""

    steps: tuple[Step, ...] = ()
    outcome: Outcome = NO_OUTCOME
    quality: tuple[Rating, ...] = ()
    split: str = ""
    tags: tuple[str, ...] = ()
    extra: dict = msgspec.field(default_factory=dict)


_read_head, _read_tail = msgspec.json.Decoder(_Head).decode, msgspec.json.Decoder(_Tail).decode


class KnownTool:
    """A tool with its JSON, and checked once it has `rules`."""

    __slots__ = ("line", "rules", "tool")

    def __init__(self, tool: Tool, line: bytes) -> None:
        self.tool, self.line = tool, line
        self.rules: Rules | None = None


class KnownRow:
    """The tools of a trajectory as one piece of JSON; checked once it has `by_name`."""

    __slots__ = ("by_name", "line", "tools")

    def __init__(self, tools: tuple[Tool, ...], line: bytes) -> None:
        self.tools, self.line = tools, line
        self.by_name: dict[str, tuple[Tool, Rules]] | None = None


class KnownTools(dict[int, KnownTool]):
    """The tools seen so far, by identity: it holds them, so that no other can get the number of one of them.

    Nobody may edit their schemas meanwhile; converters hand out the same tool for the same text, and never edit it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rows: dict[tuple[int, ...], KnownRow] = {}
        self.bytes = 0

    def of(self, tool: Tool) -> KnownTool | None:
        """What is known of a tool, None for one of ill types: `known.of(tool).line` -> b'{"name": "add"}'."""
        known = self.get(id(tool))
        if known is None:
            plain = typed_dict(tool) if type(tool) is Tool else None
            line = None if plain is None else plain_bytes(plain)
            if line is None:
                return None
            if len(self) >= TOOLS:
                self.clear()
            known = self[id(tool)] = KnownTool(tool, line)
        return known

    def row(self, tools: Any) -> KnownRow | None:
        """What is known of the tools of a trajectory, None where one is of ill types or there is no tuple of them."""
        if type(tools) is not tuple:
            return None
        key = tuple(map(id, tools))
        found = self.rows.get(key)
        if found is None:
            lines = []
            for tool in tools:
                one = self.of(tool)
                if one is None:
                    return None
                lines.append(one.line)
            found = KnownRow(tools, b', "tools": [%s]' % b", ".join(lines) if lines else b"")
            self.bytes += len(found.line) + 8 * len(key)
            if self.bytes > ROWS:
                self.rows.clear()
                self.bytes = len(found.line)
            self.rows[key] = found
        return found


def serialize(trajectory: TrajectoryRecord, known: KnownTools) -> bytes:
    """The line of JSON, which reads back equal: catches ill types, tuples in arguments, NaN, lone surrogates."""
    if (line := _quickly(trajectory, known)) is not None:
        return line
    where = f"trajectory {trajectory.trajectory_id!r}"
    try:
        line = dumps(trajectory.to_dict())
    except (TypeError, ValueError, RecursionError) as error:
        raise TrajectoryError(f"{where}: cannot be written as JSON ({error})") from error
    if type(trajectory).from_dict(json.loads(line), where) != trajectory:
        raise TrajectoryError(
            f"{where}: reads back differently than written; give tuples for lists of records, "
            "and only JSON values (with string keys, no tuples) inside dictionaries"
        )
    return line


def _quickly(t: TrajectoryRecord, known: KnownTools) -> bytes | None:
    """The line where all is as it should be."""
    if type(t).__struct_fields__ != FIELDS:
        return None
    task, outcome = t.task, t.outcome
    head = _Head(SCHEMA_VERSION, t.trajectory_id, t.source, NO_TASK if task == NO_TASK else task)
    tail = _Tail(t.steps, NO_OUTCOME if outcome == NO_OUTCOME else outcome, t.quality, t.split, t.tags, t.extra)
    try:
        before, behind = fast_bytes(head), fast_bytes(tail)
        if _read_head(before) != head or _read_tail(behind) != tail or not _by_rule(tail):
            return None
    except ENCODE_ERRORS:
        return None
    if (row := known.row(t.tools)) is None:
        return None
    before, behind = spaced(before), spaced(behind)
    return before[:-1] + row.line + (b"}" if behind == BARE else b", " + behind[1:])


def _by_rule(tail: _Tail) -> bool:
    """Whether msgspec leaves out what `to_dict` leaves out: it asks whether a value is the default, not whether equal.

    There is but one empty text, tuple and None; only words and dictionaries can be equal and not the same.
    """
    outcome = tail.outcome
    if type(tail.extra) is not dict or type(outcome.checks) is not dict:
        return False
    if outcome.termination == UNKNOWN and outcome.termination is not UNKNOWN:
        return False
    for step in tail.steps:
        origin = step.reasoning_origin
        if origin is not NONE and origin == NONE:
            return False
        for call in step.tool_calls:
            if type(call.arguments) is not dict:
                return False
    return True


def spaced(line: bytes) -> bytes:
    """A line that `fast_bytes` wrote, with json's spaces: `spaced(b'{"a":1}')` -> b'{"a": 1}'."""
    return msgspec.json.format(line, indent=0)


def sorted_bytes(value: Any) -> bytes:
    """As json.dumps with sorted keys, for values whose keys are texts: `sorted_bytes({"b": 1, "a": "é"})`."""
    try:
        line = spaced(_fast_sorted(value))
    except ENCODE_ERRORS:
        return _sorted(value).encode()
    if not line.isascii() or b"\x7f" in line or b"null" in line:  # written with a backslash, or NaN
        return _sorted(value).encode()
    digits = line.translate(DIGITS)
    exponent = b"0e0" in digits or b"0e-" in digits or b"0.0000" in line  # 1e16 and 0.00001: json has 1e+16 and 1e-05
    return _sorted(value).encode() if exponent else line


def loads(text: str | bytes) -> Any:
    """As `json.loads`: `loads("[1, 2.5]")` -> [1, 2.5]."""
    try:
        return fast(text)
    except DECODE_ERRORS:
        return json.loads(text)


def spaced_bytes(value: Any) -> bytes:
    """A line with json's spaces, of values that are known to be plain: `spaced_bytes({"a": 1})` -> b'{"a": 1}'."""
    return spaced(fast_bytes(value))


def dumps(value: Any) -> bytes:
    """One line of JSON without its end; raises what json.dumps raises, also over NaN: `dumps(["é"])`."""
    line = plain_bytes(value)
    if line is None:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
        line = spaced(fast_bytes(json.loads(text)))
    return line


def plain_bytes(value: Any) -> bytes | None:
    """The same line for a value that reads back equal, else None: `plain_bytes({1: 2})` -> None, as keys are texts."""
    try:
        line = fast_bytes(value)
        return spaced(line) if fast(line) == value else None
    except ENCODE_ERRORS:
        return None
