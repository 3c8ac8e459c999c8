"""Where things are, and which code is running: paths from one root, git's revision, a fingerprint of the library.

Used by all notebooks. Papermill runs a notebook in the caller's folder, nbval and JupyterLab run it in `notebooks/`;
so nothing may say `../data`. The root is the folder that holds `environment.yml` beside `xlam_lib/`, looked for from
the working directory upwards, then from this file upwards.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

MARKER = "environment.yml"
PACKAGE = "xlam_lib"


def root(start: str | Path | None = None) -> Path:
    """The project's folder, e.g. `root() / "notebooks"`; `start` replaces the working directory as the first place."""
    starts = [Path(start) if start is not None else Path.cwd(), Path(__file__).parent]
    for first in starts:
        first = first.resolve()
        for folder in (first, *first.parents):
            if (folder / MARKER).is_file() and (folder / PACKAGE).is_dir():
                return folder
    raise FileNotFoundError(
        f"no project root: looked for a folder with {MARKER} and {PACKAGE}/ upwards from "
        f"{' and from '.join(str(s) for s in starts)}; change into the cloned project and run again"
    )


def notebooks_dir() -> Path:
    """The folder of the numbered notebooks, `<root>/notebooks`."""
    return root() / "notebooks"


def experiments_dir() -> Path:
    """One folder an experiment, `<root>/experiments`."""
    return root() / "experiments"


def runs_dir() -> Path:
    """Where runs write (ignored by git), `<root>/runs`; not created here."""
    return root() / "runs"


def base_model_dir() -> Path:
    """The small base model that ships with the project, `<root>/experiments/01_tiny_base/model`."""
    return experiments_dir() / "01_tiny_base" / "model"


def cache_dir() -> Path:
    """Where what was fetched is kept for all projects: `$XLAM_CACHE`, or `xlam` in the user's folder of caches."""
    named, user = os.environ.get("XLAM_CACHE"), os.environ.get("XDG_CACHE_HOME")
    return Path(named).expanduser() if named else Path(user or Path.home() / ".cache") / "xlam"


def out_dir(value: str | Path = "") -> Path:
    """The folder a notebook writes to, made if missing: "" -> `<root>/runs/notebooks`, "runs/x" -> `<root>/runs/x`."""
    text = str(value)
    folder = root() / Path(text).expanduser() if text else runs_dir() / "notebooks"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def short(path: str | Path) -> str:
    """A path fit to print: relative to the root when inside it (`runs/quickstart/sft`), else home as `~`."""
    full = Path(os.path.abspath(Path(path).expanduser()))
    for base, prefix in ((root(), ""), (Path.home(), "~/")):
        if full == base:
            return prefix.rstrip("/") or "."
        if full.is_relative_to(base):
            return prefix + full.relative_to(base).as_posix()
    return full.as_posix()


def git_state(folder: Path) -> dict[str, Any]:
    """Revision and whether files differ from it: `{"revision": "1f…", "dirty": False}`; nulls outside of git."""
    revision = lines_of(["git", "-C", str(folder), "rev-parse", "HEAD"])
    if not revision:
        return {"revision": None, "dirty": None}
    return {"revision": revision[0], "dirty": bool(lines_of(["git", "-C", str(folder), "status", "--porcelain"]))}


def library_sha256(folder: Path) -> str:
    """Fingerprint of the library's modules, to notice that a kept result was made by other code."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def lines_of(command: list[str]) -> list[str]:
    """What a small program prints, line by line; nothing when it isn't there or fails."""
    if shutil.which(command[0]) is None:
        return []
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except subprocess.TimeoutExpired:
        return []
    return done.stdout.splitlines() if done.returncode == 0 else []
