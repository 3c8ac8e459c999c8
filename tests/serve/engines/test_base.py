"""The seam: what every engine keeps to, tried with two engines of a few lines."""

import json
import sys
import threading
from dataclasses import FrozenInstanceError
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from xlam_lib.errors import XlamError
from xlam_lib.files import running
from xlam_lib.serve.engines.base import Capabilities, Engine, ServerDiedError, ServerError
from xlam_lib.serve.engines.local import LocalServer
from xlam_lib.serve.engines.vllm import ServerFlags, VllmServer

PROGRAM = """
import json, os, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/die":
            os._exit(3)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"object": "list", "data": [{"id": sys.argv[2], "object": "model"}]}).encode())
HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


class Program(LocalServer):
    """An engine that is a program on this machine."""

    program = "tiny"
    capabilities = Capabilities(streaming=True)

    def command(self) -> list[str]:
        return [sys.executable, "-c", PROGRAM, str(self.port), self.model]


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"object": "list", "data": [{"id": "sft", "object": "model"}]}).encode())

    def log_message(self, *given):
        pass


class Thread(Engine):
    """An engine of another kind, which implements the seam itself."""

    capabilities = Capabilities()

    def __init__(self, model: str) -> None:
        self.model, self.server = model, None

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/v1" if self.server else ""

    def start(self) -> str:
        if self.server:
            raise ServerError("runs already")
        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self.base_url

    def check(self) -> None:
        if not self.server:
            raise ServerDiedError("it does not run")

    def stop(self) -> None:
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None


@pytest.fixture(params=[Program, Thread])
def engine(request):
    made = request.param("sft")
    yield made
    made.stop()


def test_it_starts_once_answers_and_stops(engine):
    url = engine.start()
    assert url == engine.base_url and url.startswith("http://127.0.0.1:") and url.endswith("/v1")
    engine.check()
    assert [model.id for model in engine.openai().models.list()] == [engine.model]
    with pytest.raises(ServerError, match="runs already"):
        engine.start()
    engine.stop()
    engine.stop()  # once more does no harm
    with engine as again:  # and it can be started anew
        assert again is engine
        engine.check()


def test_an_error_in_the_block_stops_it(engine):
    with pytest.raises(ZeroDivisionError), engine:
        url = engine.base_url
        raise ZeroDivisionError
    with engine:
        assert url.startswith("http")


def test_what_it_can_do_is_declared_and_does_not_change(engine):
    assert isinstance(engine.capabilities, Capabilities)
    with pytest.raises(FrozenInstanceError):
        engine.capabilities.tools = True
    assert Capabilities() == Capabilities(
        tools=False, streaming=False, completions=False, responses=False, adapters=False, tensor_parallel=False
    )


def test_vllm_declares_tools_unless_its_parser_is_off(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    declared = VllmServer(tmp_path).capabilities
    assert declared.tools and declared.streaming and declared.adapters and declared.tensor_parallel
    assert not VllmServer(tmp_path, flags=ServerFlags(tool_parser="")).capabilities.tools


def test_a_server_that_dies_is_named_where_a_client_was_refused():
    with pytest.raises(ServerDiedError, match="the tiny server for 'sft' ended with code 3") as raised:  # noqa: SIM117
        with Program("sft") as server:
            pid, log = server.pid, server.log_file
            with pytest.raises(Exception, match="Connection error"):
                server.openai(max_retries=0).get("/../die", cast_to=object)
            raise ConnectionError("what a client meets")
    assert isinstance(raised.value, XlamError) and isinstance(raised.value.__cause__, ConnectionError)
    assert not running(pid) and log.is_file()
    log.unlink()


def test_an_engine_implements_the_seam():
    with pytest.raises(TypeError, match="abstract"):
        Engine()
    with pytest.raises(TypeError, match="command"):
        LocalServer("sft")
