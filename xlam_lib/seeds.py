"""One seed for a run, and for each device a seed of its own that still knows the run's (notebook 01, training).

    seed = init_device_seed(seed=42)     # on each device: Python's, NumPy's and torch's random numbers are its own
    seed.base, seed.rank, seed.world     # 42, which device this is, how many there are

The mixture needs both: the base seed, so that all devices agree on who gets what, and the device's place. A bare
`seed + rank` would lose them, and device 1 of seed 42 would be device 0 of seed 43.
"""

from __future__ import annotations

import hashlib
import os
import random
import secrets
import sys
from importlib.util import find_spec
from typing import Any

LARGEST = 2**32  # NumPy takes no larger seeds
WORD = (1 << 64) - 1
STRIDE = 0x9E3779B1  # odd, so that different ranks give different values


class DeviceSeed(int):
    """The seed of one device, usable wherever an int is: `DeviceSeed(42, rank=0, world=4) == 42`.

    The values of the devices differ from one another; rank 0 has the base seed itself.
    """

    base: int
    rank: int
    world: int

    def __new__(cls, base: int, rank: int = 0, world: int = 1) -> DeviceSeed:
        if not 0 <= base < LARGEST:
            raise ValueError(f"the seed is {base}: expected a number from 0 to {LARGEST - 1}")
        if not 0 <= rank < world:
            raise ValueError(f"rank {rank} of {world} devices: expected 0 <= rank < world")
        seed = super().__new__(cls, base ^ (rank * STRIDE % LARGEST))
        seed.base, seed.rank, seed.world = int(base), int(rank), int(world)
        return seed

    def __reduce__(self) -> tuple[Any, ...]:
        return DeviceSeed, (self.base, self.rank, self.world)

    def __repr__(self) -> str:
        return f"DeviceSeed({self.base}, rank={self.rank}, world={self.world})"


def init_device_seed(
    seed: int | None = None, accelerator: Any = None, *, rank: int | None = None, world: int | None = None
) -> DeviceSeed:
    """Seeds the random numbers of this device and returns its seed: `init_device_seed(seed=42).base` -> 42.

    The place comes from `rank` and `world`, the accelerator, torch.distributed, or what torchrun and accelerate set.
    Without a seed one is drawn, on one device only: several could not agree on it.
    """
    if (rank is None) != (world is None):
        raise ValueError(f"rank is {rank} and world is {world}: give both or neither")
    if rank is None or world is None:
        rank, world = (
            (accelerator.process_index, accelerator.num_processes) if accelerator is not None else rank_and_world()
        )
    if seed is None:
        if world > 1:
            raise ValueError(f"no seed, but {world} devices: give them one, as in init_device_seed(seed=42)")
        seed = secrets.randbelow(LARGEST)
    own = DeviceSeed(seed, rank, world)
    random.seed(int(own))
    if find_spec("numpy"):
        import numpy

        numpy.random.seed(int(own))
    if find_spec("torch"):
        import torch

        torch.manual_seed(int(own))
    return own


def device_seed(seed: int | None) -> DeviceSeed:
    """A seed with its place: itself if it knows, else this process's; None is 0. `device_seed(7).base` -> 7."""
    return seed if isinstance(seed, DeviceSeed) else DeviceSeed(seed or 0, *rank_and_world())


def rank_and_world() -> tuple[int, int]:
    """(rank, number of devices) of this process, (0, 1) when it is alone."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    environment = {name: os.environ.get(name, "") for name in ("RANK", "WORLD_SIZE")}
    if not any(environment.values()):
        return 0, 1
    try:
        rank, world = (int(value) for value in environment.values())
    except ValueError:
        raise ValueError(
            f"the environment says {environment}: expected two numbers; start with torchrun or accelerate"
        ) from None
    return rank, world


def key_of(*parts: str | int) -> int:
    """A 64-bit key of anything that identifies it: `key_of(42, "webshop", 3)`; different parts give different keys."""
    return int.from_bytes(hashlib.blake2b(repr(parts).encode(), digest_size=8).digest())


def mix(key: int, number: int) -> int:
    """64 random-looking bits of a key and a number (the finaliser of splitmix64)."""
    x = (key + (number + 1) * 0x9E3779B97F4A7C15) & WORD
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 & WORD
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB & WORD
    return x ^ (x >> 31)


def unit(key: int, number: int) -> float:
    """A random-looking number from 0 to below 1: `0 <= unit(7, 0) < 1`."""
    return (mix(key, number) >> 11) / (1 << 53)
