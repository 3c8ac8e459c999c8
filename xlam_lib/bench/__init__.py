"""Benchmarks: held-out tools by AST match, the BFCL single-turn questions, intervals, published tables, the report."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "base": ["Figure", "Question", "Result", "Task", "TaskError"],
        "bootstrap": ["Interval", "interval", "paired"],
        "results": ["HeldOut", "difference", "failure_examples", "model_figures"],
    },
)
