"""llama.cpp as an engine, by the wheel `xllamacpp`: a GGUF file, or a checkpoint that becomes one (notebook 04).

    with LlamaCppServer("runs/quickstart/sft", dtype="q8_0") as server:
        server.openai().chat.completions.create(model=server.model, messages=..., tools=...)

A checkpoint is exported once and kept below `paths.cache_dir()`, under the hash of its files. Its own tokenizer makes
the ids then, so that any checkpoint can be served, whatever llama.cpp knows of its tokenizer.
"""

from __future__ import annotations

import importlib.util
import logging
import subprocess
import sys
from pathlib import Path

from xlam_lib import paths, processes
from xlam_lib.errors import CheckpointError
from xlam_lib.files import complete_dir, is_complete
from xlam_lib.models.folders import checked, digest
from xlam_lib.models.gguf.layouts import DTYPES
from xlam_lib.serve.engines.api import ApiServer
from xlam_lib.serve.engines.base import ServerError

logger = logging.getLogger(__name__)
FILE = "weights.gguf"
PRE = "gpt-2"  # of a file whose ids are made by the checkpoint's own tokenizer: never used


class LlamaCppServer(ApiServer):
    """A GGUF file or a checkpoint that llama.cpp runs: `LlamaCppServer("runs/sft.gguf")`; a file has its own dtype."""

    program = "llama.cpp"
    backend = "llamacpp"
    dtypes = tuple(DTYPES)  # float32 first: served answers equal offline ones

    def checked(self, model_dir: str | Path) -> Path:
        """A file that begins as GGUF does, or the folder of a checkpoint."""
        return checked_file(model_dir) if Path(model_dir).is_file() else _with_llama_cpp(checked(model_dir))

    def source(self) -> list[str]:
        """The file, and of a checkpoint its tokenizer."""
        if self.model_dir.is_file():
            return [str(self.model_dir)]
        return [str(converted(self.model_dir, self.dtype)), "--tokenizer", str(self.model_dir)]


def checked_file(path: str | Path) -> Path:
    """A file that begins as GGUF does, where there is a llama.cpp to run it: `checked_file("sft.gguf")`."""
    with open(path, "rb") as file:
        if file.read(4) != b"GGUF":
            raise CheckpointError(f"{path}: no GGUF file; expected one, or the folder of a checkpoint")
    return _with_llama_cpp(Path(path))


def _with_llama_cpp(path: Path) -> Path:
    if importlib.util.find_spec("xllamacpp") is None:
        raise ServerError("the package xllamacpp is missing: pip install xllamacpp, or run `make install`")
    return path


def converted(folder: Path, dtype: str) -> Path:
    """The GGUF file of a checkpoint, made the first time: `~/.cache/xlam/gguf/9f2c81d4a0b3e657-.../weights.gguf`."""
    exporter = paths.library_sha256(Path(importlib.util.find_spec("xlam_lib.models.gguf").origin).parent)[:8]
    place = paths.cache_dir() / "gguf" / f"{digest(folder)}-{exporter}-{dtype}"
    if is_complete(place):
        return place / FILE
    logger.info("exporting %s as GGUF (%s) to %s", folder, dtype, place)
    with complete_dir(place, {"checkpoint": folder.resolve().name, "dtype": dtype}) as out:
        line = [sys.executable, "-m", "xlam_lib.models.gguf", str(folder), str(out / FILE)]
        line += ["--dtype", dtype, "--pre", PRE]
        with processes.Child(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as child:
            output, _ = child.communicate()
        if child.returncode:
            end = "\n".join(output.strip().splitlines()[-5:])
            raise ServerError(f"{folder} can't be exported for llama.cpp:\n{end}")
    return place / FILE
