"""Calls scored by BFCL's own checker (`ast_checker` of `bfcl-eval`), in this process or in a child.

Used by `bfcl_score.py` and notebook 05. The checker's module imports a list of all models of the leaderboard, and with
it a dozen vendors' SDKs; it only asks that list whether dots in names became underscores. So `checker()` puts a stub in
the list's place while it imports, and takes every trace away again.

What a model predicted is checked in a child process, each answer within a few seconds: the checker matches model text
against regular expressions that can take for ever. The child is this module: `python -m
xlam_lib.bench.tasks.bfcl_check` reads one JSON object a line from standard input and writes one verdict a line, fenced
in like functions of strangers (`data/apigen/sandbox/confine.py`), with a limit to its memory and none of our keys.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from xlam_lib.bench.tasks.bfcl import ANY_CALL, NO_CALL, Question
from xlam_lib.data.apigen.sandbox.confine import Fences, Limits
from xlam_lib.data.apigen.sandbox.lines import LineError, line_of
from xlam_lib.environments.bfcl_multi_turn.package import MODEL, PACKAGE, BfclError, stubbed
from xlam_lib.processes import Child, bare_environment, how_ended, package_dir
from xlam_lib.trajectory import ToolCall

SECONDS = 5.0  # of the processor, for one answer
MEMORY_MB = 2048
FAULTS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    NameError,
    NotImplementedError,
    RecursionError,
    TimeoutError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True)
class Verdict:
    """The checker's verdict on one answer; `valid` is None when the checker itself failed (never a wrong answer)."""

    id: str
    valid: bool | None
    error_type: str = ""
    error: str = ""


def checker() -> Callable[[Question, Sequence[ToolCall]], Verdict]:
    """BFCL's checker as a function, e.g. `checker()(question, calls).valid`; BfclError when it isn't installed."""
    with stubbed():
        try:
            ast = importlib.import_module(f"{PACKAGE}.eval_checker.ast_eval.ast_checker")
            languages = importlib.import_module(f"{PACKAGE}.constants.enums").Language
        except ModuleNotFoundError as error:
            raise BfclError(f"BFCL's checker can't be imported: {error}; install the project's environment") from error
    return lambda question, calls: _verdict(ast.ast_checker, languages, question, calls)


def check(questions: Sequence[Question], calls: Sequence[Sequence[ToolCall]]) -> list[Verdict]:
    """Verdicts in this process: for trusted calls, such as the ground truth."""
    ask = checker()
    return [ask(question, found) for question, found in zip(questions, calls, strict=True)]


def check_in_child(
    questions: Sequence[Question], calls: Sequence[Sequence[ToolCall]], seconds: float = SECONDS
) -> list[Verdict]:
    """Verdicts on predicted calls, from a child process; one that takes longer than `seconds` gets None.

    Calls whose arguments no line of JSON can hold are wrong: no question accepts what is nested so deep, or no JSON.
    """
    unfit: dict[int, Verdict] = {}
    items: list[str] = []
    for number, (question, found) in enumerate(zip(questions, calls, strict=True)):
        try:
            items.append(_item(question, found))
        except LineError as error:
            unfit[number] = Verdict(question.id, False, "arguments_error:json", f"the calls are {error}"[:300])
    asked = [question for number, question in enumerate(questions) if number not in unfit]
    verdicts = iter(_ask_child(asked, items, seconds))
    return [unfit[number] if number in unfit else next(verdicts) for number in range(len(questions))]


def _ask_child(questions: Sequence[Question], items: Sequence[str], seconds: float) -> list[Verdict]:
    if not items:
        return []
    limit = 60 + (seconds + 1) * len(items)
    command = [sys.executable, "-m", "xlam_lib.bench.tasks.bfcl_check", str(seconds), str(limit)]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with Child(command, bare_environment(), cwd=package_dir(), text=True, encoding="utf-8", **pipes) as child:
        try:
            output, errors = child.communicate("".join(items), timeout=limit)
        except subprocess.TimeoutExpired as error:
            raise BfclError(
                f"the child that checks BFCL answers took longer than {limit:.0f} s and was stopped"
            ) from error
    if child.returncode != 0:
        last = (errors.strip() or "without a message").splitlines()[-1]
        raise BfclError(f"the child that checks BFCL answers {how_ended(child.returncode)}: {last[:300]}")
    found = [Verdict(**json.loads(line)) for line in output.splitlines()]
    if [verdict.id for verdict in found] != [question.id for question in questions]:
        raise BfclError(f"the child that checks BFCL answers gave {len(found)} verdicts for {len(items)} answers")
    return found


def _verdict(ast_checker: Callable, languages: Any, question: Question, calls: Sequence[ToolCall]) -> Verdict:
    if question.category in NO_CALL:
        error = "" if not calls else f"calls {calls[0].name!r} though no tool fits"
        return Verdict(question.id, not calls, "irrelevance_error:call" if calls else "", error)
    if question.category in ANY_CALL:
        error = "" if calls else "no call though a tool fits"
        return Verdict(question.id, bool(calls), "" if calls else "relevance_error:no_call", error)
    predicted, accepted = [{call.name: call.arguments} for call in calls], list(question.accepted)
    language = languages(question.language)
    try:
        result = ast_checker(list(question.functions), predicted, accepted, language, question.category, MODEL)
    except FAULTS as error:
        return Verdict(question.id, None, f"checker:{type(error).__name__}", str(error)[:300])
    if result["valid"]:
        return Verdict(question.id, True)
    return Verdict(question.id, False, result["error_type"], str(result["error"])[:300])


def _item(question: Question, calls: Sequence[ToolCall]) -> str:
    item = {
        "id": question.id,
        "category": question.category,
        "functions": question.functions,
        "accepted": question.accepted,
        "calls": [{"name": call.name, "arguments": call.arguments} for call in calls],
    }
    return line_of(item).decode()


def _child(seconds: float, limit: float) -> None:
    ask = checker()
    Fences(sys.path).around_call(Limits(cpu_seconds=limit, memory_mb=MEMORY_MB))
    verdicts, sys.stdout = sys.stdout, sys.stderr  # whatever the checker prints is no verdict
    for line in sys.stdin:
        item = json.loads(line)
        question = Question(item["id"], item["category"], tuple(item["functions"]), tuple(item["accepted"]), None)
        calls = [ToolCall(call["name"], call["arguments"]) for call in item["calls"]]
        try:
            with _at_most(seconds):
                verdict = ask(question, calls)
        except TimeoutError as error:  # the alarm rang outside the checker
            verdict = Verdict(question.id, None, "checker:TimeoutError", str(error))
        verdicts.write(json.dumps(asdict(verdict)) + "\n")
    verdicts.flush()


@contextlib.contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    """TimeoutError after so many seconds of the processor, even in a regular expression (where signals exist)."""
    if not hasattr(signal, "setitimer"):
        yield
        return

    def ring(*_: object) -> None:
        raise TimeoutError(f"the checker took longer than {seconds:g} s")

    former = signal.signal(signal.SIGPROF, ring)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, former)


if __name__ == "__main__":
    _child(*map(float, sys.argv[1:]))
