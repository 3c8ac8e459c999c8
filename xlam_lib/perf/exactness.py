"""Loss and gradients on tries against those of separate samples, over all real sources (`make speed`; notebook 06).

    for found in differences(Path("../shared/real"), Path("work")):
        print(found.source, found.samples, found.loss, found.gradient)

Float32, a small Llama of random weights. `loss` is the relative difference of the summed loss; `gradient` the length
of the difference of all gradients, over the length of the gradients of the separate samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import PreTrainedModel

from xlam_lib.data.sources import SOURCES
from xlam_lib.models.tokens import IGNORED
from xlam_lib.perf.cases import Case
from xlam_lib.perf.workloads import model_of, samples
from xlam_lib.train.packing.attention import use_causal_blocks
from xlam_lib.train.packing.grouping import Row
from xlam_lib.train.packing.packers import TriePacker
from xlam_lib.train.packing.trie_model import read_tries

LONGEST = 6000  # tokens of a sample: the samples of tau-bench have 5,000


@dataclass(frozen=True)
class Difference:
    """What was found of a source, e.g. `Difference("webshop", 5, 31, 2.3, 4e-8, 2e-7)`."""

    source: str
    trajectories: int
    samples: int
    shared: float  # tokens of the samples, for each that was read
    loss: float
    gradient: float


def differences(real: Path, work: Path, most: int = 2) -> list[Difference]:
    """Each source with trajectories of several trained turns, `most` of them."""
    found = []
    for source in sorted(SOURCES):
        if not (real / source).is_dir():
            continue
        case = Case(source, source, most=most, length=LONGEST)
        _, groups = samples(case, real, work)
        if groups:
            found.append(difference(source, groups))
    return found


def difference(source: str, groups: Sequence[Sequence[Row]], model: PreTrainedModel | None = None) -> Difference:
    """The tries of some groups of samples against their samples alone; by a small random model unless one is given."""
    rows = [row for group in groups for row in group]
    packed = TriePacker(8192).pack(groups)
    model = model or model_of({"num_hidden_layers": 2, "hidden_size": 64, "intermediate_size": 128})
    alone = _alone(model, rows)
    use_causal_blocks(model)
    read_tries(model)
    model.zero_grad()
    loss = 0.0
    for batch in packed.batches:
        weights = batch.pop("weights")
        found = -(model(**batch).log_probs * weights[:, 1:]).sum()
        found.backward()
        loss += found.item()
    apart = torch.cat([gradient.flatten() for gradient in alone[1]])
    together = torch.cat([parameter.grad.flatten() for parameter in model.parameters()])
    return Difference(
        source,
        len(groups),
        len(rows),
        round(packed.tokens / packed.read, 1),
        abs(loss - alone[0]) / alone[0],
        ((together - apart).norm() / apart.norm()).item(),
    )


def _alone(model: PreTrainedModel, rows: Sequence[Row]) -> tuple[float, list[torch.Tensor]]:
    """The summed loss and its gradients, one sample after another, by transformers' own attention."""
    model.set_attn_implementation("sdpa")
    total = 0.0
    for row in rows:
        ids, labels = torch.tensor([row["input_ids"]]), torch.tensor([row["labels"]])
        logits = model(input_ids=ids, use_cache=False).logits[0, :-1]
        loss = torch.nn.functional.cross_entropy(logits, labels[0, 1:], ignore_index=IGNORED, reduction="sum")
        loss.backward()
        total += loss.item()
    return total, [parameter.grad.clone() for parameter in model.parameters()]
