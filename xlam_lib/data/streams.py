"""A file as bytes, unzipped if need be, and the elements of a JSON list in it; for `reading.py` (notebook 01).

    with Stream(Path("rows.json.gz")) as stream:
        for record in list_elements(stream): ...

A list of a few megabytes is taken apart by msgspec at once, and each element read by it. A longer one, and one with
anything invalid in it, is read element by element by Python's json, which knows what is wrong and where.

An element that can't be read costs itself: its brackets and texts say where it ends, or else the next line that begins
as it did. No more of a stranger's file is held than a record may be long, whatever a gzip stream unpacks to.
"""

from __future__ import annotations

import codecs
import gzip
import io
import json
import re
import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from xlam_lib import serialize
from xlam_lib.data.accounting import Loss
from xlam_lib.errors import XlamError
from xlam_lib.schema import Frozen

CHUNK = 1 << 20
HEAD = 8 << 20  # bytes that are looked at first: a list that is no longer is taken apart at once
LONGEST = 64 << 20  # bytes (in a list, characters) of a record: a line, an element of a list, a row
WHOLE = 128 << 20  # bytes of what is held as a whole: a file that is one object, a text, a member of a zip
TOO_LONG = f"a record of more than {LONGEST >> 20} MB"
SIGNS = 10_000_000  # brackets and quotes that are looked at to find where a broken element ends
DEPTH = 1_000_000  # brackets within one another
PIECE = 1 << 16  # characters of a broken element that are looked at together
LOOK = 256  # characters of a line by which it is known to begin an element
PAIRS = {"[": "]", "{": "}"}
SIGN = re.compile(r'["\[\]{},]')
IN_TEXT = re.compile(r'(?:[^"\\]++|\\.)*+', re.DOTALL)
SPACE = re.compile(r"[ \t\r\n]*")
BETWEEN = re.compile(rb"[ \t\r\n,]*")
_parts = msgspec.json.Decoder(list[msgspec.Raw]).decode


class ReadError(XlamError, ValueError):
    """The input as a whole can't be read: missing, or nothing in it."""


class TooLarge(XlamError, ValueError):
    """A piece of a file is larger than a record may be, or than is ever held."""


class Raw(Frozen, frozen=True):
    """A record as it lies in the file: `Raw({"id": 0, ...}, "/data/rows.jsonl", 17)`."""

    value: dict[str, Any]
    file: str
    line: int
    padding: int = 0  # nulls that a table had filled in, taken out

    @property
    def where(self) -> str:
        """File and line, "/data/rows.jsonl:17", as converters and error messages get it."""
        return f"{self.file}:{self.line}"


class Stream:
    """The bytes of a file, unzipped if need be. A broken gzip stream ends early, and `fault` says so."""

    def __init__(self, path: Path) -> None:
        self.path, self.name, self.fault = path, str(path), ""
        self.raw = open(path, "rb")  # noqa: SIM115  (closed by __exit__)
        zipped = self.raw.peek(2)[:2] == b"\x1f\x8b"
        self.file = gzip.GzipFile(fileobj=self.raw) if zipped else self.raw
        self.head: bytes | None = None

    def __enter__(self) -> Stream:
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
        while sum(map(len, parts)) < HEAD and (data := self._read(CHUNK)):
            parts.append(data)
        self.head = b"".join(parts)
        return self.head

    @property
    def whole(self) -> bytes:
        """All of the file where the first bytes are all, and not taken yet; else nothing."""
        return self.head if self.head and len(self.head) < HEAD and not self.fault else b""

    def read(self, size: int = CHUNK) -> bytes:
        """The next bytes; empty at the end."""
        if self.head:
            data, self.head = self.head, None
            return data
        return self._read(size)

    def rest(self) -> bytes | None:
        """All that is left, None where it is more than WHOLE."""
        parts, size = [], 0
        while size <= WHOLE and (data := self.read()):
            parts.append(data)
            size += len(data)
        return b"".join(parts) if size <= WHOLE else None

    def loss(self, line: int, reason: str) -> Loss:
        return Loss("quarantined", self.name, line, reason)

    def record(self, value: Any, line: int) -> Raw | Loss:
        if isinstance(value, dict):
            return Raw(value, self.name, line)
        return self.loss(line, f"a record must be a JSON object, found {type(value).__name__}")


class _Held(Stream):
    """A text as a stream."""

    def __init__(self, text: str) -> None:
        self.path, self.name, self.fault, self.head = Path(), "", "", None
        self.raw = self.file = io.BytesIO(text.encode("utf-8"))


