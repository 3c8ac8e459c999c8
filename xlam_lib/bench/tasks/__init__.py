"""The benchmarks, one file each with what belongs to it (notebooks 02, 03 and 05)."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "bfcl": ["CATEGORIES"],
        "heldout": ["offline", "served"],
    },
)
