"""What verification can find in a trajectory: the rules, how severe each is, and the table of what was found.

Used by `verify.py` and the ratings (notebook 01). A source may set a rule otherwise by a policy that it declares:

    Policy({"ungrounded value": "off"}, composed=("keywords",))

After the section on data quality of the xLAM paper (arXiv 2409.03215): undefined functions, wrong argument types,
hallucinated arguments, low-quality reasoning and planning; the last is left to the raters.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Literal

from xlam_lib import markdown

Level = Literal["error", "warning", "off"]


@dataclass(frozen=True)
class Rule:
    """One thing that can be wrong: its usual level and what it means."""

    level: Level
    explanation: str


RULES: dict[str, Rule] = {
    "undefined function": Rule("error", "a call names a tool that the trajectory doesn't offer"),
    "missing required argument": Rule("error", "a call lacks an argument that its schema requires"),
    "unknown argument": Rule("error", "a call has an argument that its schema doesn't know"),
    "wrongly typed argument": Rule("error", "an argument is of another type than its schema says, and no safe repair"),
    "argument against its schema": Rule("error", "an argument breaks another rule of its schema: enum, range, length"),
    "repaired argument": Rule("warning", "an argument was repaired without a change of meaning, e.g. '5' to 5"),
    "ungrounded value": Rule("warning", "an argument's value stands nowhere in what the model was told (hallucinated)"),
    "call without result": Rule("error", "a call is not answered before the next turn begins"),
    "result without call": Rule("error", "a tool step answers no open call"),
    "repeated call": Rule("warning", "the same call again, with nothing new as its result"),
    "error observation": Rule("warning", "a tool answered with an error"),
    "invalid action": Rule("warning", "the environment didn't understand the action, or could not do it"),
    "empty final answer": Rule("error", "the last turn says nothing and calls nothing"),
    "contradictory final answer": Rule("warning", "the last turn says the opposite of what happened"),
}
ARGUMENT_RULES = (
    "missing required argument",
    "unknown argument",
    "wrongly typed argument",
    "argument against its schema",
)


@dataclass(frozen=True)
class Finding:
    """What was found where: `Finding("demo-1", 3, "undefined function", "error", "calls 'wether'")`."""

    trajectory_id: str
    step: int
    rule: str
    level: str
    found: str

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class Policy:
    """How a source is to be verified; what it doesn't say stays as in RULES.

    `composed` names arguments that the model writes itself (a search text, a message), so that no value of theirs is
    hallucinated: "keywords", or "search.keywords" for one tool only. `invalid` and `errors` are patterns of
    observations, searched for at the beginning of a line.
    """

    levels: Mapping[str, Level] = field(default_factory=dict)
    composed: tuple[str, ...] = ()
    invalid: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    repair: bool = True

    def __post_init__(self) -> None:
        for rule, level in self.levels.items():
            if rule not in RULES:
                raise ValueError(f"no rule {rule!r}; there are {', '.join(RULES)}")
            if level not in ("error", "warning", "off"):
                raise ValueError(f"rule {rule!r}: level is {level!r}, expected 'error', 'warning' or 'off'")

    def level(self, rule: str) -> Level:
        """The level of a rule: `Policy().level("repeated call")` -> "warning"."""
        return self.levels.get(rule, RULES[rule].level)

    @cached_property
    def invalid_pattern(self) -> re.Pattern[str] | None:
        """One pattern of all `invalid`."""
        return _any_of(self.invalid)

    @cached_property
    def error_pattern(self) -> re.Pattern[str] | None:
        """One pattern of all `errors`."""
        return _any_of(self.errors)


def _any_of(patterns: tuple[str, ...]) -> re.Pattern[str] | None:
    return re.compile(rf"^[^\S\n]*(?:{'|'.join(patterns)})", re.MULTILINE) if patterns else None


def policy_of(source: Any) -> Policy:
    """The policy of a `SourceInfo`: what it declares, and its argument_level for the rules about arguments.

    Example: `policy_of(tau_bench.SOURCE).level("unknown argument")` -> "warning"
    """
    policy: Policy = source.policy
    levels = dict.fromkeys(ARGUMENT_RULES, source.argument_level) | dict(policy.levels)
    return Policy(levels, policy.composed, policy.invalid, policy.errors, policy.repair)


def first_error(findings: Iterable[Finding]) -> Finding | None:
    """The first finding that costs a record its place: its `rule` is the reason of the drop, its `found` the detail."""
    return next((finding for finding in findings if finding.level == "error"), None)


def findings_table(findings: Iterable[Finding], trajectories: int | None = None) -> str:
    """Markdown, a row a rule: how many findings, in how many trajectories, the first as an example.

    `trajectories` is how many were looked at; given, a column shows the share of them.
    """
    counts: Counter[tuple[str, str]] = Counter()
    ids: dict[tuple[str, str], set[str]] = {}
    example: dict[tuple[str, str], str] = {}
    for one in findings:
        key = (one.rule, one.level)
        counts[key] += 1
        ids.setdefault(key, set()).add(one.trajectory_id)
        example.setdefault(key, f"{one.trajectory_id}, step {one.step}: {one.found}")
    order = {rule: number for number, rule in enumerate(RULES)}
    share = ["share"] if trajectories else []
    rows = [
        [*key, count, len(ids[key]), *([f"{len(ids[key]) / trajectories:.1%}"] if trajectories else []), example[key]]
        for key, count in sorted(counts.items(), key=lambda item: (order[item[0][0]], item[0][1]))
    ]
    return markdown.table(["rule", "level", "findings", "trajectories", *share, "example"], rows)
