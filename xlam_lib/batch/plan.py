"""What an experiment's folder asks for, checked whole before anything runs.

Used by `xlam_lib.run`. The folder holds one YAML a notebook, named as the notebook and holding its parameters:

    experiments/00_quickstart/
        experiment.yaml            optional: title, order, seed, stalled_after, report, grid
        01_data_unification.yaml   n_train: 6000
        02_sft.yaml                epochs: 3
                                   grid: {lr: [1.0e-3, 3.0e-4]}     one run for each value, in a folder of its own

The notebook is looked for in the folder itself, then in `notebooks/`.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xlam_lib import paths
from xlam_lib.batch import params
from xlam_lib.batch.settings import EXPERIMENT_FILE, SETTINGS, PlanError, read_settings, read_yaml
from xlam_lib.processes import STALLED


@dataclass(frozen=True)
class Step:
    """One notebook with all its parameters: `Step("02_sft", Path(…), {"lr": 0.001, "seed": 0, …}, "9f3…")`."""

    name: str
    notebook: Path
    parameters: dict[str, Any]
    source_sha256: str
    stalled_after: float = STALLED


@dataclass(frozen=True)
class Run:
    """The notebooks in order, writing to one folder; `values` are those of the grid, e.g. `{"lr": 0.001}`."""

    out: Path
    values: dict[str, Any]
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Experiment:
    """A folder's plan; without a grid it holds one run, whose folder is `out` itself."""

    folder: Path
    title: str
    out: Path
    report: bool
    runs: tuple[Run, ...]


def load(folder: str | Path, out: str | Path | None = None) -> Experiment:
    """The plan of a folder, e.g. `load("experiments/00_quickstart").runs[0].steps`; all faults in one `PlanError`."""
    folder = _find(folder)
    settings = read_settings(folder)
    given = {p.stem: read_yaml(p) for p in sorted(folder.glob("*.yaml")) if p.name != EXPERIMENT_FILE}
    misnamed = [p.name for p in sorted(folder.glob("*.yml"))]
    if misnamed:
        raise PlanError(f"{paths.short(folder)}: {', '.join(misnamed)} would not be read; files end in .yaml here")
    if not given:
        raise PlanError(f"{paths.short(folder)}: no YAML of a notebook's parameters, e.g. 02_sft.yaml")
    order = _order(folder, settings, given)
    target = paths.root() / Path(out).expanduser() if out else paths.runs_dir() / re.sub(r"^\d+_", "", folder.name)
    target = target.resolve()
    axes = _axes(folder, settings, given)
    faults: list[str] = []
    runs = []
    for point in itertools.product(*(values for _, _, values in axes)):
        chosen = {(owner, name): value for (owner, name, _), value in zip(axes, point, strict=True)}
        labels = _labels(chosen)
        home = target / _folder_name(labels) if axes else target
        steps = [_step(folder, name, given[name], settings, chosen, home, faults) for name in order]
        runs.append(Run(home, labels, tuple(s for s in steps if s)))
    if faults:
        raise PlanError("\n".join(dict.fromkeys(faults)))
    if len({run.out for run in runs}) < len(runs):
        raise PlanError(
            f"{paths.short(folder)}: two points of the grid would write the same folder; list no value twice"
        )
    return Experiment(folder, settings["title"] or folder.name, target, settings["report"], tuple(runs))


def source_sha256(notebook: Path) -> str:
    """Fingerprint of what a notebook runs: sources and tags of its code cells; prose and outputs don't count."""
    cells = json.loads(notebook.read_text("utf-8"))["cells"]
    code = [["".join(c["source"]), c["metadata"].get("tags", [])] for c in cells if c["cell_type"] == "code"]
    return hashlib.sha256(json.dumps(code).encode()).hexdigest()


def select(experiment: Experiment, only: list[str]) -> set[str]:
    """The steps meant by `--only`: a name or an unambiguous beginning, e.g. `["02"]` -> `{"02_sft"}`."""
    names = [step.name for step in experiment.runs[0].steps]
    chosen = set()
    for name in only:
        matches = [n for n in names if n == name] or [n for n in names if n.startswith(name)]
        if len(matches) != 1:
            known = dict.fromkeys(names)
            raise PlanError(f"--only {name}: {len(matches)} notebooks match{params.did_you_mean(name, known)}")
        chosen.add(matches[0])
    return chosen or set(names)


def _find(folder: str | Path) -> Path:
    for candidate in (Path(folder), paths.root() / folder):
        if candidate.is_dir():
            return candidate.resolve()
    have = sorted(p.name for p in paths.experiments_dir().glob("*/") if any(p.glob("*.yaml")))
    raise PlanError(f"{folder}: no such folder; experiments here: {', '.join(have) or 'none'}")


