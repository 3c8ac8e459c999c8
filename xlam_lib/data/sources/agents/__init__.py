"""Sources of episodes: agents that act in environments and see what comes of it."""

import pkgutil

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, [info.name for info in pkgutil.iter_modules(__path__)])
