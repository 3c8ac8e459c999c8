"""Variants of a trajectory: other names, layouts, phrasings and tools, each undone exactly (notebook 01)."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "answer_forms": ["AnswerForm", "read_answer", "write_answer"],
        "augmentation": ["Augmentation"],
        "distractors": ["ToolPool", "add_from_pool", "without_distractors"],
        "layouts": ["turns_of"],
        "masking": ["mask", "unmask", "with_tool", "without_tool"],
        "names": ["augment"],
    },
)
