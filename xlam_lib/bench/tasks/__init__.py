"""The benchmarks, found by themselves: a module with a `TASK` is one (notebooks 02, 03 and 05, the report).

To add one, write `tasks/<name>.py` with a class as `bench/base.py` shows, and `TASK = <the class>`. Its figures are
then in the scorecard and its section in the report. Example: `tasks()["heldout"].title` -> "Held-out questions".
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

import lazy_loader

from xlam_lib.bench.base import Task, TaskError

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "bfcl": ["CATEGORIES"],
        "bfcl_formats": ["BfclFormats"],
        "bfcl_multi_turn": ["BfclMultiTurn"],
        "bfcl_overall": ["overall"],
        "bfcl_score": ["Bfcl"],
        "heldout": ["HeldOutTask", "offline", "served"],
    },
)
__all__ += ["tasks"]


@cache
def tasks() -> dict[str, type[Task]]:
    """All benchmarks by name, in the order of their files' names; modules are imported at the first call."""
    found: dict[str, type[Task]] = {}
    for module in sorted(info.name for info in pkgutil.iter_modules(__path__, f"{__name__}.")):
        task = getattr(importlib.import_module(module), "TASK", None)
        if task is None:
            continue
        if task.name in found:
            raise TaskError(f"{module} and {found[task.name].__module__} both have a task {task.name!r}: rename it")
        found[task.name] = task
    return found
