"""Zip files of JSON records, one a member, as some programs write their logs (notebook 01).

    kind = ZippedFile("*.eval", "samples/*.json", ("header.json",), "samples")
    for raw in read_zip("run.eval", kind): ...      # {**header, "samples": [sample]}, raw.line == 1, 2, ...

Each member comes as the object of a log that holds nothing else, beside what a shared member says of them all. A member
that can't be read costs itself, and so does one that unpacks to more than is held as a whole; a file that is no zip
costs the file. Members may be stored, deflated or compressed by
Zstandard, which Python's own zipfile reads from 3.14 on; NaN and Infinity become texts.
"""

from __future__ import annotations

import json
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from xlam_lib.data.accounting import Loss
from xlam_lib.data.formats.base import ZippedFile
from xlam_lib.data.streams import WHOLE, Raw, ReadError, TooLarge

ZSTANDARD = 93  # the number of the method in a zip
BROKEN = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, EOFError, NotImplementedError, RuntimeError)


def read_zip(path: str | Path, kind: ZippedFile) -> Iterator[Raw | Loss]:
    """Every record of a zip file in the order of its members; see the module's text."""
    try:
        archive = zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        yield Loss("quarantined", str(path), 0, f"not a whole zip file ({error}); was the run broken off?")
        return
    except OSError as error:
        raise ReadError(f"{path}: cannot be opened ({error.strerror or error}); is the path right?") from error
    with archive:
        members = archive.infolist()
        names = {member.filename: member for member in members}
        shared: Any = next((names[name] for name in kind.shared if name in names), None)
        head = {} if shared is None else _value(archive, shared)
        head = head if isinstance(head, dict) else {}
        records = [member for member in members if fnmatch(member.filename, kind.members)]
        for number, member in enumerate(records, start=1):
            value = _value(archive, member)
            if isinstance(value, str):
                yield Loss("quarantined", str(path), number, f"{member.filename}: {value}")
            else:
                yield Raw({**head, kind.key: [value]}, str(path), number)
        if not records:
            yield Loss("quarantined", str(path), 0, f"the zip file has no member {kind.members!r}")


def _value(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Any:
    """The object of a member, or a text that says what is wrong with it."""
    try:
        value = json.loads(_data(archive, member).decode("utf-8-sig"), parse_constant=str)
    except RecursionError as error:
        return f"not JSON: {error}"
    except (*BROKEN, TooLarge) as error:
        return f"can't be unpacked ({error})"
    except UnicodeDecodeError as error:
        return f"not UTF-8: byte 0x{error.object[error.start]:02x}"
    except ValueError as error:
        return f"not JSON: {error}"
    return value if isinstance(value, dict) else f"a record must be a JSON object, found {type(value).__name__}"


def _data(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    if member.compress_type != ZSTANDARD:
        with archive.open(member) as unpacked:
            return _bounded(unpacked.read(WHOLE + 1))
    import pyarrow  # takes a moment, and few files need it

    packed = pyarrow.BufferReader(_packed(archive, member))
    data = _bounded(pyarrow.CompressedInputStream(packed, "zstd").read(WHOLE + 1))
    if zlib.crc32(data) != member.CRC:
        raise zipfile.BadZipFile("Bad CRC-32")
    return data


def _bounded(data: bytes) -> bytes:
    if len(data) > WHOLE:
        raise TooLarge(f"to more than {WHOLE >> 20} MB")
    return data


def _packed(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """The bytes of a member as they lie in the file, behind its name and its extra field."""
    file: Any = archive.fp
    file.seek(member.header_offset)
    head = file.read(30)
    if len(head) < 30 or head[:4] != b"PK\x03\x04":
        raise zipfile.BadZipFile("Bad magic number for file header")
    file.seek(int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little"), 1)
    return file.read(member.compress_size)
