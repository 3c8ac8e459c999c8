"""vLLM as a child process: started on a checkpoint, waited for, watched, and always stopped.

Notebook 04_serving and the benchmark use it; the same code runs the CPU and the GPU build of vLLM.

    with VllmServer("runs/quickstart/sft") as server:
        server.openai().chat.completions.create(model=server.model, messages=..., tools=...)

From a shell, until Ctrl-C:  python -m xlam_lib.serve.server runs/quickstart/sft --port 8000

The child has its own process group, so that no worker of vLLM outlives it, listens on 127.0.0.1 only, and gets its
environment without changing ours. Where cells of a notebook share one server, use `start()` and `stop()`; a process
that ends, is interrupted or killed takes its server with it.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from xlam_lib.serve.engines.flags import HOST, ServerFlags, positions_of
from xlam_lib.serve.engines.local import (
    PortInUseError,
    ServerDiedError,
    ServerError,
    ServerTimeoutError,
    checked_port,
    free_port,
    get,
)
from xlam_lib.serve.engines.watch import end_group

if TYPE_CHECKING:
    import openai

logger = logging.getLogger(__name__)
TAIL = 20  # lines of vLLM's log in an error
ERROR = re.compile(r"(?:^|\] )((?:\w+\.)*\w*(?:Error|Exception): .+)")


class VllmServer:
    """A served checkpoint: `VllmServer("runs/sft", port=8000, flags=ServerFlags(max_model_len=4096))`.

    Port 0 takes a free one. The log of vLLM goes to the file `log`, or a temporary file that a clean stop removes.
    """

    def __init__(
        self,
        model_dir: str | Path,
        port: int = 0,
        flags: ServerFlags | None = None,
        log: str | Path | None = None,
        startup_timeout: float = 600.0,
    ) -> None:
        self.model_dir = Path(model_dir)
        self.flags = flags or ServerFlags()
        self.model = self.flags.name_of(self.model_dir)
        self.port = port
        self.startup_seconds = 0.0
        self._timeout = startup_timeout
        self._keep_log = log is not None
        self.log_file = Path(log) if log is not None else None
        self._child: subprocess.Popen | None = None
        self._watch: subprocess.Popen | None = None
        positions_of(self.model_dir)  # there is a checkpoint

    @property
    def base_url(self) -> str:
        """Where clients find it: 'http://127.0.0.1:8000/v1'."""
        return f"http://{HOST}:{self.port}/v1"

    @property
    def pid(self) -> int | None:
        """Process id (and group) of the child; None when it isn't running."""
        return self._child.pid if self._child else None

    def __enter__(self) -> VllmServer:
        return self.start()

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> None:
        died = self._late_death() if isinstance(error, Exception) and not isinstance(error, ServerError) else None
        self.stop()
        if died:  # the cause of whatever the client met
            raise died from error

    def start(self) -> VllmServer:
        """Start and wait until it answers; raises a ServerError, with nothing left running, when it doesn't."""
        if self._child:
            raise ServerError(f"the server for {self.model!r} runs already at {self.base_url}; stop() it first")
        self.port = checked_port(self.port) if self.port else free_port()
        began = time.monotonic()
        try:
            self._launch()
            self._wait(began + self._timeout)
        except ServerError:  # its log stays, to be read
            self._end()
            raise
        except BaseException:  # also a KeyboardInterrupt must leave nothing running
            self.stop()
            raise
        self.startup_seconds = time.monotonic() - began
        logger.info("serving %s at %s after %.0f s", self.model, self.base_url, self.startup_seconds)
        return self

    def stop(self) -> None:
        """End the child with all its workers; does nothing when none runs."""
        if self._end() and not self._keep_log and self.log_file:
            self.log_file.unlink(missing_ok=True)
            self.log_file = None

    def _end(self) -> bool:
        """Whether a child ran that had to be ended; one that had died leaves its log."""
        child, watch, self._child, self._watch = self._child, self._watch, None, None
        if child is None:
            return False
        atexit.unregister(self.stop)
        alive = child.poll() is None
        end_group(child.pid, leader_ended=lambda: child.poll() is not None)
        child.wait()
        if watch:
            watch.kill()
            watch.communicate()
        return alive

    def check(self) -> None:
        """Raises ServerDiedError when the child has ended by itself; call it where a client was refused."""
        if died := self._death():
            raise died

    def log_tail(self, lines: int = TAIL) -> str:
        """The end of vLLM's log; "" when there is none."""
        return "\n".join(self._log_lines()[-lines:])

    def _log_lines(self) -> list[str]:
        if self.log_file is None or not self.log_file.is_file():
            return []
        return self.log_file.read_text(encoding="utf-8", errors="replace").splitlines()

    def _what_log_says(self) -> str:
        """The errors in the log, of which vLLM's last one often only says that there was another, and its end."""
        lines = self._log_lines()
        errors = dict.fromkeys(found[1] for line in lines if (found := ERROR.search(line)))
        named = "".join(f"\n  {error}" for error in list(errors)[:5])
        return (
            f"Errors in its log:{named}\n" if named else ""
        ) + f"Its log {self.log_file} ends so:\n{self.log_tail()}"

    def openai(self, **options: object) -> openai.OpenAI:
        """The stock client of the openai package for this server: `server.openai().models.list()`."""
        from xlam_lib.endpoint import openai_client

        return openai_client(self.base_url, **options)

    def _launch(self) -> None:
        if self.log_file is None:
            handle, name = tempfile.mkstemp(prefix=f"vllm-{self.model_dir.resolve().name}-", suffix=".log")
            os.close(handle)
            self.log_file = Path(name)
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        command = self.flags.arguments(self.model_dir, self.port)
        environment = self.flags.environment(os.environ)
        logger.info("starting: %s", " ".join(command))
        with open(self.log_file, "wb") as file:
            self._child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
        atexit.register(self.stop)
        self._watch = subprocess.Popen(
            [sys.executable, "-m", "xlam_lib.serve.engines.watch", str(self._child.pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )

    def _wait(self, limit: float) -> None:
        while True:
            self.check()
            if get(self.port, "/health") is not None:
                break
            if time.monotonic() > limit:
                raise ServerTimeoutError(
                    f"vLLM did not answer at {self.base_url} within {self._timeout:.0f} s; if it only needs longer, "
                    f"raise startup_timeout. {self._what_log_says()}"
                )
            time.sleep(0.2)
        served = [entry["id"] for entry in json.loads(get(self.port, "/v1/models") or b'{"data": []}')["data"]]
        if self.model not in served:
            raise PortInUseError(
                f"port {self.port} is answered by another server, which serves {served}, "
                f"not {self.model!r}; stop that one or choose another port"
            )

    def _late_death(self, seconds: float = 5.0) -> ServerDiedError | None:
        """The death behind a client's error; a server that doesn't answer any more may need a moment to end."""
        limit = time.monotonic() + seconds
        while not (died := self._death()) and time.monotonic() < limit and get(self.port, "/health") is None:
            time.sleep(0.1)
        return died

    def _death(self) -> ServerDiedError | None:
        if self._child is None or self._child.poll() is None:
            return None
        code = self._child.returncode
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        return ServerDiedError(f"the vLLM server for {self.model!r} {how}. {self._what_log_says()}")
