"""Runs tools in a child process with limits on processor time, memory and wall time.

Used by `embedded.py`: one long-lived child serves thousands of calls, a batch a line. The child is `worker.py`.
Example: `with Executor() as run: run.batch([Request("add_numbers", {"numbers": [1, 2]})])` gives `[{"result": {"sum":
3.0}}]`.
"""

from __future__ import annotations

from collections.abc import Sequence

from xlam_lib.data.apigen.library.spec import Request
from xlam_lib.data.apigen.sandbox.line_child import LineChild
from xlam_lib.data.apigen.sandbox.lines import LineError
from xlam_lib.errors import XlamError

CALL_SECONDS = 1.0
SLACK_SECONDS = 20.0  # to start the child on a busy machine


class ExecutionError(XlamError, RuntimeError):
    """A tool failed; the message begins with the kind: "ValueError: amount must be above zero, got 0"."""


class Executor(LineChild):
    """A child process that runs tools; a context manager. A child that dies or hangs is replaced, its call blamed."""

    def __init__(self, call_seconds: float = CALL_SECONDS, slack_seconds: float = SLACK_SECONDS) -> None:
        super().__init__("xlam_lib.data.apigen.sandbox.worker", [str(call_seconds)])
        self.call_seconds = call_seconds
        self.slack_seconds = slack_seconds

    def batch(self, requests: Sequence[Request]) -> list[dict]:
        """The answers to some calls, in order: `{"result": ...}` or `{"error": "ValueError: ..."}` each."""
        if not requests:
            return []
        seconds = self.slack_seconds + self.call_seconds * len(requests)
        error = "ProcessError: the tool took its process down or gave no answer in time"
        try:
            answers = self.ask([vars(request) for request in requests], seconds)
        except LineError as reason:
            answers, error = None, f"TypeError: arguments or result: {reason}"
        if answers is not None:
            return answers
        if len(requests) == 1:
            return [{"error": error}]
        return [answer for request in requests for answer in self.batch([request])]

    def run(self, tool: str, arguments: dict, returns: dict[str, str] | None = None) -> dict:
        """The result of one call; ExecutionError when it fails."""
        return result_of(self.batch([Request(tool, arguments, returns)])[0])


def result_of(answer: dict) -> dict:
    """The result in an answer of `batch`; ExecutionError when it is an error."""
    if "error" in answer:
        raise ExecutionError(answer["error"])
    return answer["result"]
