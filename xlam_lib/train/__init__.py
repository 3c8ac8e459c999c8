"""Training (notebooks 02 and 03): mixtures of sources, SFT, preference pairs, DPO, offline decoding and scoring.

Heavy packages are imported by the modules that need them (`checkpoint`, `loop`, `sft`, `dpo`, `decode`, `torch_data`);
the others (`examples`, `interleave`, `mixture`, `score`, `pairs`, `log`, `launch`) are light, so that a notebook's
kernel needs no torch to read results.
"""

import logging

# peft imports bitsandbytes, which warns of a missing kernel for 4-bit weights on a CPU, in every process
logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)
