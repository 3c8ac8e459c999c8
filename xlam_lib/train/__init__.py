"""Training (notebooks 02 and 03): five commands, and what they are made of.

    sft.py, sft_lite.py      supervised/   SFT with trl and tries; a loop of our own on Accelerate
    dpo.py                   preference/   pairs of answers, and DPO over them
    grpo.py                  rl/           rewards by rules and by execution, and GRPO
    plan.py                  planning/     what a training needs, before it is started; recipes
    packing/   tries         mixture/   sources, shares, order         loop/   processes, logs, resuming

The files here are the commands. Each room has their options (`settings.py`), which load nothing heavy, apart from what
trains, so that a wrong option is refused at once and a notebook's kernel needs no torch to read results.
"""

import lazy_loader

import xlam_lib.models  # noqa: F401  quietens what peft imports, before anything here imports peft

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "dpo": ["DpoSettings"],
        "grpo": ["GrpoSettings"],
        "sft": ["SftSettings"],
        "sft_lite": ["LiteSettings"],
    },
)
