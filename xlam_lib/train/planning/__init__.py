"""What a training needs before it is started: memory, machines, recipes of the xLAM family."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "memory": ["Layout", "Sizes", "flops"],
        "loads": ["layout", "workload"],
        "plan": ["Check", "Plan"],
        "recipes": ["Recipe", "Workload"],
    },
)
