"""The virtual API server over HTTP, on this machine only: POST /virtual as StableToolBench's (notebook 05).

    python -m xlam_lib.environments.tooleval.service --tools toolenv/tools --cache tool_response_cache --port 8080

Without tools it serves our own collection. A request and its answer, as in the original's README:

    {"category": "Weather", "tool_name": "sky_report", "api_name": "current_weather", "tool_input": {"city": "Oslo"},
     "strip": "", "toolbench_key": ""}                      ->  {"error": "", "response": {"celsius": 3, ...}}

`strip` and `toolbench_key` are taken and not used. With `--simulator URL --model NAME` a model answers what isn't
recorded; with `--save FOLDER` its answers are recorded there when the server ends.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from xlam_lib.endpoint import Endpoint
from xlam_lib.environments.tooleval import embedded
from xlam_lib.environments.tooleval.apis import read_tools
from xlam_lib.environments.tooleval.server import Recorded, Simulator, VirtualServer
from xlam_lib.errors import as_command

HOST = "127.0.0.1"  # answers are made up or recorded: nobody else should take them for real
MAX_BODY = 4 << 20  # bytes


class Info(BaseModel):
    """What a request holds; names as the original's."""

    category: str
    tool_name: str
    api_name: str
    tool_input: str | dict = ""
    strip: str = ""
    toolbench_key: str = ""


def application(server: VirtualServer, save: str | Path = "") -> Starlette:
    """The ASGI application over a server; what was recorded is written to `save` when it ends."""

    async def virtual(request: Request) -> JSONResponse:
        try:
            info = Info.model_validate_json(await request.body())
        except ValidationError as error:
            problems = [{"loc": list(one["loc"]), "msg": one["msg"]} for one in error.errors()]
            return JSONResponse({"detail": problems}, 422)
        return JSONResponse(await server.reply(info.category, info.tool_name, info.api_name, info.tool_input))

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        if save:
            server.recorded.write(save)

    return Starlette(routes=[Route("/virtual", virtual, methods=["POST"])], lifespan=lifespan, max_body_size=MAX_BODY)


def main(argv: Sequence[str] | None = None) -> int:
    """The command line: `main(["--port", "8080"])`."""
    parser = argparse.ArgumentParser(
        prog="python -m xlam_lib.environments.tooleval.service", description="Serve recorded and simulated APIs."
    )
    parser.add_argument("--tools", default="", help="folder <Category>/<tool>.json, as ToolBench's toolenv/tools")
    parser.add_argument("--cache", default="", help="folder of recorded answers, as StableToolBench's")
    parser.add_argument("--save", default="", help="folder to which all recorded answers are written in the end")
    parser.add_argument("--simulator", default="", help="URL of an OpenAI-compatible server that answers the rest")
    parser.add_argument("--model", default="", help="its model")
    parser.add_argument("--port", type=int, default=8080)
    given = parser.parse_args(argv)
    return as_command(lambda: _serve(given))


def _serve(given: argparse.Namespace) -> None:
    tree = read_tools(given.tools) if given.tools else embedded.tree()
    recorded = Recorded.read(given.cache) if given.cache else Recorded()
    with contextlib.ExitStack() as stack:
        answerers = [] if given.tools else [embedded.answer]
        if given.simulator:
            answerers.append(Simulator(stack.enter_context(Endpoint(given.simulator, given.model))))
        import uvicorn

        app = application(VirtualServer(tree, recorded, answerers), given.save)
        uvicorn.run(app, host=HOST, port=given.port, log_level="warning", access_log=False)


if __name__ == "__main__":
    sys.exit(main())
