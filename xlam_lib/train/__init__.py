"""Training (notebooks 02 and 03): SFT, preference pairs, DPO, offline decoding and scoring.

Heavy packages are imported by the modules that need them (`checkpoint`, `loop`, `sft`, `dpo`, `decode`); the others
(`examples`, `score`, `pairs`, `log`, `launch`) are light, so that a notebook's kernel needs no torch to read results.
"""
