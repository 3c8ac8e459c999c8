"""The base of an adapter: what its `base.json` says, and where that base lies on this machine.

    base_info("runs/lora")["quantize"]      # "none"
    base_of("runs/lora")                    # Path("runs/quickstart/sft"), or a fetched base

Used by `models/load.py`, which merges both, and by the server, which keeps them apart. Nothing here loads torch.
"""

from __future__ import annotations

from pathlib import Path

from xlam_lib.errors import CheckpointError
from xlam_lib.models.bases.resolve import base as fetched
from xlam_lib.models.folders import ADAPTER, digest, read_object

BASE = "base.json"
KEYS = ("path", "digest", "quantize", "dtype")  # and, of a base that has a name, "name" and "source"


def base_info(folder: str | Path) -> dict[str, str]:
    """What an adapter was trained on: {"path": "../sft", "digest": "9f2c81d4a0b3e657", "quantize": "none", ...}."""
    folder = Path(folder)
    if not (folder / BASE).is_file():
        raise CheckpointError(f"{folder}: an adapter without a {BASE}, which says what it was trained on")
    info = read_object(folder / BASE)
    if any(not isinstance(info.get(key), str) for key in KEYS):
        raise CheckpointError(f"{folder / BASE}: expected {', '.join(KEYS)}, found {str(info)[:80]}")
    return info


def base_of(folder: str | Path, place: str | Path = "") -> Path:
    """The folder of an adapter's base: where it was when the adapter was saved, or `place`; checked by its digest."""
    folder = Path(folder)
    info = base_info(folder)
    path = Path(place) if place else _found(folder, info)
    if (found := digest(path)) != info["digest"]:
        raise CheckpointError(
            f"{path}: not the base that {folder} was trained on (digest {found}, expected {info['digest']}); has it "
            "been trained anew? Give the folder of the right one as base"
        )
    return path


def _found(folder: Path, info: dict[str, str]) -> Path:
    """Beside the adapter as when it was saved, where its training was given it, or wherever a base of its name lies."""
    named = read_object(folder / ADAPTER).get("base_model_name_or_path")
    places = [folder / info["path"], Path(named if isinstance(named, str) else "")]
    for place in places:
        if (place / "config.json").is_file():
            return place
    if name := info.get("name"):
        return fetched(name, info.get("source", ""))
    raise CheckpointError(
        f"{folder}: its base is neither at {places[0]} nor at {places[1]}; give its folder as base (--base)"
    )
