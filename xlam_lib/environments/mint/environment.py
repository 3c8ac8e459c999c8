"""MINT's interaction: a model runs Python or proposes a solution, in a few turns that are counted down before its eyes.

    problem = embedded_problems()[0]
    with Interpreter() as python:
        environment = MintEnvironment(problem, python)                 # 5 steps, 2 of them solutions
        run(rollout(agent, environment, problem.task)).outcome.reward  # 1.0 once a solution was right

Used by `bench/tasks/mint.py` (notebook 05). A turn is a call of `python` or `solution`, or the same in the words of the
paper, `<execute>print(6 * 7)</execute>` and `<solution> 42 </solution>`; a turn with both proposes. Observations are
MINT's, its few fixed words and the cut of long output taken from its repository (mint/envs/general_env.py,
mint/datatypes.py, mint/tools/python_tool.py). With an `expert`, any other agent, each turn that doesn't end the episode
gets that agent's feedback behind the observation, as in Wang et al. 2023, section 2.2.

Not as in the original: there is no Wikipedia search, as nothing here reaches a network; tracebacks are Python's, not
IPython's; and a program that doesn't end loses its variables, since code that may catch a timeout must be ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from xlam_lib.agents.base import (
    Action,
    Agent,
    AgentError,
    InfrastructureError,
    Observation,
    StepResult,
    resolve,
    tool_result,
)
from xlam_lib.agents.manual import Example, Manual
from xlam_lib.data.apigen.sandbox import Interpreter
from xlam_lib.environments.mint.checkers import is_right
from xlam_lib.environments.mint.problems import Problem
from xlam_lib.schema import Step, Task, Tool, ToolCall

STEPS, SOLUTIONS = 5, 2  # turns of an episode, and how many of them may propose
SHOWN = 2000  # characters of output that a model sees
NO_OUTPUT = "[Executed Successfully with No Output]"
CUT = "...\n[Output Truncated]"
WRONG, RIGHT = "Your answer is wrong.", "Your answer is correct."
NOT_UNDERSTOOD = (
    "I don't understand your input. \n"
    "If you want to execute code, please use <execute> YOUR_CODE_HERE </execute>.\n"
    "If you want to give me an answer, please use <solution> YOUR_SOLUTION_HERE </solution>.\n"
    "For example: The answer to the question is <solution> 42 </solution>. \n"
)
FEEDBACK = "Expert feedback:\n"
ARGUMENTS = {"python": ("execute", "code"), "solution": ("solution", "answer")}  # tool -> tag, argument


def _tool(name: str, description: str, about: str) -> Tool:
    argument = ARGUMENTS[name][1]
    properties = {argument: {"type": "string", "description": about}}
    return Tool(name, description, {"type": "object", "properties": properties, "required": [argument]})


TOOLS = (
    _tool("python", "Run Python in a session whose variables stay; gives what it prints.", "the program"),
    _tool("solution", "Propose a solution of the task.", "the answer in the form asked for, or the whole function"),
)
LEFT = "You have {} steps left and {} chances to propose solution left.\n"
LAST = "You should take the last step to propose a solution.\n"


class Tags:
    """MINT's actions in words: `Tags().parse("Sum. <execute>1 + 1</execute>")` -> ("python", {"code": "1 + 1"})."""

    def parse(self, text: str) -> tuple[str, dict[str, Any]] | None:
        """The call of a turn: its solutions if there are any, else its code, several of them joined by line ends."""
        for name in ("solution", "python"):
            tag, argument = ARGUMENTS[name]
            if value := "\n".join(block.strip() for block in _blocks(text, tag)):
                return name, {argument: value}
        return None

    def render(self, name: str, arguments: Mapping[str, Any]) -> str:
        """The words of a call: ("solution", {"answer": "42"}) -> "<solution> 42 </solution>"."""
        tag, argument = ARGUMENTS[name]
        space = " " if name == "solution" and "\n" not in arguments[argument] else "\n"
        return f"<{tag}>{space}{arguments[argument]}{space}</{tag}>"


def _blocks(text: str, tag: str) -> list[str]:
    """What stands between each opening tag and the next closing one."""
    found, at = [], text.find(f"<{tag}>")
    while at >= 0:
        start = at + len(tag) + 2
        end = text.find(f"</{tag}>", start)
        if end < 0:
            break
        found.append(text[start:end])
        at = text.find(f"<{tag}>", end)
    return found


ACTIONS = Tags()


