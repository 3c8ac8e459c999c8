"""The samples that tests compare with: a few real records of each source, raw -> unified -> prompt (notebook 01).

    python -m xlam_lib.data.golden                     make unified.jsonl and prompts.txt again from the raw samples
    python -m xlam_lib.data.golden --check             only say what differs; exit status 1 if anything does
    python -m xlam_lib.data.golden --real real/        also take the raw samples again from a folder of real records

After a change to a converter or to the codec, run it and read the diff: it is the change. Per source there are
`tests/fixtures/sources/<name>/raw/...` (records as published), `unified.jsonl` (what `unify` makes of them) and
`prompts.txt` (prompt and completion of the last turn to be learnt from each, in the seeds' style).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from xlam_lib.codec import prompts_of
from xlam_lib.data.accounting import Accounting
from xlam_lib.data.sources import SOURCES, load_source
from xlam_lib.paths import root
from xlam_lib.trajectory import Trajectory

UNIFIED, PROMPTS = "unified.jsonl", "prompts.txt"


def samples_dir(source: str = "") -> Path:
    """Where the samples of a source lie: `samples_dir("toolbench") / "raw"` is an input for `unify`."""
    return root() / "tests" / "fixtures" / "sources" / source


def take_samples(real: Path, folder: Path | None = None) -> list[Path]:
    """Copies the chosen records out of a folder of real ones (as `XLAM_REAL_DATA` names it); returns the files made."""
    made = []
    for source, module in SOURCES.items():
        for name, chosen in module.SOURCE.samples.items():
            target = (folder or samples_dir()) / source / "raw" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            text = (real / source / name).read_text(encoding="utf-8")
            if chosen is not None:
                text = _chosen(text, Path(name), chosen, module)
            target.write_text(text, encoding="utf-8")
            made.append(target)
    return made


def _chosen(text: str, path: Path, chosen: Sequence[Any], module: Any) -> str:
    """The chosen records: elements of a JSON list, entries of an object, lines of JSON Lines, records of a text."""
    if path.suffix == ".json":
        elements = json.loads(text)
        if isinstance(elements, dict):
            return json.dumps({name: elements[name] for name in chosen}, indent=1, ensure_ascii=False) + "\n"
        return json.dumps([elements[i] for i in chosen], indent=1, ensure_ascii=False) + "\n"
    lines = text.splitlines(keepends=True)
    if path.suffix == ".jsonl":
        return "".join([line for line in lines if line.strip()][i] for i in chosen)
    starts = [line for line, _ in module.split(text)] + [len(lines) + 1]
    return "".join("".join(lines[starts[i] - 1 : starts[i + 1] - 1]) for i in chosen)


def golden(source: str) -> dict[str, str]:
    """What the files of a source should hold: {"unified.jsonl": "...", "prompts.txt": "..."}."""
    accounting = Accounting(source)
    trajectories = list(load_source(source, samples_dir(source) / "raw", accounting))
    accounting.check()
    if accounting.records_converted != accounting.records_in:
        raise ValueError(f"{source}: a sample was lost: {accounting.losses[0]}")
    lines = [json.dumps(t.to_dict(), ensure_ascii=False) for t in trajectories]
    return {UNIFIED: "\n".join(lines) + "\n", PROMPTS: "\n".join(_prompts(trajectories))}


def _prompts(trajectories: Sequence[Trajectory]) -> Iterator[str]:
    for t in trajectories:
        index, prompt, completion = prompts_of(t)[-1]
        yield f"##### {t.trajectory_id}, step {index}: prompt\n{prompt}\n##### completion\n{completion}\n"


def differences(write: bool = False) -> list[Path]:
    """Files that are not what they should be; with `write` they are made so."""
    found = []
    for source in SOURCES:
        for name, text in golden(source).items():
            path = samples_dir(source) / name
            if path.is_file() and path.read_text(encoding="utf-8") == text:
                continue
            found.append(path)
            if write:
                path.write_text(text, encoding="utf-8")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m xlam_lib.data.golden", description="Make the golden samples.")
    parser.add_argument("--check", action="store_true", help="write nothing, say what differs")
    parser.add_argument("--real", type=Path, help="take the raw samples again from this folder of real records")
    options: Any = parser.parse_args(arguments)
    if options.real:
        for path in take_samples(options.real):
            print(f"raw      {path.relative_to(root())}")
    found = differences(write=not options.check)
    for path in found:
        print(f"{'differs ' if options.check else 'written '} {path.relative_to(root())}")
    return 1 if options.check and found else 0


if __name__ == "__main__":
    sys.exit(main())
