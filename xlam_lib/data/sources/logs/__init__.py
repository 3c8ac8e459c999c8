"""Sources of logs: what agent frameworks and programs that evaluate models write down of their runs."""

import pkgutil

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, [info.name for info in pkgutil.iter_modules(__path__)])