def skip_line(file: BinaryIO) -> int:
    """Moves to the end of a line, however long it is, and returns how many bytes that were: `skip_line(file)` -> 80."""
    size = 0
    while data := file.readline(CHUNK):
        size += len(data)
        if data.endswith(b"\n"):
            break
    return size


def bad_byte(data: bytes, at: int) -> str:
    return f"not UTF-8: byte 0x{data[at]:02x} at position {at + 1} of the record (Latin-1 or Windows-1252 text?)"


def list_elements(stream: Stream) -> Iterator[Raw | Loss]:
    """The records of a file that is a JSON list, in its order."""
    data, count = stream.whole.removeprefix(codecs.BOM_UTF8), 0
    try:
        elements = _parts(data)
    except serialize.DECODE_ERRORS:  # it is broken, or longer
        elements = None
    if elements is not None:
        for element, line in _placed(elements, data):
            try:
                value = serialize.fast(element)
            except serialize.DECODE_ERRORS:
                break
            yield stream.record(value, line)
            count += 1
        else:
            return
    yield from islice(_one_by_one(stream), count, None)


def elements_of(text: str) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """(line, object) of each element of a list that is held as text, or (line, what is wrong with it).

    Example: `list(elements_of('[{"a": 1}, {"a": }]'))` -> [(1, {"a": 1}), (1, "not JSON: Expecting value at ...")]
    """
    for found in _one_by_one(_Held(text)):
        yield found.line, found.value if isinstance(found, Raw) else found.reason


def _placed(elements: list[msgspec.Raw], data: bytes) -> Iterator[tuple[msgspec.Raw, int]]:
    """Each element, not yet read, and its line."""
    at = data.index(b"[") + 1
    line = 1 + data.count(b"\n", 0, at)
    for element in elements:
        start = BETWEEN.match(data, at).end()
        line += data.count(b"\n", at, start)
        yield element, line
        at = start + len(memoryview(element))
        line += data.count(b"\n", start, at)


def _one_by_one(stream: Stream) -> Iterator[Raw | Loss]:
    """Never holding more than about two elements and a chunk."""
    text = _Text(stream)
    text.skip_space()
    text.take(1)  # the opening bracket
    if text.skip_space() == "]":
        text.take(1)
    else:
        while True:
            line, sign = text.line, ""
            try:
                value, constants, raw = text.element()
            except (ValueError, RecursionError) as error:
                why = str(error) if isinstance(error, TooLarge) else f"not JSON: {error}"
                sign = text.skip()
                rest = "" if sign else f"the list breaks here ({why}); what follows can't be told apart"
                yield stream.loss(line, why if sign else stream.fault or rest)
            else:
                yield _checked(stream, value, constants, raw, line)
                if (sign := text.skip_space()) not in (",", "]"):
                    found = f"found {sign!r}" if sign else "the file ends"
                    yield stream.loss(text.line, stream.fault or f"expected ',' or ']' after a list element, {found}")
                    sign = text.skip()
            if not sign:
                return
            if sign in (",", "]"):
                text.take(1)
            if sign == "]":
                break
            text.skip_space()
    if text.skip_space():
        yield stream.loss(text.line, "there is more text behind the end of the list")


def _checked(stream: Stream, value: Any, constants: list[str], raw: str, line: int) -> Raw | Loss:
    if constants:
        return stream.loss(line, f"{constants[0]} is not JSON")
    if len(raw) > LONGEST:
        return stream.loss(line, TOO_LONG)
    if not raw.isascii():
        data = raw.encode("utf-8", "surrogateescape")
        try:
            data.decode("utf-8")
        except UnicodeDecodeError as error:
            return stream.loss(line, bad_byte(data, error.start))
    return stream.record(value, line)


