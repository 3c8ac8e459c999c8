"""Files -> raw records, each with its place; what can't be read comes out as a quarantined loss (notebook 01).

Understands a JSON list, JSON Lines, one JSON object a file, each of them also gzipped, and finds out which by looking
at the content. Lists and lines are streamed: a file larger than memory is fine. A fault costs as little as possible:

    a bad line                         that line
    a bad byte within a list element   that element
    a list that breaks off             the element it breaks in and, as one entry, what follows
    a gzip stream that breaks off      the line or element it breaks in
    UTF-16, an empty file, ...         the file, as one entry

`for record in read_records("rows.jsonl.gz"): ...` yields `Raw` and `Loss` objects in the order of the file.
"""

from __future__ import annotations

import codecs
import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from xlam_lib import exact_json
from xlam_lib.data.accounting import Loss
from xlam_lib.records import Frozen

SUFFIXES = (".json", ".jsonl", ".ndjson")
KINDS = ".json, .jsonl or .ndjson (also .gz)"
CHUNK = 1 << 20
BOMS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
SPACE = re.compile(r"[ \t\r\n]*")


class ReadError(ValueError):
    """The input as a whole can't be read: missing, or nothing in it."""


class Raw(Frozen, frozen=True):
    """A record as it lies in the file: `Raw({"id": 0, ...}, "/data/rows.jsonl", 17)`."""

    value: dict[str, Any]
    file: str
    line: int

    @property
    def where(self) -> str:
        """File and line, "/data/rows.jsonl:17", as converters and error messages get it."""
        return f"{self.file}:{self.line}"


def data_files(path: str | Path, texts: Sequence[str] = ()) -> tuple[list[Path], list[Path]]:
    """(files to read, files left alone) of a file or a folder, sorted: `data_files("toolbench")[0][0].name`.

    `texts` are patterns of names of plain-text files that are read, too: ("*.txt",).
    """
    path = Path(path)
    if path.is_file():
        return [path.resolve()], []
    if not path.is_dir():
        raise ReadError(f"{path}: no such file or folder; give a {KINDS} file or a folder of them")
    files = sorted(p.resolve() for p in path.rglob("*") if p.is_file() and not _hidden(p, path))
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
        stream = _Stream(Path(path))
    except OSError as error:
        raise ReadError(f"{path}: cannot be opened ({error.strerror or error}); is the path right?") from error
    with stream:
        head = stream.peek()
        start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
        problem = _wrong_encoding(head)
        if problem or not start:
            yield stream.loss(0, problem or stream.fault or "the file is empty")
        else:
            yield from _reader(stream, head)(stream)


def is_lines(path: str | Path) -> bool:
    """Whether a file is plain JSON Lines, of which a part can be read alone: `is_lines("rows.jsonl")` -> True."""
    with _Stream(Path(path)) as stream:
        head = stream.peek()
        return stream.file is stream.raw and not _wrong_encoding(head) and _reader(stream, head) is _lines


def read_lines(path: str | Path, start: int, end: int, number: int) -> Iterator[Raw | Loss]:
    """The records of the lines that begin at bytes `start` up to `end`; the first of them is line `number`."""
    with _Stream(Path(path)) as stream:
        stream.raw.seek(start)
        while start < end and (data := stream.raw.readline()):
            yield from _line(stream, data.removesuffix(b"\n"), number, cut=not data.endswith(b"\n"))
            start, number = start + len(data), number + 1