class MintEnvironment:
    """One problem's episode: `MintEnvironment(problem, python, expert=ToolCallingAgent(endpoint))`.

    `python` may be shared by many environments. `strict` is the rule for answers (see `checkers.py`). `with_reference`
    lets the expert see the right answer, as one of MINT's settings does.
    """

    tools = TOOLS

    def __init__(
        self,
        problem: Problem,
        python: Interpreter,
        *,
        max_steps: int = STEPS,
        max_solutions: int = SOLUTIONS,
        expert: Agent | None = None,
        with_reference: bool = False,
        strict: bool = True,
    ) -> None:
        self.problem, self.python, self.strict = problem, python, strict
        self.max_steps, self.max_solutions = max_steps, max_solutions
        self.expert, self.with_reference = expert, with_reference
        self.manual = manual(max_steps, max_solutions)
        self._session = python.session()
        self._steps = self._solutions = 0
        self._talk: list[Step] = []

    def reset(self, task: Task, seed: int = 0) -> Observation:
        """The task, and a session without variables; nothing here is random."""
        self.close()
        self._steps = self._solutions = 0
        self._talk = []
        return Observation((Step("user", f"Task:\n{task.instruction}"),))

    def close(self) -> None:
        """Ends the session's process; the end of an episode does so, too."""
        self._session.close()

    async def step(self, action: Action) -> StepResult:
        """Runs code, or judges a solution; anything else costs a turn, too."""
        self._steps += 1
        name, value = _meant(action)
        if name == "solution":
            self._solutions += 1
            right = await asyncio.to_thread(is_right, self.problem, value, self.python, self.strict)
            answer = RIGHT if right else WRONG
        else:
            right, answer = False, await asyncio.to_thread(self._run, value) if name else NOT_UNDERSTOOD
        done = right or self._solutions >= self.max_solutions or self._steps >= self.max_steps
        text = f"Observation:\n{answer}\n" + ("" if right else self._left())
        steps = _results(action, name, text)
        if done:
            self.close()
            return StepResult(Observation(steps), float(right), True, "success" if right else "failure")
        if self.expert is not None:
            steps += (Step("user", FEEDBACK + await self._feedback(action, text)),)
        return StepResult(Observation(steps), 0.0)

    def _run(self, code: str) -> str:
        printed = self._session.run(code).strip()
        return (printed[:SHOWN] + CUT if len(printed) > SHOWN else printed) or NO_OUTPUT

    def _left(self) -> str:
        steps = self.max_steps - self._steps
        return LEFT.format(steps, self.max_solutions - self._solutions) + (LAST if steps <= 1 else "")

    async def _feedback(self, action: Action, observation: str) -> str:
        """The expert's words on a turn; to it, the assistant is the user of a dialogue."""
        words = [f"Assistant:\n{in_words(action)}", observation]
        if not self._talk:
            known = f"Correct solution, not to be disclosed: {self.problem.reference}\n" if self.with_reference else ""
            words.insert(0, f"{ADVICE}\n\nTask:\n{self.problem.prompt}\n{known}")
        given = Step("user", "\n".join(words))
        try:
            answer = await resolve(self.expert.act(Observation((given,)), tuple(self._talk)))
        except AgentError as error:
            raise InfrastructureError(f"MINT's expert: {error}") from error
        self._talk += [given, Step("assistant", answer.content)]
        return answer.content.strip()


ADVICE = (
    "You are an expert who helps an assistant to solve a task. After each of its turns, say in one or two sentences "
    "what is good or wrong about it and what it could do next. Don't give the solution away."
)


def in_words(action: Action) -> str:
    """A turn as text, its calls with tags: Action.call("solution", answer="4") -> "<solution> 4 </solution>"."""
    calls = [ACTIONS.render(call.name, call.arguments) for call in action.tool_calls if _value(call) is not None]
    return "\n".join(filter(None, (action.content, *calls)))


def _value(call: ToolCall) -> str | None:
    """The code or answer of a call; None where it is no call of these tools."""
    value = call.arguments.get(ARGUMENTS[call.name][1]) if call.name in ARGUMENTS else None
    return value if isinstance(value, str) and value.strip() else None


def _meant(action: Action) -> tuple[str, str]:
    """("solution", answer), ("python", code) or ("", ""): a turn that proposes and runs, proposes."""
    if not action.tool_calls:
        found = ACTIONS.parse(action.content)
        return (found[0], next(iter(found[1].values()))) if found else ("", "")
    for name in ("solution", "python"):
        if values := [value for call in action.tool_calls if call.name == name and (value := _value(call))]:
            return name, "\n".join(values)
    return "", ""


def _results(action: Action, name: str, text: str) -> tuple[Step, ...]:
    """The observation as the result of the call that it belongs to, and a word for each other call."""
    if not action.tool_calls:
        return (Step("user", text),)
    valid = [call for call in action.tool_calls if call.name == name and _value(call)]
    main = valid[-1] if valid else action.tool_calls[-1]
    other = "Observation:\nSee the result of the call that counts in this turn.\n"
    return tuple(
        tool_result(call, text if call is main else other, is_error=call is main and not name)
        for call in action.tool_calls
    )


def manual(max_steps: int = STEPS, max_solutions: int = SOLUTIONS) -> Manual:
    """What a model reads before a task, with one solved: `manual().instruction`."""
    instruction = (
        "Solve the task. You may work on it in several turns. Think first, then do one of two things in a turn:\n"
        "1) Run Python and see what it prints; the variables stay for later turns: "
        "<execute> print('Hello World!') </execute>\n"
        "2) Propose a solution in the form that the task asks for: <solution> 42 </solution>\n"
        f"You have {max_steps} turns, whichever you choose, and may propose a solution only {max_solutions} times."
    )
    return Manual(instruction, ACTIONS, (EXAMPLE,))


def _example() -> Example:
    """A solved episode of our own, as the environment plays it."""
    code = "from math import gcd\nfound = [n for n in range(1, 37) if gcd(n, 36) == 1]\nprint(len(found), sum(found))"
    turns = (
        ("I can list the numbers and count them with Python.", "python", code, "12 216"),
        ("There are 12, whose sum is 216. The task asks for the sum.", "solution", "216", RIGHT),
    )
    question = "What is the sum of the whole numbers from 1 to 36 that have no factor in common with 36? An integer."
    steps = [Step("user", f"Task:\n{question}")]
    for number, (thought, name, value, answer) in enumerate(turns):
        call = ToolCall(name, {ARGUMENTS[name][1]: value}, f"call_{number}")
        left = LEFT.format(STEPS - 1, SOLUTIONS) if name == "python" else ""
        steps.append(Step("assistant", "", thought, (call,), reasoning_origin="native"))
        steps.append(tool_result(call, f"Observation:\n{answer}\n{left}"))
    return Example(tuple(steps), plan="Compute the number with Python, check what was asked for, then propose it.")


EXAMPLE = _example()
MANUAL = manual()
