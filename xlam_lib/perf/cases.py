"""What ways of training are compared on, by name, and that they take turns (`make speed`); loads nothing heavy.

in_turns({"ours": ours, "theirs": theirs}, rounds=3)        # {"ours": [2.9, 3.0, 2.9], "theirs": [...]}
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")
MODELS = {"2 layers": {"num_hidden_layers": 2}, "6 layers": {"num_hidden_layers": 6}}


@dataclass(frozen=True)
class Case:
    """Real trajectories of a source, and how many times as fast as each peer training on them must be."""

    name: str
    source: str
    under: str = ""  # of the source's folder
    most: int = 8  # trajectories
    steps: int = 2  # at least so many trained turns
    length: int = 4096  # of packed and padded rows; a trajectory with a longer sample is left out
    floors: dict[str, float] = field(default_factory=dict)
    pairs: bool = False  # DPO is compared, too


CASES = (
    Case("alfworld", "agentinstruct_adp", "agenttuning_alfworld", floors={"bfd": 20, "sorted": 8, "padded": 30}),
    Case("tau-bench airline", "tau_bench", "gpt-4o-airline.json", 4, length=8192, floors={"bfd": 5, "sorted": 3.5}),
    Case("toolbench", "toolbench", most=10, floors={"bfd": 2, "sorted": 1.5}, pairs=True),
    Case("webshop", "agentinstruct_adp", "agenttuning_webshop", 10, floors={"bfd": 2, "sorted": 1.5}),
    Case("single steps", "xlam_fc_60k", most=60, steps=1, floors={"bfd": 0.95}),
)


def in_turns(ways: Mapping[str, Callable[[], T]], rounds: int) -> dict[str, list[T]]:
    """What each way returns in each round, the ways in turns, so that what slows the machine slows all of them."""
    found: dict[str, list[T]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            found[name].append(way())
    return found
