"""ToolAlpaca's score: what its judge said of each solution, added up as upstream does (notebook 05).

GPT-4 compares each solution with a standard answer and ends with two words, each Yes, No or Uncertain:

    ## Results
    Process Correctness: Yes
    Final Response Correctness: No

A solution's process is right with "Yes" for the first, its response with "Yes" for the second, and it is right overall
with both. All three are shares of ALL cases: one that no agent finished, and that was never judged, is wrong, and so is
one that the judge was uncertain of. That is how the script evaluation.py of https://github.com/tangqiaoyu/ToolAlpaca
counts (paper: arXiv 2306.05301). Its published file of the 7B model's judgements gives 63, 68 and 60 of 100:

    summary(read_judged("evalution_outputs/ToolAlpaca7b.json"))
    # {"n": 100, "unjudged": 1, "process": 0.63, "response": 0.68, "overall": 0.6}

It is no benchmark that is run here: that needs simulated APIs and a judge, both of them models.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xlam_lib.bench.base import TaskError

LABELS = ("Yes", "No", "Uncertain")
PROCESS, RESPONSE = re.compile(r"Process Correctness: (\w+)"), re.compile(r"Final Response Correctness: (\w+)")


@dataclass(frozen=True)
class Verdict:
    """What the judge said of one case: `Verdict("Yes", "No")`; both are "" where it was never asked."""

    process: str = ""
    response: str = ""

    def __post_init__(self) -> None:
        labels = (self.process, self.response)
        if labels != ("", "") and not set(labels) <= set(LABELS):
            raise TaskError(f"a verdict of {labels}; expected two of {', '.join(LABELS)}, or none where none was given")


def verdict_of(text: str) -> Verdict:
    """The verdict in the judge's words: "... ## Results\\nProcess Correctness: Yes\\n..." -> `Verdict("Yes", ...)`."""
    results = text.split("## Results", 1)[-1]
    found = [pattern.search(results) for pattern in (PROCESS, RESPONSE)]
    return Verdict(*(match[1] if match else "" for match in found))


def read_judged(path: str | Path) -> list[Verdict]:
    """The verdicts of a file of the judge's, {API: [{"process_correctness": "Yes", ...}]}, or of a table of its labels.

    The table is {"labels": [{"process": "Yes", "response": "No"}, ...]}. "statistics" are passed over: they are what
    `summary` works out.
    """
    given = json.loads(Path(path).read_text(encoding="utf-8"))
    if not isinstance(given, dict):
        raise TaskError(f"{path}: expected an object of APIs with their cases, found {type(given).__name__}")
    cases = [case for name, cases in given.items() if name != "statistics" for case in cases]
    try:
        return [_verdict(case) for case in cases]
    except (AttributeError, TypeError) as error:
        raise TaskError(f"{path}: a case is no object with the labels of a judge: {error}") from error


def _verdict(case: Mapping[str, Any]) -> Verdict:
    if "process" in case:
        return Verdict(case["process"] or "", case["response"] or "")
    return Verdict(case.get("process_correctness", ""), case.get("final_response_correctness", ""))


def summary(verdicts: Iterable[Verdict]) -> dict[str, float | int]:
    """The shares of all cases: `summary([Verdict("Yes", "No"), Verdict()])["process"]` -> 0.5."""
    judged = list(verdicts)
    if not judged:
        raise TaskError("no verdict to add up; expected at least one case")
    process = [verdict.process == "Yes" for verdict in judged]
    response = [verdict.response == "Yes" for verdict in judged]
    return {
        "n": len(judged),
        "unjudged": sum(verdict == Verdict() for verdict in judged),
        "process": sum(process) / len(judged),
        "response": sum(response) / len(judged),
        "overall": sum(map(min, process, response)) / len(judged),
    }
