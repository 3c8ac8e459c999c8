"""Batches of a mixture, read by worker processes if asked for, in the same order however many there are (notebook 02).

    loader = Loader(mixture, 16, workers=2, collate=pad)
    for batch in loader: ...
    saved = loader.state_dict()     # the place behind the batches handed out, whatever the workers read ahead

A batch is read by one worker, the workers taking turns; so nothing is read twice and the order is that without workers.
The devices' parts are shared out already: don't give a Loader to `accelerator.prepare`, which leaves it alone anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from xlam_lib.train.mixture.mixture import Mixture


class Loader:
    """Batches of this device: `next(iter(Loader(mixture, 2)))` -> [sample, sample], or what `collate` makes of it.

    With `even` a device whose part is one sample shorter ends with its first sample again, so that all devices make the
    same number of steps; several devices that train together would otherwise wait for ever at the last one. Samples
    that are `named` come as (name of the source, sample).
    """

    def __init__(
        self,
        mixture: Mixture,
        batch_size: int,
        *,
        workers: int = 0,
        collate: Callable[[list[Any]], Any] = list,
        even: bool = False,
        named: bool = False,
    ) -> None:
        if batch_size < 1 or workers < 0:
            raise ValueError(f"batch_size {batch_size}, workers {workers}: expected at least 1 and at least 0")
        self.mixture, self.batch_size, self.workers, self.collate = mixture, batch_size, workers, collate
        self.even, self.named = even and bool(mixture.totals), named

    def __len__(self) -> int:
        """Batches of a whole epoch."""
        return -(-self._samples() // self.batch_size)

    def __iter__(self) -> Iterator[Any]:
        return self._tracked(self.mixture.begin())

    def read(self, start: int, worker: int = 0, workers: int = 1) -> Iterator[Any]:
        """The batches that one worker reads, from a place in the epoch on."""

        def mine(place: int) -> bool:
            return (place - start) // self.batch_size % workers == worker

        batch: list[Any] = []
        for place, sample in self._placed(start, mine):
            if batch and (place - start) % self.batch_size == 0:
                yield self.collate(batch)
                batch = []
            batch.append(sample)
        if batch:
            yield self.collate(batch)

    def set_epoch(self, epoch: int) -> None:
        """Begin another epoch: another order, other parts."""
        self.mixture.set_epoch(epoch)

    def state_dict(self) -> dict[str, Any]:
        """The place behind the last batch handed out."""
        return self.mixture.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on with the very next sample."""
        self.mixture.load_state_dict(state)

    def _tracked(self, start: int) -> Iterator[Any]:
        for number, batch in enumerate(self._batches(start), 1):
            self.mixture.reached(start + number * self.batch_size)
            yield batch
        self.mixture.ended()

    def _samples(self) -> int:
        return max(self.mixture.lengths) if self.even else len(self.mixture)

    def _placed(self, start: int, mine: Callable[[int], bool]) -> Iterator[tuple[int, Any]]:
        for place, name, sample in self.mixture.placed(start, mine):
            yield place, (name, sample) if self.named else sample
        for place in range(max(start, len(self.mixture)), self._samples()) if self.even else ():
            if mine(place):
                _, name, first = next(self.mixture.placed())
                yield place, (name, first) if self.named else first

    def _batches(self, start: int) -> Iterator[Any]:
        if not self.workers:
            return self.read(start)
        from xlam_lib.train.mixture.torch_data import in_workers

        return in_workers(self, start)
