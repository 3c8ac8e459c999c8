"""The problems of MINT: our own, which lie beside this file, and the original's where the user has its files.

    embedded_problems()[0].prompt                       # "A bakery sells ..."
    read_problems("mint-bench/data/processed")          # all <family>/test_prompts.json or <family>_test_prompts.json
    read_problems("outputs/gpt-4/.../gsm8k/results.jsonl")  # the `task` of each recorded run

Used by `bench/tasks/mint.py` (notebook 05). ALFWorld's tasks, MINT's eighth family, need that game itself: they are
left out, and their number is logged. All of our own were written for this library; code among them is judged by cases
that stay outside the child process, so that no program can find out what is expected.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from xlam_lib.errors import XlamError
from xlam_lib.schema import Task

logger = logging.getLogger(__name__)
CODE = ("humaneval", "mbpp")
FAMILIES = ("gsm8k", "math", "theoremqa", "mmlu", "hotpotqa", *CODE)
LEFT_OUT = "alfworld"
NUMBERS_ASKED = "Answer the following question with a number, a list of numbers or True or False. "  # of TheoremQA
COMPLETION_ASKED = "Complete the following code:\n\n"  # of HumanEval


class ProblemError(XlamError, ValueError):
    """A file that holds no problems of MINT; the message says where, and what was expected."""


@dataclass(frozen=True)
class Problem:
    """One problem: `Problem("gsm8k/26", "gsm8k", "Janet has ...", "12")`."""

    id: str
    family: str  # one of FAMILIES
    prompt: str
    reference: Any  # the answer; of code its tests as Python, or [[arguments, result], ...] of the function `entry`
    options: Mapping[str, str] = field(default_factory=dict)  # of a multiple choice: {"a": "20", "b": "34"}
    entry: str = ""
    split: str = "test"
    code: str = ""  # of our own: a program that prints the answer, or is it

    @property
    def task(self) -> Task:
        """What an environment is reset with."""
        return Task(self.prompt, self.id)


def embedded_problems() -> list[Problem]:
    """Our own, of all families, those of both splits."""
    text = resources.files("xlam_lib.environments.mint").joinpath("problems.jsonl").read_text("utf-8")
    records = (json.loads(line) for line in text.splitlines())
    return [Problem(**{"options": _options(record["prompt"], record["family"]), **record}) for record in records]


def read_problems(path: str | Path) -> list[Problem]:
    """The problems of a file of JSON Lines, or of all such files below a folder; each once, in order."""
    path, found, left_out = Path(path), {}, 0
    files = [path] if path.is_file() else sorted(one for one in path.rglob("*.json*") if one.is_file())
    for file in files:
        family = _family(file)
        if family == LEFT_OUT:
            left_out += sum(1 for _ in _records(file))
            continue
        for where, record in _records(file) if family else ():
            problem = _problem(record, family, where)
            found.setdefault(problem.id, problem)
    if left_out:
        logger.warning("%s: %d tasks of ALFWorld are left out, for they need that game", path, left_out)
    if not found:
        raise ProblemError(f"{path}: no problems; expected files whose name or folder is one of {', '.join(FAMILIES)}")
    return list(found.values())


def _family(file: Path) -> str:
    """The family that a file's name begins with, or that its folder has: ".../gsm8k/results.jsonl" -> "gsm8k"."""
    names = (file.name.removesuffix(file.suffix).removesuffix("_test_prompts"), file.parent.name)
    return next((name for name in names if name in (*FAMILIES, LEFT_OUT)), "")


def _records(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    with open(file, encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                record = json.loads(line)
            except ValueError as error:
                raise ProblemError(f"{file}:{number}: not a line of JSON ({error}); is the file cut off?") from error
            yield f"{file}:{number}", record


def _problem(record: Any, family: str, where: str) -> Problem:
    """Of a recorded run its task, whose prompt is as the model got it; else a line of the original's prompts."""
    recorded = isinstance(record, dict) and "task" in record
    task = record["task"] if recorded else record
    if not isinstance(task, dict) or not isinstance(task.get("prompt"), str) or "reference" not in task:
        raise ProblemError(f"{where}: no problem; expected an object with a text `prompt` and a `reference`")
    name = task["task_id"] if recorded and "task_id" in task else task.get("id", task.get("task_id"))
    prompt = task["prompt"] if recorded else _asked(task["prompt"], family)
    metadata = task.get("metadata") if isinstance(task.get("metadata"), dict) else {}
    options = _options(prompt, family) or metadata.get("options", {})
    return Problem(f"{family}/{name}", family, prompt, task["reference"], options)


def _asked(prompt: str, family: str) -> str:
    """The prompt as the original hands it to a model."""
    if family == "theoremqa":
        return NUMBERS_ASKED + prompt.strip()
    if family == "humaneval":
        return COMPLETION_ASKED + prompt
    return prompt.replace('"""', "").strip() if family == "mbpp" else prompt.strip()


def _options(prompt: str, family: str) -> dict[str, str]:
    """Of "... Options: A ) 20 , B ) 34" {"a": "20", "b": "34"}."""
    if family != "mmlu" or "Options:" not in prompt:
        return {}
    pairs = (option.partition(")") for option in prompt.rpartition("Options:")[2].split(" , "))
    return {letter.strip(" []'").lower(): text.strip().strip(".") for letter, mark, text in pairs if mark}
