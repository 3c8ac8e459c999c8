"""BFCL's format sensitivity: 200 single-turn questions, each asked in 26 prompt formats; how much does a score vary?

Used by notebook 05 for models that are prompted freely. A format says in which of four notations calls are answered,
within which tags, how functions are documented, and the prompt's layout and style. Prompts are built, and answers read
and checked, by `bfcl-eval`'s own code.

    task = BfclFormats(formats=FORMATS[:2], per_format=20)
    rows = evaluate.offline(task, answers_of).rows
    spread(rows).max_delta, spread(rows).accuracy[FORMATS[0]]

Our codec's prompt is a format of its own and none of the 26: a model trained on it answers with the codec's JSON
whatever the prompt says, so the variations aren't applied to the codec. As on the leaderboard, this is no part of the
overall score, and models that get their tools natively have no such figure.
"""

from __future__ import annotations

import importlib
import json
import random
import statistics
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from xlam_lib.bench.base import Figure, Question, Row, Task
from xlam_lib.bench.tasks import bfcl
from xlam_lib.data.apigen.sandbox import Limits, Reference, Sandbox
from xlam_lib.environments.bfcl_multi_turn.package import PACKAGE, VERSION, BfclError, data_folder, stubbed
from xlam_lib.trajectory import ToolCall

CHILD = "xlam_lib.bench.tasks.bfcl_formats_child"
LIMITS = Limits(cpu_seconds=5.0, memory_mb=2048)
RETURNS = ("python", "json", "verbose_xml", "concise_xml")
FORMATS = (
    *(
        f"ret_fmt={returned}&tool_call_tag={tag}&func_doc_fmt={documents}&prompt_fmt=plaintext&style=classic"
        for returned in RETURNS
        for tag in (True, False)
        for documents in ("python", "xml", "json")
    ),
    "ret_fmt=python&tool_call_tag=False&func_doc_fmt=json&prompt_fmt=markdown&style=classic",
    "ret_fmt=python&tool_call_tag=False&func_doc_fmt=json&prompt_fmt=plaintext&style=experimental",
)
MISREAD = {  # a right answer that BFCL's reader takes for another one, in a notation
    ("simple_python_96", "json"): "of calls with a list of objects among their values, the reader finds that list",
}
LEVEL = 5194 / 5200  # of right answers, in all formats: those misread are six
XML_TYPES = {str: "string", bool: "boolean", int: "integer", float: "float", list: "array", dict: "dict"}


@dataclass(frozen=True)
class Item:
    """A question in a format."""

    asked: bfcl.Question
    format: str

    @property
    def id(self) -> str:
        """The format and the question: "ret_fmt=json&...:live_simple_23-5-1"."""
        return f"{self.format}:{self.asked.id}"


class BfclFormats(Task):
    """Questions drawn for each format, the same for all: `BfclFormats(per_format=20)`; without it all 200."""

    name, title = "bfcl_formats", "BFCL, prompt formats"
    metric = "Share of right answers in each of BFCL's prompt formats, and the spread between the best and the worst."
    scores = ("valid", "parsed")
    figures = (
        Figure("bfcl_formats.ground_truth", "05_benchmarking", "BFCL ground truth, prompt formats", LEVEL, LEVEL),
    )

    def __init__(
        self,
        path: str | Path | None = None,
        formats: Iterable[str] = FORMATS,
        per_format: int | None = None,
        seed: int = 0,
    ) -> None:
        self.path, self.formats, self.per_format, self.seed = path, tuple(formats), per_format, seed
        if unknown := [name for name in self.formats if name not in FORMATS]:
            raise BfclError(f"no prompt format {unknown[0]!r}; there are the {len(FORMATS)} of FORMATS")

    def __enter__(self) -> BfclFormats:
        return self

    def __exit__(self, *_: object) -> None:
        self._box.stop()

    @cached_property
    def _box(self) -> Sandbox:
        """Where answers are read and checked; it ends with this task."""
        box = Sandbox(LIMITS)
        weakref.finalize(self, box.stop)
        return box

    @cached_property
    def _items(self) -> list[Item]:
        questions = load(self.path)
        size = len(questions) if self.per_format is None else min(self.per_format, len(questions))
        drawn = sorted(random.Random(self.seed).sample(range(len(questions)), size))
        return [Item(questions[number], name) for number in drawn for name in self.formats]

    def items(self) -> list[Item]:
        return self._items

    def question(self, item: Item) -> Question:
        """BFCL's messages; the prompt is their contents, one after the other."""
        asked = messages(item.asked, item.format)
        return Question("\n\n".join(message["content"] for message in asked), tuple(asked))

    def score(self, item: Item, answer: str, cut_off: bool = False) -> Row:
        """`valid` is None where BFCL's code breaks down or hangs, as in the other categories.

        Example: {"kind": "ret_fmt=json&...", "valid": True, "parsed": True, "error_type": "", "error": "", ...}.
        """
        question = item.asked
        given = {"text": answer, "config": item.format, "category": question.category}
        given |= {"functions": question.functions, "accepted": question.accepted}
        verdict = self._box.run(Reference(CHILD, "judge"), given)
        error = verdict.get("error", "")
        if error.startswith(("LoadError", "ProcessError: the child process died")):
            raise BfclError(f"BFCL's reader of prompt formats can't be run: {error}")
        broken = {"valid": None, "error_type": "checker", "error": error, "parsed": False}
        return {"kind": item.format, "answer": answer, **verdict.get("result", broken)}


