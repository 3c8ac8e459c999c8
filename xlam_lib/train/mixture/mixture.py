"""Several sources in one stream: by given shares, in equal parts over the devices, resumable (notebooks 01 and 02).

    mixture = Mixture({"webshop": rows, "toolbench": "toolbench.jsonl"}, {"webshop": 0.7, "toolbench": 0.3}, seed=seed)
    for sample in mixture: ...
    mixture.table()         # samples, draws, passes and share of each source, known before the first sample is read

What holds, and is tested: from one seed each device gets a part of its own, in an order of its own; the parts are
disjoint and together complete; every stretch holds the sources by their shares, to a draw or two; `state_dict` is a
place in the epoch, and loading it gives the very next sample. `stop` says when an epoch ends:

    "all"    when every sample was drawn at least once (sources with a larger share than size are repeated)
    "first"  before any sample is repeated
    "never"  endless
    10_000   after so many draws, over all devices

Without shares every sample is drawn exactly once. `set_epoch(n)` gives another order and other parts.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from xlam_lib.errors import MixtureError
from xlam_lib.seeds import device_seed, key_of
from xlam_lib.train.mixture.readers import Shard, Source, open_source
from xlam_lib.train.mixture.schedule import Schedule, apportion, exact_shares, shard_size, tempered

Shares = Mapping[str, float] | Sequence[float]


class Mixture:
    """The samples of one device, e.g. `list(Mixture({"a": [1, 2], "b": [3]}))` -> [3, 1, 2] or another order.

    `shares` are probabilities by name or in the order of the sources; `temperature` makes them from the sizes.
    """

    def __init__(
        self,
        sources: Mapping[str, Any],
        shares: Shares | None = None,
        *,
        seed: int | None = None,
        temperature: float | None = None,
        stop: str | int = "all",
    ) -> None:
        if not sources:
            raise MixtureError("no sources: a mixture needs at least one")
        self.seed, self.stop = device_seed(seed), stop
        self.rank, self.world = self.seed.rank, self.seed.world
        opened = [open_source(name, source) for name, source in sources.items()]
        unsized = stop == "never" and temperature is None and shares is not None
        self.sources: list[Source] = opened if unsized else [source.sized() for source in opened]
        for source in self.sources:
            if source.size == 0:
                raise MixtureError(f"source {source.name!r} is empty: leave it out, or correct its path")
        self.shares = _shares(self.sources, shares, temperature)
        self.totals = self._totals()  # draws of each source over all devices; empty when endless
        counts = self.totals or [source.size or 0 for source in self.sources]
        self.offsets = [sum(counts[:i]) % self.world for i in range(len(self.sources))]
        self._check_sizes()
        self.left_out: dict[str, int] = {}  # samples by source that were too long for `interleave_data`
        self.augmented: dict[str, dict[str, int]] = {}  # what it did to trajectories, by source
        self.epoch = self._start = self._place = 0

    def __iter__(self) -> Iterator[Any]:
        return (sample for _, sample in self.named())

    def __len__(self) -> int:
        """Samples of this device in one epoch."""
        return self.lengths[self.rank]

    def __getitem__(self, index: Any) -> Any:
        raise TypeError("a mixture is a stream without random access: iterate over it, or over a Loader of it")

    def named(self) -> Iterator[tuple[str, Any]]:
        """(name of the source, sample), from the loaded place or the epoch's beginning on."""
        return self._named(self.begin())

    def placed(self, start: int = 0, selected: Callable[[int], bool] | None = None) -> Iterator[tuple[int, str, Any]]:
        """(place, name, sample) from a place on; what isn't selected is passed over without being read."""
        readers: dict[int, Callable[[int], Any]] = {}
        for place, (index, number) in enumerate(self._schedule().draws(start), start):
            if selected is not None and not selected(place):
                continue
            source = self.sources[index]
            if index not in readers:
                readers[index] = source.reader(self._shard(index))
            yield place, source.name, readers[index](number)

    def order(self) -> Iterator[str]:
        """The names of the sources as they will be drawn, without reading a sample."""
        return (self.sources[index].name for index, _ in self._schedule().draws())

    @property
    def lengths(self) -> list[int]:
        """Samples of each device in one epoch; they differ by one at most: [7, 7, 6]."""
        if not self.totals:
            raise TypeError("an endless mixture has no length")  # what list() and len() expect of a stream
        return [shard_size(sum(self.totals), 0, rank, self.world) for rank in range(self.world)]

    def of(self, rank: int) -> Mixture:
        """The part of another device, from the running epoch's beginning on: `mixture.of(1)`."""
        other = copy.copy(self)
        other.rank, other._start, other._place = rank, 0, 0
        return other

    def table(self) -> list[dict[str, Any]]:
        """What an epoch will hold, over all devices: [{"source": "webshop", "samples": 90, "draws": 90, ...}]."""
        totals = self.totals or [None] * len(self.sources)
        return [
            {
                "source": source.name,
                "samples": source.size,
                "draws": draws,
                "passes": None if draws is None or source.size is None else draws / source.size,
                "share": float(share),
                "realised": None if draws is None else draws / sum(self.totals),
            }
            for source, share, draws in zip(self.sources, self.shares, totals, strict=True)
        ]

    @property
    def fingerprint(self) -> str:
        """The same on all devices, and another one when seed, sources, shares or the number of devices differ."""
        described = [
            (source.name, source.size, str(share)) for source, share in zip(self.sources, self.shares, strict=True)
        ]
        return f"{key_of(self.seed.base, self.world, str(self.stop), repr(described), repr(self.totals)):016x}"

    def set_epoch(self, epoch: int) -> None:
        """Begin another epoch; the running one keeps its place."""
        if epoch != self.epoch:
            self.epoch, self._start, self._place = epoch, 0, 0

    def begin(self) -> int:
        """The place at which an iteration begins: the loaded one, or 0."""
        self._place = self._start
        return self._place

    def reached(self, place: int) -> None:
        """An iteration has handed out all samples before this place."""
        self._place = min(place, max(self.lengths)) if self.totals else place

    def ended(self) -> None:
        """An iteration has come to the end of the epoch: the next one begins at 0, not at the loaded place."""
        self._start = 0

    def state_dict(self) -> dict[str, Any]:
        """Where the newest iteration stands; plain JSON, the same on all devices that are equally far."""
        return {
            "epoch": self.epoch,
            "place": self._place,
            "devices": self.world,
            "fingerprint": self.fingerprint,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on with the very next sample; a state of another mixture is refused."""
        if state["devices"] != self.world:
            raise MixtureError(
                f"the state was saved with {state['devices']} devices, now there are {self.world}: the parts would "
                "overlap; go on with as many, or begin a new epoch"
            )
        if state["fingerprint"] != self.fingerprint:
            raise MixtureError(
                "the state is of another mixture: seed, sources, their sizes, shares or `stop` have changed; "
                "restore them, or begin a new epoch"
            )
        self.epoch = int(state["epoch"])
        self._start = self._place = int(state["place"])

    def _named(self, start: int) -> Iterator[tuple[str, Any]]:
        for place, name, sample in self.placed(start):
            self.reached(place + 1)
            yield name, sample
        self.ended()

    def _schedule(self) -> Schedule:
        keys = [self._key("when", source.name, self.rank) for source in self.sources]
        if not self.totals:
            return Schedule([float(share) for share in self.shares], keys, endless=True)
        shared = zip(self.totals, self.offsets, strict=True)
        return Schedule([shard_size(total, offset, self.rank, self.world) for total, offset in shared], keys)

    def _shard(self, number: int) -> Shard:
        name = self.sources[number].name
        index = (self.rank - self.offsets[number]) % self.world
        return Shard(index, self.world, self._key("who", name), self._key("again", name, self.rank))

    def _key(self, *sources: str | int) -> int:
        return key_of(self.seed.base, self.epoch, *sources)

    def _totals(self) -> list[int]:
        """Draws of each source in an epoch, over all devices."""
        sizes = [source.size or 0 for source in self.sources]
        if self.stop == "never":
            return []
        if self.stop == "all":
            draws = max(math.ceil(size / share) for size, share in zip(sizes, self.shares, strict=True))
        elif self.stop == "first":
            draws = min(math.floor(size / share) for size, share in zip(sizes, self.shares, strict=True))
        elif type(self.stop) is int and self.stop > 0:
            draws = self.stop
        else:
            raise MixtureError(f"stop is {self.stop!r}: expected 'all', 'first', 'never' or a number of samples")
        return apportion(draws, self.shares)

    def _check_sizes(self) -> None:
        """A device can't repeat what it doesn't have; one pass or less is fine with any size."""
        for source, draws in zip(self.sources, self.totals or [None] * len(self.sources), strict=True):
            if source.size is not None and source.size < self.world and (draws is None or draws > source.size):
                raise MixtureError(
                    f"source {source.name!r} has {source.size} samples for {self.world} devices, but is to be "
                    "repeated: each device needs a sample of its own; give more samples, or a smaller share"
                )


def _shares(sources: Sequence[Source], shares: Shares | None, temperature: float | None) -> list[Any]:
    names = [source.name for source in sources]
    if shares is None:
        return tempered([source.size or 0 for source in sources], 1 if temperature is None else temperature)
    if temperature is not None:
        raise MixtureError("both probabilities and a temperature: give one of them")
    if isinstance(shares, Mapping):
        if set(shares) != set(names):
            raise MixtureError(f"probabilities for {sorted(shares)}, but the sources are {sorted(names)}")
        shares = [shares[name] for name in names]
    if len(shares) != len(names):
        raise MixtureError(f"{len(shares)} probabilities for {len(names)} sources ({', '.join(names)})")
    try:
        return exact_shares(shares)
    except ValueError as error:
        raise MixtureError(f"{error} (sources: {', '.join(names)})") from None
