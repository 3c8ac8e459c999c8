"""What the tools of the three domains have in common: their schemas, the checks of a call, `finish`.

    kit = WeatherTools(service, {"current_date": "2023-05-15", "current_location": "Oslo"})
    kit.call("get_user_current_date", {})        # "2023-05-15"
    kit.call("get_rain", {})                     # ToolFailure: there is no tool 'get_rain'; ...

Used by the environment (notebook 05). Every public method with a docstring is a tool; its docstring is what a model
sees. Names and arguments are AgentBoard's, texts are ours.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from xlam_lib.data.apigen.apis import tool_of
from xlam_lib.environments.tool_query.progress import in_order
from xlam_lib.errors import XlamError
from xlam_lib.schema import Tool
from xlam_lib.validation import argument_problems

Form = Literal["text", "calls"]  # Tool-Query, with actions in words; ToolQuery-Unified, with calls
FINISH, CHECK = "finish", "check_valid_actions"
SHARED = (
    Tool(CHECK, "List the actions that can be used.", {"type": "object", "properties": {}, "required": []}),
    Tool(
        FINISH,
        "Give the answer and end the task.",
        {
            "type": "object",
            "properties": {
                "answer": {"type": ["string", "number", "array"], "description": "the answer, in the form asked for"}
            },
            "required": ["answer"],
        },
    ),
)


class ToolFailure(XlamError, ValueError):
    """A call that can't be answered; the message is what the agent sees."""


class Toolkit:
    """The tools of one domain over its service, for one episode."""

    domain: ClassVar[str]
    tools: ClassVar[tuple[Tool, ...]]

    def __init__(self, service: Any, setup: Mapping[str, Any]) -> None:
        self._service, self._setup = service, setup

    def __init_subclass__(cls) -> None:
        own = [one for name, one in vars(cls).items() if inspect.isfunction(one) and not name.startswith("_")]
        cls.tools = (*(tool_of(one, without=("self",)) for one in own), *SHARED)

    def call(self, name: str, arguments: dict[str, Any]) -> Any:
        """The result of a call; a ToolFailure for one that can't be answered.

        An integer does as an id that is a text, as it does for the original's web services.
        """
        tool = next((tool for tool in self.tools if tool.name == name), None)
        if tool is None:
            known = ", ".join(tool.name for tool in self.tools)
            raise ToolFailure(f"there is no tool {name[:80]!r}; use one of: {known}")
        types = {key: one.get("type") for key, one in tool.parameters["properties"].items()}
        ids = [key for key, value in arguments.items() if types.get(key) == "string" and type(value) is int]
        arguments = arguments | {key: str(arguments[key]) for key in ids}
        if problems := argument_problems(tool, arguments):
            raise ToolFailure(problems[0])
        if name == CHECK:
            return [tool.name for tool in self.tools]
        if name == FINISH:
            try:
                return in_order(arguments["answer"])
            except TypeError as error:
                raise ToolFailure(str(error)) from error
        return getattr(self, name)(**arguments)


def shown(result: Any, form: Form) -> str:
    """A result as an agent sees it: as Python shows it ("text", as AgentBoard), or as JSON ("calls").

    `shown({"id": 7, "title": "Final Piano"}, "text")` -> "{'id': 7, 'title': 'Final Piano'}"; a text stays as it is.
    """
    if isinstance(result, str):
        return result
    return json.dumps(result, ensure_ascii=False) if form == "calls" else str(result)
