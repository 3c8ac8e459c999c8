"""A trajectory as the line of JSON that reads back equal, most of it in C (notebook 01's conversions).

    written(trajectory, KnownTools())     b'{"schema_version": "1.0", "trajectory_id": "demo-1", ...}'

What stands before the tools and what stands behind them is written and read again by msgspec, as the types of
`trajectory.py`: what is equal then is well typed, too. Tools that come again are put in as they were written. Whatever
isn't found equal is looked at by Python, field by field, which says what is wrong.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from xlam_lib.exact_json import UNWRITTEN, dumps, fast_bytes, plain_bytes, spaced
from xlam_lib.records import SCHEMA_VERSION, TrajectoryError, typed_dict
from xlam_lib.trajectory import Outcome, Rating, Source, Step, Task, Tool, Trajectory

if TYPE_CHECKING:
    from xlam_lib.arguments import Rules

TOOLS = 4096  # that are remembered
ROWS = 16 << 20  # bytes of rows of tools that are remembered
NO_TASK, NO_OUTCOME, NONE, UNKNOWN = Task(), Outcome(), "none", "unknown"
BARE = b"{}"


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
    """A tool that was written, and checked once it has `rules`."""

    __slots__ = ("line", "rules", "tool")

    def __init__(self, tool: Tool, line: bytes) -> None:
        self.tool, self.line = tool, line
        self.rules: Rules | None = None


class KnownRow:
    """The tools of a trajectory, written one behind the other; checked once it has `by_name`."""

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


def written(trajectory: Trajectory, known: KnownTools) -> bytes:
    """The line of JSON, which reads back equal: catches ill types, tuples in arguments, NaN, lone surrogates."""
    if (line := _quickly_written(trajectory, known)) is not None:
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


def _quickly_written(t: Trajectory, known: KnownTools) -> bytes | None:
    """The line where all is as it should be."""
    if type(t) is not Trajectory:
        return None
    task, outcome = t.task, t.outcome
    head = _Head(SCHEMA_VERSION, t.trajectory_id, t.source, NO_TASK if task == NO_TASK else task)
    tail = _Tail(t.steps, NO_OUTCOME if outcome == NO_OUTCOME else outcome, t.quality, t.split, t.tags, t.extra)
    try:
        before, behind = fast_bytes(head), fast_bytes(tail)
        if _read_head(before) != head or _read_tail(behind) != tail or not _by_rule(tail):
            return None
    except UNWRITTEN:
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
