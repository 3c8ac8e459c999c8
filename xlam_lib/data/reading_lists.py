"""The elements of a JSON list as records; a fault costs as little as possible, see `reading.py` (notebook 01).

A list of a few megabytes is taken apart by msgspec at once, and each element read by it. A longer one, and one with
anything odd in it, is read element by element by Python's json, which knows what is wrong and where.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

import msgspec

from xlam_lib import serialize
from xlam_lib.data.accounting import Loss
from xlam_lib.data.reading_stream import CHUNK, Raw, Stream, bad_byte

SPACE = re.compile(r"[ \t\r\n]*")
BETWEEN = re.compile(rb"[ \t\r\n,]*")
_parts = msgspec.json.Decoder(list[msgspec.Raw]).decode


def list_elements(stream: Stream) -> Iterator[Raw | Loss]:
    """The records of a file that is a JSON list, in its order."""
    data, count = stream.whole.removeprefix(codecs.BOM_UTF8), 0
    try:
        elements = _parts(data)
    except serialize.REFUSED:  # it is broken, or longer
        elements = None
    if elements is not None:
        for element, line in _placed(elements, data):
            try:
                value = serialize.fast(element)
            except serialize.REFUSED:
                break
            yield stream.record(value, line)
            count += 1
        else:
            return
    yield from islice(_one_by_one(stream), count, None)


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


def _checked(stream: Stream, value: Any, constants: list[str], raw: str, line: int) -> Raw | Loss:
    if constants:
        return stream.loss(line, f"{constants[0]} is not JSON")
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
