"""The life of the child process: started, waited for, watched, stopped; with a small program in vLLM's place.

What vLLM itself does is tested in test_vllm.py; here it is each way to end.
"""

import asyncio
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from xlam_lib.endpoint import openai_client
from xlam_lib.errors import CheckpointError
from xlam_lib.files import running
from xlam_lib.models.folders import digest
from xlam_lib.processes import STALLED
from xlam_lib.serve.engines import vllm
from xlam_lib.serve.engines.authentication import HOST, MIDDLEWARE, WithKey
from xlam_lib.serve.engines.base import PortInUseError, ServerDiedError, ServerError, ServerTimeoutError
from xlam_lib.serve.engines.vllm import ServerFlags, VllmServer
from xlam_lib.serve.server import main

STAND_IN = """
import json, os, subprocess, sys, time
from http.server import BaseHTTPRequestHandler, HTTPServer
port, name, manner, host = int(sys.argv[1]), *sys.argv[2:5]
print("line 1\\nloading", manner, flush=True)
if manner == "dies":
    raise ValueError("no such architecture")
if manner == "sleeps":
    time.sleep(60)
worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print("worker", worker.pid, flush=True)

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        key = os.environ.get("VLLM_API_KEY")
        right = self.headers["Authorization"] == f"Bearer {key}"
        print("asked", self.path, "with the key" if right else "", flush=True)
        if key and not right:
            self.send_response(401)
            self.end_headers()
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"data": [{"id": name}]}).encode() if self.path == "/v1/models" else b"")
        if self.path == "/die":
            os._exit(3)

HTTPServer((host, port), Handler).serve_forever()
"""


@dataclass(frozen=True)
class StandIn(ServerFlags):
    """Flags that start the small program."""

    manner: str = "serves"
    other_name: str = ""

    def arguments(self, model_dir: Path, port: int, host: str = HOST, with_key: bool = False) -> list[str]:
        name = self.other_name or self.name_of(model_dir)
        return [sys.executable, "-c", STAND_IN, str(port), name, self.manner, host]


@pytest.fixture(autouse=True)
def logs_of_deaths(tmp_path, monkeypatch):
    """They stay, for their owner to read: here, in a folder that goes away."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


@pytest.fixture
def model_dir(tmp_path):
    folder = tmp_path / "sft"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    return folder


def worker_of(server):
    return int(server.log_tail().split("worker ")[1].split()[0])


def gone(pid, seconds=5.0):
    """Whether the process ends in time; a zombie that nobody waits for counts as ended."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        state = Path(f"/proc/{pid}/stat")
        if not running(pid) or (state.is_file() and state.read_text().split(")")[1].split()[0] == "Z"):
            return True
        time.sleep(0.05)
    return False


def test_it_serves_and_leaves_nothing_behind(model_dir):
    before = dict(os.environ)
    with VllmServer(model_dir, flags=StandIn()) as server:
        assert server.base_url == f"http://127.0.0.1:{server.port}/v1" and server.model == "sft"
        pid, worker, log_file = server.pid, worker_of(server), server.log_file
        assert os.getpgid(worker) == pid != os.getpgid(0)
        assert running(worker) and log_file.is_file() and server.startup_seconds > 0
        server.check()
        with pytest.raises(ServerError, match="runs already"):
            server.start()
    assert gone(pid) and gone(worker) and not log_file.exists() and server.pid is None
    server.stop()  # once more does no harm
    assert dict(os.environ) == before


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_it_is_stopped_whatever_happens(model_dir, error, tmp_path):
    with pytest.raises(error), VllmServer(model_dir, flags=StandIn(), log=tmp_path / "logs/vllm.log") as server:
        worker = worker_of(server)
        raise error
    assert gone(worker)
    assert (tmp_path / "logs/vllm.log").read_text().startswith("line 1")  # a log that was asked for stays


def test_it_can_be_started_again(model_dir):
    server = VllmServer(model_dir, flags=StandIn(model_name="org/name"))
    for _ in range(2):
        server.start()
        server.stop()
    assert (server.pid, server.model) == (None, "org/name")


def test_a_port_in_use(model_dir):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortInUseError, match=rf"port {port} on 127.0.0.1 can't be used .* take port=0"):
            VllmServer(model_dir, port=port, flags=StandIn()).start()
    with VllmServer(model_dir, port=port, flags=StandIn()) as server:  # free again
        assert server.port == port
    with pytest.raises(PortInUseError, match="port 99999"):
        VllmServer(model_dir, port=99999, flags=StandIn()).start()


