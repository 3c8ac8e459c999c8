"""What a set of trajectories is made of, as plain numbers and markdown (notebook 01, and wherever data is described).

profile(trajectories)              counts and distributions per source
print(profile_table(profiles))     the same as one markdown table
side_by_side(raw, trajectory)      a raw record beside its unified form, as HTML
gallery(pairs), funnel(books)      all sources to look at; what each stage of unify cost
"""

from __future__ import annotations

import html
import json
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from xlam_lib import markdown
from xlam_lib.data.accounting import Accounting
from xlam_lib.data.convert import DUPLICATE
from xlam_lib.data.pipeline.merge import EXACT, NEAR
from xlam_lib.data.pipeline.steps import CONTAMINATED
from xlam_lib.data.quality.findings import RULES
from xlam_lib.trajectory import Trajectory

CUT = 400  # characters of a text shown in side_by_side


@dataclass
class Profile:
    """Numbers of one source; each list has one entry a trajectory, fit for a histogram."""

    source: str
    licenses: Counter[str] = field(default_factory=Counter)
    steps: list[int] = field(default_factory=list)
    turns: list[int] = field(default_factory=list)  # assistant steps
    calls: list[int] = field(default_factory=list)
    tools: list[int] = field(default_factory=list)  # offered
    characters: list[int] = field(default_factory=list)  # of all messages, thoughts, calls and results
    parallel: int = 0  # turns with more than one call
    errors: int = 0  # tool results marked as errors
    success: Counter[str] = field(default_factory=Counter)  # yes, no, unknown
    tags: Counter[str] = field(default_factory=Counter)
    toolsets: set[str] = field(default_factory=set)

    def add(self, t: Trajectory) -> None:
        """Counts one trajectory."""
        turns = [step for step in t.steps if step.role == "assistant"]
        self.licenses[t.source.license] += 1
        self.steps.append(len(t.steps))
        self.turns.append(len(turns))
        self.calls.append(sum(len(step.tool_calls) for step in turns))
        self.tools.append(len(t.tools))
        self.characters.append(sum(_characters(step.to_dict()) for step in t.steps))
        self.parallel += sum(len(step.tool_calls) > 1 for step in turns)
        self.errors += sum(step.is_error for step in t.steps)
        self.success[{True: "yes", False: "no", None: "unknown"}[t.outcome.success]] += 1
        self.tags.update(t.tags)
        self.toolsets.add(t.toolset_id)


def profile(trajectories: Iterable[Trajectory]) -> dict[str, Profile]:
    """One profile a source, in the order met: `profile(load_source("tau_bench", path))["tau_bench"].turns`."""
    profiles: dict[str, Profile] = {}
    for t in trajectories:
        profiles.setdefault(t.source.name, Profile(t.source.name)).add(t)
    return profiles


def profile_table(profiles: Mapping[str, Profile] | Sequence[Profile]) -> str:
    """Markdown, a row a source; the columns of numbers say "median (least to most)"."""
    rows = profiles.values() if isinstance(profiles, Mapping) else profiles
    head = [
        "source",
        "trajectories",
        "turns",
        "calls",
        "tools offered",
        "tool sets",
        "characters",
        "parallel turns",
        "failed results",
        "success yes / no / unknown",
        "licence",
    ]
    return markdown.table(
        head,
        [
            [
                p.source,
                len(p.steps),
                _spread(p.turns),
                _spread(p.calls),
                _spread(p.tools),
                len(p.toolsets),
                _spread(p.characters),
                p.parallel,
                p.errors,
                " / ".join(str(p.success[k]) for k in ("yes", "no", "unknown")),
                ", ".join(sorted(p.licenses)),
            ]
            for p in rows
        ],
    )


def side_by_side(raw: Mapping[str, Any], t: Trajectory, longest: int = CUT) -> str:
    """HTML with the raw record left and the trajectory right, long parts cut: `HTML(side_by_side(row, t))`."""
    cells = "".join(
        f'<td style="vertical-align:top;text-align:left;width:50%"><b>{title}</b><pre style="white-space:pre-wrap">'
        f"{html.escape(json.dumps(_cut(value, longest), indent=1, ensure_ascii=False))}</pre></td>"
        for title, value in (("raw", raw), ("unified", t.to_dict()))
    )
    return f'<table style="width:100%;table-layout:fixed"><tr>{cells}</tr></table>'


def gallery(pairs: Mapping[str, tuple[Mapping[str, Any], Trajectory]]) -> str:
    """HTML, one line a source that opens to `side_by_side`: `HTML(gallery({"glaive": (record, trajectory)}))`."""
    return "".join(
        f"<details><summary><code>{html.escape(name)}</code> · {_in_brief(t)}</summary>{side_by_side(raw, t, 90)}"
        "</details>"
        for name, (raw, t) in pairs.items()
    )


def _in_brief(t: Trajectory) -> str:
    calls = sum(len(step.tool_calls) for step in t.steps)
    return f"{len(t.tools)} tools, {len(t.steps)} steps, {calls} calls, {html.escape(t.source.license)}"


def funnel(books: Accounting) -> dict[str, int]:
    """What is left of the records behind each stage of `unify`: {"raw records": 120, "read": 116, ...}."""
    stages = {"unique": (DUPLICATE, EXACT, NEAR), "no benchmark's question": (CONTAMINATED,), "verified": tuple(RULES)}
    lost = {name: sum(books.dropped.get(reason, 0) for reason in reasons) for name, reasons in stages.items()}
    left = books.records_in - books.quarantined
    made = {"raw records": books.records_in, "read": left}
    made["converted"] = left = left - (sum(books.dropped.values()) - sum(lost.values()))
    for name in ("verified", "no benchmark's question", "unique"):
        made[name] = left = left - lost[name]
    return made


def _spread(values: Sequence[int]) -> str:
    return f"{statistics.median(values):g} ({min(values)} to {max(values)})" if values else "none"


def _characters(value: Any) -> int:
    if isinstance(value, dict):
        return sum(_characters(item) for key, item in value.items() if key not in ("role", "id", "tool_call_id"))
    if isinstance(value, list):
        return sum(map(_characters, value))
    return len(value) if isinstance(value, str) else 0


def _cut(value: Any, longest: int, depth: int = 0) -> Any:
    """The same value, short enough to be looked at."""
    if isinstance(value, str):
        return value if len(value) <= longest else f"{value[:longest]}... ({len(value)} characters)"
    if depth > 7 and isinstance(value, dict | list) and value:
        return "..."
    if isinstance(value, list):
        shown = max(2, longest // 60)
        more = [f"... ({len(value)} in all)"] if len(value) > shown else []
        return [_cut(item, longest, depth + 1) for item in value[:shown]] + more
    if isinstance(value, dict):
        return {key: _cut(item, longest, depth + 1) for key, item in value.items()}
    return value
