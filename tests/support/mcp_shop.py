"""An MCP server with two tools, by its standard input and output, or by HTTP on the port that is given."""

import sys

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError

server = MCPServer("shop", log_level="ERROR")


@server.tool()
def in_stock(model: str) -> int:
    """How many bicycles of a model there are.

    Args:
        model: name of the model
    """
    stock = {"Falcon 3": 2, "Swift": 0}
    if model not in stock:
        raise ToolError(f"there is no model {model!r}")
    return stock[model]


@server.tool()
def leave() -> str:
    """Ends the server in the midst of the call."""
    import os

    os._exit(3)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        server.run("streamable-http", host="127.0.0.1", port=int(sys.argv[1]))
    else:
        server.run()