class _Text:
    """A window on the text of a stream. Bytes that aren't UTF-8 become lone surrogates, found again per element."""

    def __init__(self, stream: Stream) -> None:
        self.stream, self.line, self.at, self.window, self.ended = stream, 1, 0, "", False
        self.constants: list[str] = []  # of the element that is read
        self.json = json.JSONDecoder(parse_constant=self.constants.append)
        self.decoder = codecs.getincrementaldecoder("utf-8-sig")("surrogateescape")
        self.indent: str | None = None  # space between the begin of a line and the element here, if it is the first
        self.alike = False  # whether lines within elements begin as lines do that begin an element
        self.more()

    def more(self) -> bool:
        """Doubles the window (so a huge element is not scanned often); False at the end of the file."""
        missing, pieces = max(CHUNK, len(self.window) - self.at), []
        while missing > 0 and not self.ended:
            data = self.stream.read(missing)
            self.ended = not data
            missing -= len(data)
            pieces.append(self.decoder.decode(data, final=self.ended))
        self.window, self.at = "".join([self.window[self.at :], *pieces]), 0
        return any(pieces)

    def take(self, size: int) -> None:
        self.line += self.window.count("\n", self.at, self.at + size)
        self.at += size

    def skip_space(self) -> str:
        """Moves to the next character that isn't space and returns it; "" at the end."""
        while True:
            end = SPACE.match(self.window, self.at).end()
            if (newline := self.window.rfind("\n", self.at, end)) >= 0:
                self.indent = self.window[newline + 1 : end]
            elif end > self.at and self.indent is not None:
                self.indent += self.window[self.at : end]
            self.take(end - self.at)
            if self.at < len(self.window):
                return self.window[self.at]
            if not self.more():
                return ""

    def element(self) -> tuple[Any, list[str], str]:
        """(value, constants, its text) of the element here; ValueError when it is broken."""
        if self.at > PIECE:  # an error counts the lines from the beginning of the window
            self.window, self.at = self.window[self.at :], 0
        while True:
            try:
                self.constants.clear()
                value, end = self.json.raw_decode(self.window, self.at)
                raw = self.window[self.at : end]
                if end < len(self.window) or not self.more():  # at the very end a number might go on
                    self.take(len(raw))
                    self.alike = self.alike or (self.indent is not None and f"\n{self.indent}{{" in raw)
                    self.indent = None
                    return value, self.constants.copy(), raw
            except json.JSONDecodeError as error:
                cut = error.msg.startswith("Unterminated string") or error.pos > len(self.window) - 16
                fault = f"{error.msg.removesuffix(' at')} at character {error.pos - self.at + 1} of the element"
                if cut and len(self.window) - self.at > LONGEST:
                    raise TooLarge(TOO_LONG) from error
                if not (cut and self.more()):
                    raise ValueError(fault) from error

    def skip(self) -> str:
        """Moves behind the element here, which can't be read, and returns the sign there: "," or "]".

        Where its brackets don't fit it moves to the next line that begins like an element, and returns "{"; where that
        can't be told either, "".
        """
        begins, brackets, last = self._beginning(), _Brackets(), ""
        while begins or brackets.fit:
            end = min(self.at + PIECE, len(self.window))
            end = self.window.find("\n", self.at, end) + 1 or end
            if brackets.fit and (behind := brackets.read(self.window, self.at, end)) >= 0:
                self.take(behind - self.at)
                if (sign := self.skip_space()) in (",", "]"):
                    return sign
                continue
            piece = self.window[self.at : end]
            self.take(len(piece))
            last = piece.rstrip()[-1:] or last
            if self.at == len(self.window) and not self.more():
                return ""
            if begins and piece.endswith("\n") and last == ",":
                while len(self.window) - self.at < LOOK and self.more():
                    pass
                if begins.match(self.window, self.at):
                    self.indent = ""
                    return "{"
        return ""

    def _beginning(self) -> re.Pattern[str] | None:
        """How lines begin that begin an element, None where other lines may begin like that, too."""
        if self.indent is None or self.alike:
            return None
        nested = self.window[self.at : self.at + 2] in ("{\n", "{\r", "{")  # then what lies within is on lines, too
        return None if nested and not self.indent else re.compile(re.escape(self.indent) + r'\{\s*"')


class _Brackets:
    """Follows brackets and texts, to find where an element ends that is no JSON otherwise."""

    def __init__(self) -> None:
        self.open: list[str] = []
        self.fit, self.text, self.escaped, self.signs = True, False, False, 0

    def read(self, text: str, at: int, end: int) -> int:
        """Reads on from `at` to `end`; the place behind the element, -1 where it goes on or nothing fits any more."""
        while at < end and self.fit:
            if self.text:
                at = IN_TEXT.match(text, at + self.escaped, end).end()
                self.escaped = at < end and text[at] == "\\"  # the last character
                if at == end or self.escaped:
                    break
                self.text, at = False, at + 1
                continue
            found = SIGN.search(text, at, end)
            if not found:
                break
            at, sign, self.signs = found.end(), found[0], self.signs + 1
            if not self.open and sign in ",]":
                self.fit = False
                return at - 1
            if sign == '"':
                self.text = True
            elif sign in PAIRS:
                self.open.append(sign)
            elif sign in "]}":
                self.fit = bool(self.open) and PAIRS[self.open.pop()] == sign
                if self.fit and not self.open:
                    self.fit = False
                    return at
            self.fit = self.fit and len(self.open) <= DEPTH and self.signs <= SIGNS
        return -1
