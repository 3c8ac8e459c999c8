"""A model as judge of trajectories, behind any OpenAI-compatible endpoint (notebook 01).

    python -m xlam_lib.data.quality.judge --input traj.jsonl --output ratings.jsonl \\
        --base-url http://127.0.0.1:8000/v1 --model M --concurrency 8

The output holds one result a line, keyed by trajectory and rubric; a rerun asks only for what is missing. The API key
is taken from the environment (OPENAI_API_KEY, or the variable that --api-key-env names). Time-outs, status 429 and 5xx
are tried again with growing pauses; an answer that is not what the rubric asks for is sent back once, with its fault.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Sequence

from xlam_lib.data.quality.asking import Judge, Report, judge_all
from xlam_lib.data.quality.journal import JudgeError
from xlam_lib.data.quality.rubric import RUBRIC, load_rubric
from xlam_lib.trajectory import read_jsonl

__all__ = ["Judge", "JudgeError", "Report", "judge_all", "main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit status: 0, 1 after an error, 3 when some could not be judged."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    try:
        judge = Judge(
            options.base_url,
            options.model,
            load_rubric(options.rubric) if options.rubric else RUBRIC,
            **{name: getattr(options, name) for name in PARAMETERS},
        )
        report = judge_all(read_jsonl(options.input), judge, options.output, _show if sys.stderr.isatty() else None)
    except (ValueError, OSError, JudgeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(report.line())
    print(json.dumps(report.to_dict()))
    return 3 if report.failed else 0


PARAMETERS = {
    "api_key_env": (str, "name of the environment variable with the API key"),
    "concurrency": (int, "requests on their way at once"),
    "timeout": (float, "seconds an answer may take"),
    "attempts": (int, "tries of one request"),
    "max_tokens": (int, "length of an answer"),
    "temperature": (float, "0 is greedy"),
    "max_characters": (int, "of a trajectory; longer ones are shown without the middle of their texts"),
    "price_in": (float, "per million prompt tokens"),
    "price_out": (float, "per million completion tokens"),
    "max_cost": (float, "stop when so much is spent"),
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m xlam_lib.data.quality.judge", description="Rate trajectories.")
    parser.add_argument("--input", required=True, help="trajectories, JSON Lines")
    parser.add_argument("--output", required=True, help="results, JSON Lines; appended to")
    parser.add_argument("--base-url", required=True, help="of the endpoint, ends with /v1")
    parser.add_argument("--model", required=True, help="its name there")
    parser.add_argument("--rubric", help="a JSON file with another rubric")
    for name, (kind, text) in PARAMETERS.items():
        default = getattr(Judge, name)
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, default=default, help=f"{text} ({default})")
    return parser


def _show(report: Report) -> None:
    print(f"\r{report.line()}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
