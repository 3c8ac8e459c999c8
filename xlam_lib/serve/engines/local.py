"""A server program on this machine as an engine: started as a child process, waited for, watched, and always stopped.

`vllm.py` is built on it (notebook 04_serving). The child leads a process group of its own, so that none of its workers
outlives it, listens on 127.0.0.1 unless it asks for a key (`authentication.py`), and gets its environment without
changing ours. Where cells of a notebook share
one server, use `start()` and `stop()`; a process that ends, is interrupted or killed takes its server with it.
"""

from __future__ import annotations

import atexit
import http.client
import json
import logging
import os
import re
import socket
import subprocess
import tempfile
import time
from abc import abstractmethod
from pathlib import Path
from types import TracebackType

from xlam_lib import processes
from xlam_lib.files import no_link
from xlam_lib.serve.engines.authentication import HOST, check, reached_at
from xlam_lib.serve.engines.base import Engine, PortInUseError, ServerDiedError, ServerError, ServerTimeoutError

logger = logging.getLogger(__name__)
TAIL = 20  # lines of the log in an error
ERROR = re.compile(r"(?:^|\] )((?:\w+\.)*\w*(?:Error|Exception): .+)")


class LocalServer(Engine):
    """Runs `command()` and waits until it answers; an example stands in `Engine`.

    Port 0 takes a free one. With an `api_key` the host may be chosen, and the program must be made to ask for the key,
    which is sent along with every probe. The log goes to the file `log`, or to a temporary file that a clean stop
    removes. However long the start takes, it is waited for while the log grows; `stalled_after` is for how many seconds
    it may not.
    """

    program = "server"  # its name in messages

    def __init__(
        self,
        model: str,
        port: int = 0,
        log: str | Path | None = None,
        stalled_after: float = processes.STALLED,
        *,
        host: str = HOST,
        api_key: str = "",
    ) -> None:
        check(host, api_key)
        self.model, self.host, self.port, self.api_key = model, host, port, api_key
        self.startup_seconds = 0.0
        self._stalled_after = stalled_after
        self._keep_log = log is not None
        self.log_file = Path(log) if log is not None else None
        self._child: processes.Child | None = None

    @abstractmethod
    def command(self) -> list[str]:
        """The child's command line, with `self.port`; it must answer at /health and, with its model, at /v1/models."""

    def environment(self) -> dict[str, str]:
        """The child's environment."""
        return processes.environment()

    @property
    def base_url(self) -> str:
        """Where clients find it: 'http://127.0.0.1:8000/v1'."""
        host = reached_at(self.host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}/v1"

    @property
    def pid(self) -> int | None:
        """Process id (and group) of the child; None when it isn't running."""
        return self._child.pid if self._child else None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        died = self._late_death() if isinstance(error, Exception) and not isinstance(error, ServerError) else None
        self.stop()
        if died:  # the cause of whatever the client met
            raise died from error

    def start(self) -> str:
        """Start, wait until it answers, return `base_url`; a ServerError, with nothing left running, if it doesn't."""
        if self._child:
            raise ServerError(f"the server for {self.model!r} runs already at {self.base_url}; stop() it first")
        self.port = checked_port(self.port, self.host) if self.port else free_port(self.host)
        began = time.monotonic()
        try:
            self._launch()
            self._wait()
        except ServerError:  # its log stays, to be read
            self._end()
            raise
        except BaseException:  # also a KeyboardInterrupt must leave nothing running
            self.stop()
            raise
        self.startup_seconds = time.monotonic() - began
        logger.info("serving %s at %s after %.0f s", self.model, self.base_url, self.startup_seconds)
        return self.base_url

    def stop(self) -> None:
        """End the child with all its workers; does nothing when none runs."""
        if self._end() and not self._keep_log and self.log_file:
            self.log_file.unlink(missing_ok=True)
            self.log_file = None

    def check(self) -> None:
        """Raises ServerDiedError when the child has ended by itself; call it where a client was refused."""
        if died := self._death():
            raise died

    def log_tail(self, lines: int = TAIL) -> str:
        """The end of the log; "" when there is none."""
        return "\n".join(processes.tail(self.log_file, lines)) if self.log_file else ""

    def _launch(self) -> None:
        if self.log_file is None:
            prefix = f"{self.program.lower()}-{Path(self.model).name}-"
            handle, name = tempfile.mkstemp(prefix=prefix, suffix=".log")
            os.close(handle)
            self.log_file = Path(name)
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        command = self.command()
        logger.info("starting: %s", " ".join(command))
        with open(self.log_file, "wb", opener=no_link) as file:
            self._child = processes.Child(command, self.environment(), stdout=file, stderr=subprocess.STDOUT)
        atexit.register(self.stop)

    def _end(self) -> bool:
        """Whether a child ran that had to be ended; one that had died leaves its log."""
        child, self._child = self._child, None
        if child is None:
            return False
        atexit.unregister(self.stop)
        alive = child.poll() is None
        child.end()
        return alive

    def _wait(self) -> None:
        size, grown = 0, time.monotonic()
        while True:
            self.check()
            if self._get("/health") is not None:
                break
            if (now := self.log_file.stat().st_size) != size:
                size, grown = now, time.monotonic()
            if time.monotonic() - grown > self._stalled_after > 0:
                raise ServerTimeoutError(
                    f"{self.program} does not answer at {self.base_url}, and its log has not grown for "
                    f"{self._stalled_after:g} s; if it only needs longer, raise stalled_after. {self._log_summary()}"
                )
            time.sleep(0.2)
        served = [entry["id"] for entry in json.loads(self._get("/v1/models") or b'{"data": []}')["data"]]
        if self.model not in served:
            raise PortInUseError(
                f"port {self.port} is answered by another server, which serves {served}, "
                f"not {self.model!r}; stop that one or choose another port"
            )

    def _get(self, path: str) -> bytes | None:
        return get(self.port, path, reached_at(self.host), self.api_key)

    def _late_death(self, seconds: float = 5.0) -> ServerDiedError | None:
        """The death behind a client's error; a server that doesn't answer any more may need a moment to end."""
        limit = time.monotonic() + seconds
        while not (died := self._death()) and time.monotonic() < limit and self._get("/health") is None:
            time.sleep(0.1)
        return died

    def _death(self) -> ServerDiedError | None:
        code = self._child.poll() if self._child else None
        if code is None:
            return None
        how = processes.how_ended(code)
        return ServerDiedError(f"the {self.program} server for {self.model!r} {how}. {self._log_summary()}")

    def _log_summary(self) -> str:
        """The errors in the log, of which the last one often only says that there was another, and its end."""
        lines = processes.tail(self.log_file, None) if self.log_file else []
        errors = dict.fromkeys(found[1] for line in lines if (found := ERROR.search(line)))
        named = "".join(f"\n  {error}" for error in list(errors)[:5])
        return (
            f"Errors in its log:{named}\n" if named else ""
        ) + f"Its log {self.log_file} ends so:\n{self.log_tail()}"


def free_port(host: str = HOST) -> int:
    """A port that nobody uses now, e.g. 46205; a server binds it within seconds."""
    return _bound(host, 0)


def checked_port(port: int, host: str = HOST) -> int:
    """The port, unless it can't be had: better reported now than after half a minute of loading."""
    return _bound(host, port)


def _bound(host: str, port: int) -> int:
    """The port to which a socket could be bound just now."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1 if port else 0)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError) as error:
            raise PortInUseError(
                f"port {port} on {host} can't be used ({error}); stop the program that listens there, "
                "or take port=0 for a free one"
            ) from error
        return probe.getsockname()[1]


def get(port: int, path: str, host: str = HOST, api_key: str = "") -> bytes | None:
    """The body of an answer 200; None when there is no such answer (yet). Proxies are not asked."""
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {api_key}"} if api_key else {})
        response = connection.getresponse()
        body = response.read()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    return body if response.status == 200 else None
