"""One notebook, executed by papermill with the current interpreter and watched cell by cell.

Used by `xlam_lib.run` and `xlam_lib.batch.notebooks`. The executed notebook grows under a temporary name and takes its
place only when the last cell is done, so an executed notebook that is there is a whole one. A notebook may take as long
as it needs; one whose cell shows nothing new for ten minutes (no line, no picture) is taken to be stuck, and ended.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from ipykernel.kernelspec import RESOURCES, get_kernel_dict
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import DeadKernelError
from papermill import execute_notebook
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, papermill_engines
from papermill.exceptions import PapermillExecutionError

from xlam_lib import paths
from xlam_lib.errors import XlamError
from xlam_lib.files import no_link
from xlam_lib.processes import GRACE, STALLED, Stalled, end_group, tail

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
    stalled_after: float = STALLED,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> None:
    """Run a notebook: `execute(Path("02_sft.ipynb"), Path("runs/x/02_sft.ipynb"), {"seed": 0}, progress())`.

    `stalled_after` is how many seconds a cell may show nothing (0: no limit); `environment` is added to that of the
    kernel and its children.
    """
    logging.getLogger("papermill").setLevel(logging.CRITICAL)
    papermill_engines.register(ENGINE, Engine)
    partial = output.with_suffix(".partial.ipynb")
    output.parent.mkdir(parents=True, exist_ok=True)
    watch = _Watch(watcher, stalled_after)
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
    except (PapermillExecutionError, RuntimeError) as error:  # RuntimeError: the kernel
        why = watch.stuck() or _why(error, kernel_log)
        raise NotebookFailed(notebook.stem, watch.index, watch.line, why, partial) from error
    finally:
        kernel_log.unlink(missing_ok=True)
        watcher.cell_done()
    os.replace(partial, output)


class Engine(NBClientEngine):
    """Papermill's engine with a watcher, an environment for the kernel, and this very interpreter as `python3`."""

    @classmethod
    def execute_managed_notebook(
        cls, nb_man, kernel_name, watch, kernel_environment, kernel_log, start_timeout=STALLED, **_
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
            log=logging.getLogger("papermill"),
        )
        client.watch = watch
        with open(kernel_log, "wb", opener=no_link) as output, watch.over(manager):
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

    def process_message(self, message, *args, **kwargs):
        self.watch.shows(message["content"])
        return super().process_message(message, *args, **kwargs)


class _Watch:
    """Where the notebook is, counted in code cells from 1 as the reader counts them, and whether it goes on."""

    def __init__(self, watcher: Watcher, stalled_after: float) -> None:
        self.watcher, self.index, self.line = watcher, 0, "(kernel start)"
        self._stalled, self._ended = Stalled(stalled_after, self._stop), threading.Event()

    @contextmanager
    def over(self, manager: AsyncKernelManager) -> Iterator[None]:
        """While the kernel of `manager` runs, it is ended when its cell shows nothing for too long."""
        self._manager = manager
        try:
            with self._stalled:
                yield
        finally:
            self._ended.set()

    def starts(self, cell: Any, index: int) -> None:
        self._stalled.progress()
        if cell.cell_type != "code":
            return
        self.index, self.line = self.index + 1, first_line(cell.source)
        self.watcher.cell(self.line)

    def shows(self, content: Mapping[str, Any]) -> None:
        """What a message of the kernel shows: lines that were printed, or a display that was made or changed."""
        self._stalled.progress()
        if text := content.get("text") or content.get("data", {}).get("text/plain"):
            self.watcher.printed(str(text))

    def stuck(self) -> str:
        """Why the notebook was ended here, "" if it was not."""
        if not self._stalled.happened:
            return ""
        return (
            f"the cell showed nothing new for {self._stalled.seconds:g} s, so the notebook was ended; if it only "
            "needs longer on this machine, raise stalled_after in experiment.yaml"
        )

    def _stop(self) -> None:
        """First an interrupt, whose traceback in the partial notebook shows where the cell stood; then by force."""
        kernel = self._manager.provisioner.pid
        os.kill(kernel, signal.SIGINT)
        if not self._ended.wait(GRACE):
            end_group(kernel, 0)


def _why(error: Exception, kernel_log: Path) -> str:
    if isinstance(error, PapermillExecutionError):
        return f"{error.ename}: {error.evalue}"
    if isinstance(error, DeadKernelError):
        return "the kernel died: it was killed or ran out of memory; smaller batches or parameters need less"
    last = [line for line in tail(kernel_log, None) if line.strip()][-6:]
    return " / ".join([f"the kernel did not start: {error}", *map(str.strip, last)])


def first_line(source: str) -> str:
    """The line that shows a cell's work: the first that is neither empty nor a comment, e.g. `rows = load(path)`."""
    lines = [line.strip() for line in source.splitlines()]
    return next((line for line in lines if line and not line.startswith("#")), lines[0] if lines else "")
