"""What a base, and the same base with the adapter, answer: BFCL's questions and held-out tools, with intervals.

    python experiments/07_smollm2/measure.py before --out runs/smollm2     # from the root of the repository
    python experiments/07_smollm2/measure.py after --model runs/smollm2/sft --out runs/smollm2

Answers are kept in the folder `--out` and not asked for again, so a run that was stopped goes on. Figures are added to
`metrics.json` beside this file under `before` or `after` (or any other name that is given).
"""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path
from typing import Any

from xlam_lib.batch.progress import Counted
from xlam_lib.bench import evaluate
from xlam_lib.bench.few_shot import examples_of, with_examples
from xlam_lib.bench.tasks.bfcl import CATEGORIES
from xlam_lib.bench.tasks.bfcl_score import Bfcl, table
from xlam_lib.bench.tasks.heldout import HeldOutTask
from xlam_lib.codec import BRIEF_STYLE
from xlam_lib.errors import as_command
from xlam_lib.files import write_json
from xlam_lib.models.bases import base
from xlam_lib.models.folders import digest
from xlam_lib.serve.engines.transformers import Greedy
from xlam_lib.trajectory import read_jsonl

HERE, SEED = Path(__file__).parent, 0
KINDS = ("single", "parallel", "irrelevant")  # of the solved examples that a base is shown
CONTEXT = 4096  # tokens of a prompt; longer ones are counted, not asked
ANSWER = 256  # tokens of an answer, at most


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="where the figures stand in metrics.json: before, after, ...")
    parser.add_argument("--model", default="smollm2-135m", help="a base by name, or a checkpoint's folder")
    parser.add_argument("--out", type=Path, default=Path("runs/smollm2"), help="folder of data and answers")
    parser.add_argument("--examples", type=int, default=0, help="how many solved examples stand before each question")
    parser.add_argument("--categories", nargs="*", default=list(CATEGORIES), help="of BFCL")
    parser.add_argument("--per-category", type=int, default=10_000, help="questions of each, drawn (all of them)")
    parser.add_argument("--heldout", type=int, default=400, help="questions of each test of held-out tools")
    parser.add_argument("--batch-size", type=int, default=16)
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    return as_command(lambda: measure(given))


def measure(given: argparse.Namespace) -> None:
    folder = base(given.model)
    model, weights = Greedy(folder, given.batch_size), digest(folder)
    data = given.out / "data"

    def answers(prompts: list[str]) -> list[str]:
        return model.answers(prompts, ANSWER)

    if given.examples:
        shots = examples_of(read_jsonl(data / "train.jsonl"), BRIEF_STYLE, KINDS[: given.examples])
        answers = with_examples(answers, shots, model.tokenizer.eos_token, *model.wrapper)
    asked = f"{weights} {given.examples}"  # tells these answers from another model's
    found: dict[str, Any] = {"bfcl": {}, "bfcl_counts": {}, "heldout": {}, "intervals": {}}
    for category in given.categories:
        task = Bfcl(
            BRIEF_STYLE,
            [category],
            given.per_category,
            SEED,
            lambda text: len(model.tokenizer(text).input_ids),
            CONTEXT,
        )
        path = given.out / "answers" / f"{given.name}.{category}.{given.per_category}.jsonl"
        result = evaluate.offline(task, answers, path=path, model=asked, progress=Counted(category))
        score = task.category_scores(result)[category]
        print(table({category: score}), flush=True)
        found["bfcl"][category] = score.accuracy
        found["bfcl_counts"][category] = score.to_dict()
        found["intervals"][f"bfcl.{category}"] = result.interval("valid", SEED).to_dict()
        record(given.name, found)
    for split in ("seen", "unseen") if given.heldout else ():
        task = HeldOutTask(list(read_jsonl(data / f"test_{split}.jsonl"))[: given.heldout], BRIEF_STYLE)
        path = given.out / "answers" / f"{given.name}.{split}.{given.heldout}.jsonl"
        result = evaluate.offline(task, answers, path=path, model=asked, progress=Counted(split))
        print(split, result.interval("exact", SEED), result.failures(), flush=True)
        found["heldout"][f"{split}_exact"] = result.mean("exact")
        found["heldout"][f"{split}_failures"] = result.failures()
        found["intervals"][f"heldout.{split}_exact"] = result.interval("exact", SEED).to_dict()
        record(given.name, found)


def record(name: str, found: dict[str, Any]) -> None:
    """Adds the figures under a name to those that are there."""
    path = HERE / "metrics.json"
    figures = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    before = figures.get(name, {})
    figures[name] = before | {key: before.get(key, {}) | value for key, value in found.items()}
    write_json(path, figures)


if __name__ == "__main__":
    raise SystemExit(main())
