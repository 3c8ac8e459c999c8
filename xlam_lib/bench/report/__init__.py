"""Scorecard, published tables and the HTML report of a run: `python -m xlam_lib.bench.report runs/quickstart`."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "builder": ["html", "text", "write"],
        "published": ["PublishedTable", "best", "tables"],
        "scorecard": ["Check", "assemble"],
    },
)
