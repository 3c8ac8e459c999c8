"""How llama.cpp holds each architecture, and in which precisions; loads nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Layout:
    """How llama.cpp holds an architecture: `Layout("LLAMA", interleaved=True)`.

    `architecture` is a gguf.MODEL_ARCH, whose name map has the tensors, biases among them. Where it turns neighbours by
    a position (`interleaved`) and not the halves of a head, the rows of queries and keys are reordered. `experts` of a
    layer are one tensor of each kind (experts, out, in), gates and ups apart.
    """

    architecture: str
    interleaved: bool
    experts: bool = False


LAYOUTS = {  # by transformers' model_type
    "llama": Layout("LLAMA", interleaved=True),
    "mistral": Layout("LLAMA", interleaved=True),
    "mixtral": Layout("LLAMA", interleaved=True, experts=True),
    "qwen2": Layout("QWEN2", interleaved=False),
}
ROPES = {  # by rope_type: the values that it is made of, all of which the file can hold
    "default": {"rope_theta"},
    "linear": {"rope_theta", "factor"},
    "llama3": {
        "rope_theta", "factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings",
    },
}  # fmt: skip
DTYPES = {"float32": "F32", "float16": "F16", "bfloat16": "BF16", "q8_0": "Q8_0"}
KEPT_FLOAT32 = ("ffn_gate_inp.weight",)  # matrices that llama.cpp wants as float32: the routers of experts
