"""The YAML files of an experiment, read strictly: no key twice, no unknown setting, no value of the wrong type.

Used by `xlam_lib.batch.plan`. `experiment.yaml` may hold:

    title: The whole road          # shown while it runs and in the manifest
    order: [01_data_unification]   # default: the notebooks sorted by name
    seed: 0                        # for every notebook whose YAML names none
    stalled_after: 600             # seconds a cell may show nothing new before its notebook is ended; 0: no limit
    report: true                   # end with scorecard.json and report.html
    grid: {seed: [0, 1, 2]}        # one run for each seed
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from xlam_lib import paths
from xlam_lib.batch import params
from xlam_lib.errors import XlamError
from xlam_lib.processes import STALLED
from xlam_lib.settings import yaml_files

EXPERIMENT_FILE = "experiment.yaml"
SETTINGS = {
    "title": params.Parameter("title", "str", ""),
    "order": params.Parameter("order", "list[str]", []),
    "seed": params.Parameter("seed", "int", 0),
    "stalled_after": params.Parameter("stalled_after", "float", STALLED),
    "report": params.Parameter("report", "bool", False),
    "grid": params.Parameter("grid", "dict", {}),
}


class PlanError(XlamError, ValueError):
    """An experiment that can't run as written; one line a fault, reported before anything runs."""


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file, e.g. `read_yaml(Path("02_sft.yaml"))` -> `{"lr": 0.001}`; an empty file gives {}."""
    where = paths.short(path)
    try:
        value = yaml_files.read_yaml(path, where=where)
    except yaml_files.YamlError as error:
        raise PlanError(str(error)) from error
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise PlanError(f"{where}: expected `name: value` lines, found a {type(value).__name__}")
    return value


def read_settings(folder: Path) -> dict[str, Any]:
    """All settings of `experiment.yaml`, which may be missing, with defaults: `read_settings(folder)["seed"]` -> 0."""
    path = folder / EXPERIMENT_FILE
    given = read_yaml(path) if path.is_file() else {}
    try:
        settings = params.resolve(SETTINGS, given, paths.short(path))
    except params.ParameterError as error:
        raise PlanError(str(error)) from error
    if settings["stalled_after"] < 0:
        raise PlanError(f"{paths.short(path)}: stalled_after is below 0; give seconds, or 0 for no limit")
    return settings