TASK = BfclFormats


@dataclass(frozen=True)
class Spread:
    """How a score varies: accuracy by format, and of those in points the largest difference and the deviation."""

    accuracy: Mapping[str, float]
    max_delta: float
    std: float


def spread(rows: Sequence[Row]) -> Spread:
    """The leaderboard's figures of format sensitivity, in percentage points with two decimals as there."""
    kinds: dict[str, list[bool]] = {}
    for row in rows:
        if row["valid"] is not None:
            kinds.setdefault(row["kind"], []).append(row["valid"])
    accuracy = {kind: sum(found) / len(found) for kind, found in kinds.items()}
    shares = list(accuracy.values())
    if len(shares) < 2:
        return Spread(accuracy, 0.0, 0.0)
    return Spread(accuracy, round((max(shares) - min(shares)) * 100, 2), round(statistics.stdev(shares) * 100, 2))


def load(folder: str | Path | None = None) -> list[bfcl.Question]:
    """The 200 questions that BFCL asks in every format, in the order of the categories' files."""
    path = data_folder(folder) / f"{VERSION}_format_sensitivity.json"
    try:
        chosen = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise BfclError(f"{path} can't be read ({error}); expected the ids of questions by category") from error
    return [
        question
        for category, names in chosen.items()
        if names
        for question in bfcl.load(category, folder)
        if question.id in set(names)
    ]


def messages(question: bfcl.Question, config: str) -> list[dict[str, str]]:
    """What a model gets: BFCL's system message in this format, before the question's own where it has one."""
    hinted, system_prompt = _prompting()
    entry = {"id": question.id, "function": deepcopy(list(question.functions))}
    system = system_prompt(config, hinted([entry])[0]["function"])
    said = [{"role": step.role, "content": step.content} for step in question.asked.steps]
    if said[0]["role"] == "system":
        return [{"role": "system", "content": f"{system}\n\n{said[0]['content']}"}, *said[1:]]
    return [{"role": "system", "content": system}, *said]


@cache
def _prompting() -> tuple[Callable[..., Any], Callable[..., str]]:
    with stubbed():
        made = importlib.import_module(f"{PACKAGE}.model_handler.utils").formulate_system_prompt
        hinted = importlib.import_module(f"{PACKAGE}.utils").add_language_specific_hint_to_function_doc
    return hinted, made


def render(calls: Sequence[ToolCall], config: str) -> str:
    """Calls as a format wants them: `render([ToolCall("f", {"a": 1})], FORMATS[3])` -> "[f(a=1)]"."""
    options = dict(part.split("=") for part in config.split("&"))
    text = {"python": _python, "json": _json, "verbose_xml": _verbose_xml, "concise_xml": _concise_xml}[
        options["ret_fmt"]
    ](calls)
    return f"<TOOLCALL>{text}</TOOLCALL>" if options["tool_call_tag"] == "True" else text


def _python(calls: Sequence[ToolCall]) -> str:
    parts = (f"{call.name}({', '.join(f'{key}={value!r}' for key, value in call.arguments.items())})" for call in calls)
    return f"[{', '.join(parts)}]"


def _json(calls: Sequence[ToolCall]) -> str:
    listed = [{"function": call.name, "parameters": call.arguments} for call in calls]
    return f"```json\n{json.dumps(listed, ensure_ascii=False)}\n```"


def _verbose_xml(calls: Sequence[ToolCall]) -> str:
    made = []
    for call in calls:
        params = "".join(
            f'<param name={quoteattr(key)} value={quoteattr(_xml_text(value))} type="{_xml_type(value)}"/>'
            for key, value in call.arguments.items()
        )
        made.append(f"<function name={quoteattr(call.name)}><params>{params}</params></function>")
    return f"<functions>{''.join(made)}</functions>"


def _concise_xml(calls: Sequence[ToolCall]) -> str:
    made = []
    for call in calls:
        params = "".join(
            f'<param name={quoteattr(key)} type="{_xml_type(value)}">{escape(_xml_text(value))}</param>'
            for key, value in call.arguments.items()
        )
        made.append(f"<function name={quoteattr(call.name)}>{params}</function>")
    return f"<functions>{''.join(made)}</functions>"


def _xml_type(value: Any) -> str:
    return "null" if value is None else XML_TYPES[type(value)]


def _xml_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else repr(value)
