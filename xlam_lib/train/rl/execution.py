"""The reward of calls that run: a child process runs them, and their results are compared (notebook 03, used by GRPO).

    with Execution.embedded() as execution:
        execution([one])    # [1.0]: every call gives what the expected one gives, maybe by other arguments

It applies where all expected calls run. The embedded tools run in their own quick child (`apigen/sandbox/executor.py`);
functions of your own in the sandbox (`apigen/sandbox/sandbox.py`), each call confined:
`Execution.of_modules(["my_module"])`. A made-up tool, or one that was renamed to be trained on, can't be run: a turn
that expects it has no such reward.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any, Protocol, Self

from xlam_lib.codec import same_calls
from xlam_lib.data.apigen.apis import Library
from xlam_lib.data.apigen.library.spec import Request
from xlam_lib.data.apigen.sandbox.executor import Executor
from xlam_lib.data.apigen.sandbox.sandbox import Limits
from xlam_lib.grading import Graded
from xlam_lib.trajectory import ToolCall


class CallRunner(Protocol):
    """What runs calls, by name and arguments, and is closed at the end; `apis.Runner` does."""

    def batch(self, calls: Sequence[tuple[str, dict[str, Any]]]) -> list[dict[str, Any]]:
        """{"result": ...} or {"error": "..."} of each, in order."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class EmbeddedTools(Executor):
    """The executor of the embedded tools, asked by name and arguments."""

    def batch(self, calls: Sequence[Any]) -> list[dict[str, Any]]:
        """As `CallRunner.batch`; requests go through as they are."""
        return super().batch([call if isinstance(call, Request) else Request(*call) for call in calls])


class Execution:
    """From 0 to 1: results that equal those of the expected calls, in any order, divided by the calls of the longer.

    A call counts when its tool is an expected one and gives the same result; one that fails gives none. None where no
    call is expected, or where an expected call doesn't run itself.
    Example: expected add(a=1, b=2) and now(), predicted add(a=2, b=1) -> 0.5, for the sum is the same
    """

    def __init__(self, runner: CallRunner) -> None:
        self.runner = runner

    @classmethod
    def embedded(cls) -> Execution:
        """With the embedded tools."""
        return cls(EmbeddedTools())

    @classmethod
    def of_modules(cls, names: Iterable[str], limits: Limits | None = None) -> Execution:
        """With the functions of modules, or single ones: `Execution.of_modules(["my_module", "other:greet"])`."""
        apis = [api for name in names for api in Library.of_module(name)]
        return cls(Library(apis).runner(limits))

    def __enter__(self) -> Execution:
        self.runner.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.runner.__exit__(kind, error, trace)

    def __call__(self, ones: Sequence[Graded]) -> list[float | None]:
        """The reward of each answer; a call that several of them make runs once."""
        calls = {_key(call): call for one in ones for call in (*one.case.expected.calls, *one.predicted.calls)}
        answers = self.runner.batch([(call.name, call.arguments) for call in calls.values()])
        found = dict(zip(calls, answers, strict=True))
        return [_reward(one, found) for one in ones]


def _key(call: ToolCall) -> str:
    return json.dumps([call.name, call.arguments], sort_keys=True)


def _reward(one: Graded, found: dict[str, dict[str, Any]]) -> float | None:
    expected, predicted = (
        [ToolCall(call.name, answer) for call in calls if "result" in (answer := found[_key(call)])]
        for calls in (one.case.expected.calls, one.predicted.calls)
    )
    if not expected or len(expected) < len(one.case.expected.calls):
        return None
    equal = 0
    for result in expected:
        at = next((at for at, other in enumerate(predicted) if same_calls([result], [other])), None)
        if at is not None:
            equal += 1
            del predicted[at]
    return equal / max(len(expected), len(one.predicted.calls))
