"""Command line: `python -m xlam_lib.data.apigen --out DIR --seed 0`; `--show 20` prints samples."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from itertools import islice

from xlam_lib.data.apigen import build_embedded
from xlam_lib.errors import as_command
from xlam_lib.trajectory import Trajectory, read_jsonl


def show(trajectory: Trajectory) -> None:
    """Prints a trajectory in a few lines."""
    print(f"\n# {trajectory.trajectory_id} {' '.join(trajectory.tags)}")
    for tool in trajectory.tools:
        texts = {name: schema.get("enum", schema["type"]) for name, schema in tool.parameters["properties"].items()}
        print(f"  tool {tool.name}: {tool.description} {texts}")
    for step in trajectory.steps:
        calls = [f"{call.name}{json.dumps(call.arguments, ensure_ascii=False)}" for call in step.tool_calls]
        print(f"  {step.role}: {step.content}{' '.join(calls)}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Builds the data and prints what became of the candidates."""
    parser = argparse.ArgumentParser(prog="python -m xlam_lib.data.apigen", description="Build the default data.")
    parser.add_argument("--out", required=True, help="folder to write, whole or not at all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--n-train", type=int, default=8000)
    parser.add_argument("--n-test-seen", type=int, default=300)
    parser.add_argument("--n-test-unseen", type=int, default=150)
    parser.add_argument("--show", type=int, default=0, help="print so many samples of each file")
    args = parser.parse_args(arguments)
    return as_command(lambda: _build(args))


def _build(args: argparse.Namespace) -> None:
    sizes = {"n_train": args.n_train, "n_test_seen": args.n_test_seen, "n_test_unseen": args.n_test_unseen}
    paths = build_embedded(args.out, seed=args.seed, **sizes)
    for path in list(paths.values())[:3]:
        for trajectory in islice(read_jsonl(path), args.show):
            show(trajectory)
    print(paths["accounting"].read_text(encoding="utf-8"))


if __name__ == "__main__":
    sys.exit(main())
