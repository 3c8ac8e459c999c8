"""What ships in `bfcl-eval`: where its questions lie, how they are read, and how its modules are imported lightly.

Used by this environment and by `bench/tasks/bfcl*.py` (notebook 05).

    rows(data_folder() / "BFCL_v4_multiple.json", "question", "function")    # dictionaries, one a line
    tool_of({"name": "add", "description": "", "parameters": {"type": "dict", "properties": {}}}, "q1")   # our Tool

The package's modules import a list of all models of the leaderboard, and with it a dozen vendors' SDKs; another makes
folders beside the package as soon as it is imported. `stubbed` puts harmless modules in their places.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from xlam_lib.errors import XlamError
from xlam_lib.trajectory import Tool

PACKAGE, VERSION = "bfcl_eval", "BFCL_v4"
MODEL = "xlam"  # a name for the checker; its stub says: dots in function names stay
MODEL_LIST, FOLDERS = f"{PACKAGE}.constants.model_config", f"{PACKAGE}.constants.eval_config"
TYPES = {"dict": "object", "float": "number", "tuple": "array", "any": None} | {
    name: name for name in ("string", "integer", "number", "boolean", "array", "object", "null")
}
_import_lock = threading.RLock()


class BfclError(XlamError, ValueError):
    """BFCL's data are not there or not as expected."""


def data_folder(folder: str | Path | None = None) -> Path:
    """Where the questions lie: the given folder, else inside the installed package (found without importing it)."""
    if folder is not None:
        return Path(folder)
    found = importlib.util.find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise BfclError(
            f"the package {PACKAGE} is not installed; install the project's environment, or give a folder "
            f"with {VERSION}_<category>.json and possible_answer/"
        )
    return Path(found.submodule_search_locations[0]) / "data"


def rows(path: Path, *keys: str) -> list[dict[str, Any]]:
    """The objects of a file, a line each, which all have an id and these keys; a BfclError names file and line."""
    if not path.is_file():
        raise BfclError(f"{path} is not there; expected BFCL v4 as in bfcl-eval 2026.3.23, a line of JSON a question")
    found = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise BfclError(f"{path}:{number}: not JSON ({error}); is the file cut off?") from error
        missing = [key for key in keys if not isinstance(row, dict) or key not in row]
        if missing:
            raise BfclError(f"{path}:{number}: no {' and no '.join(missing)} in the line; is this a file of BFCL v4?")
        found.append(row)
    return found


def tool_of(document: Mapping[str, Any], where: str) -> Tool:
    """A function document as a tool: dict -> object, float -> number, tuple -> array, any -> no type named."""
    schema = schema_of(document["parameters"], f"{where}: {document['name']}")
    return Tool(document["name"], document["description"], schema)


def schema_of(spec: Any, where: str) -> dict[str, Any]:
    """BFCL's near-JSON-Schema as JSON Schema, at every depth: {"type": "dict"} -> {"type": "object"}."""
    if not isinstance(spec, dict):
        raise BfclError(f"{where}: a parameter is described by {spec!r}, expected an object with a type")
    named = spec.get("type")
    if named is not None and named not in TYPES:
        raise BfclError(f"{where}: unknown type {named!r}, expected one of {', '.join(TYPES)}")
    found: dict[str, Any] = {}
    for key, value in spec.items():
        if key == "type":
            found |= {"type": TYPES[named]} if TYPES[named] else {}
        elif key == "properties":
            found[key] = {name: schema_of(inner, f"{where}.{name}") for name, inner in value.items()}
        elif key == "items":
            found[key] = schema_of(value, f"{where}[]")
        else:
            found[key] = value
    return found


@contextlib.contextmanager
def stubbed() -> Iterator[None]:
    """Inside, models and folders are stubs; afterwards no module of the package is known that wasn't known before."""
    with _import_lock:
        before = _own_modules()
        for name in before:
            del sys.modules[name]
        try:
            put_stubs()
            yield
        finally:
            for name in _own_modules():
                del sys.modules[name]
            sys.modules.update(before)


def put_stubs() -> None:
    """Puts the stubs in their places for good: for child processes that do nothing else."""
    models, folders = ModuleType(MODEL_LIST), ModuleType(FOLDERS)
    models.MODEL_CONFIG_MAPPING = {MODEL: SimpleNamespace(underscore_to_dot=False)}
    sys.modules |= {MODEL_LIST: models, FOLDERS: folders}


def _own_modules() -> dict[str, ModuleType]:
    return {name: module for name, module in sys.modules.items() if name.split(".")[0] == PACKAGE}
