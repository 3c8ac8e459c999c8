"""The seam between what serves a model and those who ask it: an engine, and what it declares it can do (notebook 04).

    with VllmServer("runs/quickstart/sft") as engine:
        engine.openai().chat.completions.create(model=engine.model, messages=..., tools=...)

The engines are vLLM (`vllm.py`), llama.cpp (`llama_cpp.py`), transformers (`api.py`) and FastChat (`fastchat.py`).
Another one that is a program on this machine is a subclass of `LocalServer` (`local.py`) which gives its command line;
one that runs elsewhere implements the three methods of `Engine` itself.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self

from xlam_lib.errors import XlamError

if TYPE_CHECKING:
    import openai


class ServerError(XlamError, RuntimeError):
    """The server can't be used; subclasses say why."""


class PortInUseError(ServerError):
    """Another program listens on the port asked for."""


class ServerDiedError(ServerError):
    """The server ended by itself; the message ends with the tail of its log."""


class ServerTimeoutError(ServerError):
    """The server runs, but does not answer in time."""


@dataclass(frozen=True)
class Capabilities:
    """What an engine declares it can do, so that nobody guesses from its name: `Capabilities(tools=True)`."""

    tools: bool = False  # answers with tool calls in the form of the OpenAI API; else calls come as text
    streaming: bool = False  # an answer piece by piece
    completions: bool = False  # continues a prompt that the codec wrote (/v1/completions)
    responses: bool = False  # OpenAI's newer API (/v1/responses)
    adapters: bool = False  # LoRA adapters beside the model, each under a name of its own
    tensor_parallel: bool = False  # one model over several GPUs


class Engine(ABC):
    """Serves one model behind an OpenAI-compatible API, from `start()` to `stop()` or for the time of a `with` block:

    class LlamaServer(LocalServer):
        program = "llama.cpp"
        capabilities = Capabilities(streaming=True, completions=True)

        def command(self) -> list[str]:
            return ["llama-server", "--model", self.model, "--host", self.host, "--port", str(self.port)]

    engine = LlamaServer("sft.gguf")
    engine.start()                       # "http://127.0.0.1:46205/v1"
    engine.check()                       # raises ServerDiedError if it has ended meanwhile
    engine.stop()
    """

    model: str  # what clients call it, e.g. "sft"
    api_key: str = ""  # what clients must send, if anything; nothing shows it
    capabilities: Capabilities

    @property
    @abstractmethod
    def base_url(self) -> str:
        """Where clients find it: 'http://127.0.0.1:8000/v1'."""

    @abstractmethod
    def start(self) -> str:
        """Start, wait until it answers, return `base_url`; a ServerError, with nothing left running, if it doesn't."""

    @abstractmethod
    def check(self) -> None:
        """Raises a ServerError when it serves no longer; call it where a client was refused."""

    @abstractmethod
    def stop(self) -> None:
        """End it with all that it started; does nothing when it doesn't run."""

    def openai(self, **options: object) -> openai.OpenAI:
        """The stock client of the openai package for this server: `engine.openai().models.list()`."""
        from xlam_lib.endpoint import openai_client

        return openai_client(self.base_url, self.api_key, **options)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
