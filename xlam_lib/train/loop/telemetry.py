"""What a training does with its time: tokens a second, model FLOP utilisation, padding, share of trained tokens.

Used by the log of `supervised/lite_trainer.py` and of `runner.py` (SFT, DPO). Two speeds, for tries read shared
beginnings once: tokens of the samples a second say how fast data is learnt, tokens read a second how hard the model
works. Utilisation (Chowdhery et al., arXiv 2204.02311, appendix B) counts tokens read only, and less of them than the
paper where less is needed: the head at trained positions, attention to tokens that may be seen, no gradient of weights
that aren't trained, and of the last layer what it computes of tries (`last_layer.py`).

    meter = Meter(model)
    meter.count(batch); ...step...; meter.lap()
    meter.entry()       # {"tokens_per_second": 5210.4, "read_per_second": 1403.2, "utilisation": 0.41, ...}
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from accelerate.utils import reduce

from xlam_lib.models import router
from xlam_lib.models.tokens import IGNORED
from xlam_lib.train.loop.sharding import full_shape
from xlam_lib.train.packing import attention

COUNTS = ("tokens", "read", "padding", "trained", "pairs", "skipped", "skipped_pairs")
# dense bfloat16 and float32 (without TF32) operations a second, from NVIDIA's data sheets, by the name the device gives
PEAKS = {
    r"H200|H100 80GB HBM3": (989.4e12, 66.9e12),
    r"H100 PCIe": (756e12, 51.2e12),
    r"A100": (312e12, 19.5e12),
    r"L40S": (362e12, 91.6e12),
    r"L4$": (121e12, 30.3e12),
    r"A10$": (125e12, 31.2e12),
}
SIZE, TIMES = 768, 6  # of the matrices that are multiplied to measure a CPU, and how often


@dataclass(frozen=True)
class Flops:
    """Operations of a forward and backward pass: for each token read, each one scored, each pair that attends.

    `last` and `last_pair` are the shares of the last layer that a node of a trie spares if it isn't scored.
    """

    token: float
    scored: float
    pair: float
    last: float = 0.0
    last_pair: float = 0.0

    @classmethod
    def of(cls, model: Any) -> Flops:
        """Of a model as it is trained: `Flops.of(model).token` -> 6 x its weights without the embeddings.

        A weight costs two operations forward, two backward, and two more if it is trained itself. Of experts only those
        count that a token meets. An embedding is looked up, which costs nothing.
        """
        config = model.config.get_text_config()
        table, head = model.get_input_embeddings().weight, model.get_output_embeddings()
        embeddings = {id(table)} | ({id(head.weight)} if head is not None else set())
        experts_share = _share_of_experts(config)
        costs = {
            name: _cost(weight) * (experts_share if ".experts." in name else 1.0)
            for name, weight in model.named_parameters()
            if id(weight) not in embeddings
        }
        heads, layers = getattr(config, "num_attention_heads", 0), config.num_hidden_layers
        width = heads * (getattr(config, "head_dim", None) or config.hidden_size // max(1, heads))
        last = last_pair = 0.0
        if getattr(model, "reads_tries", False) and not router.aux_loss_coef(model.config):
            last = sum(cost for name, cost in costs.items() if f".layers.{layers - 1}.mlp." in name)
            last_pair = 12.0 * width if config._attn_implementation == attention.NAME else 0.0
        scored = _cost(head.weight) if head is not None else 0.0
        return cls(sum(costs.values()), scored, 12.0 * layers * width, last, last_pair)

    def parts(self, counts: Mapping[str, float]) -> dict[str, float]:
        """Operations of COUNTS, by what they are for: weights, attention, head."""
        return {
            "weights": self.token * counts["read"] - self.last * counts.get("skipped", 0),
            "attention": self.pair * counts["pairs"] - self.last_pair * counts.get("skipped_pairs", 0),
            "head": self.scored * counts["trained"],
        }

    def work(self, counts: Mapping[str, float]) -> float:
        """All of them: `Flops(6, 2, 1).work({"read": 10, "trained": 3, "pairs": 55})` -> 121."""
        return sum(self.parts(counts).values())


def _cost(weight: torch.Tensor) -> float:
    state = getattr(weight, "quant_state", None)  # of bitsandbytes, which packs two weights into a byte
    shape = state.shape if state is not None else full_shape(weight)
    return (6.0 if weight.requires_grad else 4.0) * shape.numel()


def _share_of_experts(config: Any) -> float:
    """Which share of the experts a token meets; 1 where there are none."""
    names = ("num_local_experts", "num_experts", "n_routed_experts")
    experts = next((getattr(config, name) for name in names if getattr(config, name, None)), 0)
    return getattr(config, "num_experts_per_tok", experts) / experts if experts else 1.0


def peak(device: torch.device, dtype: torch.dtype) -> float | None:
    """Operations a second that the device can do at most: declared of a GPU, measured of a CPU, None if unknown."""
    if device.type == "cuda":
        name = torch.cuda.get_device_properties(device).name
        known = next((peaks for pattern, peaks in PEAKS.items() if re.search(pattern, name)), None)
        return known[dtype == torch.float32] if known else None
    if device.type != "cpu":
        return None
    ones, times = torch.ones(SIZE, SIZE, dtype=dtype), []  # no random numbers: those of the training stay as they are
    with torch.inference_mode():
        for _ in range(TIMES):
            started = time.perf_counter()
            torch.mm(ones, ones)
            times.append(time.perf_counter() - started)
    return 2.0 * SIZE**3 / min(times)


class Meter:
    """Counts what is read between two lines of the log, on this device; `entry()` adds up all devices."""

    def __init__(self, model: Any, dtype: torch.dtype = torch.float32, device: torch.device | None = None) -> None:
        # offloaded weights lie elsewhere than the device that uses them
        self.flops, self.device = Flops.of(model), device or next(model.parameters()).device
        self.peak = peak(self.device, dtype)
        self.counts = torch.zeros(len(COUNTS), dtype=torch.int64, device=self.device)
        self.seconds, self.mark = 0.0, time.perf_counter()
        self.total = 0  # tokens of the samples of all devices, up to the last entry

    def count(self, batch: Mapping[str, Any], **known: int) -> None:
        """Add a batch as the model is given it; `known` are counts that it doesn't show, such as `tokens`."""
        found = counts_of(batch) | known
        if found:
            row = [torch.as_tensor(found.get(name, 0), device=self.device) for name in COUNTS]
            self.counts += torch.stack([value.to(torch.int64) for value in row])

    def lap(self) -> None:
        """The time since the last call was spent on training."""
        self.seconds, self.mark = self.seconds + time.perf_counter() - self.mark, time.perf_counter()

    def skip(self) -> None:
        """The time since the last call was spent on something else, such as saving."""
        self.mark = time.perf_counter()

    def entry(self) -> dict[str, Any]:
        """The figures since the last entry, all devices together; {} where nothing was counted. Every device must ask.

        Utilisation is None where nobody knows what the device can do.
        """
        counted = torch.cat([self.counts, torch.ones_like(self.counts[:1])])
        *summed, devices = reduce(counted, "sum").tolist()
        counts, seconds = dict(zip(COUNTS, summed, strict=True)), self.seconds
        tokens, read = counts["tokens"], counts["read"]
        self.counts.zero_()
        self.seconds, self.total = 0.0, self.total + tokens
        if not read or not seconds:
            return {}
        work = self.flops.work(counts)
        return {
            "tokens_per_second": round(tokens / seconds, 1),
            "read_per_second": round(read / seconds, 1),
            "utilisation": round(work / seconds / devices / self.peak, 4) if self.peak else None,
            "read": round(read / max(1, tokens), 4),
            "padding": round(counts["padding"] / read, 4),
            "trained": round(counts["trained"] / max(1, tokens), 4),
        }


