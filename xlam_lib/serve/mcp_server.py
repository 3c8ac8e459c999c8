"""The tools of an MCP server for a conversation: one that is started here (stdio), or one that listens elsewhere.

    with McpServer([sys.executable, "my_server.py"]) as server:          # a command, spoken to by its input and output
        Toolbox(server).tools
    with McpServer("https://example.org/mcp", headers={"Authorization": ...}) as server:      # streamable HTTP
        ...

Used by `toolbox.py` and notebook 04_serving. The protocol is the `mcp` package's. A session lives in a thread with a
loop of its own, so that plain code, notebooks and event loops can all use it. A server that is started here gets PATH
and its like of our environment only, so no keys. What the tool itself reports as an error goes to the model; a server
that has gone is an InfrastructureError, nobody's mistake.
"""

from __future__ import annotations

import asyncio
import logging
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from inspect import cleandoc
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from xlam_lib.agents.base import InfrastructureError
from xlam_lib.endpoint import LOOPBACK, shown_url
from xlam_lib.serve.toolbox import ToolError
from xlam_lib.trajectory import Tool

if TYPE_CHECKING:  # importing it takes a second
    import mcp
    from anyio.from_thread import BlockingPortal

logger = logging.getLogger(__name__)
PAGES = 100  # of a list of tools, at most
LOG = 500  # characters of a server's own words in an error


class McpServer:
    """A context manager: `McpServer("http://127.0.0.1:8000/mcp", prefix="shop_").tools`, whose names begin so."""

    def __init__(
        self,
        server: str | Sequence[str],
        *,
        prefix: str = "",
        timeout: float = 60.0,
        headers: Mapping[str, str] | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._server, self._prefix, self._timeout = server, prefix, timeout
        self._headers, self._env = headers, env
        self.tools: Sequence[Tool] = ()
        self._portal: BlockingPortal | None = None
        self._written = ""

    def __repr__(self) -> str:
        return f"McpServer({self._shown!r})"

    @property
    def _shown(self) -> str:
        return shown_url(self._server) if isinstance(self._server, str) else " ".join(self._server[:2])

    def __enter__(self) -> Self:
        from anyio.from_thread import start_blocking_portal

        with ExitStack() as stack:
            self._log = stack.enter_context(tempfile.TemporaryFile("w+"))
            self._portal = stack.enter_context(start_blocking_portal())
            try:
                client = stack.enter_context(self._portal.wrap_async_context_manager(self._client()))
                self._session: mcp.Client = client
                self.tools = self._portal.call(self._list)
            except Exception as error:  # of the program, the network, the protocol: all say that it can't be used
                raise InfrastructureError(f"the MCP server {self._shown} can't be used: {self._why(error)}") from error
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._portal = None
        try:
            self._stack.close()
        except Exception as failure:  # of a server that has gone: whoever called it knows already
            logger.warning("the MCP server %s was not left in order: %s", self._shown, self._why(failure))

    async def call(self, name: str, arguments: dict[str, Any]) -> Any:
        """What the tool returns: its text, or its structured value where it has no text."""
        if self._portal is None:
            raise InfrastructureError(f"{self!r} is not open: use it within `with`")
        return await asyncio.wrap_future(self._portal.start_task_soon(self._call, name, arguments))

    def _client(self) -> mcp.Client:
        import mcp
        from mcp.client.stdio import stdio_client

        if isinstance(self._server, str):
            transport: Any = self._http(self._server)
        else:
            program = mcp.StdioServerParameters(command=self._server[0], args=list(self._server[1:]), env=self._env)
            transport = stdio_client(program, errlog=self._log)
        return mcp.Client(transport, read_timeout_seconds=self._timeout)

    @asynccontextmanager
    async def _http(self, url: str) -> AsyncIterator[Any]:
        import httpx2
        from mcp.client.streamable_http import streamable_http_client

        direct = urlsplit(url).hostname in LOOPBACK
        given = {"headers": dict(self._headers or {}), "timeout": self._timeout, "trust_env": not direct}
        async with httpx2.AsyncClient(**given) as client, streamable_http_client(url, http_client=client) as streams:
            yield streams

    async def _list(self) -> list[Tool]:
        found, cursor = [], None
        for _ in range(PAGES):
            page = await self._session.list_tools(cursor=cursor)
            found += [
                Tool(self._prefix + one.name, cleandoc(one.description or ""), one.input_schema) for one in page.tools
            ]
            cursor = page.next_cursor
            if not cursor:
                return found
        raise ValueError(f"its list of tools has not ended after {PAGES} pages")

    async def _call(self, name: str, arguments: dict[str, Any]) -> Any:
        import mcp
        from mcp.types import CONNECTION_CLOSED, TextContent

        try:
            result = await self._session.call_tool(name.removeprefix(self._prefix), arguments)
        except mcp.MCPError as error:
            if error.code == CONNECTION_CLOSED:
                raise InfrastructureError(f"the MCP server {self._shown} has gone: {self._why(error)}") from error
            raise ToolError(error.message) from error
        text = "\n".join(
            part.text if isinstance(part, TextContent) else f"[{part.type}, which is no text]"
            for part in result.content
        )
        if result.is_error:
            raise ToolError(text)
        return text if result.content else result.structured_content

    def _why(self, error: BaseException) -> str:
        """The error, inside the groups in which it may lie, and the end of what the program wrote."""
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        if not self._log.closed:
            self._log.seek(0)
            self._written = self._log.read()[-LOG:].strip()
        return "\n".join(filter(None, (f"{type(error).__name__}: {error}", self._written)))
