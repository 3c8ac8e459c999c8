"""Do the users of a trajectory ask what a benchmark asks? N-grams of words that both share (notebook 01).

A trajectory is contaminated when its user texts hold `N` words in a row of a question, or a shorter question whole
(of `SHORTEST` words at least; "What time is it?" proves nothing). Case, punctuation and spaces don't count, digits do.

    questions = Questions.of({"simple_python_0": ["Find the area of a triangle with a base of 10 units and ..."]})
    questions.hit(user_text(trajectory))  # "simple_python_0: find the area of a triangle with a base of", or ""

The questions of BFCL are read from the files that ship in `bfcl-eval`, where it is installed.
"""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xlam_lib import files
from xlam_lib.data.reading import ReadError
from xlam_lib.trajectory import Trajectory

N, SHORTEST = 10, 6
WORD = re.compile(r"\w+", re.UNICODE)
BFCL = "bfcl"


@dataclass
class Questions:
    """N-grams and short questions, each with the question it comes from."""

    long: dict[str, str] = field(default_factory=dict)
    short: dict[int, dict[str, str]] = field(default_factory=dict)  # by their number of words

    @classmethod
    def of(cls, texts: Mapping[str, Iterable[str]]) -> Questions:
        """From {id of a question: [what its users say]}."""
        made = cls()
        for id, parts in texts.items():
            for text in parts:
                words = words_of(text)
                if len(words) >= N:
                    for gram in _grams(words, N):
                        made.long.setdefault(gram, id)
                elif len(words) >= SHORTEST:
                    made.short.setdefault(len(words), {}).setdefault(" ".join(words), id)
        return made

    def hit(self, text: str) -> str:
        """The question that the text repeats and the words that they share, or ""."""
        words = words_of(text)
        for size, known in [(N, self.long), *sorted(self.short.items(), reverse=True)]:
            for gram in _grams(words, size):
                if gram in known:
                    return f"{known[gram]}: {gram}"
        return ""

    def save(self, path: str | Path) -> None:
        """Writes them for tasks that run elsewhere."""
        files.write_json(path, {"long": self.long, "short": {str(n): known for n, known in self.short.items()}})

    @classmethod
    def load(cls, path: str | Path) -> Questions:
        """What `save` wrote."""
        data = json.loads(Path(path).read_text(encoding="utf-8"))
        return cls(data["long"], {int(n): known for n, known in data["short"].items()})


def words_of(text: str) -> list[str]:
    """The words by which texts are compared: `words_of("What's 2+2?")` -> ["what", "s", "2", "2"]."""
    return WORD.findall(text.lower())


def _grams(words: list[str], size: int) -> Iterable[str]:
    return (" ".join(words[i : i + size]) for i in range(len(words) - size + 1))


def user_text(t: Trajectory) -> str:
    """What the users of a trajectory say, and what its task says."""
    return "\n".join([t.task.instruction, *(step.content for step in t.steps if step.role == "user")])


def benchmark_texts(names: Iterable[str]) -> dict[str, list[str]]:
    """Questions by name ("bfcl") or from files: JSON Lines with "question" (or "text"), and "id" if you like.

    Example: `benchmark_texts(["bfcl"])["simple_python_0"]` -> ["Find the area of a triangle ..."]
    """
    texts: dict[str, list[str]] = {}
    for name in names:
        files = _bfcl_files() if name == BFCL else [Path(name)]
        for file in files:
            for number, row in enumerate(_rows(file), start=1):
                id = str(row.get("id") or f"{file.name}:{number}")
                texts.setdefault(id, []).extend(_texts_in(row.get("question", row.get("text"))))
    return texts


def benchmark_questions(names: Iterable[str]) -> Questions:
    """Such questions, to be asked for hits: `benchmark_questions(["bfcl"]).hit("What is the weather?")` -> ""."""
    return Questions.of(benchmark_texts(names))


def benchmark_functions(names: Iterable[str]) -> frozenset[str]:
    """Names of the functions that questions are asked with: `len(benchmark_functions(["bfcl"]))` -> 1500 or so.

    They stand in "function" of a question; those of BFCL's conversations in files of their own.
    """
    found: set[str] = set()
    for name in names:
        documents = sorted(_bfcl_folder().glob("multi_turn_func_doc/*.json")) if name == BFCL else []
        for file in [*(_bfcl_files() if name == BFCL else [Path(name)]), *documents]:
            for row in _rows(file):
                found |= set(_names_in(row if file in documents else row.get("function", [])))
    return frozenset(found)


def _names_in(value: Any) -> Iterable[str]:
    if isinstance(value, list):
        return [name for item in value for name in _names_in(item)]
    return [value["name"]] if isinstance(value, dict) and isinstance(value.get("name"), str) else []


def _bfcl_folder() -> Path:
    found = importlib.util.find_spec("bfcl_eval")
    if found is None or not found.submodule_search_locations:
        raise ReadError("the questions of BFCL ship in the package bfcl-eval, which is not installed")
    return Path(found.submodule_search_locations[0]) / "data"


def _bfcl_files() -> list[Path]:
    files = sorted(_bfcl_folder().glob("BFCL_v*_*.json"))
    return [file for file in files if '"question"' in file.read_text(encoding="utf-8").partition("\n")[0]]


def _rows(file: Path) -> Iterable[dict[str, Any]]:
    try:
        lines = file.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ReadError(f"{file}: questions to decontaminate against can't be read ({error})") from error
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                row = json.loads(line)
            except ValueError as error:
                raise ReadError(f"{file}:{number}: not JSON ({error}); expected one question a line") from error
            yield row if isinstance(row, dict) else {"text": row}


def _texts_in(value: Any) -> list[str]:
    """The texts in a question: a text, messages (the users' only), or turns of messages."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return [text for item in value for text in _texts_in(item)]
    if isinstance(value, dict) and value.get("role", "user") == "user":
        return _texts_in(value.get("content"))
    return []
