"""The model card of a checkpoint, `README.md`: base, data with licences, settings, figures (a shell command, too):

    python -m xlam_lib.models.card runs/dpo --scores runs/quickstart/scorecard.json

SFT, DPO and GRPO write it when they save; the command writes it anew, with scores. All of it is read from the folder:
the settings from `run.json`, base and data from `origin.json` (which a later training hands on), preferences on
held-out pairs, what the marker says. Nothing is guessed: which licence the model gets is for its maker to say, the card
lists those of the data.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from xlam_lib import markdown
from xlam_lib.errors import CheckpointError, as_command
from xlam_lib.files import MARKER, to_json, write_text
from xlam_lib.models import bases
from xlam_lib.trajectory import read_jsonl

FILE, ORIGIN, RUN, HELD_OUT = "README.md", "origin.json", "run.json", "held_out.json"
HEAD = """---
library_name: {library}
pipeline_tag: text-generation
license: other
tags: [function-calling, tool-use]
---
"""


def sources(paths: str | Path | Iterable[str | Path]) -> list[dict[str, Any]]:
    """The data of unified files: [{"source": "toolbench", "license": "MIT", "url": "...", "trajectories": 9}]."""
    paths = [paths] if isinstance(paths, str | Path) else paths
    found = Counter((t.source.name, t.source.license, t.source.url) for path in paths for t in read_jsonl(path))
    return [
        {"source": name, "license": license, "url": url, "trajectories": count}
        for (name, license, url), count in sorted(found.items())
    ]


def origin(base: str | Path, data: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    """Where a model comes from: {"base": "sft", "data": [...]}, the data of its base (if that says so) and its own."""
    path, name = Path(base) / ORIGIN, bases.name_of(base)[0]
    known = _read(path)["data"] if path.is_file() else []
    return {"base": name or Path(base).resolve().name, "data": [*known, *(one for one in data if one not in known)]}


def files(
    origin_info: Mapping[str, Any], run: Mapping[str, Any], info: Mapping[str, Any], held_out: Any = None
) -> dict[str, str]:
    """The files that a training adds to its checkpoint, name -> text: the card and where the model comes from."""
    return {FILE: text(origin_info, run, info, held_out), ORIGIN: to_json(origin_info) + "\n"}


def text(
    origin_info: Mapping[str, Any],
    run: Mapping[str, Any],
    info: Mapping[str, Any],
    held_out: Any = None,
    scores: Any = None,
) -> str:
    """The card: front matter of the hub, then a table for each of data, settings and figures that there are."""
    base, data = origin_info["base"], origin_info["data"]
    adapter = bool(run.get("lora_rank"))
    base, digest = markdown.code(base), markdown.code(run.get("base_digest", "unknown"))
    what = f"LoRA adapter of rank {markdown.escaped(run['lora_rank'])} for" if adapter else "Model that continues"
    parts = [
        HEAD.format(library="peft" if adapter else "transformers"),
        f"# A function-calling model\n\n{what} {base} (digest {digest}). It answers a "
        "prompt that holds task, tools, format and query with one JSON object of thought and tool calls.\n",
    ]
    if data:
        rows = [(one["source"], one["license"], one["trajectories"], one["url"]) for one in data]
        parts.append(_table("Data", ("source", "licence", "trajectories", "home"), rows))
    settings = [(name, _shown(value)) for name, value in run.items() if not name.endswith("_digest")]
    parts.append(_table("Settings", ("setting", "value"), settings))
    parts.append(_table("Training", ("figure", "value"), [(name, _shown(value)) for name, value in info.items()]))
    if held_out:
        groups = [(name, one["n"], _shown(one["accuracy"]), _shown(one["margin"])) for name, one in held_out.items()]
        parts.append(_table("Held-out pairs", ("group", "pairs", "wanted answer preferred", "margin"), groups))
    if scores:
        parts.append(_table("Scores", ("figure", "value"), [(name, _shown(value)) for name, value in _leaves(scores)]))
    return "\n".join(parts)


def write(folder: str | Path, scores: str | Path = "") -> Path:
    """Write the card of a checkpoint anew: `write("runs/dpo", "runs/quickstart/scorecard.json")`."""
    folder = Path(folder)
    origin_info, run, info = (_read(folder / name) for name in (ORIGIN, RUN, MARKER))
    run = run.get("settings", run)
    held_out = _read(folder / HELD_OUT) if (folder / HELD_OUT).is_file() else None
    figures = _read(Path(scores)) if scores else None
    return write_text(folder / FILE, text(origin_info, run, info, held_out, figures))


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8") or "{}")
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: can't be read ({error}); is this the folder of a finished training?") from error
    if not isinstance(found, dict):
        raise CheckpointError(f"{path}: expected an object, found {type(found).__name__}")
    return found


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, float]]:
    """The numbers of nested figures: ("sft.seen_exact", 0.69), ..."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield name, value


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else json.dumps(value, ensure_ascii=False).strip('"')


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    return f"## {title}\n\n{markdown.table(columns, rows)}\n"


def main(argv: Sequence[str] | None = None) -> int:
    """The command line: `main(["runs/dpo"])` -> 0."""
    parser = argparse.ArgumentParser(
        prog="python -m xlam_lib.models.card", description="The model card of a checkpoint."
    )
    parser.add_argument("checkpoint", help="folder that SFT or DPO made")
    parser.add_argument("--scores", default="", help="figures as JSON: a scorecard, or a notebook's metrics")
    given = parser.parse_args(argv)
    return as_command(lambda: print(write(given.checkpoint, given.scores)))


if __name__ == "__main__":
    sys.exit(main())