def test_another_server_answers(model_dir):
    server = VllmServer(model_dir, flags=StandIn(other_name="else"))
    with pytest.raises(PortInUseError, match=r"answered by another server, which serves \['else'\], not 'sft'"):
        server.start()
    assert server.pid is None


def test_a_child_that_dies_at_the_start(model_dir):
    with pytest.raises(
        ServerDiedError,
        match=r"(?s)ended with code 1\. Errors in its log:\n  ValueError: no such .*"
        r"Its log .* ends so:\nline 1\nloading dies\n.*ValueError: no such architecture",
    ):
        VllmServer(model_dir, flags=StandIn(manner="dies")).start()


def test_a_child_that_never_answers(model_dir):
    server = VllmServer(model_dir, flags=StandIn(manner="sleeps"), stalled_after=0.5)
    with pytest.raises(ServerTimeoutError, match=r"(?s)not grown for 0.5 s; .*raise stalled_after.*loading sleeps"):
        server.start()
    assert server.pid is None and "loading sleeps" in server.log_tail()


def test_a_child_that_is_killed(model_dir):
    server = VllmServer(model_dir, flags=StandIn())
    with pytest.raises(ServerDiedError, match="(?s)'sft' was ended by SIGKILL .* Its log .*loading serves") as raised:  # noqa: SIM117
        with server:
            worker = worker_of(server)
            os.kill(server.pid, signal.SIGKILL)
            raise ConnectionError("what a client meets")
    assert isinstance(raised.value.__cause__, ConnectionError)
    assert gone(worker)
    assert server.log_file.is_file()


def test_check_names_the_death(model_dir):
    server = VllmServer(model_dir, flags=StandIn())
    server.start()
    with pytest.raises(OSError), socket.create_connection(("127.0.0.1", server.port)) as line:
        line.sendall(b"GET /die HTTP/1.0\r\n\r\n")
        while line.recv(100):
            pass
        raise ConnectionError
    assert gone(server.pid)
    with pytest.raises(ServerDiedError, match="ended with code 3"):
        server.check()
    server.stop()


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, None])
def test_it_goes_with_the_process_that_started_it(model_dir, ending, tmp_path):
    script = tmp_path / "owner.py"
    script.write_text(
        textwrap.dedent(f"""
        import signal, sys, time
        signal.signal(signal.SIGINT, signal.default_int_handler)  # tests in the background of a shell ignore it
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from test_server import StandIn, worker_of
        from xlam_lib.serve.engines.vllm import VllmServer
        server = VllmServer({str(model_dir)!r}, flags=StandIn(), log={str(tmp_path / "log")!r})
        server.start()
        print(server.pid, worker_of(server), flush=True)
        time.sleep({0 if ending is None else 60})
    """)
    )
    owner = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    pids = [int(word) for word in owner.stdout.readline().split()]
    assert len(pids) == 2
    if ending is not None:
        assert all(map(running, pids))
        owner.send_signal(ending)
    owner.communicate(timeout=20)
    assert all(map(gone, pids))


def test_a_config_that_is_cut_off(model_dir):
    (model_dir / "config.json").write_text('{"a":')
    with pytest.raises(ValueError, match="config.json: no JSON that can be read .* is it cut off"):
        VllmServer(model_dir)


def test_loading_the_library_loads_no_heavy_package():
    modules = ("server", "messages", "streaming", "schema", "engines.vllm", "engines.base", "engines.local")
    code = "import sys; " + "; ".join(f"import xlam_lib.serve.{name}" for name in modules)
    code += "; print([name for name in ('vllm', 'torch', 'openai', 'transformers') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize("name", ["nothing", "runs/nothing", "org/model", "./org/model", "~/model", "a/b/c", ""])
