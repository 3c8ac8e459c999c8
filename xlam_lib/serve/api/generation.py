"""The seam between our API and what generates: a backend continues token ids, piece by piece (notebook 04).

    async for piece in backend.generate(backend.tokens("<|user|>\\n..."), Sampling(max_tokens=64)):
        print(piece.text, end="")

Pieces of text are whole characters; the last piece has the reason why generation ended.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from xlam_lib.errors import XlamError


class RefusedError(XlamError, ValueError):
    """A request that can't be served; the message goes to the client with status 400."""


class BackendError(XlamError, RuntimeError):
    """What generates has failed; the message goes to the client with status 500."""


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen: `Sampling(max_tokens=64)` greedily, `Sampling(64, temperature=0.7, seed=1)` by chance."""

    max_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0  # 0: all tokens
    min_p: float = 0.0
    seed: int | None = None
    stop: tuple[str, ...] = ()  # texts that end the answer and aren't part of it
    schema: dict[str, Any] | None = None  # JSON Schema that the answer must fit, with the codec's spacing


@dataclass(frozen=True)
class Piece:
    """New text of an answer: `Piece('{"thought', 2)`; the last one: `Piece("", 40, "stop")`."""

    text: str
    tokens: int  # generated so far, with the end token
    finish_reason: str = ""  # "stop" or "length", of the last piece


class Backend(ABC):
    """A model that continues token ids."""

    context: int  # tokens of prompt and answer together
    template: str  # the checkpoint's chat template, "" where it has none
    specials: dict[str, str]  # the special tokens that a template may name: {"eos_token": "<|end|>"}

    @abstractmethod
    async def tokens(self, text: str) -> list[int]:
        """The ids of a model text as it stands, nothing added: `await backend.tokens("Hi")` -> [17, 43]."""

    @abstractmethod
    def generate(self, ids: list[int], sampling: Sampling) -> AsyncIterator[Piece]:
        """What follows; whoever stops iterating ends the generation. A RefusedError or BackendError, if it can't."""

    @abstractmethod
    def check(self) -> None:
        """Raises a BackendError when it can't generate any more."""

    @abstractmethod
    def close(self) -> None:
        """End it with all that it holds."""


class StopTexts:
    """Finds texts that end an answer, however it is cut into pieces: `StopTexts(("\\n\\n",)).feed("a\\n")` -> "a"."""

    def __init__(self, texts: tuple[str, ...]) -> None:
        self._texts, self._held, self.found = texts, "", False

    def feed(self, piece: str, last: bool = False) -> str:
        """What may be sent now; an end that may be the beginning of a stop text waits unless it is the last piece."""
        text = self._held + piece
        places = [(at + len(stop), at) for stop in self._texts if (at := text.find(stop)) >= 0]
        if places:  # the first that is whole, as if characters came one by one
            self.found, self._held = True, ""
            return text[: min(places)[1]]
        held = 0 if last else max((_begun(text, stop) for stop in self._texts), default=0)
        self._held = text[len(text) - held :]
        return text[: len(text) - held]


def _begun(text: str, stop: str) -> int:
    """How many characters at the end of the text are the beginning of a stop text: `_begun("a<", "<end>")` -> 1."""
    sizes = range(min(len(stop) - 1, len(text)), 0, -1)
    return next((size for size in sizes if text.endswith(stop[:size])), 0)
