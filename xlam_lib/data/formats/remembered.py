"""A bounded memory of tools: data sets list the same ones again and again (notebook 01's converters).

    @remembered
    def tool(notes, raw): ...           # JSON values -> anything, with notes of what wasn't understood

xlam-function-calling-60k has 3,673 APIs in 60,000 records, tau-bench one list for all. What was made of the very same
values, type for type, is handed out again, itself, with the notes that were taken then: nobody may edit it. A Drop is
not remembered. How many tools are really new is what `xlam_lib.perf.conversion` has two figures for.
"""

from __future__ import annotations

import functools
import marshal
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

KEPT = 4096  # results of each function
LONGEST = 1 << 16  # bytes of the values: longer ones are made anew
P, T = ParamSpec("P"), TypeVar("T")


def remembered(make: Callable[Concatenate[list[str], P], T]) -> Callable[Concatenate[list[str], P], T]:
    """`make(notes, *values)` with such a memory; when it is full it begins anew."""
    kept: dict[bytes, tuple[T, list[str]]] = {}

    @functools.wraps(make)
    def remembering(notes: list[str], *values: P.args, **named: P.kwargs) -> T:
        if named:
            return make(notes, *values, **named)
        try:
            key = marshal.dumps(values, 2)  # version 2: equal values of the same types give the same bytes
        except ValueError:  # nested too deep
            return make(notes, *values)
        if (found := kept.get(key)) is None:
            taken: list[str] = []
            found = make(taken, *values), taken
            if len(key) <= LONGEST:
                if len(kept) >= KEPT:
                    kept.clear()
                kept[key] = found
        notes += found[1]
        return found[0]

    return remembering
