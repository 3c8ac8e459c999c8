"""Models and what is saved: checkpoints, adapters, experts, the xLAM family, cards, GGUF (notebooks 02 to 05)."""

import logging

import lazy_loader

# peft imports bitsandbytes, which warns of a missing kernel for 4-bit weights on a CPU, in every process
logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "adapters": ["merge_adapter"],
        "checkpoint": ["load_config", "load_tokenizer", "save", "wrapper"],
        "family": ["ModelSpec", "build"],
        "folders": ["checked", "digest"],
        "load": ["fresh_model", "load_adapter", "load_model", "merged"],
        "lora": ["attach"],
        "lora_settings": ["LoraSettings"],
        "precision": ["bfloat16"],
        "tokens": ["IGNORED", "encode"],
    },
)
