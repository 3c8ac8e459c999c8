"""Models and what is saved: checkpoints, adapters, experts, the xLAM family, cards, GGUF (notebooks 02 to 05)."""

import logging

# peft imports bitsandbytes, which warns of a missing kernel for 4-bit weights on a CPU, in every process
logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)
