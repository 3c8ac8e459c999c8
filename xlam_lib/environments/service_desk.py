"""A service desk in the manner of tau-bench: a policy, a database behind tools, a simulated user (notebook 05).

    blueprint = sample(number=3, seed=7)
    desk = ServiceDesk(blueprint)                                   # the user is played by rule
    desk = ServiceDesk(blueprint, lambda blueprint, seed: model_user(endpoint, blueprint))
    run(rollout(DeskAgent(), desk, desk.task, 30, seed=0)).outcome.reward       # 1.0

The domain is APIGen-MT's town library (`data/apigen/multi_turn`); new here are the end of an episode and its reward,
as in tau-bench (Yao et al. 2024, https://arxiv.org/abs/2406.12045): an episode ends when the user stops or
is handed over; its reward is 1 if the database is then as the blueprint's actions leave it and everything that the user
must learn was mentioned, else 0. How the agent came there doesn't matter. An output counts as mentioned if it stands
in the agent's words as a word of its own; tau-bench looks for any part of the text, by which "3" stands in each date.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable

from xlam_lib.agents import Action, Agent, JsonCalls, Manual, Observation, StepResult, tool_result
from xlam_lib.data.apigen.multi_turn.blueprint import Blueprint
from xlam_lib.data.apigen.multi_turn.desk import POLICY, TOOLS
from xlam_lib.data.apigen.multi_turn.play import DeskEnvironment, mentions
from xlam_lib.data.apigen.multi_turn.rule_players import ScriptedUser
from xlam_lib.schema import Task

RESPOND = "respond"  # by which an agent whose actions are all calls speaks to the user, as in tau-bench
HAND_OVER = "hand_over"
FORM = (
    'Each answer is one action, a JSON object such as {"name": "get_member", "arguments": {"member_id": "M101"}}. '
    f'You speak to the member by {{"name": "{RESPOND}", "arguments": {{"content": "..."}}}}.'
)
UserOf = Callable[[Blueprint, int], Agent]


def scripted_user(blueprint: Blueprint, seed: int) -> Agent:
    """Who plays the user by rule; the seed chooses the words."""
    return ScriptedUser(blueprint, random.Random(f"desk:{blueprint.number}:user:{seed}"))


MANUAL = Manual(
    "\n\n".join([POLICY, *(json.dumps(tool.to_dict(), ensure_ascii=False) for tool in TOOLS.values()), FORM]),
    JsonCalls(),
)


class ServiceDesk:
    """The environment of one blueprint: `ServiceDesk(blueprint)`."""

    tools = DeskEnvironment.tools
    manual = MANUAL

    def __init__(self, blueprint: Blueprint, user: UserOf = scripted_user) -> None:
        self.blueprint, self.user_of = blueprint, user

    @property
    def task(self) -> Task:
        """What it is reset to: the policy is the instruction, and the user's wishes are known to the user alone."""
        return Task(POLICY, f"desk/{self.blueprint.number}")

    async def reset(self, task: Task, seed: int = 0) -> Observation:
        """A fresh database, and the first words of a user whose words depend on the seed."""
        self.inner = DeskEnvironment(self.blueprint.database, self.user_of(self.blueprint, seed))
        self.words: list[str] = []
        return await self.inner.reset(task, seed)

    async def step(self, action: Action) -> StepResult:
        """The results of the calls, or the user's answer; the reward once all is over."""
        self.words.append(action.content)
        spoken = [call for call in action.tool_calls if call.name == RESPOND]
        if spoken and len(action.tool_calls) == 1:
            content = spoken[0].arguments.get("content")
            if not isinstance(content, str) or not content.strip():
                problem = f"{RESPOND} needs a content, which is a text"
                return StepResult(Observation((tool_result(spoken[0], problem, is_error=True),)))
            self.words.append(content)
            result = await self.inner.user.reply(content)
            answers = " ".join(step.content for step in result.observation.steps)
            result = StepResult(Observation((tool_result(spoken[0], answers),)), done=result.done)
        else:
            result = await self.inner.step(action)
        handed_over = any(
            call.name == HAND_OVER and not answer.is_error
            for call, answer in zip(action.tool_calls, result.observation.steps, strict=False)
        )
        if not result.done and not handed_over:
            return result
        reward = reward_of(self.blueprint, self.inner.desk.state, self.words)
        return StepResult(result.observation, reward, True, "success" if reward == 1.0 else "failure")


def reward_of(blueprint: Blueprint, state: str, words: Iterable[str]) -> float:
    """1.0 or 0.0 for the hash of the database and the agent's words: `reward_of(blueprint, desk.state, words)`."""
    text = " ".join(words)
    right = state == blueprint.end_state() and all(mentions(text, output) for output in blueprint.outputs)
    return float(right)
