"""The backend that decodes with transformers: requests that wait are decoded together, as `Greedy` does offline.

    backend = Transformers("runs/sft", context=2048, batch=8)

One thread computes. It takes what has come meanwhile, at most `batch` requests, and decodes them together; who comes
later waits for their end. A request that has its answer, or whose client has gone, leaves its batch. Answers by chance
and answers that must fit a schema go through the same batches, each row with its own generator and grammar.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import torch
from tokenizers.decoders import DecodeStream

from xlam_lib.models.templates import template_of
from xlam_lib.models.tokens import encode
from xlam_lib.serve.api.generation import Backend, BackendError, Piece, RefusedError, Sampling, StopTexts
from xlam_lib.serve.engines.transformers import Greedy, continued
from xlam_lib.serve.schema import answer_grammar

GATHER = 0.005  # seconds for which the first request of a batch waits for others that come at the same time


class Transformers(Backend):
    """A checkpoint that answers; `threads` of the processor compute, 0: as many as PyTorch takes."""

    def __init__(
        self, folder: str | Path, context: int = 2048, batch: int = 8, dtype: str = "float32", threads: int = 0
    ) -> None:
        if threads:
            torch.set_num_threads(threads)
        self._decoder = Greedy(folder, dtype=dtype)
        tokenizer, config = self._decoder.tokenizer, self._decoder.model.config
        self.context = min(context, getattr(config, "max_position_embeddings", context))
        self.template = template_of(tokenizer)
        self.specials = {name: str(text) for name, text in tokenizer.special_tokens_map.items()}
        self._size = config.vocab_size
        self._batch = batch
        self._waiting: queue.SimpleQueue[_Answer | None] = queue.SimpleQueue()
        self._compiler: Any = None
        self._over = False
        self._thread = threading.Thread(target=self._work, name="decoding", daemon=True)
        self._thread.start()

    async def tokens(self, text: str) -> list[int]:
        return (await asyncio.to_thread(encode, self._decoder.tokenizer, [text]))[0]

    async def generate(self, ids: list[int], sampling: Sampling) -> AsyncIterator[Piece]:
        if not ids or max(ids) >= self._size:
            raise RefusedError(f"expected at least one token, each below {self._size}")
        matcher = await asyncio.to_thread(self._matcher, sampling.schema) if sampling.schema is not None else None
        answer = _Answer(ids, sampling, self._decoder.tokenizer, matcher, asyncio.get_running_loop())
        self.check()
        self._waiting.put(answer)
        try:
            while True:
                piece = await answer.pieces.get()
                if isinstance(piece, Exception):
                    raise BackendError(f"decoding failed: {piece!r}") from piece
                yield piece
                if piece.finish_reason:
                    return
        finally:
            answer.ended = True

    def check(self) -> None:
        if self._over:
            raise BackendError("the thread that decodes has ended")

    def close(self) -> None:
        self._waiting.put(None)

    def _matcher(self, schema: dict[str, Any]) -> Any:
        """What keeps an answer to a schema, token by token."""
        import xgrammar

        if self._compiler is None:
            ends = [self._decoder.tokenizer.eos_token_id]
            info = xgrammar.TokenizerInfo.from_huggingface(
                self._decoder.tokenizer, vocab_size=self._size, stop_token_ids=ends
            )
            self._compiler = xgrammar.GrammarCompiler(info)
        try:
            return xgrammar.GrammarMatcher(self._compiler.compile_grammar(answer_grammar(schema)))
        except (ValueError, RuntimeError) as error:
            raise RefusedError(f"the schema makes no grammar ({error})") from error

    def _work(self) -> None:
        """The thread: one batch after the other; when it ends, nobody waits for it in vain."""
        try:
            self._decode()
        finally:
            self._over = True
            with contextlib.suppress(queue.Empty):
                while True:
                    if answer := self._waiting.get_nowait():
                        answer.send(RuntimeError("the server ends"))

    def _decode(self) -> None:
        while answers := self._next():
            batch = _Batch(answers, self._decoder.tokenizer.eos_token_id)
            try:
                with torch.inference_mode():
                    longest = max(answer.sampling.max_tokens for answer in answers)
                    continued(
                        self._decoder.model,
                        [answer.ids for answer in answers],
                        longest,
                        self._decoder.tokenizer.eos_token_id,
                        batch.choose,
                        going=batch.going,
                    )
            except (RuntimeError, ValueError, IndexError) as error:  # out of memory, most likely: the next may fit
                for answer in batch.alive:
                    answer.send(error)

    def _next(self) -> list[_Answer]:
        """The requests of the next batch, in the order in which they came; none when the server ends."""
        found: list[_Answer] = []
        while not found:
            first = self._waiting.get()
            if first is None:
                return []
            time.sleep(GATHER)
            found = [first]
            while len(found) < self._batch:
                try:
                    one = self._waiting.get_nowait()
                except queue.Empty:
                    break
                if one is None:
                    return []
                found.append(one)
            found = [answer for answer in found if not answer.ended]
        return found


class _Answer:
    """One request on its way through a batch."""

    def __init__(
        self, ids: list[int], sampling: Sampling, tokenizer: Any, matcher: Any, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.ids, self.sampling, self.matcher = ids, sampling, matcher
        self.pieces: asyncio.Queue[Piece | Exception] = asyncio.Queue()
        self.ended = False
        self.generator = torch.Generator().manual_seed(
            torch.seed() if sampling.seed is None else sampling.seed
        )  # on the processor: the same seed, the same answer on any device
        self._tokenizer, self._loop = tokenizer, loop
        self._stream, self._stops = DecodeStream(skip_special_tokens=True), StopTexts(sampling.stop)
        self._new: list[int] = []
        self._text = 0  # characters that came out of the stream

    def send(self, piece: Piece | Exception) -> None:
        """Hand it to the request, in the thread of its event loop."""
        if isinstance(piece, Exception) or piece.finish_reason:
            self.ended = True
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.pieces.put_nowait, piece)

    def take(self, token: int, is_end: bool) -> bool:
        """Whether it goes on behind its next token."""
        if self.ended:
            return False
        self._new.append(token)
        text = "" if is_end else self._stream.step(self._tokenizer.backend_tokenizer, token) or ""
        self._text += len(text)
        limit = len(self._new) >= self.sampling.max_tokens
        if is_end or limit:
            ids = self._new[:-1] if is_end else self._new
            text += self._tokenizer.decode(ids, skip_special_tokens=True)[self._text :]  # half a character
        text = self._stops.feed(text, last=is_end or limit)
        reason = "stop" if is_end or self._stops.found else "length" if limit else ""
        self.send(Piece(text, len(self._new), reason))
        return not reason


class _Batch:
    """The rows that are decoded together, and how each chooses its tokens."""

    def __init__(self, answers: list[_Answer], eos_token_id: int) -> None:
        self.alive, self._eos = list(answers), eos_token_id

    def choose(self, logits: torch.Tensor) -> torch.Tensor:
        """The next token of each row that is left, (rows,), from logits (rows, vocabulary)."""
        if all(answer.matcher is None and not answer.sampling.temperature for answer in self.alive):
            return logits.argmax(-1)
        return torch.stack([_chosen(answer, row) for answer, row in zip(self.alive, logits, strict=True)])

    def going(self, tokens: list[int]) -> list[bool]:
        """Which rows go on behind these tokens."""
        going = [answer.take(token, token == self._eos) for answer, token in zip(self.alive, tokens, strict=True)]
        self.alive = [answer for answer, goes in zip(self.alive, going, strict=True) if goes]
        return going


def _chosen(answer: _Answer, logits: torch.Tensor) -> torch.Tensor:
    """The next token of one row, by its grammar and its own chance."""
    sampling, logits = answer.sampling, logits.float()
    if answer.matcher is not None:
        import xgrammar

        mask = xgrammar.allocate_token_bitmask(1, logits.shape[-1])
        answer.matcher.fill_next_token_bitmask(mask)
        logits = logits.clone()[None]
        xgrammar.apply_token_bitmask_inplace(logits, mask.to(logits.device))
        logits = logits[0]
    token = logits.argmax(-1) if not sampling.temperature else _sampled(logits, sampling, answer.generator)
    if answer.matcher is not None:
        answer.matcher.accept_token(int(token))
    return token


def _sampled(logits: torch.Tensor, sampling: Sampling, generator: torch.Generator) -> torch.Tensor:
    """A token by chance: of the likeliest `top_k`, of those that make up `top_p`, none `min_p` times less likely."""
    chances, order = torch.softmax(logits / sampling.temperature, -1).cpu().sort(descending=True)
    kept = chances >= sampling.min_p * chances[0]
    kept &= chances.cumsum(0) - chances < sampling.top_p
    if sampling.top_k:
        kept[sampling.top_k :] = False
    kept[0] = True
    place = torch.multinomial(chances * kept, 1, generator=generator)
    return order[place[0]].to(logits.device)