def test_no_checkpoint(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    with pytest.raises(CheckpointError, match="no such folder|no checkpoint there") as raised:
        VllmServer(name)
    assert ("hf download org/model " in str(raised.value)) is (name == "org/model")


KEY = "3f9a-not-to-be-shown"


def test_a_key_is_asked_for_sent_by_probes_and_shown_nowhere(model_dir, caplog, monkeypatch, tmp_path):
    monkeypatch.setenv("VLLM_API_KEY", "of-another-server")
    caplog.set_level(logging.DEBUG)
    log = tmp_path / "log"
    with VllmServer(model_dir, flags=StandIn(), api_key=KEY, log=log) as server:
        line = Path(f"/proc/{server.pid}/cmdline").read_bytes()
        assert [model.id for model in server.openai().models.list()] == ["sft"]
        with pytest.raises(Exception, match="401"):
            openai_client(server.base_url, "another", max_retries=0).models.list()
        probed = log.read_text()
        assert "asked /health with the key" in probed and "asked /v1/models with the key" in probed
        shown = repr(server) + str(server.flags) + " ".join(server.command()) + caplog.text + probed
    assert KEY not in shown and KEY.encode() not in line and "of-another-server" not in shown


def test_without_a_key_none_is_asked_for(model_dir, monkeypatch):
    monkeypatch.setenv("VLLM_API_KEY", "of-another-server")
    monkeypatch.setenv("XLAM_API_KEY", KEY)
    with VllmServer(model_dir, flags=StandIn()) as server:
        assert not {"VLLM_API_KEY", "XLAM_API_KEY"} & server.environment().keys()


@pytest.mark.parametrize(
    ("host", "key", "words"),
    [
        ("0.0.0.0", "", "serving at 0.0.0.0 needs a key"),
        ("::", "", "needs a key"),
        ("192.168.0.7", "", "needs a key"),
        ("example.org", "", "needs a key"),
        ("127.0.0.1", "two words " + KEY, "spaces"),
        ("127.0.0.1", KEY + "\r\nX: y", "can't be sent"),
        ("127.0.0.1", KEY + "ü", "can't be sent"),
    ],
)
def test_others_reach_it_only_with_a_key(model_dir, host, key, words):
    with pytest.raises(ServerError, match=words) as raised:
        VllmServer(model_dir, host=host, api_key=key)
    assert KEY not in str(raised.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_this_machine_reaches_it_without(model_dir, host):
    assert VllmServer(model_dir, port=9, host=host).base_url in (f"http://{host}:9/v1", f"http://[{host}]:9/v1")


def test_with_a_key_the_host_may_be_chosen(model_dir):
    with VllmServer(model_dir, flags=StandIn(), host="0.0.0.0", api_key=KEY) as server:
        assert server.base_url == f"http://127.0.0.1:{server.port}/v1"
    words = " ".join(ServerFlags().arguments(model_dir, 8000, "0.0.0.0", with_key=True))
    assert "--host 0.0.0.0" in words and f"--middleware {MIDDLEWARE}" in words


@pytest.mark.parametrize("word", ["--host", "--host=0.0.0.0", "--hos", "--api-key", "--api_key=x", "--port=1"])
def test_what_decides_who_may_ask_cannot_be_passed_on(word):
    with pytest.raises(ServerError, match="can't be passed on"):
        ServerFlags(extra=(word, "x"))


def answer(key: str | None, path: str = "/v1/models", kind: str = "http", **more):
    """The status of what the middleware lets through, 200, or gives itself."""
    sent = []

    async def app(scope, receive, send):
        sent.append({"status": 200})

    async def send(message):
        sent.append(message)

    headers = [(b"Authorization", f"Bearer {key}".encode())] if key is not None else []
    asyncio.run(WithKey(app)({"type": kind, "path": path, "headers": headers, **more}, None, send))
    return sent[0].get("status") or sent[0].get("code")


def test_each_request_needs_the_key(monkeypatch):
    monkeypatch.setenv("VLLM_API_KEY", KEY)
    for path in ("/v1/models", "/tokenize", "/generative_scoring", "/metrics", "/docs", "/", "//health", "/health/"):
        assert [answer(key, path) for key in (KEY, None, "", KEY[:-1], KEY + "x")] == [200, 401, 401, 401, 401]
    assert answer(None, "/health") == answer(None, method="OPTIONS") == answer(None, kind="lifespan") == 200
    assert answer(None, kind="websocket") == 1008 and answer(KEY, kind="websocket") == 200
    twice = [(b"authorization", f"Bearer {KEY}".encode())] * 2
    assert answer(None, method="GET", headers=twice) == 401


def test_flags(monkeypatch, tmp_path):
    monkeypatch.setattr(vllm, "on_cpu", lambda: True)
    (tmp_path / "sft").mkdir()
    (tmp_path / "sft/config.json").write_text('{"max_position_embeddings": 1024}')
    words = " ".join(ServerFlags().arguments(tmp_path / "sft", 8000))
    assert f"-m vllm.entrypoints.openai.api_server --model {tmp_path / 'sft'} --served-model-name sft" in words
    assert "--host 127.0.0.1 --port 8000 --dtype float32" in words and "--enforce-eager" in words
    assert "--max-model-len 1024" in words and words.endswith("--distributed-executor-backend uni")
    assert (
        "--enable-auto-tool-choice --tool-call-parser xlam_json --tool-parser-plugin xlam_lib.serve.tool_parser"
        in words
    )
    monkeypatch.setattr(vllm, "on_cpu", lambda: False)
    flags = ServerFlags("mine", 512, dtype="bfloat16", tool_parser="", extra=("--tensor-parallel-size", "4"))
    words = " ".join(flags.arguments(tmp_path / "sft", 1))
    assert "--served-model-name mine" in words and "--dtype bfloat16" in words
    assert words.endswith("--tensor-parallel-size 4")
    assert not any(flag in words for flag in ("eager", "tool-", "uni"))
    assert "--max-model-len 512" in words
    assert "--dtype auto" in " ".join(ServerFlags().arguments(tmp_path / "sft", 1))


def test_an_adapters_folder_is_served_beside_its_base(base, tmp_path):
    """Under its own name, with its own tokenizer and template, as the adapter may have taught other ones."""
    folder = tmp_path / "lora"
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps({"r": 4, "base_model_name_or_path": "nowhere"}))
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    (folder / "config.json").write_text("{}")
    info = {"path": str(base), "digest": digest(base), "quantize": "none", "dtype": "float32"}
    (folder / "base.json").write_text(json.dumps(info))
    words = " ".join(ServerFlags().arguments(folder, 8000))
    assert f"--model {base} --tokenizer {folder} --served-model-name lora-base " in words
    assert f"--chat-template {folder / 'chat_template.jinja'} --enable-lora --max-lora-rank 8 " in words
    assert f"--lora-modules lora={folder} " in words and VllmServer(folder).model == "lora"
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "nowhere"}))
    with pytest.raises(ServerError, match='its rank "r" is None, expected a whole number'):
        ServerFlags().arguments(folder, 8000)
    (folder / "base.json").write_text(json.dumps(info | {"quantize": "nf4"}))
    with pytest.raises(ServerError, match=r"an adapter of a base in nf4; merge it first: .*models\.adapters"):
        ServerFlags().arguments(folder, 8000)
    (folder / "base.json").write_text(json.dumps(info | {"digest": "0"}))
    with pytest.raises(CheckpointError, match="not the base that .* was trained on"):
        ServerFlags().arguments(folder, 8000)


