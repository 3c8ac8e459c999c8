"""What the tests of the pipeline share: records that differ, a file of them, and what a run has written."""

import json
import random
from pathlib import Path

from xlam_lib.data.golden import samples_dir
from xlam_lib.data.unify import LOSSES, TRAJECTORIES

ROWS = json.loads((samples_dir("xlam_fc_60k") / "raw" / "transcribed_rows.json").read_text(encoding="utf-8"))
WORDS = "alpha beta gamma delta epsilon zeta eta theta iota kappa lamda mu nu xi omicron pi rho sigma tau".split()
SMALL = 4000  # bytes of a shard in these tests


def rows(count: int, seed: int = 0) -> list[dict]:
    rng = random.Random(seed)
    return [{**ROWS[i % 3], "id": i, "query": " ".join(rng.choices(WORDS, k=25))} for i in range(count)]


def write(path: Path, records: list[dict]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in records), encoding="utf-8")
    return path


def outputs(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in (TRAJECTORIES, LOSSES)}
