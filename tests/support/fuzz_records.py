"""Real records of all sources, spoiled by chance, through the whole pipeline: no run may end, and the books balance.

    python -m tests.support.fuzz_records --records 10000 --seed 0      from the root of the repository, by hand
    python -m tests.support.fuzz_records --source toolace --show       one source, with what was lost for which reason

`tests/data/test_fuzz_records.py` runs a few hundred. Records are those of XLAM_REAL_DATA where it is set, and the
samples of the sources.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import json
import logging
import os
import random
import re
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from xlam_lib.data.accounting import UNFORESEEN
from xlam_lib.data.boundary import TOO_SLOW
from xlam_lib.data.golden import samples_dir
from xlam_lib.data.reading import Raw, data_files, matches, read_records
from xlam_lib.data.sources import SOURCES, find_source
from xlam_lib.data.unify import LOSSES, TRAJECTORIES, Options, unify
from xlam_lib.trajectory import read_jsonl

LARGE = 100_000  # characters of a record that is left aside: it would take the time of a hundred others
QUESTION = {"id": "q", "question": "What is the weather like in the city of Oslo on the first of May this year?"}
SIGNS = "\n\r\t\"'`\\{}[]()<>|,:;=#*&$%@\0\x1b\u2028\u202e\ufeff\ud800\U0001f600é٣²"
TAGS = (
    "<tool_call>",
    "</think>",
    "```json\n",
    "Action:",
    "[TOOL_CALLS]",
    "<|im_end|>",
    "{'a': ",
    "[f(a=1)]",
    "Thought:",
)
WAYS = {  # what Python's json can't write: put in as text
    f"@@deep{depth}@@": "[" * depth + "]" * depth for depth in (90, 300, 3000, 60_000)
} | {"@@digits@@": "9" * 5000, "@@objects@@": '{"a":' * 200 + "1" + "}" * 200}
SCHEMAS: list[dict[str, Any]] = [
    {"$ref": "http://127.0.0.1:9/schema.json"},
    {"$ref": "file:///etc/hostname"},
    {"$ref": "#"},
    {"$dynamicRef": "#/$defs/none"},
    {"allOf": [{"$ref": "#"}, {"$ref": "#"}]},
    {"type": "string", "pattern": "^(a|a)*$"},
    {"type": "string", "pattern": "("},
    {"type": "number", "multipleOf": 1e-320},
    {"type": "array", "uniqueItems": True},
    {"type": "object", "patternProperties": {"^(a+)+$": {}}, "unevaluatedProperties": False},
    {"type": ["string", "null", "string"]},
    {"enum": [{"a": [1]}, None, 10**400]},
]


def odd(rng: random.Random) -> Any:
    """A value that stands where nobody expects it."""
    return rng.choice(
        [
            *(None, True, False, 0, -1, 2**63, 10**400, -(10**30), 1e308, -0.0, float("nan"), float("inf")),
            *("", " ", "null", "[]", "{}", '{"a": 1', "true", "1e999", "9" * 400, "a" * 60 + "b", "\ud800", "\0"),
            *([], {}, [[]], [None], {"": None}, {"a": {"b": {"c": []}}}, [1, "a", None, {}]),
            *(
                rng.choice(list(WAYS)),
                copy.deepcopy(rng.choice(SCHEMAS)),
                hostile(rng, "x"),
                [{"a": i} for i in range(300)],
            ),
        ]
    )


def hostile(rng: random.Random, text: str) -> str:
    """A text with signs put in that mean something to somebody."""
    signs = [rng.choice(SIGNS) * rng.choice((1, 1, 1, 2, 3, 500)) for _ in range(rng.randint(1, 4))]
    for sign in [*signs, *(rng.choice(TAGS) for _ in range(rng.randint(0, 1)))]:
        at = rng.randint(0, len(text))
        text = text[:at] + sign + text[at + rng.choice((0, 0, 1, 20)) :]
    return text


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """(list or object, index or key) of all that lies in a value."""
    if isinstance(value, dict | list):
        for key, inner in list(value.items() if isinstance(value, dict) else enumerate(value)):
            yield value, key
            yield from places(inner)


def spoil(rng: random.Random, record: Any) -> Any:
    """A copy of a record with one to three things changed in it."""
    record = copy.deepcopy(record)
    for _ in range(rng.randint(1, 3)):
        found = list(places(record))
        if not found:
            return odd(rng)
        if schemas := [place for place in found if rng.random() < 0.2 and _is_schema(*place)]:
            _schema(rng, *rng.choice(schemas))
        else:
            rng.choice(CHANGES)(rng, *rng.choice(found))
    return record


def _is_schema(inside: Any, key: Any) -> bool:
    return isinstance(inside[key], dict) and ("type" in inside[key] or key in ("parameters", "properties"))


def _text(rng: random.Random, inside: Any, key: Any) -> None:
    value = inside[key]
    if isinstance(value, str):
        inside[key] = rng.choice((lambda: hostile(rng, value), lambda: value[: rng.randint(0, len(value))]))()
    else:
        inside[key] = rng.choice((str, json.dumps))(value) if not isinstance(value, dict | list) else json.dumps(value)


def _key(rng: random.Random, inside: Any, key: Any) -> None:
    value = inside.pop(key)
    if isinstance(inside, dict):
        inside[rng.choice((key.upper(), f"{key}s", hostile(rng, key), "$ref", "type", "content"))] = value


def _again(rng: random.Random, inside: Any, key: Any) -> None:
    if isinstance(inside, list):
        inside[key:key] = [copy.deepcopy(inside[key]) for _ in range(rng.choice((1, 1, 2, 60)))]
    else:
        inside[key] = [inside[key]] * rng.choice((1, 2, 40))


def _swap(rng: random.Random, inside: Any, key: Any) -> None:
    other = rng.choice(list(inside) if isinstance(inside, dict) else range(len(inside)))
    inside[key], inside[other] = inside[other], inside[key]


def _schema(rng: random.Random, inside: Any, key: Any) -> None:
    schema = copy.deepcopy(rng.choice(SCHEMAS))
    inside[key] = {**inside[key], **schema} if isinstance(inside[key], dict) else schema


def _replace(rng: random.Random, inside: Any, key: Any) -> None:
    inside[key] = odd(rng)


def _remove(rng: random.Random, inside: Any, key: Any) -> None:
    del inside[key]


CHANGES: list[Callable[[random.Random, Any, Any], None]] = [
    *(_replace, _replace, _replace, _text, _text, _key, _remove, _again, _swap, _schema)
]


def line_of(rng: random.Random, record: Any) -> bytes:
    """A record as a line of JSON, or nearly so."""
    line = re.sub(r'"(@@\w+@@)"', lambda found: WAYS.get(found[1], found[0]), json.dumps(record)).encode()
    return damaged(rng, line) if rng.random() < 0.05 else line


def text_of(rng: random.Random, text: str) -> bytes:
    """A text file, spoiled as a text or, where it is JSON, mostly as a record."""
    try:
        if rng.random() < 0.8:
            return line_of(rng, spoil(rng, json.loads(text)))
    except ValueError:
        pass
    text = hostile(rng, text) if rng.random() < 0.8 else text[: rng.randint(0, len(text))]
    data = text.encode("utf-8", "surrogatepass" if rng.random() < 0.1 else "replace")
    return damaged(rng, data) if rng.random() < 0.1 else data


def damaged(rng: random.Random, data: bytes) -> bytes:
    """Bytes cut off, cut out or put in."""
    at = rng.randint(0, len(data))
    put = rng.choice((b"", b"\xff", b"\0", b'"', b"}", b"\\", b"{"))
    return data[:at] + put + (b"" if rng.random() < 0.3 else data[at + rng.choice((0, 1, 40)) :])


def samples(source: str) -> tuple[list[dict], list[tuple[str, str]]]:
    """(records, (name, text) of text files) of a source."""
    module, records, texts = find_source(source), [], []
    folders = [samples_dir(source) / "raw"]
    if real := os.environ.get("XLAM_REAL_DATA"):
        folders += [Path(real) / source] if (Path(real) / source).is_dir() else []
    for path in [path for folder in folders for path in data_files(folder, module.SOURCE.text_files)[0]]:
        if matches(path, module.SOURCE.text_files):
            text = path.read_text(encoding="utf-8")
            texts += [(path.name, text if text[:1] in "[{" else text[:LARGE])] if len(text) < 20 * LARGE else []
        else:
            found = [raw.value for raw in read_records(path) if isinstance(raw, Raw)]
            records += [value for value in found if len(json.dumps(value)) <= LARGE]
    return records, texts


def write(rng: random.Random, source: str, count: int, folder: Path) -> None:
    """Files with so many spoiled records, but for the first: lines, a list, and texts."""
    records, texts = samples(source)
    lines: list[bytes] = []
    for number in range(count):
        if texts and (not records or rng.random() < 0.3):
            name, text = rng.choice(texts)
            (folder / f"{number:05d}").mkdir(parents=True)
            (folder / f"{number:05d}" / name).write_bytes(text_of(rng, text) if number else text.encode())
        else:
            record = rng.choice(records)
            lines.append(line_of(rng, spoil(rng, record)) if number else json.dumps(record).encode())
    half = len(lines) // 2
    folder.mkdir(exist_ok=True)
    (folder / "lines.ndjson").write_bytes(b"\n".join(lines[:half]) + b"\n")
    (folder / "list.ndjson").write_bytes(b"[\n" + b",\n".join(lines[half:]) + b"\n]\n")
    (folder / "questions.jsonl.txt").write_text(json.dumps(QUESTION) + "\n")


@dataclasses.dataclass
class Result:
    """What became of the records of all sources."""

    records: int = 0
    converted: int = 0
    quarantined: int = 0
    seconds: float = 0.0
    dropped: Counter = dataclasses.field(default_factory=Counter)  # (source, reason)

    def line(self) -> str:
        """The figures, as the command prints them."""
        lost = Counter(reason for _, reason in self.dropped.elements())
        figures = {"records": self.records, "converted": self.converted, "dropped": sum(lost.values())}
        figures |= {"quarantined": self.quarantined, "unforeseen": lost[UNFORESEEN], "too slow": lost[TOO_SLOW]}
        return json.dumps({**figures, "seconds": round(self.seconds, 1)})


def fuzz(count: int, seed: int, sources: Sequence[str] = (), folder: Path | None = None, workers: int = 1) -> Result:
    """Runs so many spoiled records, dealt out to the sources; AssertionError, or whatever ended a run, is a fault."""
    result, names = Result(), list(sources or SOURCES)
    for number, source in enumerate(names):
        rng = random.Random(f"{seed} {source}")
        with tempfile.TemporaryDirectory(dir=folder) as work:
            raw = Path(work) / "raw"
            write(rng, source, max(count // len(names) + (number < count % len(names)), 2), raw)
            asked = raw / "questions.jsonl.txt"
            questions = asked.rename(Path(work) / "questions.jsonl")
            options = Options(
                strict=rng.random() < 0.3, dedup=rng.choice(("none", "exact")), decontaminate=(str(questions),),
                split=rng.choice(((), (0.8, 0.1, 0.1))), parquet=rng.random() < 0.3,
            )  # fmt: skip
            start = time.process_time()
            _run(source, raw, Path(work), options, workers, result)
            result.seconds += time.process_time() - start
    return result


def _run(source: str, raw: Path, work: Path, options: Options, workers: int, result: Result) -> None:
    books = unify(source, raw, work / "first", options=options)
    books.check()
    lines = (work / "first" / TRAJECTORIES).read_bytes()
    trajectories = list(read_jsonl(work / "first" / TRAJECTORIES))
    assert len(trajectories) == books.trajectories
    for t in trajectories:
        t.validate("warning")
    losses = [json.loads(line) for line in (work / "first" / LOSSES).read_text().splitlines()]
    assert Counter(loss["kind"] for loss in losses)["quarantined"] == books.quarantined
    unify(source, raw, work / "second", workers=workers, options=options)
    assert (work / "second" / TRAJECTORIES).read_bytes() == lines
    assert (work / "second" / LOSSES).read_bytes() == (work / "first" / LOSSES).read_bytes()
    result.records += books.records_in
    result.converted += books.records_converted
    result.quarantined += books.quarantined
    result.dropped += Counter({(source, reason): count for reason, count in books.dropped.items()})


def main() -> None:
    """The command; see above."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.fuzz_records")
    parser.add_argument("--records", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--source", nargs="+", default=[])
    parser.add_argument("--workers", type=int, default=1, help="of the second run")
    parser.add_argument("--show", action="store_true", help="say what was lost for which reason")
    given = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    result = fuzz(given.records, given.seed, given.source, workers=given.workers)
    for (source, reason), times in sorted(result.dropped.items()) if given.show else ():
        print(f"{times:6d}  {source:24s}  {reason}")
    print(result.line())


if __name__ == "__main__":
    main()
