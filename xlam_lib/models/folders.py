"""Where a checkpoint lies: a folder on this machine, never a name that a hub is asked for (all rooms from `models` up).

    checked("runs/sft")                 # the folder; a CheckpointError at once where there is none
    AutoTokenizer.from_pretrained(checked(folder), **LOCAL)

Nothing here loads torch, so that a command can refuse a wrong folder before it does.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from xlam_lib.errors import CheckpointError

ADAPTER = "adapter_config.json"  # a folder with it holds an adapter, see adapters.py
ADAPTER_WEIGHTS = "adapter_model.safetensors"
LOCAL: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}  # for every `from_pretrained`
NO_CODE: dict[str, Any] = {"trust_remote_code": False}  # for every `from_config`


def checked(folder: str | Path) -> Path:
    """The folder, or a CheckpointError if there is no checkpoint in it."""
    given, folder = str(folder), Path(folder)
    if (folder / "config.json").is_file():
        return folder
    found = "no checkpoint there (no config.json)" if folder.is_dir() else "no such folder"
    if not folder.is_dir() and is_hub_name(given):
        raise CheckpointError(
            f"{given}: {found}; expected a local folder. If it is a model of the hub, fetch it first: "
            f"`hf download {given} --local-dir FOLDER`"
        )
    raise CheckpointError(
        f"{given}: {found}; expected the folder of a checkpoint: make it first, or correct the path. A model of the "
        "hub is fetched with `hf download NAME --local-dir FOLDER`"
    )


def is_hub_name(name: str) -> bool:
    """Whether a hub could know it: `is_hub_name("org/model")`; not "runs/sft" where there is a folder `runs`.

    A path has more than one slash, begins with a dot, a slash or a tilde, or begins with a folder that is there.
    """
    owner, slash, rest = name.partition("/")
    return bool(slash and rest) and name[0] not in "./~" and "/" not in rest and not Path(owner).is_dir()


def read_object(path: str | Path) -> dict[str, Any]:
    """The JSON object in a file of a checkpoint: `read_object("runs/sft/config.json")["vocab_size"]` -> 4096."""
    try:
        found = json.loads(Path(path).read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{path}: no JSON that can be read ({error}); is it cut off? Make or fetch it again"
        ) from error
    if not isinstance(found, dict):
        raise CheckpointError(f"{path}: expected an object, found {type(found).__name__}")
    return found


def existing(path: str | Path) -> Path:
    """The file or folder, or a CheckpointError where there is none: `existing("a.jsonl")` -> Path("a.jsonl")."""
    if not Path(path).exists():
        raise CheckpointError(f"{path}: no such file or folder; make it first, or correct the path")
    return Path(path)


def digest(path: str | Path) -> str:
    """A short hash of a file or of a checkpoint's files, to tell whether a run is the same: '9f2c81d4a0b3e657'."""
    path, hashed = existing(path), hashlib.sha256()
    files = [path] if path.is_file() else sorted(p for p in path.iterdir() if p.suffix in (".json", ".safetensors"))
    for file in files:
        with open(file, "rb") as stream:
            hashed.update(hashlib.file_digest(stream, "sha256").digest())
    return hashed.hexdigest()[:16]
