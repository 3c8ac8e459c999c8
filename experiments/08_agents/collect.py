"""The figures of some runs of `bench.run` in one file, and as a table for the page beside it.

    python experiments/08_agents/collect.py tiny.before=runs/agents/tiny_before tiny.after=runs/agents/tiny_after

`metrics.json` beside this file then holds {"tiny": {"before": {"webshop": {"react": {"reward": {...}, ...}}}}}; what it
held of other runs stays.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from xlam_lib.errors import as_command
from xlam_lib.files import write_json

HERE = Path(__file__).parent
KEPT = ("n", "broken_off", "reward", "success", "progress", "em", "failures", "steps", "seconds", "read", "written")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", help="model.when=folder of a run")
    given = parser.parse_args()
    return as_command(lambda: collect(dict(entry.split("=", 1) for entry in given.runs)))


def collect(runs: dict[str, str]) -> None:
    path = HERE / "metrics.json"
    found: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    for name, folder in runs.items():
        model, _, when = name.partition(".")
        figures = json.loads((Path(folder) / "metrics.json").read_text("utf-8"))
        settings = figures.pop("settings")
        entry = found.setdefault(model, {}).setdefault(when, {})
        for task, agents in figures.items():
            kept = {agent: {key: one[key] for key in KEPT if key in one} for agent, one in agents.items()}
            entry[task] = entry.get(task, {}) | kept
        entry["settings"] = {key: settings[key] for key in ("native", "max_tokens", "memory", "engine", "items")}
    write_json(path, found)
    print(table(found))


def table(found: dict[str, Any]) -> str:
    """Mean rewards with their intervals, a line for each benchmark, agent and model, before and after."""
    lines = ["| benchmark | agent | model | before | after |", "| --- | --- | --- | --- | --- |"]
    for model, runs in found.items():
        tasks = [task for run in runs.values() for task in run if task != "settings"]
        for task in dict.fromkeys(tasks):
            agents = dict.fromkeys(agent for run in runs.values() for agent in run.get(task, {}))
            for agent in agents:
                cells = [_cell(runs.get(when, {}).get(task, {}).get(agent)) for when in ("before", "after")]
                lines.append(f"| {task} | {agent} | {model} | {cells[0]} | {cells[1]} |")
    return "\n".join(lines)


def _cell(entry: dict[str, Any] | None) -> str:
    if not entry or not entry.get("reward"):
        return ""
    span = entry["reward"]
    return f"{span['mean']:.3f} [{span['low']:.3f}, {span['high']:.3f}] of {entry['n']}"


if __name__ == "__main__":
    raise SystemExit(main())
