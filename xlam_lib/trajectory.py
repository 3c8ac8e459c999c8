"""The unified format: one trajectory is a task, its tools, the messages exchanged, and how it ended.

`schema.py` has all fields on one page. On disk a trajectory is one line of JSON:

    {"schema_version": "1.0", "trajectory_id": "demo-1", "source": {"name": "demo", "license": "CC0-1.0"},
     "tools": [{"name": "weather", "description": "...", "parameters": {"type": "object", "properties": {...}}}],
     "steps": [{"role": "user", "content": "Weather in Oslo?"},
               {"role": "assistant",
                "tool_calls": [{"name": "weather", "arguments": {"city": "Oslo"}, "id": "call_0"}]},
               {"role": "tool", "tool_call_id": "call_0", "name": "weather", "content": "{\\"celsius\\": 4}"}],
     "outcome": {"success": true, "termination": "success"}}

Fields at their default are left out. Use: `for t in read_jsonl(path): t.validate()`; in a notebook, `t` shows a card.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from html import escape
from pathlib import Path
from typing import Any, Literal

from xlam_lib.errors import TrajectoryError
from xlam_lib.files import writing
from xlam_lib.schema import SCHEMA_VERSION, Outcome, Rating, Source, Step, Task, Tool, ToolCall, TrajectoryRecord
from xlam_lib.serialize import dumps
from xlam_lib.validation import check

__all__ = [
    "SCHEMA_VERSION",
    "Outcome",
    "Rating",
    "Source",
    "Step",
    "Task",
    "Tool",
    "ToolCall",
    "Trajectory",
    "TrajectoryError",
    "read_jsonl",
    "write_jsonl",
]

COLOURS = {"system": "#8a8f98", "user": "#2f6fde", "assistant": "#1f9d61", "tool": "#b7791f"}
FOLD = 400  # characters shown before a text folds


class Trajectory(TrajectoryRecord, frozen=True):
    """One task from the first word to the last; see the example at the top of this module."""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, the schema's version first."""
        return {"schema_version": SCHEMA_VERSION, **super().to_dict()}

    @classmethod
    def from_dict(cls, data: dict[str, Any], where: str = "") -> Trajectory:
        """The trajectory that `to_dict` wrote; anything else raises TrajectoryError."""
        if isinstance(data, dict):
            where = where or f"trajectory {data.get('trajectory_id', '?')!r}"
            version = data.get("schema_version")
            if version != SCHEMA_VERSION:
                raise TrajectoryError(
                    f"{where}: schema_version is {version!r}, this library reads {SCHEMA_VERSION!r}; "
                    "convert the raw data again with this version"
                )
            data = {key: value for key, value in data.items() if key != "schema_version"}
        return super().from_dict(data, where or "trajectory")

    def validate(self, argument_level: Literal["error", "warning"] = "error") -> list[str]:
        """Raises TrajectoryError at the first fault; arguments against the schema may be returned as warnings instead.

        Example: `t.validate("warning")` -> ["trajectory 'demo-1', step 1: weather: 'city' is a required property"]
        """
        return check(self, argument_level)

    @property
    def toolset_id(self) -> str:
        """A name for this set of tools, whatever their order: '3f1c9a5e0b7d2c48'."""
        tools = [tool.to_dict() for tool in sorted(self.tools, key=lambda tool: tool.name)]
        return hashlib.sha256(json.dumps(tools, sort_keys=True).encode()).hexdigest()[:16]

    def _repr_html_(self) -> str:
        return _card(self)


def read_jsonl(path: str | Path) -> Iterator[Trajectory]:
    """Trajectories of a JSON Lines file, one at a time; an error names file and line: 'train.jsonl:17: ...'."""
    with open(path, "rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                yield Trajectory.from_dict(json.loads(line, parse_constant=_no_constant))
            except TrajectoryError as error:
                raise TrajectoryError(f"{path}:{number}: {error}") from error
            except (ValueError, RecursionError) as error:
                raise TrajectoryError(f"{path}:{number}: not a line of JSON ({error}); is the file cut off?") from error


def write_jsonl(path: str | Path, trajectories: Iterable[Trajectory]) -> int:
    """Writes JSON Lines and returns how many; the file appears whole or not at all."""
    count = 0
    with writing(path, "wb") as file:
        for trajectory in trajectories:
            file.write(_line(trajectory))
            count += 1
    return count


def _line(trajectory: Trajectory) -> bytes:
    try:
        return dumps(trajectory.to_dict()) + b"\n"
    except (TypeError, ValueError, RecursionError) as error:
        raise TrajectoryError(f"trajectory {trajectory.trajectory_id!r}: cannot be JSON ({error})") from error


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _card(trajectory: Trajectory) -> str:
    """The HTML that Jupyter shows for a trajectory: what comes from data is escaped, long texts fold away."""
    outcome = trajectory.outcome
    facts = [trajectory.source.name, trajectory.source.license, trajectory.split, *trajectory.tags]
    facts += [f"{len(trajectory.steps)} steps", outcome.termination if outcome.termination != "unknown" else ""]
    facts += [f"reward {outcome.reward:g}" if outcome.reward is not None else ""]
    facts += [f"{rating.rater}: {rating.score:g}/5" for rating in trajectory.quality]
    named = (f'<span title="{escape(tool.description)}">{escape(tool.name)}</span>' for tool in trajectory.tools)
    rows = [
        f"<b>{escape(trajectory.trajectory_id)}</b> " + _muted(escape(" · ".join(filter(None, facts)))),
        _muted(_folded(f"task: {trajectory.task.instruction}")) if trajectory.task.instruction else "",
        _muted(f"tools: {', '.join(named) or 'none'}"),
        *map(_row, trajectory.steps),
    ]
    style = "border:1px solid #8884;border-radius:8px;padding:.6em .9em;max-width:60em;line-height:1.45"
    return f'<div style="{style}">{"".join(rows)}</div>'


def _row(step: Step) -> str:
    colour = "#c53030" if step.is_error else COLOURS[step.role]
    label = f"{step.role} {step.name}".strip() + (" ✗" if step.is_error else "")
    notes = [] if step.trainable else ["not trained on"]
    notes += [f"reward {step.reward:g}"] if step.reward is not None else []
    body = _muted(_folded(step.reasoning)) if step.reasoning else ""
    body += _folded(step.content)
    body += "".join(
        f"<div><code>{escape(call.name)}({_arguments(call.arguments)})</code></div>" for call in step.tool_calls
    )
    body += _muted(", ".join(notes)) if notes else ""
    style = f"border-left:3px solid {colour};margin:.45em 0 0;padding:.1em 0 .1em .7em;overflow-wrap:anywhere"
    title = f'<div style="color:{colour};font-size:.8em;font-weight:600">{escape(label)}</div>'
    return f'<div style="{style}">{title}{body}</div>'


def _arguments(arguments: dict) -> str:
    shown = (f"{name}={json.dumps(value, ensure_ascii=False, default=str)}" for name, value in arguments.items())
    return escape(", ".join(shown))


def _muted(html: str) -> str:
    return f'<div style="color:#8a8f98;font-size:.85em">{html}</div>'


def _folded(text: str) -> str:
    whole = f'<div style="white-space:pre-wrap">{escape(text)}</div>' if text else ""
    if len(text) <= FOLD:
        return whole
    start = escape(" ".join(text[:100].split()))
    return f"<details><summary>{start} … ({len(text):,} characters)</summary>{whole}</details>"
