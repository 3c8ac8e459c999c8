"""The trainers of SFT: trl's with tries (v1), and a loop of our own on Accelerate (lite)."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "collator": ["DataCollatorForPromptAnswer"],
        "lite_trainer": ["SFTFoundationTrainerLite", "prepare_accelerator"],
        "settings": ["LiteSettings", "SftSettings"],
        "trainer": ["SFTFoundationTrainer"],
    },
)
