"""Files -> raw records, each with its place; what can't be read comes out as a quarantined loss (notebook 01).

Understands a JSON list, JSON Lines, one JSON object a file, each of them also gzipped, and tables (Parquet, Arrow), and
finds out which by looking at the content. Lists, lines and rows are streamed: a file larger than memory is fine. A
fault costs as little as possible:

    a bad line                         that line
    a bad byte within a list element   that element
    a bad element of a list            that element, where its end can be told; else it and, as one entry, what follows
    a record of many megabytes         that record, of which no more is held than a record may have
    a gzip stream that breaks off      the line or element it breaks in
    a table that breaks off            what follows, as one entry
    UTF-16, an empty file, ...         the file, as one entry

`for record in read_records("rows.jsonl.gz"): ...` yields `Raw` and `Loss` objects in the order of the file.
"""

from __future__ import annotations

import codecs
import json
import os
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from xlam_lib import serialize
from xlam_lib.data.accounting import Loss
from xlam_lib.data.boundary import attempt
from xlam_lib.data.streams import (
    CHUNK,
    LONGEST,
    TOO_LONG,
    WHOLE,
    Raw,
    ReadError,
    Stream,
    bad_byte,
    list_elements,
    skip_line,
)
from xlam_lib.data.tables import TABLES, kind_of_table, table_rows

__all__ = ["Raw", "ReadError", "data_files", "is_lines", "matches", "read_lines", "read_records", "read_text"]

NO_RECORD = "a text in which no record begins"
SUFFIXES = (".json", ".jsonl", ".ndjson", ".traj", *TABLES)
ONE_VALUE = (".json", ".traj")  # a list or an object a file, as a rule; the others have a value a line
Split = Callable[[str], Iterator[tuple[int, dict[str, Any] | str]]]
KINDS = ".json, .jsonl, .ndjson or .traj (also .gz), .parquet or .arrow"
BOMS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


def data_files(path: str | Path, texts: Sequence[str] = ()) -> tuple[list[Path], list[Path]]:
    """(files to read, files left alone) of a file or a folder, sorted: `data_files("toolbench")[0][0].name`.

    `texts` are patterns of names of plain-text files that are read, too: ("*.txt",).
    """
    path = Path(path)
    if path.is_file():
        return [path.resolve()], []
    if not path.is_dir():
        raise ReadError(f"{path}: no such file or folder; give a {KINDS} file or a folder of them")
    files = sorted(map(Path, _files(os.path.realpath(path))))
    chosen = [p for p in files if p.name.removesuffix(".gz").endswith(SUFFIXES) or matches(p, texts)]
    if not chosen:
        kinds = KINDS if not texts else f"{KINDS} or {', '.join(texts)}"
        raise ReadError(f"{path}: the folder holds no {kinds} file, only {len(files)} others")
    read = set(chosen)
    return chosen, [p for p in files if p not in read]


def matches(path: Path, texts: Sequence[str]) -> bool:
    """Whether a file's name, gzipped or not, fits one of the patterns: `matches(Path("a.txt.gz"), ["*.txt"])`."""
    return any(fnmatch(path.name.removesuffix(".gz"), pattern) for pattern in texts)


def read_records(path: str | Path) -> Iterator[Raw | Loss]:
    """Every record of one file in order, faults as quarantined losses; see the module's text."""
    try:
        stream = Stream(path if isinstance(path, Path) else Path(path))
    except OSError as error:
        raise ReadError(f"{path}: cannot be opened ({error.strerror or error}); is the path right?") from error
    with stream:
        head = stream.peek()[:CHUNK]
        start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
        kind = kind_of_table(path, head) if start else ""
        problem = _wrong_encoding(head) if not kind else ""
        if kind:
            yield from table_rows(path, kind)
        elif problem or not start:
            yield stream.loss(0, problem or stream.fault or "the file is empty")
        else:
            yield from _reader(stream, head)(stream)


def is_lines(path: str | Path) -> bool:
    """Whether a file is plain JSON Lines, of which a part can be read alone: `is_lines("rows.jsonl")` -> True."""
    with Stream(Path(path)) as stream:
        head = stream.peek()[:CHUNK]
        is_text = stream.file is stream.raw and not kind_of_table(path, head) and not _wrong_encoding(head)
        return is_text and _reader(stream, head) is _lines


def read_lines(path: str | Path, start: int, end: int, number: int) -> Iterator[Raw | Loss]:
    """The records of the lines that begin at bytes `start` up to `end`; the first of them is line `number`."""
    with Stream(Path(path)) as stream:
        stream.raw.seek(start)
        while start < end and (data := stream.raw.readline(LONGEST + 1)):
            read = _line(stream, data.removesuffix(b"\n"), number, cut=not data.endswith(b"\n"))
            if read is not None:
                yield read
            start, number = start + len(data) + (0 if data.endswith(b"\n") else skip_line(stream.raw)), number + 1