class _Stream:
    """The bytes of a file, unzipped if need be. A broken gzip stream ends early, and `fault` says so."""

    def __init__(self, path: Path) -> None:
        self.path, self.fault = path, ""
        self.raw = open(path, "rb")  # noqa: SIM115  (closed by __exit__)
        zipped = self.raw.peek(2)[:2] == b"\x1f\x8b"
        self.file = gzip.GzipFile(fileobj=self.raw) if zipped else self.raw
        self.head: bytes | None = None

    def __enter__(self) -> _Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        self.raw.close()

    def _read(self, size: int) -> bytes:
        """Up to `size` bytes. read1 hands out what it has before a fault is met; read would throw it away."""
        if self.fault:
            return b""
        try:
            return self.file.read1(size)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            self.fault = f"the gzip stream is broken here ({error}); fetch the file again"
            return b""

    def peek(self) -> bytes:
        """The first bytes, without taking them; one read gives but a buffer of them."""
        parts = []
        while sum(map(len, parts)) < CHUNK and (data := self._read(CHUNK)):
            parts.append(data)
        self.head = b"".join(parts)
        return self.head

    def read(self, size: int = CHUNK) -> bytes:
        """The next bytes; empty at the end."""
        if self.head:
            data, self.head = self.head, None
            return data
        return self._read(size)

    def loss(self, line: int, reason: str) -> Loss:
        return Loss("quarantined", str(self.path), line, reason)

    def record(self, value: Any, line: int) -> Raw | Loss:
        if isinstance(value, dict):
            return Raw(value, str(self.path), line)
        return self.loss(line, f"a record must be a JSON object, found {type(value).__name__}")


def _hidden(path: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(root).parts)


def _wrong_encoding(head: bytes) -> str:
    for mark, name in BOMS.items():
        if head.startswith(mark):
            return f"the file is {name} (byte order mark), expected UTF-8; convert it with: iconv -f {name} -t UTF-8"
    if b"\0" in head[:4]:
        return "zero bytes at the start: UTF-16 or UTF-32 without a byte order mark, or no text; expected UTF-8"
    return ""


def _reader(stream: _Stream, head: bytes) -> Callable[[_Stream], Iterator[Raw | Loss]]:
    """A list, lines or one object? The content decides; the name does where the first line may be a bad one."""
    first, _, rest = head.lstrip(b"\xef\xbb\xbf \t\r\n").partition(b"\n")
    named_lines = not stream.path.name.removesuffix(".gz").endswith(".json")
    if first.startswith(b"["):
        return _lines if named_lines and rest.strip() and first.strip() != b"[" else _list_elements
    if named_lines:
        return _lines
    try:
        json.loads(first)
    except (ValueError, RecursionError):
        return _whole
    return _lines if rest.strip() else _whole


def _lines(stream: _Stream) -> Iterator[Raw | Loss]:
    number, parts = 0, []
    while data := stream.read():
        pieces = data.split(b"\n")
        parts.append(pieces[0])
        for piece in pieces[1:]:
            number += 1
            yield from _line(stream, b"".join(parts), number)
            parts = [piece]
    last = b"".join(parts)
    if stream.fault:
        yield stream.loss(number + 1, stream.fault)
    else:
        yield from _line(stream, last, number + 1, cut=True)


def _line(stream: _Stream, data: bytes, number: int, cut: bool = False) -> Iterator[Raw | Loss]:
    data = data.removeprefix(codecs.BOM_UTF8) if number == 1 else data
    if not data.strip():
        return
    try:
        value = exact_json.fast(data)
    except exact_json.REFUSED:  # not JSON, or of a kind that only json reads
        pass
    else:
        yield stream.record(value, number)
        return
    try:
        value, constants = _decode(data.decode("utf-8"))
        yield stream.loss(number, f"{constants[0]} is not JSON") if constants else stream.record(value, number)
    except UnicodeDecodeError as error:
        yield stream.loss(number, _bad_byte(data, error.start))
    except (ValueError, RecursionError) as error:
        yield stream.loss(number, f"not JSON: {error}" + ("; the file ends within this line" if cut else ""))


def _bad_byte(data: bytes, at: int) -> str:
    return f"not UTF-8: byte 0x{data[at]:02x} at position {at + 1} of the record (Latin-1 or Windows-1252 text?)"


def _decode(text: str) -> tuple[Any, list[str]]:
    """(value, ["NaN", ...])"""
    constants: list[str] = []
    return json.JSONDecoder(parse_constant=constants.append).decode(text), constants


