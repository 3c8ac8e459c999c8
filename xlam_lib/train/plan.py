"""What a recipe will take, known before anything is downloaded: parameters, memory, steps, hours (a shell command):

    python -m xlam_lib.train.plan experiments/04_model_family/recipes/xlam-8x7b-r-qlora.yaml --gpus 8 --memory 80

The model is built without weights, so a laptop will do. A table and a line of JSON are printed; the exit status is 1 if
a check fails or the memory doesn't suffice, 2 if the recipe can't be read. Notebook 02 names it. `planning/memory.py`
says how parts are counted; hours assume the recipe's share of the GPUs' peak, and no time for moving offloaded states.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from xlam_lib.errors import as_command
from xlam_lib.train.planning.recipes import read


def main(argv: Sequence[str] | None = None) -> int:
    """The command line: `main(["recipe.yaml", "--gpus", "8", "--memory", "80"])` -> 0 if it fits."""
    parser = argparse.ArgumentParser(prog="python -m xlam_lib.train.plan", description="What a recipe will take.")
    parser.add_argument("recipe", help="a YAML file of settings with a section `plan:`")
    parser.add_argument("--gpus", type=int, default=0, help="how many, instead of the recipe's")
    parser.add_argument("--memory", type=float, default=0.0, help="GiB of each, instead of the recipe's")
    given = parser.parse_args(argv)
    if given.gpus < 0 or not 0 <= given.memory < float("inf"):
        parser.error("--gpus and --memory: expected 0 (the recipe's) or more")
    return as_command(lambda: _show(given))


def _show(given: argparse.Namespace) -> int:
    recipe = read(given.recipe)
    from xlam_lib.train.planning.plan import as_json, plan, table  # loads torch

    made = plan(recipe, given.gpus, given.memory)
    print(table(made))
    print(json.dumps(as_json(made)))
    return 0 if made.fits and all(check.passed for check in made.checks) else 1


if __name__ == "__main__":
    sys.exit(main())
