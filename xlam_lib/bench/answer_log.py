"""The file of answers that `ask.py` keeps: one JSON object a line, appended as answers come, read back on a rerun.

    {"id": "q1", "text": "{\\"thought\\": ...}", "finish": "stop", "error": "", "seconds": 0.41, "asked": "9c0f2a..."}

A last line that was cut off by a crash is cut away; anything else that doesn't fit is an error that says so.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from xlam_lib.errors import XlamError
from xlam_lib.files import cut_torn_line

log = logging.getLogger(__name__)


class AskError(XlamError, RuntimeError):
    """The questions can't be asked, or the answers not kept."""


@dataclass(frozen=True)
class Reply:
    """What came back: the text of the answer, or None and the `error` that kept it away (never a wrong answer)."""

    id: str
    text: str | None
    finish: str = ""  # why the model stopped: "stop", "tool_calls", "length"
    error: str = ""
    seconds: float = 0.0
    asked: str = ""  # fingerprint of the question and the settings


class AnswerLog:
    """Replies by id, and the file they are kept in: `AnswerLog("answers.jsonl", {"q1": "9c0f2a..."}).answers`."""

    def __init__(self, path: str | Path | None, prints: Mapping[str, str]) -> None:
        self.path = Path(path) if path is not None else None
        self.prints = prints
        self.replies: dict[str, Reply] = {}
        if self.path is not None and self.path.is_file():
            self._read()

    @property
    def answers(self) -> dict[str, Reply]:
        """Replies that hold an answer."""
        return {name: reply for name, reply in self.replies.items() if reply.text is not None}

    def add(self, reply: Reply) -> None:
        """Keep a reply, in the file too; a later one with an answer replaces an earlier one without."""
        self.replies[reply.id] = reply
        if self.path is None:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with open(self.path, "a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(reply), ensure_ascii=False) + "\n")
        except OSError as error:
            raise AskError(
                f"{self.path} can't be written ({error.strerror}); the answers before are kept: make room and run again"
            ) from error

    def where(self) -> str:
        """`" (kept in answers.jsonl)"`, or nothing without a file."""
        return f" (kept in {self.path})" if self.path is not None else ""

    def _read(self) -> None:
        if torn := cut_torn_line(self.path):
            log.warning("%s: the last line is cut off (%d bytes); it is removed and asked again", self.path, torn)
        for number, line in enumerate(self.path.read_bytes().splitlines(), start=1):
            reply = self._reply(line, number)
            if reply.id in self.prints and (reply.text is not None or reply.id not in self.replies):
                self.replies[reply.id] = reply

    def _reply(self, line: bytes, number: int) -> Reply:
        where = f"{self.path}:{number}"
        try:
            row = json.loads(line)
        except ValueError as error:
            raise AskError(f"{where}: not JSON ({error}); remove the line, or the file, and run again") from error
        if not isinstance(row, dict) or set(row) != {field.name for field in fields(Reply)}:
            raise AskError(
                f"{where}: no line of answers (expected {', '.join(f.name for f in fields(Reply))}); "
                "choose another file"
            )
        reply = Reply(**row)
        if reply.id in self.prints and reply.asked != self.prints[reply.id]:
            raise AskError(
                f"{where}: {reply.id!r} was asked with other words, tools, model or settings; "
                "choose another file, or remove this one to ask again"
            )
        return reply
