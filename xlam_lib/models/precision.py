"""In which precision this machine computes fast; used by every training (notebooks 02 and 03)."""

from __future__ import annotations

import torch


def bfloat16(precision: str) -> bool:
    """Whether to compute in bfloat16 (weights stay float32): "auto" does where there are instructions for it."""
    if precision != "auto":
        return precision == "bfloat16"
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported()
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))
