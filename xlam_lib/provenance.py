"""Which code is running: the revision of git, and a fingerprint of the library's modules.

Used by the manifest of `xlam_lib.run` and by the record of a training run (`train/loop/record.py`; notebooks 02 and
03).
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path
from typing import Any


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