def _whole(stream: _Stream) -> Iterator[Raw | Loss]:
    """A file that is one JSON object."""
    data = bytearray()
    while piece := stream.read():
        data += piece
    line = 1 + data[: len(data) - len(data.lstrip())].count(b"\n")
    if stream.fault:
        yield stream.loss(line, stream.fault)
    else:
        yield from _line(stream, bytes(data.removeprefix(codecs.BOM_UTF8)), line)


def _list_elements(stream: _Stream) -> Iterator[Raw | Loss]:
    """The elements of a JSON list, never holding more than about two of them and a chunk."""
    text = _Text(stream)
    text.skip_space()
    text.take(1)  # the opening bracket
    if text.skip_space() == "]":
        text.take(1)
    else:
        while True:
            line = text.line
            try:
                value, constants, raw = text.element()
            except (ValueError, RecursionError) as error:
                reason = stream.fault or f"the list breaks here ({error}); what follows can't be told apart"
                yield stream.loss(line, reason)
                return
            yield _checked(stream, value, constants, raw, line)
            if text.skip_space() == "]":
                text.take(1)
                break
            if text.skip_space() != ",":
                after = text.skip_space()
                found = f"found {after!r}" if after else "the file ends"
                yield stream.loss(text.line, stream.fault or f"expected ',' or ']' after a list element, {found}")
                return
            text.take(1)
            text.skip_space()
    if text.skip_space():
        yield stream.loss(text.line, "there is more text behind the end of the list")


def _checked(stream: _Stream, value: Any, constants: list[str], raw: str, line: int) -> Raw | Loss:
    if constants:
        return stream.loss(line, f"{constants[0]} is not JSON")
    if not raw.isascii():
        data = raw.encode("utf-8", "surrogateescape")
        try:
            data.decode("utf-8")
        except UnicodeDecodeError as error:
            return stream.loss(line, _bad_byte(data, error.start))
    return stream.record(value, line)


class _Text:
    """A window on the text of a stream. Bytes that aren't UTF-8 become lone surrogates, found again per element."""

    def __init__(self, stream: _Stream) -> None:
        self.stream, self.line, self.at, self.window, self.ended = stream, 1, 0, "", False
        self.constants: list[str] = []  # of the element that is read
        self.json = json.JSONDecoder(parse_constant=self.constants.append)
        self.decoder = codecs.getincrementaldecoder("utf-8-sig")("surrogateescape")
        self.more()

    def more(self) -> bool:
        """Doubles the window (so a huge element is not scanned often); False at the end of the file."""
        wanted, pieces = max(CHUNK, len(self.window) - self.at), []
        while wanted > 0 and not self.ended:
            data = self.stream.read(wanted)
            self.ended = not data
            wanted -= len(data)
            pieces.append(self.decoder.decode(data, final=self.ended))
        self.window, self.at = "".join([self.window[self.at :], *pieces]), 0
        return any(pieces)

    def take(self, size: int) -> None:
        self.line += self.window.count("\n", self.at, self.at + size)
        self.at += size

    def skip_space(self) -> str:
        """Moves to the next character that isn't space and returns it; "" at the end."""
        while True:
            self.take(SPACE.match(self.window, self.at).end() - self.at)
            if self.at < len(self.window):
                return self.window[self.at]
            if not self.more():
                return ""

    def element(self) -> tuple[Any, list[str], str]:
        """(value, constants, its text) of the element here; ValueError when it is broken."""
        while True:
            try:
                self.constants.clear()
                value, end = self.json.raw_decode(self.window, self.at)
                raw = self.window[self.at : end]
                if end < len(self.window) or not self.more():  # at the very end a number might go on
                    self.take(len(raw))
                    return value, self.constants.copy(), raw
            except json.JSONDecodeError as error:
                cut = error.msg.startswith("Unterminated string") or error.pos > len(self.window) - 16
                if not (cut and self.more()):
                    raise
