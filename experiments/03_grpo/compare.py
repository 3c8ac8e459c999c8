"""SFT, then GRPO with verifiable rewards, against SFT on the same prompts: all trained here, then asked the same.

    python experiments/03_grpo/compare.py --out runs/grpo    # from the root of the repository

The SFT checkpoint is the small one of `stages.sft_checkpoint`; prompts are fresh draws that it never saw; questions
are the quickstart's. Writes `metrics.json` and `log.jsonl` (of GRPO) beside this file.
"""

from __future__ import annotations

import argparse
import logging
import shutil
from pathlib import Path

import yaml

from xlam_lib.batch.stages import answer_cache, fresh_prompts, grpo, sft, sft_checkpoint
from xlam_lib.bench.results import HeldOut, difference, model_figures
from xlam_lib.bench.tasks.heldout import offline
from xlam_lib.codec import STYLES
from xlam_lib.data.apigen.embedded import embedded
from xlam_lib.files import write_json
from xlam_lib.serve.engines.transformers import Greedy
from xlam_lib.train.loop.log import FILE, read_log
from xlam_lib.trajectory import read_jsonl

HERE, STYLE, SEED = Path(__file__).parent, "brief", 0
SIZES = {"n_train": 1200, "n_test_seen": 300, "n_test_unseen": 150}  # the tests are those of the quickstart
PROMPTS = 800  # trajectories


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/grpo"))
    out = parser.parse_args().out
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    files = embedded(out / "data", seed=SEED, **SIZES)
    recipe = yaml.safe_load((HERE / "recipe" / "grpo.yaml").read_text("utf-8"))
    start, prompts = sft_checkpoint(out, SEED, STYLE), fresh_prompts(out, SEED, PROMPTS)
    models = {"sft": start, "grpo": grpo(out, start, prompts, show=print, **recipe)}
    drawn = recipe["steps"] * recipe["batch_size"] // recipe["generations"]
    more = {"base": start, "data": prompts, "samples": drawn, "lr": 5e-4, "style": STYLE, "seed": SEED}
    models["more_sft"] = sft(out, "more_sft", show=print, **more)
    results = {name: asked(out, path, files) for name, path in models.items()}
    differences = {
        name: {split: difference(results["sft"][split], found[split], seed=SEED).to_dict() for split in found}
        for name, found in results.items()
        if name != "sft"
    }
    figures = {name: model_figures(found["seen"], found["unseen"], SEED) for name, found in results.items()}
    entries = read_log(models["grpo"])
    settings = recipe | {"prompts_drawn": drawn, "seconds": entries[-1]["seconds"]}
    write_json(HERE / "metrics.json", figures | {"differences": differences, "settings": settings})
    shutil.copyfile(models["grpo"] / FILE, HERE / FILE)
    print(differences)


def asked(out: Path, model: Path, files: dict[str, Path]) -> dict[str, HeldOut]:
    """What a checkpoint answers to both test sets, as notebook 02 asks."""
    answers = Greedy(model).answers
    return {
        split: offline(
            read_jsonl(files[f"test_{split}"]),
            answers,
            STYLES[STYLE],
            **answer_cache(out, model, files[f"test_{split}"], STYLE),
        )
        for split in ("seen", "unseen")
    }


if __name__ == "__main__":
    main()
