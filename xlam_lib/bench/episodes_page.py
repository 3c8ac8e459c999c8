"""The report of a run of episodes: figures beside the published ones, and every transcript to read as a conversation.

Used by `bench/run.py` and notebook 05. It writes three files into the run's folder: `trajectories.jsonl` (transcripts
in the unified format, of all episodes that ended), `metrics.json` and `report.html`:

    write("runs/webshop", episodes, {"webshop": WebShop}, settings)["webshop"]["react"]["reward"]["mean"]
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from xlam_lib.agents.architectures import agents
from xlam_lib.bench import page
from xlam_lib.bench.base import Task
from xlam_lib.bench.episodes import Episode, figures
from xlam_lib.bench.report import published
from xlam_lib.bench.settings import BenchSettings
from xlam_lib.files import write_json, write_text
from xlam_lib.trajectory import write_jsonl

SHOWN = 6  # transcripts of each agent in the report; all are in trajectories.jsonl
OTHERS = {"oracle": "the scripted expert", "random": "random actions"}


def write(
    out: str | Path, episodes: Sequence[Episode], tasks: Mapping[str, type[Task]], settings: BenchSettings
) -> dict[str, Any]:
    """Writes the three files and returns the figures, {"webshop": {"react": {"n": 60, "reward": {...}, ...}}}."""
    out = Path(out)
    found = {name: figures([episode for episode in episodes if episode.task == name], settings.seed) for name in tasks}
    write_jsonl(out / "trajectories.jsonl", (episode.trajectory for episode in episodes if not episode.error))
    write_json(out / "metrics.json", {"settings": dataclasses.asdict(settings), **found})
    blocks = [
        page.title("Benchmarks"),
        page.paragraph(lead(found), "lead"),
        page.paragraph(f"Model: {_model(settings)}; {'native tool calls' if settings.native else 'actions in words'}."),
        page.contents({name: task.title for name, task in tasks.items()}),
    ]
    for name, task in tasks.items():
        of_task = [episode for episode in episodes if episode.task == name]
        blocks += [page.heading(task.title, name), *section(task, found[name], of_task, _model(settings))]
    write_text(out / "report.html", page.document("Benchmarks", blocks))
    return found


def lead(found: Mapping[str, Mapping[str, Any]]) -> str:
    """One sentence: "180 episodes of 2 benchmarks ended, 3 were broken off by their surroundings."."""
    entries = [entry for agents in found.values() for entry in agents.values()]
    ended, broken = sum(entry["n"] for entry in entries), sum(entry["broken_off"] for entry in entries)
    return f"{ended} episodes of {len(found)} benchmarks ended, {broken} were broken off by their surroundings."


def section(task: type[Task], found: Mapping[str, Any], episodes: Sequence[Episode], model: str) -> list[str]:
    """The blocks of one benchmark: definition, figures, chart, published rows, failures, transcripts."""
    blocks = [page.paragraph(task.metric)]
    if task.differs:
        blocks.append(page.paragraph(f"What differs from the published setting: {task.differs}"))
    blocks.append(_figures(found))
    if any(entry.get("reward") for entry in found.values()):
        blocks.append(_chart(task, found))
    blocks += [_published(key, found, model) for key in task.published]
    for name in found:
        of_agent = [episode for episode in episodes if episode.agent == name]
        inner = "".join(map(_transcript, _worth_reading(of_agent)))
        blocks.append(
            page.folded(f"Transcripts: {_title(name)}, {min(SHOWN, len(of_agent))} of {len(of_agent)}", inner)
        )
    return blocks


def _figures(found: Mapping[str, Any]) -> str:
    columns = ["agent", "episodes", "reward", "success", "steps", "seconds", "tokens read", "written", "broken off"]
    rows = []
    for name, entry in found.items():
        spans = [_span(entry.get(score)) for score in ("reward", "success")]
        costs = [f"{entry.get(key, 0):,.1f}" for key in ("steps", "seconds", "read", "written")]
        rows.append([_title(name), str(entry["n"]), *spans, *costs, str(entry["broken_off"])])
    caption = "Measured here: means with 95 % bootstrap intervals; steps, seconds and tokens are means of an episode."
    kinds = sorted({kind for entry in found.values() for kind in entry.get("failures", {})})
    counts = [[_title(name), *(str(found[name].get("failures", {}).get(kind, 0)) for kind in kinds)] for name in found]
    shown = page.table(columns, rows, numbers=range(1, 9), caption=caption)
    if kinds:
        named = [kind.replace("_", " ") for kind in kinds]
        shown += page.table(["agent", *named], counts, numbers=range(1, 20), caption="How episodes failed.")
    return shown


def _chart(task: type[Task], found: Mapping[str, Any]) -> str:
    from xlam_lib.plots import grouped_bars

    ended = {name: entry for name, entry in found.items() if entry.get("reward")}
    bars = {"reward": {_title(name): entry["reward"]["mean"] for name, entry in ended.items()}}
    bars["success"] = {_title(name): entry["success"]["mean"] for name, entry in ended.items()}
    spans = {
        score: {_title(name): (entry[score]["low"], entry[score]["high"]) for name, entry in ended.items()}
        for score in bars
    }
    chart = grouped_bars(bars, intervals=spans, title=task.title, ylabel="mean of the episodes")
    words = "Mean reward and share of successes of each agent, with 95 % bootstrap intervals."
    best = max(bars["reward"], key=lambda name: bars["reward"][name])
    return page.figure(chart, words, f"Bars of {len(ended)} agents; the highest reward has {best}.")


def _published(key: str, found: Mapping[str, Any], model: str) -> str:
    """The published table; where its columns are agents, with our row below."""
    table = published.table(key)
    rows = [[name, *table.shown(name)] for name in table.rows]
    titles = {_title(name): entry for name, entry in found.items() if name not in OTHERS and entry.get("reward")}
    if titles.keys() & set(table.columns):
        ours = (titles.get(column, {}).get("reward") for column in table.columns)
        rows.append([f"{model} (measured here)", *(f"{one['mean']:.4f}" if one else "" for one in ours)])
    return page.table(["model", *table.columns], rows, numbers=range(1, 9), caption=table.caption)


def _worth_reading(episodes: Sequence[Episode]) -> list[Episode]:
    """Failures of each kind first, then successes."""
    kinds: dict[str, int] = {}
    order = []
    for place, episode in enumerate(episodes):
        kind = episode.error or episode.row.get("failure") or "success"
        kinds[kind] = kinds.get(kind, 0) + 1
        order.append((kinds[kind], kind == "success", place))
    return [episodes[place] for *_, place in sorted(order)[:SHOWN]]


def _transcript(episode: Episode) -> str:
    row = episode.row
    verdict = episode.error or f"reward {row['reward']:.2f}" + (f", {row['failure']}" if row.get("failure") else "")
    return page.folded(f"{episode.item}, trial {episode.seed}: {verdict}", episode.trajectory._repr_html_())


def _title(name: str) -> str:
    return OTHERS.get(name) or agents()[name].title


def _model(settings: BenchSettings) -> str:
    return settings.model or settings.serve or settings.function or "none"


def _span(entry: Mapping[str, Any] | None) -> str:
    return f"{entry['mean']:.3f} [{entry['low']:.3f}, {entry['high']:.3f}]" if entry else "none"
