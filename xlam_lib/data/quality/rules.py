"""The rater that needs no model: a score from what verification found (notebook 01).

    trajectory, findings = verify(trajectory, policy)
    rate(trajectory, findings)  # Rating("rules", "rule", 3.5, "ungrounded value (2 of 4 calls): -1.5; ...")

It starts at 5 and takes away for each rule that is broken, by how much of the trajectory is concerned. What the
environment itself says about success is a ceiling: a failed task is no good example, however clean its steps.
"""

from __future__ import annotations

from collections.abc import Sequence

from xlam_lib.data.quality.findings import Finding
from xlam_lib.trajectory import Rating, Trajectory

RATER = "rules"
PENALTIES = {  # (for one, for all calls or turns concerned); a finding of level error counts twice
    "undefined function": (1.0, 2.0),
    "missing required argument": (0.5, 1.5),
    "unknown argument": (0.5, 1.5),
    "wrongly typed argument": (0.5, 1.0),
    "argument against its schema": (0.5, 1.0),
    "repaired argument": (0.0, 0.25),
    "ungrounded value": (0.5, 2.0),
    "call without result": (1.0, 2.0),
    "result without call": (1.0, 2.0),
    "repeated call": (0.25, 2.0),
    "error observation": (0.25, 2.0),
    "invalid action": (0.25, 2.0),
    "empty final answer": (1.0, 1.0),
    "contradictory final answer": (1.5, 1.5),
}
FAILED, BROKEN = 2.0, 1.0  # ceilings


def rate(trajectory: Trajectory, findings: Sequence[Finding] = ()) -> Rating:
    """The rating by rules, with its reasons: `rate(t, verify(t)[1]).score` -> 4.5. Halves are the finest step."""
    score, reasons = 5.0, []
    calls = sum(len(step.tool_calls) for step in trajectory.steps)
    turns = sum(step.role == "assistant" for step in trajectory.steps)
    for rule, (one, all_) in PENALTIES.items():
        mine = [finding for finding in findings if finding.rule == rule]
        if not mine:
            continue
        share = min(1.0, len(mine) / max(calls, turns, 1))
        taken = (one + (all_ - one) * share) * (2 if any(finding.level == "error" for finding in mine) else 1)
        score -= taken
        reasons.append(f"{rule} ({len(mine)}): -{taken:.2g}")
    ceiling, why = _ceiling(trajectory, turns)
    if score > ceiling:
        score = ceiling
        reasons.append(why)
    score = max(1.0, round(score * 2) / 2)
    return Rating(RATER, "rule", score, "; ".join(reasons) or "nothing was found wrong")


def _ceiling(trajectory: Trajectory, turns: int) -> tuple[float, str]:
    outcome = trajectory.outcome
    if not turns:
        return BROKEN, f"no turn of the model: at most {BROKEN:g}"
    if outcome.termination == "infra_error":
        return BROKEN, f"broken off by an infrastructure error: at most {BROKEN:g}"
    if outcome.success is False:
        return FAILED, f"the task failed: at most {FAILED:g}"
    return 5.0, ""
