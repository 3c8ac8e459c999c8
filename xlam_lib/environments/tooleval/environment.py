"""The environment: functions of a query, called natively or in words, answered by a virtual API server (notebook 05).

    environment = ToolEval(query, server)
    trajectory = run(rollout(agent, environment, Task(query.text, query.id), max_steps=12))

Actions in words are `current_weather_for_sky_report[{"city": "Oslo"}]`, or ToolBench's two lines "Action: <function>"
and "Action Input: <JSON>", with a thought before them or none. Observations are those of ToolBench's rapidapi.py: JSON
of at most 1,024 characters and "...", and its words where a function doesn't exist or `Finish` lacks something. The
episode ends with `Finish`, and its last reward is 1.0 where the answer passes by rule.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from xlam_lib.agents.base import Action, Observation, StepResult, tool_result
from xlam_lib.agents.manual import Example, Manual
from xlam_lib.environments.tooleval.answers import FINISH, Called, arguments_text, ends, record
from xlam_lib.environments.tooleval.apis import standard_name
from xlam_lib.environments.tooleval.queries import Query
from xlam_lib.environments.tooleval.server import FAILED
from xlam_lib.environments.tooleval.verdicts import verdict
from xlam_lib.schema import Step, Task, ToolCall

MAX_OBSERVATION = 1024  # characters of a response, ToolBench's `max_observation_length`
MAX_STEPS = 12  # ToolBench's `single_chain_max_step`, counted there in nodes of a chain
MAX_DESCRIPTION = 512  # characters of a tool's description
GIVEN_UP = '{"response":"chose to give up and restart"}'
ANSWERED = '{"response":"successfully giving the final answer."}'
NO_TYPE = '{error:"must have "return_type""}'
NO_ANSWER = '{error:"must have "final_answer""}'
NO_CHOICE = '{error:""return_type" is not a valid choice"}'
NO_CALL = "No function was called. Call a function, or call Finish to end the task."
ACTION = re.compile(r"(?:^|\n)(?:Action: ?)?([\w^]{1,64})[ \t]{0,9}\n\s{0,9}Action Input: ?")
AFTER_END = '{"error": "the task has ended", "response": ""}'
INSTRUCTION = """You answer a user's question with the help of functions, each of them an API of some tool. Call one at
a time and read its response, {"error": "", "response": ...}: an error means that the call didn't work, so correct its
arguments or try another function. Use only functions that you were given, by their exact names, and never make up what
a function should tell you. When you have all that the user asked for, call Finish with return_type "give_answer" and a
final_answer that contains it; the user sees nothing else. If no function can help, call Finish with return_type
"give_up_and_restart"."""


class Server(Protocol):
    """What answers calls; `server.py` has the virtual one."""

    async def reply(self, category: str, tool: str, api: str, tool_input: str | Mapping[str, Any]) -> dict[str, Any]:
        """The answer to a request: {"error": "", "response": {"celsius": 4}}."""


@dataclass(frozen=True)
class CallText:
    """Calls of any function in words: `CallText().render("f", {"a": 1})` -> 'f[{"a": 1}]'."""

    def parse(self, text: str) -> tuple[str, dict[str, Any]] | None:
        """The call of a text in either form, or None: `CallText().parse('f[{"a": 1}]')` -> ("f", {"a": 1})."""
        text = text.strip()
        if found := ACTION.search(text):
            name, inside = found[1], text[found.end() :]
        else:
            name, bracket, inside = text.partition("[")
            if not bracket or not inside.endswith("]") or not re.fullmatch(r"[\w^]{1,64}", name):
                return None
            inside = inside[:-1]
        try:
            arguments = json.loads(inside, strict=False) if inside.strip() else {}
        except (ValueError, RecursionError):
            return None
        return (name, arguments) if isinstance(arguments, dict) else None

    def render(self, name: str, arguments: Mapping[str, Any]) -> str:
        """The text of a call: ("f", {"a": 1}) -> 'f[{"a": 1}]'."""
        return f"{name}[{json.dumps(arguments, ensure_ascii=False)}]"


class ToolEval:
    """One query at a time: `ToolEval(query, server)`.

    `examples` are shown by agents that show any; `descriptions` of tools, by their standard names, stand in the
    instruction as in ToolBench's system prompt: "1.sky_report: Weather of today and tomorrow in European cities."
    """

    def __init__(
        self,
        query: Query,
        server: Server,
        examples: tuple[Example, ...] = (),
        descriptions: Mapping[str, str] | None = None,
    ) -> None:
        self.query, self.server, self.tools = query, server, query.functions
        known = {tool: (descriptions or {}).get(tool, "") for tool in (standard_name(api.tool) for api in query.apis)}
        lines = [f"{number}.{tool}: {_line(words)}" for number, (tool, words) in enumerate(known.items(), start=1)]
        instruction = "\n".join([INSTRUCTION, "The functions belong to these tools:", *lines])
        self.manual = Manual(instruction, CallText(), examples)
        self._calls: list[Called] = []

    def reset(self, task: Task, seed: int = 0) -> Observation:
        """The query, as the user asks it; nothing here is random."""
        self._calls = []
        return Observation((Step("user", task.instruction or self.query.text),))

    async def step(self, action: Action) -> StepResult:
        """The responses to some calls, native or in words; what follows `Finish` is not called any more."""
        calls, native = action.tool_calls, bool(action.tool_calls)
        if not native:
            found = self.manual.actions.parse(action.content)
            if found is None:
                return StepResult(Observation((Step("user", NO_CALL),)))
            calls = (ToolCall(*found),)
        steps, ended = [], False
        for call in calls:
            text, is_error = await self._answer(call) if not ended else (AFTER_END, True)
            steps.append(tool_result(call, text, is_error) if native else Step("user", text))
            ended = ended or (call.name == FINISH and ends(call.arguments))
        if not ended:
            return StepResult(Observation(tuple(steps)))
        passed = verdict(self._record(), self.query.facts).passed
        return StepResult(Observation(tuple(steps)), float(passed), True, "success" if passed else "failure")

    async def _answer(self, call: ToolCall) -> tuple[str, bool]:
        """(observation, whether it is an error) of one call, which is noted."""
        if call.name == FINISH:
            self._calls.append(Called(FINISH, arguments_text(call.arguments)))
            return finished(call.arguments), not ends(call.arguments)
        api = self.query.by_function.get(call.name)
        if api is None:
            response = {"error": f"No such function name: {call.name[:MAX_OBSERVATION]}", "response": ""}
        else:
            response = await self.server.reply(*api.key, call.arguments)
        text = _text(response)
        text = text if len(text) <= MAX_OBSERVATION else text[:MAX_OBSERVATION] + "..."
        self._calls.append(Called(call.name, "{}", text))
        return text, bool(response.get("error"))

    def _record(self) -> dict[str, Any]:
        nodes = [("tool", call.message) for call in self._calls]
        return record(self.query.text, [{"name": tool.name} for tool in self.tools], nodes, "", "")


def _line(description: str) -> str:
    return description[:MAX_DESCRIPTION].replace("\n", "").strip() or "None"


def _text(response: Mapping[str, Any]) -> str:
    try:
        return json.dumps(response)
    except (RecursionError, ValueError):  # a simulated answer, nested too deeply
        return json.dumps(FAILED)


def finished(arguments: Mapping[str, Any]) -> str:
    """What a call of `Finish` is answered: `finished({"return_type": "give_up_and_restart"})` -> GIVEN_UP."""
    if "return_type" not in arguments:
        return NO_TYPE
    if not ends(arguments):
        return NO_ANSWER if arguments["return_type"] == "give_answer" else NO_CHOICE
    return ANSWERED if arguments["return_type"] == "give_answer" else GIVEN_UP