def _order(folder: Path, settings: Mapping[str, Any], given: Mapping[str, Any]) -> list[str]:
    order = settings["order"] or sorted(given)
    missing, extra = sorted(set(given) - set(order)), sorted(set(order) - set(given))
    if missing or extra or len(set(order)) < len(order):
        raise PlanError(
            f"{paths.short(folder)}/{EXPERIMENT_FILE}: order must name each notebook's YAML once; "
            f"not in order: {', '.join(missing) or 'none'}; without YAML: {', '.join(extra) or 'none'}"
        )
    return order


def _axes(folder: Path, settings: Mapping[str, Any], given: Mapping[str, dict]) -> list[tuple[str, str, list]]:
    """The grid's axes as (notebook or "" for all, parameter, values), in the order of their files."""
    axes = []
    sources = [("", EXPERIMENT_FILE, settings["grid"])] + [
        (n, f"{n}.yaml", g.get("grid", {})) for n, g in given.items()
    ]
    for owner, file, grid in sources:
        where = f"{paths.short(folder)}/{file}: grid"
        if not isinstance(grid, dict) or not all(isinstance(v, list) and v for v in grid.values()):
            raise PlanError(f"{where}: expected parameters with lists of values, e.g. {{lr: [1.0e-3, 3.0e-4]}}")
        if not owner and set(grid) - {"seed"}:
            raise PlanError(f"{where}: only seed is common to all notebooks; put {sorted(grid)} in a notebook's YAML")
        both = sorted(set(grid) & set(given.get(owner, {})))
        if both:
            raise PlanError(f"{where}: {', '.join(both)} also stands outside the grid; keep one of the two")
        axes += [(owner, name, values) for name, values in grid.items()]
    return axes


def _labels(chosen: Mapping[tuple[str, str], Any]) -> dict[str, Any]:
    """Grid values by short name; the notebook is added where two of them vary the same parameter."""
    names = [name for _, name in chosen]
    return {name if names.count(name) == 1 else f"{owner or 'all'}.{name}": v for (owner, name), v in chosen.items()}


def _folder_name(labels: Mapping[str, Any]) -> str:
    def word(value: Any) -> str:
        text = "-".join(map(word, value)) if isinstance(value, list) else str(value)
        return re.sub(r"[^\w.+-]+", "-", text.lower() if isinstance(value, bool) else text)

    name = ",".join(f"{key}={word(value)}" for key, value in labels.items())
    return name if len(name) <= 100 else f"{name[:90]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _step(
    folder: Path,
    name: str,
    given: Mapping[str, Any],
    settings: Mapping[str, Any],
    chosen: Mapping[tuple[str, str], Any],
    out: Path,
    faults: list[str],
) -> Step | None:
    """One notebook with its parameters resolved; what is wrong goes to `faults`, to be reported at once."""
    where = paths.short(folder / f"{name}.yaml")
    notebook = next((p for d in (folder, paths.notebooks_dir()) if (p := d / f"{name}.ipynb").is_file()), None)
    if notebook is None:
        have = {p.stem: p for p in paths.notebooks_dir().glob("*.ipynb")}
        faults.append(f"{where}: no notebook {name}.ipynb{params.did_you_mean(name, have)}")
        return None
    common = {"seed": chosen.get(("", "seed"), settings["seed"])}
    own = {key: value for key, value in given.items() if key != "grid"}
    varied = {key: value for (owner, key), value in chosen.items() if owner == name}
    if "out_dir" in own or "out_dir" in varied:
        faults.append(f"{where}: out_dir is set by the runner; choose the folder by --out")
        return None
    try:
        declared = params.read_parameters(notebook)
        missing = [key for key in params.COMMON if key not in declared]
        if missing:
            faults.append(f"{paths.short(notebook)}: the parameters cell lacks {', '.join(missing)}, common to all")
            return None
        values = params.resolve(declared, common | own | varied | {"out_dir": _relative(out)}, where)
    except params.ParameterError as error:
        faults += str(error).splitlines()
        return None
    return Step(name, notebook, values, source_sha256(notebook), settings["stalled_after"])


def _relative(out: Path) -> str:
    """The folder as a parameter: relative to the root where possible, so that runs can be moved with the project."""
    return out.relative_to(paths.root()).as_posix() if out.is_relative_to(paths.root()) else str(out)


__all__ = ["SETTINGS", "Experiment", "PlanError", "Run", "Step", "load", "select", "source_sha256"]
