"""The names of the original xLAM pages, importable from one place, and where they live here (notebooks 01 to 04).

    from xlam_lib.compat import SFTFoundationTrainerLite, init_device_seed, interleave_data, xLAMConfig

    there                                                       here, in xlam_lib
    fm_utils.seed_random: init_device_seed                      seeds
    fm_utils.interleave_datasets: interleave_data               train.mixture.interleave
    fm_datasets.*: SFTWebShopMultiTurnV2 and its like           train.mixture.data_objects: TrajectoryData
    fm_utils.derived_data_collator: DataCollatorForPromptAnswer train.supervised.collator
    fm_trainers.sft_foundation_trainer: SFTFoundationTrainer    train.supervised.trainer (v1: trl, LoRA, QLoRA)
    ..._lite: SFTFoundationTrainerLite, prepare_accelerator     train.supervised.lite_trainer (v2lite: Accelerate)
    xLAM.client: xLAMConfig, xLAMChatCompletion                 serve.client

`interleave_data` draws by shares and gives each device its own part; both trainers take what it returns, and the
commands `xlam_lib.train.sft` and `sft_lite` draw by the same shares (`--shares`). Names are imported when they are
used, so that this module loads neither torch nor the client.
"""

from __future__ import annotations

import importlib
from typing import Any

PLACES = {
    "DataCollatorForPromptAnswer": "xlam_lib.train.supervised.collator",
    "SFTFoundationTrainer": "xlam_lib.train.supervised.trainer",
    "SFTFoundationTrainerLite": "xlam_lib.train.supervised.lite_trainer",
    "TrajectoryData": "xlam_lib.train.mixture.data_objects",
    "init_device_seed": "xlam_lib.seeds",
    "interleave_data": "xlam_lib.train.mixture.interleave",
    "prepare_accelerator": "xlam_lib.train.loop.sharding",
    "xLAMChatCompletion": "xlam_lib.serve.client",
    "xLAMConfig": "xlam_lib.serve.client",
}
__all__ = sorted(PLACES)


def __getattr__(name: str) -> Any:
    if name not in PLACES:
        raise AttributeError(f"module {__name__!r} has no name {name!r}; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(PLACES[name]), name)


def __dir__() -> list[str]:
    return __all__
