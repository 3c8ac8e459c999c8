"""Sources that are formats of exchange: how projects hand on trajectories of many origins."""

import pkgutil

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, [info.name for info in pkgutil.iter_modules(__path__)])
