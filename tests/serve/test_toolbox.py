"""Where the calls of a conversation run: functions here, the sandbox, MCP servers by both transports."""

import asyncio
import contextlib
import datetime
import socket
import sys
import threading
import time
from pathlib import Path
from subprocess import DEVNULL
from types import SimpleNamespace

import apigen_functions
import pytest

from xlam_lib.agents import Action, InfrastructureError, run
from xlam_lib.data.apigen.apis import Library
from xlam_lib.processes import Child
from xlam_lib.serve.engines.local import free_port
from xlam_lib.serve.mcp_server import McpServer
from xlam_lib.serve.toolbox import Functions, Sandboxed, Toolbox, ToolboxError
from xlam_lib.trajectory import ToolCall

SHOP = str(Path(apigen_functions.__file__).with_name("mcp_shop.py"))


def days_until(day: datetime.date, start: datetime.date = datetime.date(2026, 1, 1)) -> int:
    """Days from the start to a day.

    Args:
        day: the day
    """
    return (day - start).days


async def later(text: str) -> dict:
    """Says it after a moment."""
    await asyncio.sleep(0.01)
    return {"text": text, "on": datetime.date(2026, 1, 2)}


def where() -> list[bool]:
    """Whether this is the test's own process, and its own thread."""
    return [sys.modules["__main__"] is not None, threading.current_thread() is threading.main_thread()]


def fails() -> None:
    """Fails."""
    raise KeyError("no such thing")


def result(toolbox, name, **arguments):
    found = run(toolbox.result(ToolCall(name, arguments, "call_7")))
    assert (found.role, found.tool_call_id, found.name) == ("tool", "call_7", name)
    return found.is_error, found.content


def test_functions_run_here_and_their_errors_are_results():
    closure = 41

    def answer(more: int) -> int:
        """The answer."""
        return closure + more

    toolbox = Toolbox(Functions([days_until, later, where, fails, answer]))
    assert toolbox.tools[0].parameters["properties"]["day"] == {
        "type": "string", "format": "date", "description": "the day"
    }  # fmt: skip
    assert result(toolbox, "days_until", day="2026-03-01") == (False, "59")
    assert result(toolbox, "later", text="Grüße") == (False, '{"text": "Grüße", "on": "2026-01-02"}')
    assert result(toolbox, "where") == (False, "[true, false]")
    assert result(toolbox, "answer", more=1) == (False, "42")
    assert result(toolbox, "fails") == (True, '{"error": "KeyError: \'no such thing\'"}')
    is_error, content = result(toolbox, "days_until", day=5)
    assert is_error and content.startswith('{"error": "TypeError: ')
    assert result(toolbox, "erase") == (
        True,
        '{"error": "NameError: there is no tool \'erase\'; there are days_until, later, where, fails, answer"}',
    )


def test_calls_of_one_answer_keep_ids_and_order():
    toolbox = Toolbox(Functions([days_until]))
    days = ["2026-01-03", "2026-01-02", "2026-01-03"]
    calls = tuple(ToolCall("days_until", {"day": day}, f"call_{number}") for number, day in enumerate(days))
    found = run(toolbox.step(Action(tool_calls=calls)))
    assert [(step.tool_call_id, step.content) for step in found.observation.steps] == [
        ("call_0", "2"),
        ("call_1", "1"),
        ("call_2", "2"),
    ]
    assert not found.done and run(toolbox.step(Action("Done."))).done


def test_two_tools_of_one_name_are_refused():
    with pytest.raises(ToolboxError, match="two tools are named 'fails'"):
        Toolbox(Functions([fails]), Functions([fails]))


def test_calls_of_a_library_run_in_the_sandbox():
    with Library.of_functions([apigen_functions.next_day, apigen_functions._hard_exit]).runner() as runner:
        toolbox = Toolbox(Sandboxed(runner))
        assert result(toolbox, "next_day", day="2026-02-28") == (False, "2026-03-01")
        is_error, content = result(toolbox, "_hard_exit")  # here it would end this process
        assert is_error and content.startswith('{"error": "ProcessError')


@pytest.fixture(params=["stdio", "http"])
def shop(request):
    """A server of its own for each transport; by HTTP it needs a moment until it listens."""
    if request.param == "stdio":
        with McpServer([sys.executable, SHOP], prefix="shop_") as server:
            yield server
        return
    port = free_port()
    with Child([sys.executable, SHOP, str(port)], stdout=DEVNULL, stderr=DEVNULL) as child:
        limit = time.monotonic() + 60
        while time.monotonic() < limit and child.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.1)
        with McpServer(f"http://127.0.0.1:{port}/mcp", prefix="shop_") as server:
            yield server


def test_tools_of_an_mcp_server(shop):
    toolbox = Toolbox(shop, Functions([fails]))
    assert [tool.name for tool in toolbox.tools] == ["shop_in_stock", "shop_leave", "fails"]
    assert toolbox.tools[0].parameters["required"] == ["model"]
    assert toolbox.tools[0].description.startswith("How many bicycles of a model there are.")
    assert result(toolbox, "shop_in_stock", model="Falcon 3") == (False, "2")
    is_error, content = result(toolbox, "shop_in_stock", model="Falcon 4")
    assert is_error and content.endswith("there is no model 'Falcon 4'\"}")
    assert result(toolbox, "shop_in_stock")[0] is True
    with pytest.raises(InfrastructureError, match="has gone"):  # the server ends: nobody's mistake
        result(toolbox, "shop_leave")
    with pytest.raises(InfrastructureError, match="has gone"):
        result(toolbox, "shop_in_stock", model="Falcon 3")


@pytest.mark.parametrize(
    ("server", "words"),
    [
        ([sys.executable, "-c", "raise SystemExit('no licence')"], "no licence"),
        (["/nowhere/server"], "No such file"),
        ("http://user:secret@127.0.0.1:9/mcp", "connection"),
    ],
)
def test_an_mcp_server_that_cannot_be_used_is_named(server, words):
    with pytest.raises(InfrastructureError, match=f"(?is)can't be used.*{words}") as error, McpServer(server):
        pass
    assert "secret" not in str(error.value)
    with pytest.raises(InfrastructureError, match="is not open"):
        run(McpServer(server).call("in_stock", {}))


def test_an_mcp_server_that_is_started_gets_no_keys(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "not-for-others")
    code = "import os, sys; sys.exit(repr(os.environ.get('OPENAI_API_KEY')))"
    with pytest.raises(InfrastructureError, match="None"), McpServer([sys.executable, "-c", code]):
        pass


def test_a_list_of_tools_that_never_ends_is_given_up():
    """As a server would give it that always names a next page."""

    class Endless:
        asked = 0

        async def list_tools(self, cursor):
            self.asked += 1
            return SimpleNamespace(tools=[], next_cursor=str(self.asked))

    server = McpServer("http://127.0.0.1:1/mcp")
    server._session = Endless()
    with pytest.raises(ValueError, match="has not ended after 100 pages"):
        asyncio.run(server._list())
    assert server._session.asked == 100
