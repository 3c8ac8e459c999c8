"""What a run was: all its settings, the code, the data; a second run from it gives the same weights (notebook 02).

Beside the weights lie `config.yaml`, every setting with the value that held (which precision "auto" was, how many
processes, how many samples a time limit left), and `run.json`: run id, code, machine, digests of base and data, and
what the training adds (mixture, mask report). The same weights come of

    python -m xlam_lib.train.sft runs/sft/config.yaml --out runs/again

Equal run ids mean equal settings, data and code. Which files a run reads counts by what they hold, not where they lie.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import json
import logging
import platform
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

import torch
import yaml

import xlam_lib
from xlam_lib.files import to_json
from xlam_lib.models import bases
from xlam_lib.models.folders import digest
from xlam_lib.models.precision import bfloat16
from xlam_lib.paths import git_state, library_sha256
from xlam_lib.settings import current
from xlam_lib.train.loop.distributed import state
from xlam_lib.train.loop.reporting import FOLDER

logger = logging.getLogger(__name__)

T = TypeVar("T")

RUN, CONFIG = "run.json", "config.yaml"
PATHS = ("out", "report")  # what a run makes is the same wherever it lies and whatever is reported
NO_WEIGHTS = ("log_every", "save_every")  # settings that change what is written on the way, not what is learnt
PACKAGES = ("torch", "transformers", "trl", "peft", "accelerate", "tokenizers", "safetensors", "numpy")


def resolved(settings: T) -> T:
    """The settings with what "auto", 0 and a base's name stand for: `resolved(settings).precision` -> "float32"."""
    precision = "bfloat16" if bfloat16(settings.precision) else "float32"  # type: ignore[attr-defined]
    base = str(bases.base(settings.base))  # type: ignore[attr-defined]
    return replace(settings, base=base, precision=precision, processes=state().num_processes)  # type: ignore[type-var]


def describe(settings: Any, **inputs: str) -> dict[str, Any]:
    """What makes a run the same run: its settings and the content of its inputs, wherever these lie."""
    paths = {*PATHS, *inputs}
    return {
        **{key: _json(value) for key, value in asdict(settings).items() if key not in paths},
        **{f"{name}_digest": digest(path) for name, path in inputs.items()},
    }


def run_id(described: Mapping[str, Any], code: Mapping[str, Any]) -> str:
    """The name of a run, from all that decides on its weights: '5e0c1f94b7a2d386'."""
    deciding = {name: value for name, value in described.items() if name not in NO_WEIGHTS}
    payload = json.dumps([deciding, code["library"], code["packages"]], sort_keys=True)
    return hashlib.sha256(payload.encode()).hexdigest()[:16]


@functools.cache
def code() -> dict[str, Any]:
    """{"revision": "1f…", "uncommitted": False, "library": "9a…", "packages": {"torch": "2.13.0", ...}}.

    `library` is a fingerprint of the modules, for changes that aren't committed; revision is null outside of git.
    """
    package = Path(xlam_lib.__file__).parent
    git, installed = git_state(package), {one.name.lower(): one.version for one in importlib.metadata.distributions()}
    return {
        "revision": git["revision"],
        "uncommitted": git["dirty"],
        "library": library_sha256(package)[:16],
        "packages": {name: installed[name] for name in PACKAGES if name in installed},
    }


def machine() -> dict[str, Any]:
    """What the last bits of a sum may depend on: {"device": "cpu", "threads": 1, "python": "3.11.9"}."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    return {"device": device, "threads": torch.get_num_threads(), "python": platform.python_version()}


def started_record(work: Path, described: dict[str, Any]) -> dict[str, Any]:
    """The record of a run that begins, or goes on, in a folder; other code than before is logged and kept in it.

    {"settings": {...}, "code": {...}, "machine": {...}}; with "code_before": [...] if steps were made with other code.
    """
    record = {"settings": described, "code": code(), "machine": machine()}
    found = read(work)
    if found and "code" in found:
        before = found.get("code_before", [])
        record["code_before"] = before + ([found["code"]] if found["code"] != code() else [])
        _warn_other_code(found["code"], "going on with other code than the run began with")
    return {name: value for name, value in record.items() if value != []}


def finished_files(work: Path, command: str, settings: Any, log: str, **facts: Any) -> dict[str, str | Path]:
    """What lies beside the weights, by name: config.yaml and run.json as texts, log and TensorBoard's folder as paths.

    `settings` are those that held in the end (`asked` in the record has what was asked for, where that differs),
    `facts` what else is worth keeping, e.g. `mixture=mixture.table()`.
    """
    record = read(work) or {}
    final = {name: _json(value) for name, value in asdict(settings).items()}
    decided = {name: final.get(name, value) for name, value in record["settings"].items()}
    asked = {} if decided == record["settings"] else {"asked": record["settings"]}
    record = {"run_id": run_id(decided, record["code"]), "command": command, **record, "settings": decided} | asked
    return {
        RUN: to_json(record | facts) + "\n",
        CONFIG: as_yaml(settings, command, record["run_id"]),
        log: work / log,
    } | {path.name: path for path in [work / FOLDER] if path.is_dir()}


def as_yaml(settings: Any, command: str, name: str) -> str:
    """The settings as a file that the command takes; None is left out, for that is the default."""
    values = {key: _json(value) for key, value in asdict(settings).items() if value is not None}
    if name := bases.name_of(values.get("base", ""))[0]:
        values["base"] = name  # holds on other machines, too
    head = f"# python -m {command} THIS_FILE --out ANOTHER_FOLDER gives the weights of run {name} once more\n"
    return head + yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


def same_run(folder: Path, described: dict[str, Any], settings: Any) -> bool:
    """Whether a folder holds this very run: same settings, same content of base and data. The code may be another.

    A record of the version before has former names of settings; those of `settings` say which.
    """
    found = read(folder)
    if found is None:
        return False
    records = (found.get("settings", found), found.get("asked") or {})
    return described in [current(settings, record) for record in records]


def warn_other_code(folder: Path) -> None:
    """Say so where a run was made by other code than this; it stays as it is."""
    found = read(folder) or {}
    if "code" in found:
        _warn_other_code(found["code"], f"{folder} was made by other code, and is left as it is")


def read(folder: Path) -> dict[str, Any] | None:
    """The record of a folder; None where there is none that can be read."""
    try:
        found = json.loads((folder / RUN).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _warn_other_code(before: Mapping[str, Any], what: str) -> None:
    if before != code():
        was, now = (f"{one['revision']} (library {one['library']})" for one in (before, code()))
        packages = [f"{k} {v}" for k, v in before["packages"].items() if code()["packages"].get(k) != v]
        logger.warning("%s: %s, now %s%s", what, was, now, f"; with {', '.join(packages)} then" if packages else "")


def _json(value: Any) -> Any:
    """As it is when it has been written and read again."""
    return list(value) if isinstance(value, tuple) else value
