"""One notebook, executed by papermill with the current interpreter and watched cell by cell.

Used by `xlam_lib.run` and `xlam_lib.batch.notebooks`. The executed notebook grows under a temporary name and takes its
place only when the last cell is done, so an executed notebook that is there is a whole one.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from ipykernel.kernelspec import RESOURCES, get_kernel_dict
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from papermill import execute_notebook
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, papermill_engines
from papermill.exceptions import PapermillExecutionError

from xlam_lib import paths
from xlam_lib.errors import XlamError
from xlam_lib.processes import tail

ENGINE = "xlam"
QUIET = {  # for the kernel and its children; what the caller has set goes before
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TQDM_DISABLE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "VLLM_NO_USAGE_STATS": "1",
}


class Watcher(Protocol):
    """Who shows what happens; see `xlam_lib.batch.progress`."""

    def cell(self, first_line: str) -> None: ...
    def printed(self, text: str) -> None: ...
    def cell_done(self) -> None: ...


class NotebookFailed(XlamError, RuntimeError):
    """A notebook did not reach its end: where, on which line, why, and where the part that ran can be read."""

    def __init__(self, name: str, cell: int, line: str, error: str, partial: Path) -> None:
        self.details = {"cell": cell, "line": line, "error": error, "partial": paths.short(partial)}
        self._where = f"{name} failed in In [{cell}]: {line}\n  {error}"
        super().__init__(self.message(partial))

    def message(self, partial: Path) -> str:
        """The message, with the place where the partial notebook lies now."""
        return f"{self._where}\n  what ran until then: {paths.short(partial)}"


def execute(
    notebook: Path,
    output: Path,
    parameters: Mapping[str, Any],
    watcher: Watcher,
    timeout: float | None = None,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> None:
    """Run a notebook: `execute(Path("02_sft.ipynb"), Path("runs/x/02_sft.ipynb"), {"seed": 0}, progress())`.

    `timeout` is for the whole notebook, in seconds; `environment` is added to that of the kernel and its children.
    """
    logging.getLogger("papermill").setLevel(logging.CRITICAL)
    papermill_engines.register(ENGINE, Engine)
    partial = output.with_suffix(".partial.ipynb")
    output.parent.mkdir(parents=True, exist_ok=True)
    watch = _Watch(watcher, timeout)
    kernel_log = output.with_suffix(".kernel.partial.log")  # the kernel's own output; shown when it doesn't start
    try:
        execute_notebook(
            str(notebook),
            str(partial),
            parameters=dict(parameters),
            engine_name=ENGINE,
            kernel_name="python3",
            progress_bar=False,
            cwd=cwd or paths.root(),
            watch=watch,
            kernel_environment={**QUIET, **os.environ, **(environment or {})},
            kernel_log=kernel_log,
        )
    except (PapermillExecutionError, CellTimeoutError, RuntimeError) as error:  # RuntimeError: the kernel
        why = _why(error, timeout, kernel_log)
        raise NotebookFailed(notebook.stem, watch.index, watch.line, why, partial) from error
    finally:
        kernel_log.unlink(missing_ok=True)
        watcher.cell_done()
    os.replace(partial, output)


class Engine(NBClientEngine):
    """Papermill's engine with a watcher, an environment for the kernel, and this very interpreter as `python3`."""

    @classmethod
    def execute_managed_notebook(
        cls, nb_man, kernel_name, watch, kernel_environment, kernel_log, start_timeout=60, **_
    ):
        """Called by papermill with its notebook manager; keyword arguments come from `execute`."""
        manager = AsyncKernelManager(
            kernel_name=kernel_name, kernel_spec_manager=_ThisInterpreter(), transport_encryption="auto"
        )
        client = _Client(
            nb_man,
            km=manager,
            kernel_name=kernel_name,
            startup_timeout=start_timeout,
            timeout_func=watch.seconds_left,
            log=logging.getLogger("papermill"),
        )
        client.watch = watch
        with open(kernel_log, "wb") as output:
            client.execute(env=dict(kernel_environment), stdout=output, stderr=output, cleanup_kc=True)


class _ThisInterpreter(KernelSpecManager):
    """A kernel installed by someone under the name python3 can't take the place of the environment one runs in."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        return KernelSpec(resource_dir=RESOURCES, **get_kernel_dict())


class _Client(PapermillNotebookClient):
    def execute_cell(self, cell, cell_index, **kwargs):
        self.watch.starts(cell, cell_index)
        try:
            return super().execute_cell(cell, cell_index, **kwargs)
        finally:
            if cell.cell_type == "code":
                self.watch.watcher.cell_done()

    def process_message(self, *args, **kwargs):
        output = super().process_message(*args, **kwargs)
        if output and output.output_type == "stream":
            self.watch.watcher.printed("".join(output.text))
        return output


class _Watch:
    """Where the notebook is: counted in code cells from 1, as the reader counts them."""

    def __init__(self, watcher: Watcher, timeout: float | None) -> None:
        self.watcher, self.index, self.line = watcher, 0, "(kernel start)"
        self.deadline = time.monotonic() + timeout if timeout else None

    def starts(self, cell: Any, index: int) -> None:
        if cell.cell_type != "code":
            return
        self.index, self.line = self.index + 1, first_line(cell.source)
        self.watcher.cell(self.line)

    def seconds_left(self, cell: Any = None) -> float | None:
        return max(1.0, self.deadline - time.monotonic()) if self.deadline else None


def _why(error: Exception, timeout: float | None, kernel_log: Path) -> str:
    if isinstance(error, PapermillExecutionError):
        return f"{error.ename}: {error.evalue}"
    if isinstance(error, CellTimeoutError):
        return f"the notebook took longer than the {timeout or 0:g} s that experiment.yaml allows it (timeouts)"
    if isinstance(error, DeadKernelError):
        return "the kernel died: it was killed or ran out of memory; smaller batches or parameters need less"
    last = [line for line in tail(kernel_log, None) if line.strip()][-6:]
    return " / ".join([f"the kernel did not start: {error}", *map(str.strip, last)])


def first_line(source: str) -> str:
    """The line that shows a cell's work: the first that is neither empty nor a comment, e.g. `rows = load(path)`."""
    lines = [line.strip() for line in source.splitlines()]
    return next((line for line in lines if line and not line.startswith("#")), lines[0] if lines else "")
