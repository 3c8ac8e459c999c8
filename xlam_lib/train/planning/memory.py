"""The memory that a training takes on each GPU, part by part, and its work; used by `plan.py` (notebook 02).

    parts, host = memory(sizes(model), model.config, Layout(gpus=8, shard="fsdp2"), row=8192, labelled=1200)

Weights, gradients and optimizer states follow Rajbhandari et al. (ZeRO, arXiv 1910.02054, section 3.1), what an offload
moves Ren et al. (ZeRO-Offload, arXiv 2101.06840), 4-bit weights Dettmers et al. (QLoRA, arXiv 2305.14314, section 3).
Activations are counted as Korthikanti et al. do (arXiv 2205.05198, section 4.1): what each operation keeps for the way
back, here for a block of RMSNorm, grouped-query attention and a gated MLP, as transformers and peft write it.
`tests/train/planning/test_memory.py` compares with what torch holds. All in bytes; a GiB is 2**30.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import nn
from transformers import PretrainedConfig, PreTrainedModel

Shard = Literal["none", "zero1", "zero2", "zero3", "fsdp2"]
Offload = Literal["none", "optimizer", "all"]
NF4 = 0.5 + 1 / 64 + 4 / (64 * 256)  # 4 bits, a scale of 8 bits for 64 weights, one of 32 for 256 of these
SCORED = 3 * 4  # float32: log-probabilities, their gradient, and that of the scores


@dataclass(frozen=True)
class Sizes:
    """What a model is made of, in parameters: `sizes(build(family()["xLAM-7b-r"].config())).total` -> 7241732096."""

    total: int
    trainable: int
    adapters: int  # of the trainable ones, those beside the model's own weights
    linear: int  # weights of linear layers, the head left out: what nf4 replaces
    experts: int  # weights that hold several experts at once
    experts_used: float  # share of the experts that a token passes through
    head: int  # weights of the head, also where it shares them with the embedding
    layer: int  # one layer
    layers: int
    adapter_inputs: int  # numbers that all adapters of a layer read for a token


@dataclass(frozen=True)
class Layout:
    """How a model lies on the GPUs: `Layout(gpus=8, shard="zero3", offload="optimizer")`."""

    gpus: int
    shard: Shard = "none"
    offload: Offload = "none"
    weights: Literal["float32", "bfloat16", "nf4"] = "float32"  # of the base
    compute: Literal["float32", "bfloat16"] = "bfloat16"
    checkpointing: bool = False
    dense_mask: bool = True  # tries with an attention that takes a mask of row x row

    @property
    def deepspeed(self) -> bool:
        """Whether DeepSpeed holds the weights: in bfloat16, with float32 copies beside the optimizer."""
        return self.shard.startswith("zero")

    @property
    def num_shards(self) -> int:
        """Into how many parts the weights are cut."""
        return self.gpus if self.shard in ("zero3", "fsdp2") else 1


def sizes(model: PreTrainedModel, adapters: bool = False) -> Sizes:
    """Counts of a model, on the meta device or not; with `adapters` what is trainable is a peft adapter."""
    own = [(name, p) for name, p in model.named_parameters() if not (adapters and p.requires_grad)]
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    head = model.get_output_embeddings().weight
    linear = [m.weight for m in model.modules() if type(m) is nn.Linear and m.weight is not head]
    experts = [p for _, p in own if p.ndim == 3]
    layers: dict[str, int] = {}
    for name, p in own:
        before, found, after = name.partition(".layers.")
        if found:
            key = after.partition(".")[0]
            layers[key] = layers.get(key, 0) + p.numel()
    read = [m.in_features for name, m in model.named_modules() if ".lora_A." in name and isinstance(m, nn.Linear)]
    config = model.config.get_text_config()
    return Sizes(
        total=sum(p.numel() for _, p in own),
        trainable=trainable,
        adapters=trainable if adapters else 0,
        linear=sum(w.numel() for w in linear if not (adapters and w.requires_grad)),
        experts=sum(p.numel() for p in experts),
        experts_used=config.num_experts_per_tok / experts[0].shape[0] if experts else 1.0,
        head=head.numel(),
        layer=max(layers.values()),
        layers=len(layers),
        adapter_inputs=-(-sum(read) // len(layers)),
    )


def memory(
    sizes: Sizes, config: PretrainedConfig, layout: Layout, row: int, labelled: int
) -> tuple[dict[str, float], dict[str, float]]:
    """Bytes of one GPU by part, and of the whole machine's memory for what is offloaded.

    `row` is how many tokens are read at once, `labelled` how many of them have a label.
    """
    states, host = _states(sizes, layout)
    return {**states, **_read(sizes, config, layout, row, labelled)}, host


def base_weights(sizes: Sizes, layout: Layout) -> float:
    """Bytes of all weights of the base, wherever they are."""
    if layout.weights == "nf4":  # peft holds in float32 what isn't quantised
        quantised = sizes.linear + sizes.experts
        return NF4 * quantised + 4 * (sizes.total - quantised)
    return sizes.total * (2 if layout.deepspeed or layout.weights == "bfloat16" else 4)


def loading_peak(sizes: Sizes, layout: Layout) -> float:
    """Bytes of a GPU while a base is read that is quantised on the way (`experts.py`); nothing of others.

    All that is held in the end, and a layer's experts twice in full: one by one, and laid into one weight.
    """
    width = 4 if layout.compute == "float32" else 2
    return base_weights(sizes, layout) + 2 * width * sizes.experts / sizes.layers if layout.weights == "nf4" else 0.0


def host_loading(sizes: Sizes, layout: Layout) -> float:
    """Bytes of all machines' memory while a base is read: each process reads all of it, under FSDP2 only the first.

    ZeRO-3 reads it as it is stored (bfloat16), all else in float32; what is quantised is read onto the GPU.
    """
    if layout.weights == "nf4":
        return 0.0
    each = sizes.total * (2 if layout.shard == "zero3" else 4)
    return float(each if layout.shard == "fsdp2" else each * layout.gpus)


def activation(sizes: Sizes, config: PretrainedConfig, layout: Layout) -> float:
    """Bytes that one layer keeps of one token for the way back."""
    h, i = config.hidden_size, config.intermediate_size
    heads, shared = config.num_attention_heads, config.num_key_value_heads
    width = getattr(config, "head_dim", None) or h // heads
    c, r = (4 if layout.compute == "float32" else 2), residual(layout)
    full, times = not sizes.adapters, config.num_experts_per_tok if sizes.experts else 1
    norms = 2 * h * (4 + r * full)
    attention = c * 2 * width * (heads + shared) + 4 * heads
    copies = 2 if c == r else 4 if sizes.experts else 5  # autocast makes one for each linear layer
    inputs = c * h * copies if full else c * sizes.adapter_inputs
    e = r if sizes.experts and full else c  # autocast doesn't reach the products of experts
    mlp = e * times * i * (3 + full) + (e * times * h * (1 + full) if sizes.experts else 0)
    return norms + attention + inputs + mlp


def residual(layout: Layout) -> int:
    """Bytes of a number between two layers: that of the embedding's weights, unless shards are cast as a whole."""
    if layout.compute == "float32":
        return 4
    return 2 if layout.weights == "bfloat16" or layout.shard in ("zero1", "zero2", "zero3", "fsdp2") else 4


