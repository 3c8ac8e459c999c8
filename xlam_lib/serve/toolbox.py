"""The tools of a conversation, and where their calls run: Python functions here, others in the sandbox, MCP servers.

    def in_stock(model: str) -> int:
        "How many bicycles of a model there are."
        return {"Falcon 3": 2}.get(model, 0)

    with McpServer([sys.executable, "my_server.py"]) as server, library.runner() as runner:
        toolbox = Toolbox(Functions([in_stock]), Sandboxed(runner), server)
        run(toolbox.result(ToolCall("in_stock", {"model": "Falcon 3"}, "call_0"))).content    # '2'

Functions of one's own run in this process, each in a thread: they may use what is open here, and nothing ends one that
never returns. What others wrote, models among them, belongs into the sandbox (`Library.runner()`), which has limits. A
call that fails is a result, too: the model reads `{"error": "ValueError: no such city"}` and may do better. Used by
`conversation.py` (notebook 04_serving).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from xlam_lib.agents.base import Action, Observation, StepResult, tool_result
from xlam_lib.answers import json_text
from xlam_lib.data.apigen.apis import Runner, tool_of
from xlam_lib.data.apigen.sandbox.sandbox_child import called, takes_json
from xlam_lib.errors import XlamError
from xlam_lib.trajectory import Step, Task, Tool, ToolCall
from xlam_lib.validation import argument_problems


class ToolError(XlamError, RuntimeError):
    """A call that failed; its message is what the model is given."""


class ToolboxError(XlamError, ValueError):
    """Tools that can't be offered together, such as two of one name."""


class ToolSource(Protocol):
    """Some tools and how they are called; `Functions`, `Sandboxed` and `mcp_server.McpServer` are such."""

    tools: Sequence[Tool]

    async def call(self, name: str, arguments: dict[str, Any]) -> Any:
        """What a call returns: a text, or a value that JSON can hold; a ToolError where it fails."""


class Functions:
    """Python functions that run in this process: `Functions([in_stock]).tools[0].name` -> 'in_stock'.

    The tool is read from signature, type hints and docstring; dates, enums and dataclasses are made of JSON's values.
    """

    def __init__(self, functions: Iterable[Callable[..., Any]]) -> None:
        functions = list(functions)
        self.tools = [tool_of(function) for function in functions]
        self._functions = {tool.name: takes_json(one) for tool, one in zip(self.tools, functions, strict=True)}

    async def call(self, name: str, arguments: dict[str, Any]) -> Any:
        """What the function returns, as plain JSON values; a coroutine is run to its end."""
        try:
            return await asyncio.to_thread(called, self._functions[name], arguments)
        except Exception as error:  # whatever a tool raises is its answer, which the model is to read
            raise ToolError(f"{type(error).__name__}: {error}") from error


class Sandboxed:
    """The functions and operations of a library, in a child process with limits: `Sandboxed(library.runner())`."""

    def __init__(self, runner: Runner) -> None:
        self.runner = runner
        self.tools = [api.tool for api in runner.library]

    async def call(self, name: str, arguments: dict[str, Any]) -> Any:
        """What the call returns."""
        answer = await asyncio.to_thread(self.runner.run, name, arguments)
        if "error" in answer:
            raise ToolError(answer["error"])
        return answer["result"]


class Toolbox:
    """The tools of some sources together; as an environment it answers calls, and is done at the agent's words."""

    def __init__(self, *sources: ToolSource) -> None:
        self._sources: dict[str, ToolSource] = {}
        for source in sources:
            for tool in source.tools:
                if tool.name in self._sources:
                    raise ToolboxError(
                        f"two tools are named {tool.name!r}; leave one out, rename it, or give an MCP server a prefix"
                    )
                self._sources[tool.name] = source
        self.tools = tuple(tool for source in sources for tool in source.tools)
        self._by_name = {tool.name: tool for tool in self.tools}

    def reset(self, task: Task, seed: int = 0) -> Observation:
        """The task's instruction as a user's words."""
        return Observation((Step("user", task.instruction),))

    async def step(self, action: Action) -> StepResult:
        """The results of the calls, made one after another in their order; done where nothing is called."""
        if not action.tool_calls:
            return StepResult(done=True)
        return StepResult(Observation(tuple([await self.result(call) for call in action.tool_calls])))

    async def result(self, call: ToolCall) -> Step:
        """The result of one call, under its id: the text that a tool returns, any other value as JSON."""
        try:
            found = await self._call(call)
            return tool_result(call, found if isinstance(found, str) else json_text(found))
        except ToolError as error:
            return tool_result(call, json_text({"error": str(error)}), is_error=True)

    async def _call(self, call: ToolCall) -> Any:
        if call.name not in self._sources:
            raise ToolError(
                f"NameError: there is no tool {call.name!r}; there are {', '.join(self._sources) or 'none'}"
            )
        if problems := argument_problems(self._by_name[call.name], call.arguments):
            raise ToolError(f"TypeError: {problems[0]}")
        return await self._sources[call.name].call(call.name, call.arguments)