def counts_of(batch: Mapping[str, Any]) -> dict[str, Any]:
    """COUNTS of a batch, as numbers or tensors; {} for one of another kind.

    `read` are the tokens the model is given, `padding` those among them that are nothing, `pairs` the (token, token)
    pairs that attend, `trained` the labels; `skipped` are the nodes of tries behind which no label stands, and
    `skipped_pairs` theirs.
    """
    mask = batch.get("attention_mask")
    if "trie_tokens" in batch:
        rows = batch.get("row_tokens", mask)
        found = {"read": batch["trie_tokens"].numel(), "pairs": (batch["trie_depth"] + 1).sum()}
        found |= ({"tokens": rows.sum()} if rows is not None else {}) | _skipped(batch)
    elif "input_ids" in batch and mask is not None and mask.dim() == 2:
        lengths, size = mask.sum(1), batch["input_ids"].numel()
        found = {"tokens": lengths.sum(), "read": size, "padding": size - lengths.sum()}
        found |= {"pairs": (lengths * (lengths + 1)).sum() // 2}
    elif "input_ids" in batch and "position_ids" in batch:  # rows behind one another without padding
        size = batch["input_ids"].numel()
        found = {"tokens": size, "read": size, "pairs": (batch["position_ids"] + 1).sum()}
    else:
        return {}
    if "labels" in batch:
        return found | {"trained": (batch["labels"][:, 1:] != IGNORED).sum()}
    return found | ({"trained": batch["completion_mask"].sum()} if "completion_mask" in batch else {})


def _skipped(batch: Mapping[str, Any]) -> dict[str, Any]:
    """The nodes of which the last layer gives nothing that is scored, without waiting for the device."""
    if "labels" not in batch:
        return {}
    nodes, labelled = batch["trie_tokens"].shape[1], batch["labels"][:, 1:] != IGNORED
    places = batch["trie_node"][:, :-1].masked_fill(~labelled, nodes)
    idle = torch.ones(nodes + 1, dtype=torch.bool, device=places.device).index_fill(0, places.flatten(), False)[:-1]
    idle = idle & labelled.any()
    return {"skipped": idle.sum(), "skipped_pairs": ((batch["trie_depth"][0] + 1) * idle).sum()}


def pace(entry: Mapping[str, Any]) -> str:
    """For the line of progress: "  5210 tokens/s", or "" where nothing was counted."""
    speed = entry.get("tokens_per_second")
    return "" if speed is None else f"  {speed:.0f} tokens/s"
