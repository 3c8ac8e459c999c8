"""What a setting is: a field with its help, its range and its former name.

    lr: float = option(1e-3, "peak learning rate", within=POSITIVE)

Used by all dataclasses of settings; `command_line.py` makes options of them.
"""

from __future__ import annotations

import dataclasses
import logging
import math
import reprlib
from collections.abc import Mapping
from typing import Any

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Range:
    """The numbers that a setting may be: `2 in Range(least=1)`; a fractional one is never infinite, nor no number."""

    least: float | None = None
    above: float | None = None
    most: float | None = None
    below: float | None = None

    def __contains__(self, value: float) -> bool:
        return (
            -math.inf < value < math.inf
            and (self.least is None or value >= self.least)
            and (self.above is None or value > self.above)
            and (self.most is None or value <= self.most)
            and (self.below is None or value < self.below)
        )

    def __str__(self) -> str:
        limits = (("at least", self.least), ("above", self.above), ("at most", self.most), ("below", self.below))
        return " and ".join(f"{word} {limit:g}" for word, limit in limits if limit is not None) or "a finite number"


ANY, POSITIVE, NOT_NEGATIVE = Range(), Range(above=0), Range(least=0)
SHARE, COUNT, SEED = Range(least=0, most=1), Range(least=1), Range(least=0, most=2**32 - 1)


def option(default: Any, help: str, formerly: str = "", within: Range = ANY) -> Any:
    """A field with its help: `lr: float = option(1e-3, "peak learning rate", within=POSITIVE)`; `...`: required.

    `formerly` is the name that the field had in the version before, under which files and command lines may still have
    it: `gradient_checkpointing: bool = option(False, "...", formerly="recompute")`.
    """
    given = {} if default is ... else {"default": default}
    return dataclasses.field(**given, metadata={"help": help, "formerly": formerly, "within": within})


def renamed(settings: Any) -> dict[str, str]:
    """Former names and today's: `renamed(SftSettings)["recompute"]` -> "gradient_checkpointing"."""
    fields = dataclasses.fields(settings)
    return {former: field.name for field in fields if (former := field.metadata.get("formerly"))}


def current(settings: Any, values: Mapping[str, Any], where: str = "") -> dict[str, Any]:
    """The values under today's names, with a warning for each former one if `where` says where they were found.

    `current(SftSettings, {"recompute": True})` -> {"gradient_checkpointing": True}. A ValueError where both are given.
    """
    found, names = dict(values), renamed(settings)
    for former in [name for name in values if name in names]:
        name = names[former]
        if name in values:
            raise ValueError(f"{name} and {former}, its former name, are both given: leave out {former}")
        found[name] = found.pop(former)
        if where:
            logger.warning("%s: %s is called %s now; its former name is read for one version", where, former, name)
    return found


def out_of_range(settings: Any, values: Mapping[str, Any]) -> list[str]:
    """What values are not within the ranges of their settings: ["--batch-size is 0: expected at least 1"]."""
    faults = []
    for field in dataclasses.fields(settings):
        given, within = values.get(field.name), field.metadata.get("within", ANY)
        for value in given if isinstance(given, list | tuple) else [given]:
            if isinstance(value, int | float) and value not in within:
                faults.append(f"--{field.name.replace('_', '-')} is {shown(value)}: expected {within}")
    return faults


def shown(value: Any) -> str:
    """A value as an error shows it, whatever its size: `shown("a" * 9999)` -> "'aaaaaaaaaaaa...aaaaaaaaaaaaa'"."""
    return reprlib.repr(value)
