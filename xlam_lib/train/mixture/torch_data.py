"""Where the mixture meets torch: worker processes for a Loader, and an IterableDataset for trainers that want one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from xlam_lib.train.mixture.mixture import Mixture


class TorchMixture(IterableDataset):
    """A whole mixture for a trainer that shares it out by itself, as accelerate's and transformers' do.

    `TorchMixture(Mixture(sources, seed=init_device_seed(42, rank=0, world=1)))`. One device's part is refused: it would
    be shared out a second time, and most samples never be seen. Its workers read different samples.
    """

    def __init__(self, mixture: Mixture) -> None:
        if mixture.world > 1:
            raise ValueError(
                f"this mixture is the part of device {mixture.rank} of {mixture.world}, but a trainer shares an "
                "IterableDataset out over the devices itself: make the mixture with seed=init_device_seed(42, rank=0, "
                "world=1), or read this part through a Loader"
            )
        self.mixture = mixture

    def __iter__(self) -> Iterator[Any]:
        if place := self.mixture.begin():
            raise ValueError(f"place {place} was loaded, but a trainer goes on by itself: resume it, or use a Loader")
        info = get_worker_info()
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        return (sample for _, _, sample in self.mixture.placed(0, lambda place: place % workers == worker))

    def __len__(self) -> int:
        return len(self.mixture)

    def set_epoch(self, epoch: int) -> None:
        """Called by trainers when an epoch begins."""
        self.mixture.set_epoch(epoch)


class _Batches(IterableDataset):
    """The batches of a Loader; in a worker, those that fall to it."""

    def __init__(self, loader: Any, start: int) -> None:
        self.loader, self.start = loader, start

    def __iter__(self) -> Iterator[Any]:
        info = get_worker_info()
        return self.loader.read(self.start, *((info.id, info.num_workers) if info else (0, 1)))


def in_workers(loader: Any, start: int) -> Iterator[Any]:
    """The batches from a place on, read ahead by the loader's workers, in order."""
    batches = _Batches(loader, start)
    return iter(DataLoader(batches, batch_size=None, num_workers=loader.workers, collate_fn=_unchanged))


def _unchanged(batch: Any) -> Any:
    return batch
