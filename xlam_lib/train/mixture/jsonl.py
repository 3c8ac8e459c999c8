"""A JSON Lines file as a sequence: any line at once, without holding the file in memory (used by the mixture).

    rows = JsonLines("train.jsonl", Trajectory.from_dict)
    rows[17]

One pass notes where the lines begin (8 bytes a line). Each process opens the file for itself.
"""

from __future__ import annotations

import json
import os
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any


class JsonLines:
    """The values of a file's lines, blank ones left out: `JsonLines("train.jsonl")[-1]["trajectory_id"]`."""

    def __init__(self, path: str | Path, parse: Callable[[Any], Any] | None = None) -> None:
        self.path, self.parse, self.starts = Path(path), parse, array("Q")
        self._opened: tuple[int, IO[bytes]] | None = None
        start = 0
        with open(self.path, "rb") as file:
            for line in file:
                if line.strip():
                    self.starts.append(start)
                start += len(line)
        self.bytes = start

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, index: int) -> Any:
        file = self._file()
        file.seek(self.starts[index])
        try:
            value = json.loads(file.readline())
            return self.parse(value) if self.parse else value
        except ValueError as error:
            raise ValueError(f"{self.path}: record {index + 1} of {len(self)}: {error}") from error

    def __iter__(self) -> Iterator[Any]:
        return (self[index] for index in range(len(self)))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": None}

    def _file(self) -> IO[bytes]:
        """The file, opened by this very process: a forked one would share its place in it."""
        if self._opened is None or self._opened[0] != os.getpid():
            file = open(self.path, "rb")  # noqa: SIM115  (kept open)
            size = os.fstat(file.fileno()).st_size
            if size != self.bytes:
                file.close()
                raise ValueError(
                    f"{self.path} has {size} bytes, but had {self.bytes} when it was indexed: open it anew"
                )
            self._opened = (os.getpid(), file)
        return self._opened[1]
