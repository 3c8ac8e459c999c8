"""The report of a run: `scorecard.json`, a table for the terminal, and one HTML file with everything to look at.

Used at the end of `python -m xlam_lib.run`; by hand: `python -m xlam_lib.bench.report runs/quickstart`. It only
reads what the notebooks left (`metrics.json`, training logs, the manifest), and says by name what they did not leave.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xlam_lib import files
from xlam_lib.bench import page
from xlam_lib.bench.report import scorecard, sections

FILE = "report.html"


def write(out: str | Path, *, strict: bool = True) -> Path:
    """Write scorecard.json and report.html into a run's folder and return the latter.

    Both are written even when figures are missing, which they name; then `strict` raises ScorecardError.
    """
    card = scorecard.assemble(out)
    files.write_json(Path(out) / scorecard.FILE, card)
    target = files.write_text(Path(out) / FILE, html(out, card))
    if strict:
        scorecard.require_whole(card)
    return target


def text(out: str | Path) -> str:
    """The scorecard of a run's folder for the terminal."""
    return scorecard.text(scorecard.assemble(out))


def html(out: str | Path, card: Mapping[str, Any] | None = None) -> str:
    """The whole page as text, e.g. `html("runs/quickstart")`."""
    out = Path(out)
    card = card if card is not None else scorecard.assemble(out)
    recorded, manifest = _recorded(scorecard.gathered(out)), scorecard.read_manifest(out)
    title = manifest.get("title") or out.resolve().name
    shown = sections.of_run(out, card, recorded, manifest)
    blocks = [
        page.title(title),
        page.paragraph(sections.lead(card), "lead"),
        page.paragraph(_circumstances(manifest), "soft"),
        page.contents({section.key: section.title for section in shown}),
    ]
    for section in shown:
        blocks += [page.heading(section.title, section.key), *section.blocks]
    return page.document(title, blocks)


def _recorded(gathered: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What was recorded under each name, e.g. of each model; of two notebooks with the same name, the later one's."""
    found: dict[str, Any] = {}
    for metrics in gathered.values():
        found |= {key: value for key, value in metrics.items() if isinstance(value, dict)}
    return found


def _circumstances(manifest: Mapping[str, Any]) -> str:
    """`"Finished 2026-11-21 10:00 UTC, 412 s on 2 cores without a GPU, revision 1f2e3d4c (with changes)."`."""
    if not manifest.get("steps"):
        return "There is no manifest beside these figures: the notebooks were run one by one."
    environment, git = manifest.get("environment", {}), manifest.get("git", {})
    finished = max((step.get("finished", "") for step in manifest["steps"]), default="")
    gpus = environment.get("gpus") or []
    machine = f"{environment.get('cpu_count', '?')} cores " + (f"and {', '.join(gpus)}" if gpus else "without a GPU")
    revision = (git.get("revision") or "")[:8]
    state = f", revision {revision}{' with changes' if git.get('dirty') else ''}" if revision else ""
    when = f"Finished {finished[:16].replace('T', ' ')} UTC, " if finished else ""
    return f"{when}{manifest.get('seconds', 0):,.0f} s of notebooks on {machine}{state}."
