"""Preference pairs and the trainer that learns from them (DPO, notebook 03)."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "contrasts": ["Contrasts", "branches"],
        "corruptions": ["corrupt"],
        "pairs": ["Pair", "build", "counts", "read_pairs", "write_pairs"],
        "settings": ["DpoSettings", "LOSSES"],
        "trainer": ["DPOFoundationTrainer"],
    },
)
