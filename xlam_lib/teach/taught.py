"""A model that was taught, to try it by hand: questions in, calls and what they return out (notebook 07).

    with Taught("runs/mine", library_of(["my_tools"])) as taught:
        print(taught.ask("Is the Falcon 3 in stock in size M?"))     # check_stock(model='Falcon 3', size='M')
                                                                      #   -> {'there': 2, ...}

Calls run as they do when questions are made: functions in the sandbox, operations by their document. To serve it to
other programs: `python -m xlam_lib.serve.server runs/mine/model`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from xlam_lib.codec import BRIEF_STYLE, parse_answer, render_prompt
from xlam_lib.data.apigen.apis import Library
from xlam_lib.trajectory import ToolCall

ANSWER = 256  # tokens of an answer, at most


@dataclass(frozen=True)
class Asked:
    """What a question came to: the calls with what each returned, or the model's words where it called nothing."""

    question: str
    calls: tuple[ToolCall, ...]
    returned: tuple[dict[str, Any], ...]
    words: str

    def __str__(self) -> str:
        lines = []
        for call, answer in zip(self.calls, self.returned, strict=True):
            arguments = ", ".join(f"{name}={value!r}" for name, value in call.arguments.items())
            lines += [f"{call.name}({arguments})", f"  -> {answer.get('result', answer)}"]
        return "\n".join(lines) or self.words or "(no call)"


class Taught:
    """The model of a course with the tools that it was taught, or others: `Taught("runs/mine", library)`."""

    def __init__(self, out: str | Path, library: Library) -> None:
        from xlam_lib.serve.engines.transformers import Greedy

        self.library, self.model, self.runner = library, Greedy(Path(out) / "model"), library.runner()

    def __enter__(self) -> Taught:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.runner.__exit__(kind, error, trace)

    def ask(self, question: str) -> Asked:
        """One question, answered greedily; a call to a name that isn't offered returns an error."""
        prompt = render_prompt([api.tool for api in self.library], question, style=BRIEF_STYLE)
        answer = parse_answer(self.model.answers([prompt], ANSWER)[0]).answer
        returned = tuple(self.runner.batch([(call.name, call.arguments) for call in answer.calls]))
        return Asked(question, answer.calls, returned, answer.thought)