def read_text(path: str | Path, split: Split) -> Iterator[Raw | Loss]:
    """The records of a plain-text file, a log or transcript; `split(text)` of its source yields (line, record) of each.

    Where one of several can't be read it yields (line, what is wrong with it) instead, and that costs the one alone.
    A file that is not UTF-8, or not JSON where its source expects that, or whose gzip stream breaks off, is one
    quarantined entry, since a record that is cut off can't be told from a short one:
    `next(read_text("episodes.txt", webshop.split)).line` -> 1. A text in which `split` finds no record, or over which
    it fails, is one dropped entry behind the records that came before.
    """
    text = _text(Path(path))
    if isinstance(text, Loss):
        yield text
        return
    records, last, line = split(text), Raw({}, str(path), 0), 0

    def following(before: Raw) -> tuple[Raw | Loss] | Loss | None:
        try:
            line, record = next(records, (0, None))
        except json.JSONDecodeError as error:  # of a source whose text files are JSON
            return Loss("quarantined", before.file, error.lineno, f"not JSON: {error}")
        if record is None:
            return None
        return (Raw(record, before.file, line) if isinstance(record, dict) else broken(line, record),)

    def broken(line: int, why: str) -> Loss:
        return Loss("quarantined", str(path), line, why)

    while (found := attempt(following, last)) is not None:
        if isinstance(found, Loss):  # of the whole text, from here on
            yield found
            return
        (one,) = found
        yield one
        line, last = one.line, one if isinstance(one, Raw) else last
    if not text.strip() and not line:
        yield broken(0, "the file is empty")
    elif not line:
        yield Loss("dropped", str(path), 0, NO_RECORD, f"it begins {text.strip()[:80]!r}")


def _text(path: Path) -> str | Loss:
    """A text file as a whole, unzipped if need be."""
    try:
        stream = Stream(path)
    except OSError as error:
        raise ReadError(f"{path}: cannot be opened ({error.strerror or error}); is the path right?") from error
    with stream:
        data = stream.rest()
        if stream.fault or data is None:
            return stream.loss(0, stream.fault or f"the file is larger than {WHOLE >> 20} MB")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = 1 + data[: error.start].count(b"\n")
        reason = f"not UTF-8: byte 0x{error.object[error.start]:02x} (Latin-1 or Windows-1252 text?)"
        return Loss("quarantined", str(path), line, reason)


def _files(folder: str) -> Iterator[str]:
    """The files below a folder, links to files resolved, without hidden ones; links to folders are not followed."""
    with os.scandir(folder) as found:
        for entry in found:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _files(entry.path)
            elif entry.is_file():
                yield os.path.realpath(entry.path) if entry.is_symlink() else entry.path


def _wrong_encoding(head: bytes) -> str:
    for mark, name in BOMS.items():
        if head.startswith(mark):
            return f"the file is {name} (byte order mark), expected UTF-8; convert it with: iconv -f {name} -t UTF-8"
    if b"\0" in head[:4]:
        return "zero bytes at the start: UTF-16 or UTF-32 without a byte order mark, or no text; expected UTF-8"
    return ""


def _reader(stream: Stream, head: bytes) -> Callable[[Stream], Iterator[Raw | Loss]]:
    """A list, lines or one object? The content decides; the name does where the first line may be a bad one."""
    first, _, rest = head.lstrip(b"\xef\xbb\xbf \t\r\n").partition(b"\n")
    named_lines = not stream.path.name.removesuffix(".gz").endswith(ONE_VALUE)
    if first.startswith(b"["):
        return _lines if named_lines and rest.strip() and first.strip() != b"[" else list_elements
    if named_lines:
        return _lines
    try:
        serialize.loads(first)
    except (ValueError, RecursionError):
        return _whole
    return _lines if rest.strip() else _whole


def _lines(stream: Stream) -> Iterator[Raw | Loss]:
    number, held, size = 0, [], 0  # what is held of a line whose end is still to come
    while data := stream.read():
        *ended, begun = data.split(b"\n")
        for line in ended:
            number += 1
            if size:
                size += len(line)
                line = b"".join([*held, line]) if size <= LONGEST else None
                held, size = [], 0
            read = stream.loss(number, TOO_LONG) if line is None else _line(stream, line, number)
            if read is not None:
                yield read
        size += len(begun)
        held = [*held, begun] if size <= LONGEST else []
    if stream.fault:
        yield stream.loss(number + 1, stream.fault)
    elif size > LONGEST:
        yield stream.loss(number + 1, TOO_LONG)
    elif (read := _line(stream, b"".join(held), number + 1, cut=True)) is not None:
        yield read


def _line(stream: Stream, data: bytes, number: int, cut: bool = False, longest: int | None = None) -> Raw | Loss | None:
    if len(data) > (longest or LONGEST):
        return stream.loss(number, TOO_LONG)
    data = data.removeprefix(codecs.BOM_UTF8) if number == 1 else data
    if not data.strip():
        return None
    try:
        return stream.record(serialize.fast(data), number)
    except serialize.DECODE_ERRORS:  # not JSON, or of a kind that only json reads
        pass
    try:
        value, constants = _decode(data.decode("utf-8"))
        return stream.loss(number, f"{constants[0]} is not JSON") if constants else stream.record(value, number)
    except UnicodeDecodeError as error:
        return stream.loss(number, bad_byte(data, error.start))
    except (ValueError, RecursionError) as error:
        return stream.loss(number, f"not JSON: {error}" + ("; the file ends within this line" if cut else ""))


def _decode(text: str) -> tuple[Any, list[str]]:
    """(value, ["NaN", ...])"""
    constants: list[str] = []
    return json.JSONDecoder(parse_constant=constants.append).decode(text), constants


def _whole(stream: Stream) -> Iterator[Raw | Loss]:
    """A file that is one JSON object."""
    data = stream.rest()
    if data is None:
        yield stream.loss(0, f"an object of more than {WHOLE >> 20} MB")
        return
    line = 1 + data[: len(data) - len(data.lstrip())].count(b"\n")
    if stream.fault:
        yield stream.loss(line, stream.fault)
    elif (read := _line(stream, data.removeprefix(codecs.BOM_UTF8), line, longest=WHOLE)) is not None:
        yield read
