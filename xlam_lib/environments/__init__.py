"""Environments in which agents act: the original action language, observations and rewards of each benchmark.

One module or room an environment; `bench/tasks/` puts agents into them (notebook 05), RL may train in them. Each has
`tools`, `reset`, `step` (see `agents/base.py`) and a `manual` (see `agents/manual.py`), a small embedded data set of
the original's shape, and reads the original's files where the user has them.

    from xlam_lib.environments import webshop
"""

import pkgutil

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__, submodules=[info.name for info in pkgutil.iter_modules(__path__)]
)
