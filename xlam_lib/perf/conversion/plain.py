"""What conversion is held against: a loop as one writes it, over lines or over files of any form (notebook 01).

`plain_loop([form_of(file) for file in files], output)` loads, builds every dictionary and list anew, where a text that
begins with { or [ and is JSON is parsed as well, dumps and writes.
"""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Form:
    """A file and how it is to be loaded, which whoever writes such a loop knows: `Form("rows.jsonl", lines=True)`."""

    path: str
    lines: bool  # a JSON value a line, else one for the file
    zipped: bool = False


def form_of(path: str | Path) -> Form | None:
    """The form of a file, None if it isn't JSON: `form_of("rows.json")` -> Form("rows.json", lines=False)."""
    path = Path(path)
    zipped = path.suffix == ".gz"
    data = gzip.decompress(path.read_bytes()) if zipped else path.read_bytes()
    if _is_json(data):
        return Form(str(path), False, zipped)
    return Form(str(path), True, zipped) if all(map(_is_json, filter(bytes.strip, data.split(b"\n")))) else None


def _is_json(data: bytes) -> bool:
    try:
        json.loads(data)
    except ValueError:
        return False
    return True


def plain_loop(files: Iterable[Form], output: str | Path) -> None:
    """Load, rebuild with the JSON inside texts parsed, dump: a line for each line or element of a list."""
    with open(output, "w", encoding="utf-8") as out:
        for file in files:
            for value in _values(file):
                out.write(json.dumps(_rebuilt(value)) + "\n")


def _values(file: Form) -> Iterator[Any]:
    with (gzip.open if file.zipped else open)(file.path, "rt", encoding="utf-8-sig") as text:
        if file.lines:
            yield from (json.loads(line) for line in text if line.strip())
        else:
            value = json.load(text)
            yield from value if isinstance(value, list) else [value]


def _rebuilt(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rebuilt(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rebuilt(item) for item in value]
    if isinstance(value, str) and value.startswith(("{", "[")):
        try:
            return _rebuilt(json.loads(value))
        except ValueError:
            return value
    return value


def seconds_of(run: Callable[[], Any]) -> float:
    """Processor seconds that a call takes: of this thread, for the process's clock is coarse once a timer of it ran."""
    start = time.thread_time()
    run()
    return time.thread_time() - start
