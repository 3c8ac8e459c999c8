"""Batches of notebooks: the parts that `xlam_lib.run` is made of (plan, guard, execute, progress, manifest)."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "execute": ["NotebookFailed"],
        "metrics": ["borrowed", "gather", "read_metrics", "record"],
        "params": ["Parameter", "ParameterError", "read_parameters"],
        "plan": ["Experiment", "Run", "Step", "load", "select"],
        "rules": ["problems"],
        "stages": ["checkpoints", "data"],
    },
)
