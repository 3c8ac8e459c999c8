"""The unified format on one page: what a trajectory is made of, field by field (`trajectory.py` reads and writes it).

Every notebook speaks these types: every source is converted into them once, and every trainer, server and benchmark
reads them from `xlam_lib.trajectory`. Fields at their default are left out on disk.
"""

from __future__ import annotations

from typing import Literal

from msgspec import field

from xlam_lib.records import Record


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
    """One message. `reasoning` is the thought, `content` the text; a tool step answers the call `tool_call_id`."""

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


class TrajectoryRecord(Record, frozen=True):
    """The fields of a trajectory; `xlam_lib.trajectory.Trajectory` is this with its behaviour."""

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
