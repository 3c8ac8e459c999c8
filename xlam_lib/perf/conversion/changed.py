"""Real records changed so that no two are alike: what the harsh figure of `speed` runs over (notebook 01).

`fill(path, usable("glaive", "raw/glaive"), 1 << 20)` writes a megabyte of lines. In each repetition the ids, every
description and a word that matters to the conversion differ, so that no tool and no record comes twice.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, repeat
from pathlib import Path
from typing import Any

from xlam_lib.data.convert import converted, raw_records
from xlam_lib.data.formats.base import Drop
from xlam_lib.data.reading import Raw, data_files
from xlam_lib.data.sources import find_source
from xlam_lib.errors import TrajectoryError, XlamError
from xlam_lib.trajectory import Trajectory

DESCRIPTION = re.compile(
    r"""(?<!\\)\\*+["']description\\*["']: ?\\*["']"""
)  # up to its first letter, however deep in texts
IDS = ("id", "unique_trajectory_id", "trajectory_id", "conversation_id")
WORD = re.compile("(?<= )[a-z]{3,}(?= )")
TRIES = 30


class MeasurementError(XlamError, ValueError):
    """What can't be measured, or came out otherwise than it must; the message names the source."""


@dataclass(frozen=True)
class Sample:
    """A real record that converts, as JSON, and a word of it that makes another trajectory when it is changed."""

    text: str
    word: str


def usable(source: str, input: str | Path) -> list[Sample]:
    """The real records that convert, each once."""
    module = find_source(source)
    found = []
    for file in data_files(input, module.SOURCE.own_files)[0]:
        for raw in raw_records(module, file):
            if isinstance(raw, Raw) and (word := _word(module, raw)):
                found.append(Sample(json.dumps(raw.value), word))
    if not found:
        raise MeasurementError(f"{input}: no record that {source} converts")
    return found


def _word(module: Any, raw: Raw) -> str:
    """A long word amid sentences that matters, or "" where the record doesn't convert or no word does."""
    if not (before := _converted(module, raw)):
        return ""
    text = json.dumps(raw.value)
    for word in sorted(set(WORD.findall(text)), key=lambda word: (-len(word), word))[:TRIES]:
        changed = json.loads(text.replace(f" {word} ", f" {word}7 "))
        after = _converted(module, Raw(changed, raw.file, raw.line))
        if after and after != before:
            return word
    return ""


def _converted(module: Any, raw: Raw) -> list[Trajectory]:
    try:
        made = converted(module.convert, raw)
        for trajectory in made:
            trajectory.validate(module.SOURCE.argument_level)
    except (Drop, TrajectoryError):
        return []
    return made


def repeated(samples: list[Sample], start: int = 0) -> Iterator[str]:
    """Lines of JSON without end, in which an id, a word and every description differ: no cache helps over records."""
    for number, sample in enumerate(chain.from_iterable(repeat(samples)), start):
        record = json.loads(sample.text.replace(f" {sample.word} ", f" {sample.word}{number} "))
        record |= {key: f"{record[key]}-{number}" for key in IDS if isinstance(record.get(key), str)}
        record |= {key: number for key in IDS if isinstance(record.get(key), int)}
        yield DESCRIPTION.sub(rf"\g<0>{number}: ", json.dumps(record)) + "\n"


def fill(path: Path, samples: list[Sample], size: int, start: int = 0) -> int:
    """Writes at least `size` bytes of repeated records, counted from `start`; returns how many records."""
    count = written = 0
    with open(path, "w", encoding="utf-8") as file:
        for line in repeated(samples, start):
            file.write(line)
            count, written = count + 1, written + len(line)
            if written >= size:
                return count
    return count
