"""The tools of benchmarks whose records name tools without describing them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "api_bank_tools": ["TOOLS"],
        "tau2_bench_tools": ["TAU2_DOMAINS"],
        "tau_bench_tools": ["DOMAINS"],
        "toolalpaca_tools": ["tools_of"],
    },
)
