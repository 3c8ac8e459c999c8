"""What tools and environments answer, and how the last turn fits it. Used by `verify.py` (notebook 01).

The patterns here are those that environments share; what one of them says in words of its own is declared by its
source in its policy.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from xlam_lib.data.quality.findings import Policy
from xlam_lib.trajectory import Step, Trajectory

INVALID = re.compile(
    r"\s*(?:observation:\s*)?(?:(?:error:\s*)?(?:invalid|unknown|unrecogni[sz]ed|malformed)\s+"
    r"(?:action|command|tool|function|input format)|nothing happen(?:s|ed)|no such (?:action|command|tool|function)|"
    r"that'?s not a (?:valid |recogni[sz]ed )?(?:action|command|verb)|action is not (?:valid|available))",
    re.IGNORECASE,
)
ERROR = re.compile(
    r"\s*(?:error\b|[\w.]*(?:Error|Exception)\b\s*[:(]|traceback \(most recent call last\)|"
    r"(?:http )?(?:4\d\d|5\d\d) (?:bad request|unauthori[sz]ed|forbidden|not found|internal server error)|"
    r"bash: .*: command not found)",
    re.IGNORECASE,
)
ERROR_KEYS = ("error", "errors", "exception", "error_message")
FINE = ("", "none", "null", "no error", "ok", "false", "0")
GIVES_UP = re.compile(
    r"\b(?:i(?:'m| am) (?:sorry|unable)|i apologi[sz]e|unfortunately|(?:could|can|was) ?n[o']t (?:able to )?"
    r"(?:complete|find|fulfil\w*|retrieve|get|provide|access|process))",
    re.IGNORECASE,
)
CLAIMS = re.compile(
    r"\b(?:(?:has|have) been (?:successfully )?\w+(?:ed|t|n)\b|successfully \w+|"
    r"i(?:'ve| have) (?:successfully )?"
    r"(?:booked|cancel+ed|updated|created|deleted|sent|added|removed|scheduled|ordered|changed|set))",
    re.IGNORECASE,
)
BLANK = ("", "none", "null", "n/a", "...", "[]", "{}")
ANSWER_NAMES = ("answer", "final_answer", "response", "finish")


def observation_rule(step: Step, before: Step | None, policy: Policy) -> str:
    """The rule that an observation breaks, or "": a tool's result, or what is answered to a turn that was no action."""
    after_no_action = step.role == "user" and before is not None and not before.trainable
    if step.role != "tool" and not after_no_action:
        return ""
    start = step.content[:2000]
    if INVALID.match(start) or (policy.invalid_pattern and policy.invalid_pattern.search(start)):
        return "invalid action"
    if step.role == "user":
        return ""
    if step.is_error or _is_error(step.content) or (policy.error_pattern and policy.error_pattern.search(start)):
        return "error observation"
    return ""


def _is_error(content: str) -> bool:
    """Whether a result is an error: by its first words, or by the key of an object."""
    text = content.strip()
    if text.startswith("{"):
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return False
        return isinstance(value, dict) and any(_is_fault(value.get(key)) for key in ERROR_KEYS)
    return ERROR.match(text) is not None


def _is_fault(value: Any) -> bool:
    if isinstance(value, str):
        return value.strip().lower() not in FINE
    return value is True or (isinstance(value, dict | list) and bool(value))


def final_findings(trajectory: Trajectory, policy: Policy) -> Iterator[tuple[int, str, str]]:
    """(step, rule, what) about the last turn: whether it says something, and whether that fits what happened."""
    turns = [index for index, step in enumerate(trajectory.steps) if step.role == "assistant"]
    if not turns:
        return
    last = turns[-1]
    step = trajectory.steps[last]
    answer = final_answer(step)
    if answer is None:
        return
    if answer.strip().lower() in BLANK:
        if trajectory.outcome.termination in ("max_steps", "infra_error"):
            return  # broken off before there was an answer
        if last == turns[0] and step.reasoning:
            return  # the one turn calls nothing, for nothing fits, and the thought says why
        yield last, "empty final answer", f"says {answer!r}" if answer else "says nothing"
        return
    if trajectory.outcome.success is True and GIVES_UP.search(answer) and not CLAIMS.search(answer):
        yield last, "contradictory final answer", f"counts as a success, but says {_around(GIVES_UP, answer)!r}"
    results = _since_user(trajectory.steps, last)
    if results and all(observation_rule(one, None, policy) for one in results):
        claim = CLAIMS.search(answer)
        if claim and not GIVES_UP.search(answer):
            yield last, "contradictory final answer", f"every call failed, but it says {_around(CLAIMS, answer)!r}"


def final_answer(step: Step) -> str | None:
    """What the last turn tells the user; None when it is a call that answers nobody."""
    if not step.tool_calls:
        return step.content
    for name, value in step.tool_calls[-1].arguments.items():
        if name.lower() in ANSWER_NAMES and isinstance(value, str):
            return value
    return None


def _since_user(steps: tuple[Step, ...], last: int) -> list[Step]:
    """The results between the user's last words and the last turn."""
    results: list[Step] = []
    for step in steps[:last]:
        if step.role == "user":
            results = []
        elif step.role == "tool":
            results.append(step)
    return results


def _around(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    return text[max(0, found.start() - 30) : found.end() + 50] if found else ""