def test_the_childs_environment():
    found = ServerFlags(kv_cache_gib=2).environment({"HF_HUB_OFFLINE": "0", "PYTHONPATH": "mine", "HOME": "/h"})
    assert (found["VLLM_CPU_KVCACHE_SPACE"], found["HF_HUB_OFFLINE"], found["HOME"]) == ("2", "0", "/h")
    first, second = found["PYTHONPATH"].split(os.pathsep)
    assert (Path(first) / "xlam_lib").is_dir() and second == "mine"


def test_the_command_line_names_errors(tmp_path, capsys):
    assert main([str(tmp_path / "nothing")]) == 1
    assert "nothing: no such folder" in capsys.readouterr().err


def test_the_command_line_serves_until_interrupted(model_dir, monkeypatch, capsys):
    given = []

    def serve(folder, port, flags, **options):
        given.append((folder, port, flags, options))
        return VllmServer(folder, port, StandIn(), **options)

    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr("xlam_lib.serve.server.VllmServer", serve)
    monkeypatch.setattr(VllmServer, "check", lambda self: None if not self.startup_seconds else interrupt(0))
    assert main([str(model_dir), "--port", "0", "--max-model-len", "64", "--", "--seed", "3"]) == 0
    assert given[0][2] == ServerFlags(max_model_len=64, extra=("--seed", "3"))
    assert given[0][3] == {"stalled_after": STALLED, "host": HOST, "api_key": ""}
    out = capsys.readouterr().out
    assert "serving sft at http://127.0.0.1:" in out and out.endswith("stopped\n")
    assert json.loads((model_dir / "config.json").read_text()) == {}


def test_the_command_line_takes_the_key_from_the_environment(model_dir, monkeypatch, capsys):
    given = []

    def serve(folder, port, flags, **options):
        given.append(options)
        raise KeyboardInterrupt

    monkeypatch.setattr("xlam_lib.serve.server.VllmServer", serve)
    monkeypatch.setenv("XLAM_API_KEY", KEY)
    for words in ([], ["--api-key", "of-mine"]):
        assert main([str(model_dir), "--host", "0.0.0.0", *words]) == 0
    assert [(one["host"], one["api_key"]) for one in given] == [("0.0.0.0", KEY), ("0.0.0.0", "of-mine")]
    assert KEY not in "".join(capsys.readouterr())
