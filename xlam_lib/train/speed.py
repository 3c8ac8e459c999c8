"""How fast training on tries is, against other ways of training on the same real samples (`make speed`):

    python -m xlam_lib.train.speed --real ../shared/real --out runs/speed
    python -m xlam_lib.train.speed --real ../shared/real --only alfworld

For each case and each model (Llama of two and of six layers, random weights) one epoch is timed in turns, ours and the
peers of `peers.py`, and `speed.json` gets a list of {"case", "ours_s", "peer", "peer_s", "ratio", "floor"}. Rows padded
to a fixed length all take the same time, so of these a few are timed and the rest is reckoned from them.
"""

from __future__ import annotations

import argparse
import logging
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerBase

from xlam_lib import paths
from xlam_lib.atomic import write_json
from xlam_lib.codec import STYLES
from xlam_lib.data.unify import unify
from xlam_lib.train import checkpoint, peers
from xlam_lib.train.grouped import trajectories
from xlam_lib.train.packing import Row

LENGTH = 4096  # of packed and of padded rows
TIMED = 12  # padded rows that are timed
MODELS = {"2 layers": {"num_hidden_layers": 2}, "6 layers": {"num_hidden_layers": 6}}
SIZES = {"hidden_size": 256, "intermediate_size": 768, "num_attention_heads": 4, "num_key_value_heads": 4}


@dataclass(frozen=True)
class Case:
    """Real trajectories of a source, and how many times as fast as each peer training on them must be."""

    name: str
    source: str
    under: str = ""  # of the source's folder
    most: int = 24  # trajectories
    steps: int = 2  # at least so many trained turns
    floors: dict[str, float] = field(default_factory=dict)


CASES = (
    Case("alfworld", "agentinstruct_adp", "agenttuning_alfworld", 8, floors={"bfd": 20, "sorted": 8, "padded": 30}),
    Case("tau-bench airline", "tau_bench", "gpt-4o-airline.json", 6, floors={"bfd": 5, "sorted": 3.5}),
    Case("toolbench", "toolbench", "", 10, floors={"bfd": 2, "sorted": 1.5}),
    Case("webshop", "agentinstruct_adp", "agenttuning_webshop", 24, floors={"bfd": 2, "sorted": 1.5}),
    Case("single steps", "xlam_fc_60k", "", 60, steps=1, floors={"bfd": 0.95}),
)


def groups_of(case: Case, real: Path, tokenizer: PreTrainedTokenizerBase, work: Path) -> list[list[Row]]:
    """The rows of a case by trajectory; a packed row of LENGTH tokens must hold each of them."""
    out = work / case.name
    unify(case.source, real / case.source / case.under, out)
    made, _ = trajectories(out / "trajectories.jsonl", tokenizer, STYLES["brief"], LENGTH)
    return [group for group in made if len(group) >= case.steps][: case.most]


def measure(
    case: Case, groups: list[list[Row]], tokenizer: PreTrainedTokenizerBase, sizes: dict[str, int], rounds: int
) -> dict[str, float]:
    """Seconds of an epoch by each way, medians of some rounds in turns: {"tries": 2.1, "bfd": 64.0, "sorted": 20.3}."""
    rows = [row for group in groups for row in group]
    few = rows[:: max(1, len(rows) // TIMED)][:TIMED]
    ways: dict[str, Callable[[Any], float]] = {
        "tries": lambda model: peers.tries(model, groups),
        "bfd": lambda model: peers.trl_packed(model, rows, tokenizer, LENGTH),
        "sorted": lambda model: peers.sorted_batches(model, rows, LENGTH),
        "padded": lambda model: peers.padded(model, few, LENGTH) * len(rows) / len(few),
    }
    times: dict[str, list[float]] = {way: [] for way in ("tries", *case.floors)}
    for _ in range(rounds):
        for way, taken in times.items():
            taken.append(ways[way](model_of(sizes)))
    return {way: statistics.median(taken) for way, taken in times.items()}


def model_of(sizes: dict[str, int], vocabulary: int = 4096) -> LlamaForCausalLM:
    """A Llama of random weights, the same each time: 2 layers have 3.7 million parameters, 6 layers 7.2 million."""
    torch.manual_seed(0)
    longest = {"max_position_embeddings": 32768}
    return LlamaForCausalLM(LlamaConfig(vocab_size=vocabulary, **(SIZES | longest | sizes)))


def main(argv: Sequence[str] | None = None) -> int:
    """The command; prints a line a comparison, and writes `speed.json`."""
    parser = argparse.ArgumentParser(prog="python -m xlam_lib.train.speed", description="Tries against other ways.")
    parser.add_argument("--real", type=Path, default=os.environ.get("XLAM_REAL_DATA"), help="folder of real records")
    parser.add_argument("--out", default="runs/speed", help="where speed.json is written")
    parser.add_argument("--only", nargs="+", choices=[case.name for case in CASES], help="cases (default: all)")
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--rounds", type=int, default=1, help="how often each way is timed; the median counts")
    options = parser.parse_args(argv)
    if not options.real or not options.real.is_dir():
        parser.error("--real names no folder; give it, or set XLAM_REAL_DATA")
    logging.getLogger("datasets").setLevel(logging.ERROR)
    tokenizer = checkpoint.load_tokenizer(paths.base_model_dir())
    found, out = [], paths.out_dir(options.out)
    with tempfile.TemporaryDirectory() as work:
        for case in CASES:
            if options.only and case.name not in options.only:
                continue
            groups = groups_of(case, options.real, tokenizer, Path(work))
            for model in options.models:
                found += _compared(case, groups, tokenizer, model, options.rounds)
                write_json(out / "speed.json", found)
    return int(any(one["ratio"] < one["floor"] for one in found))


def _compared(
    case: Case, groups: list[list[Row]], tokenizer: PreTrainedTokenizerBase, model: str, rounds: int
) -> list[dict[str, Any]]:
    seconds = measure(case, groups, tokenizer, MODELS[model], rounds)
    ours, made = seconds.pop("tries"), []
    samples = sum(map(len, groups))
    for peer, theirs in seconds.items():
        ratio, floor = theirs / ours, case.floors[peer]
        made.append(
            {
                "case": f"{case.name}, {model}",
                "ours_s": round(ours, 2),
                "peer": peer,
                "peer_s": round(theirs, 2),
                "ratio": round(ratio, 2),
                "floor": floor,
            }
        )
        print(
            f"{case.name}, {model}, {len(groups)} trajectories, {samples} samples: ours {ours:.1f} s, {peer} "
            f"{theirs:.1f} s, {ratio:.2f} times as fast (at least {floor})",
            flush=True,
        )
    return made


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    sys.exit(main())