def flops(
    sizes: Sizes, config: PretrainedConfig, tokens: float, labelled: float, depth: float, checkpointing: bool
) -> float:
    """Operations of a training step's way there and back over so many tokens, `depth` tokens before each on average.

    Two for each weight that a token passes, forward and for the gradient of what it read, two more for that of a
    trained weight (Kaplan et al., arXiv 2001.08361, section 2.1); `again` if the way there is computed twice.
    """
    passed = sizes.linear + sizes.experts * sizes.experts_used
    trained = sizes.trainable if sizes.adapters else passed
    adapters = 4 * sizes.adapters * tokens
    width = (getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads) * (
        config.num_attention_heads
    )
    attended = 12 * config.num_hidden_layers * width * depth * tokens
    body = 4 * passed * tokens + 2 * trained * tokens + adapters + attended
    repeated = 2 * passed * tokens + attended / 3 if checkpointing else 0
    return body + repeated + (4 + 2 * (not sizes.adapters)) * sizes.head * labelled


def _states(sizes: Sizes, layout: Layout) -> tuple[dict[str, float], dict[str, float]]:
    """Weights, gradients and optimizer states of a GPU, and what lies in the machine's memory instead."""
    gpus, deepspeed = layout.gpus, layout.deepspeed
    width = 2 if deepspeed or (layout.weights == "bfloat16" and not sizes.adapters) else 4
    weights = (base_weights(sizes, layout) + sizes.adapters * width) / layout.num_shards
    gradients = sizes.trainable * width / (gpus if layout.shard in ("zero2", "zero3", "fsdp2") else 1)
    optimizer = sizes.trainable * (12 if deepspeed else 2 * width) / (1 if layout.shard == "none" else gpus)
    parts, host = {"weights": weights, "gradients": gradients, "optimizer": optimizer}, {}
    if layout.offload != "none":
        host = {"optimizer": parts.pop("optimizer") * gpus, "gradients": gradients * gpus}
        parts["gradients"] = min(gradients, width * sizes.layer)  # a layer's, on their way
    if layout.offload == "all":
        host["weights"] = parts.pop("weights") * gpus
    return parts, host


def _read(sizes: Sizes, config: PretrainedConfig, layout: Layout, row: int, labelled: int) -> dict[str, float]:
    """What one row takes on its way there and back: copies of weights, activations, the mask, scores."""
    c, layers = (4 if layout.compute == "float32" else 2), config.num_hidden_layers
    layers_kept = 1 if layout.checkpointing else layers
    each = activation(sizes, config, layout) * row
    between = residual(layout) * config.hidden_size * row
    parts = {
        "activations": each + layers * between if layout.checkpointing else layers * each,
        "scores": SCORED * labelled * config.vocab_size,
        "copies": _copies(sizes, layout, layers_kept),
    }
    if layout.dense_mask:  # booleans once, and numbers that are added to the scores in each layer
        parts["mask"] = row * row * (1 + c * layers_kept)
    return {name: value for name, value in parts.items() if value}


def _copies(sizes: Sizes, layout: Layout, layers_kept: int) -> float:
    """Weights a second time: gathered from the other GPUs, cast to bfloat16, or unfolded from four bits."""
    width = NF4 if layout.weights == "nf4" else 2 if layout.compute == "bfloat16" else 4
    copies = 0.0
    if (
        layout.num_shards > 1 or layout.offload == "all"
    ):  # the layer at work, the next one, and what is outside of all layers
        outside = sizes.total - sizes.layers * sizes.layer
        copies += 2 * width * sizes.layer + 2 * outside + (0 if sizes.adapters else 2 * sizes.layer)
    elif layout.weights == "float32" and layout.compute == "bfloat16" and not layout.deepspeed:
        copies += 2 * (sizes.linear + sizes.head)  # autocast's; it leaves the weights of experts as they are
    if layout.weights == "nf4" and sizes.experts:  # parametrised weights stay unfolded until their layer is left
        copies += 2 * sizes.experts / sizes.layers * layers_kept
    return copies
