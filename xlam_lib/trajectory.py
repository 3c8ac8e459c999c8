"""The unified format: one trajectory is a task, its tools, the messages exchanged, and how it ended.

Every notebook speaks these types; every source is converted into them once and every trainer, server and benchmark
reads them from here. On disk a trajectory is one line of JSON:

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
from pathlib import Path
from typing import Any, Literal

from msgspec import field

from xlam_lib.card import card
from xlam_lib.exact_json import dumps
from xlam_lib.files import writing
from xlam_lib.records import SCHEMA_VERSION, Record, TrajectoryError

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


class Tool(Record, frozen=True):
    """What can be called: `Tool("weather", "Weather of a city", {"type": "object", "properties": {...}})`."""

    name: str
    description: str = ""
    parameters: dict = field(default_factory=lambda: {"type": "object", "properties": {}})  # JSON Schema


class ToolCall(Record, frozen=True):
    """One call: `ToolCall("weather", {"city": "Oslo"}, "call_0")`; ids are unique within a trajectory."""

    name: str
    arguments: dict = field(default_factory=dict)
    id: str = ""


class Step(Record, frozen=True):
    """One message. `reasoning` is thought, `content` is said; a tool step answers the call `tool_call_id`."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""
    name: str = ""  # of the tool, on tool steps
    is_error: bool = False  # the tool failed
    trainable: bool = True  # assistant steps that may be learnt from
    reward: float | None = None
    reasoning_origin: Literal["native", "generated", "none"] = "none"


class Source(Record, frozen=True):
    """Where it comes from: `Source("toolbench", "Apache-2.0", raw_id="G1_answer/42")`."""

    name: str
    license: str
    raw_id: str = ""
    split: str = ""
    revision: str = ""
    url: str = ""
    converter: str = ""


class Task(Record, frozen=True):
    """What is to be done: the text of the task block, unless a system step says it."""

    instruction: str = ""
    task_id: str = ""


class Outcome(Record, frozen=True):
    """How it ended. An infrastructure error is a reason to stop, never a reward."""

    success: bool | None = None
    reward: float | None = None
    termination: Literal["success", "failure", "max_steps", "user_stop", "infra_error", "unknown"] = "unknown"
    checks: dict = field(default_factory=dict)


class Rating(Record, frozen=True):
    """What a rater thought of it, from 1 (bad) to 5 (good): `Rating("format", "rule", 5.0)`."""

    rater: str
    kind: Literal["rule", "critic", "human"]
    score: float
    rationale: str = ""


class Trajectory(Record, frozen=True):
    """One task from the first word to the last; see the example at the top of this module."""

    trajectory_id: str  # unique and stable: source name + raw id (+ variant)
    source: Source
    task: Task = field(default_factory=Task)
    tools: tuple[Tool, ...] = ()
    steps: tuple[Step, ...] = ()
    outcome: Outcome = field(default_factory=Outcome)
    quality: tuple[Rating, ...] = ()
    split: str = ""
    tags: tuple[str, ...] = ()
    extra: dict = field(default_factory=dict)

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
        from xlam_lib.validation import check  # which imports this module

        return check(self, argument_level)

    @property
    def toolset_id(self) -> str:
        """A name for this set of tools, whatever their order: '3f1c9a5e0b7d2c48'."""
        tools = [tool.to_dict() for tool in sorted(self.tools, key=lambda tool: tool.name)]
        return hashlib.sha256(json.dumps(tools, sort_keys=True).encode()).hexdigest()[:16]

    def _repr_html_(self) -> str:
        return card(self)


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
