"""The environment: Search, Lookup and Finish, as ReAct, BOLAA and AgentLite let agents answer HotpotQA (notebook 05).

    game = HotpotQA()
    task = game.questions["hard-03"].task
    run(rollout(agent, game, task, max_steps=10)).outcome        # Outcome(True, 1.0, "success")

Search and Lookup answer as ReAct's wikienv.py, see `articles.py`; Finish answers "Answer is CORRECT" or "... is
INCORRECT", as in Reflexion's and BOLAA's logs, and ends the episode. Its reward is F1 as in BOLAA, success is an exact
match. Nothing here is random. What is no action of these three is answered with which there are, and the episode goes
on, as everywhere in the original.
"""

from __future__ import annotations

from collections.abc import Iterable

from xlam_lib.agents.base import Action, Observation, StepResult, resolve, tool_result
from xlam_lib.agents.manual import Manual
from xlam_lib.data.formats.environments import WIKI
from xlam_lib.environments.hotpotqa.articles import HotpotError, Page, Wiki
from xlam_lib.environments.hotpotqa.manual import manual
from xlam_lib.environments.hotpotqa.questions import Question, corpus_of, embedded
from xlam_lib.environments.hotpotqa.scoring import exact_match, f1_score
from xlam_lib.schema import Step, Task, ToolCall

INVALID = "Invalid action. Valid actions are Search[entity], Lookup[keyword] and Finish[answer]."
OVER = "The question is answered already."
SLOTS = {"Search": "entity", "Lookup": "keyword", "Finish": "answer"}


class HotpotQA:
    """Questions, and an encyclopedia to answer them from; the embedded ones where none are given.

    Questions of a file are searched for in their own paragraphs, all of them together, unless a `wiki` is given.
    """

    tools = WIKI.tools()

    def __init__(self, questions: Iterable[Question] = (), wiki: Wiki | None = None) -> None:
        given = tuple(questions)
        known = given or embedded()[0]
        self.questions = {question.id: question for question in known}
        if wiki is None:
            wiki = corpus_of(given) if given else embedded()[1]
        self.wiki = wiki
        self._by_task = {question.task.task_id: question for question in known}
        self._asked: Question | None = None

    @property
    def manual(self) -> Manual:
        """How the environment is explained to a model."""
        return manual()

    def reset(self, task: Task, seed: int = 0) -> Observation:
        """The question; nothing depends on the seed."""
        if task.task_id not in self._by_task:
            raise HotpotError(f"no question has the task id {task.task_id!r}; take the `task` of one of its questions")
        self._asked, self._page, self._over = self._by_task[task.task_id], Page(), False
        return Observation((Step("user", self._asked.question),))

    async def step(self, action: Action) -> StepResult:
        """The result of each call in turn; the first Finish ends the episode with F1 as its reward."""
        if self._asked is None:
            raise HotpotError("a step before the first task; call `reset` first")
        if not action.tool_calls:
            return StepResult(Observation((Step("user", INVALID),)))
        steps, result = [], StepResult()
        for call in action.tool_calls:
            value = argument_of(call)
            if self._over:
                steps.append(tool_result(call, OVER, is_error=True))
            elif value is None:
                steps.append(tool_result(call, INVALID, is_error=True))
            elif call.name == "Finish":
                self._over = True
                right = exact_match(value, self._asked.answer)
                steps.append(tool_result(call, f"Answer is {'CORRECT' if right else 'INCORRECT'}"))
                reward = f1_score(value, self._asked.answer)
                result = StepResult(reward=reward, done=True, termination="success" if right else "failure")
            elif call.name == "Lookup":
                steps.append(tool_result(call, self._page.lookup(value)))
            else:
                steps.append(tool_result(call, self._page.show(value, await resolve(self.wiki.find(value)))))
        return StepResult(Observation(tuple(steps)), result.reward, self._over, result.termination)


def argument_of(call: ToolCall) -> str | None:
    """What is searched for, looked up or answered, None where it is none of these actions; numbers as their text."""
    value = call.arguments.get(SLOTS[call.name]) if call.name in SLOTS and len(call.arguments) == 1 else None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return str(value) if is_number else value if isinstance(value, str) else None


def answer_of(steps: Iterable[Step]) -> str | None:
    """The answer of an episode, None where it has none: the first `Finish` that the environment took."""
    calls = (call for step in steps for call in step.tool_calls if call.name == "Finish")
    return next((answer for call in calls if (answer := argument_of(call)) is not None), None)
