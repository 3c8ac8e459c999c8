"""The model as GGUF files, run by llama.cpp: does it answer as it does here?

    python experiments/07_smollm2/llama_cpp.py --model runs/smollm2/sft --out runs/smollm2/gguf

Exports the model in each type, asks llama.cpp the first questions of the test of unseen tools and compares with greedy
answers in float32, text by text. Figures are added to `metrics.json` beside this file under `gguf`.
"""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path

from xlam_lib.bench.tasks.heldout import HeldOutTask, Item
from xlam_lib.chat_template import model_prompt
from xlam_lib.codec import BRIEF_STYLE
from xlam_lib.errors import as_command
from xlam_lib.files import write_json
from xlam_lib.models.bases import base
from xlam_lib.models.gguf.export import export
from xlam_lib.serve.engines.transformers import Greedy
from xlam_lib.trajectory import read_jsonl

HERE = Path(__file__).parent
ANSWER = 256  # tokens of an answer, at most


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2-135m", help="a base by name, or a checkpoint's folder")
    parser.add_argument("--data", type=Path, default=Path("runs/smollm2/data/test_unseen.jsonl"))
    parser.add_argument("--out", type=Path, default=Path("runs/smollm2/gguf"), help="folder of the files")
    parser.add_argument("--questions", type=int, default=100)
    parser.add_argument("--dtypes", nargs="*", default=["float16", "q8_0"])
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    return as_command(lambda: compare(given))


def compare(given: argparse.Namespace) -> None:
    folder = base(given.model)
    model, task = Greedy(folder, batch_size=16), HeldOutTask(read_jsonl(given.data), BRIEF_STYLE)
    items = task.items()[: given.questions]
    prompts = [task.question(item).prompt for item in items]
    here = model.answers(prompts, ANSWER)
    given.out.mkdir(parents=True, exist_ok=True)
    path = HERE / "metrics.json"
    for dtype in given.dtypes:
        file = given.out / f"{dtype}.gguf"
        export(folder, file, dtype)
        there = answers(file, [model_prompt(prompt, *model.wrapper) for prompt in prompts])
        found = {
            "questions": len(items),
            "megabytes": round(file.stat().st_size / 1e6, 1),
            "equal": sum(map(str.__eq__, here, there)) / len(items),
            "exact": exact(task, items, there),
            "exact_float32": exact(task, items, here),
        }
        print(dtype, found, flush=True)
        figures = json.loads(path.read_text("utf-8")) if path.is_file() else {}
        write_json(path, figures | {"gguf": figures.get("gguf", {}) | {dtype: found}})


def exact(task: HeldOutTask, items: list[Item], texts: list[str]) -> float:
    """The share of answers with exactly the expected calls."""
    return sum(task.score(item, text)["exact"] for item, text in zip(items, texts, strict=True)) / len(items)


def answers(file: Path, prompts: list[str]) -> list[str]:
    """What llama.cpp writes behind each prompt, greedily."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(file)
    params.n_ctx, params.n_parallel, params.verbosity = 4096, 1, 0
    params.use_jinja, params.chat_template = False, "chatml"  # it can't read ours, which isn't needed here
    server = xllamacpp.Server(params)
    asked = {"temperature": 0.0, "max_tokens": ANSWER, "cache_prompt": True}
    return [server.handle_completions({"prompt": prompt, **asked})["choices"][0]["text"] for prompt in prompts]


if __name__ == "__main__":
    raise SystemExit(main())
