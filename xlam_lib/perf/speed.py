"""How fast, how lean and how exact training on tries is, against other ways on the same real samples (`make speed`):

    python -m xlam_lib.perf.speed --real ../shared/real --out runs/speed
    python -m xlam_lib.perf.speed --real ../shared/real --only alfworld --models "2 layers" --rounds 3

For each case and each model (`cases.py`) one epoch is timed in turns, ours and the peers of `baselines.py`, each in
a process of its own, forked from one that has the packages loaded and has calculated nothing: the greatest memory is
its own, and it inherits no threads that died with the fork (a fork of a process that has used OpenMP may hang). Behind
that come exactness (`exactness.py`), and runs in two processes or killed on their way (`continuity.py`).

`speed.json` is a list of {"case", "ours_s", "peer", "peer_s", "ratio", "floor"}: how many times as fast ours is and
must be. Where something else is compared, "unit" says what: bytes of memory beyond what the process began with (`ours`,
`peer_found`), or a difference from what is exact (`difference`), whose ratio is the greatest that is allowed over the
one found. Rows padded to a fixed length all take the same time, so a few are timed and the rest is reckoned. Notebook
06 shows it.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from xlam_lib import paths
from xlam_lib.files import write_json
from xlam_lib.perf.cases import CASES, MODELS

RECORDED = "05_speed"  # of the experiments
Found = dict[str, Any]


def read_speed(folder: str | Path = "") -> list[Found]:
    """A measurement: `speed.json` of a folder, or of runs/speed if it is there, or the one the project recorded."""
    for place in [Path(folder)] if folder else [paths.runs_dir() / "speed", paths.experiments_dir() / RECORDED]:
        if (place / "speed.json").is_file():
            return json.loads((place / "speed.json").read_text("utf-8"))
    raise FileNotFoundError(f"{place / 'speed.json'} is not there; `make speed` measures anew")


def as_line(found: Found) -> str:
    """One line: "alfworld, 2 layers: ours 2.9 s, bfd 71.0 s, 24.48 times as fast (at least 20)"."""
    floor = f"(at least {found['floor']:g})"
    if found.get("unit") == "difference":
        far = f"differs from {found['peer']} by {found['difference']:.1e}"
        return f"{found['case']}: {far}, ratio {found['ratio']:g} {floor}"
    if found.get("unit") == "bytes":
        mine, theirs = found["ours"] / 1e6, found["peer_found"] / 1e6
        return f"{found['case']}: ours {mine:.0f} MB, {found['peer']} {theirs:.0f} MB, ratio {found['ratio']} {floor}"
    return (
        f"{found['case']}: ours {found['ours_s']:.1f} s, {found['peer']} {found['peer_s']:.1f} s, {found['ratio']:.2f} "
        f"times as fast {floor}"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """The command; prints a line a comparison, and writes `speed.json`; 1 where a ratio is below its floor."""
    parser = argparse.ArgumentParser(prog="python -m xlam_lib.perf.speed", description="Tries against other ways.")
    parser.add_argument("--real", type=Path, default=os.environ.get("XLAM_REAL_DATA"), help="folder of real records")
    parser.add_argument("--out", default="runs/speed", help="where speed.json is written")
    known = [*(case.name for case in CASES), "exact", "undisturbed"]
    parser.add_argument("--only", nargs="+", choices=known, default=known, help="cases (default: all)")
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--rounds", type=int, default=1, help="how often each way is timed; the median counts")
    options = parser.parse_args(argv)
    if not options.real or not options.real.is_dir():
        parser.error("--real names no folder; give it, or set XLAM_REAL_DATA")
    if options.rounds < 1:
        parser.error(f"--rounds is {options.rounds}: expected at least 1")
    from xlam_lib.perf import comparisons  # loads torch

    logging.getLogger("datasets").setLevel(logging.ERROR)
    found, out = [], paths.out_dir(options.out)
    for one in comparisons.run(options.real, options.only, options.models, options.rounds):
        found.append(one)
        print(as_line(one), flush=True)
        write_json(out / "speed.json", found)
    return int(any(one["ratio"] < one["floor"] for one in found))


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    sys.exit(main())
