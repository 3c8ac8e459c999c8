"""A simulated user and an agent play a blueprint; the conversation is kept only if it ends as the blueprint says.

    played = play(blueprint, DeskAgent(), ScriptedUser(blueprint, random.Random(0)))
    verify(blueprint, played)             # [] or ["end state: the database differs from the blueprint's"]
    accepted(blueprint, played)

The agent sees policy, tools and conversation, never the blueprint; the user sees the instruction, never the tools. What
is verified is the state of the database and what was mentioned, not the path: reading more, or asking again, is no
fault. Users and agents are rules (`rule_players.py`) or models (`model_players.py`); the loop is `agents/rollout.py`.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace

from xlam_lib.agents import Action, Agent, Observation, SimulatedUser, StepResult, rollout, run, tool_result
from xlam_lib.agents.rollout import MAX_STEPS
from xlam_lib.data.apigen.multi_turn.blueprint import Blueprint, state_after
from xlam_lib.data.apigen.multi_turn.desk import POLICY, TOOLS, Database, Desk
from xlam_lib.trajectory import Outcome, Source, Step, Task, ToolCall, Trajectory
from xlam_lib.validation import argument_problems

SOURCE = Source("apigen_mt_desk", "unknown", converter="xlam_lib.data.apigen.multi_turn")


class DeskEnvironment:
    """The desk and the user at it: `DeskEnvironment(database, user)`. It gives no reward: `verify` scores episodes."""

    tools = tuple(TOOLS.values())

    def __init__(self, database: Database, user: Agent) -> None:
        self.database, self.user = database, SimulatedUser(user)

    async def reset(self, task: Task, seed: int = 0) -> Observation:
        """A fresh desk, and the user's first words."""
        self.desk = Desk(self.database)
        return await self.user.open()

    async def step(self, action: Action) -> StepResult:
        """The results of the calls, or the user's answer where nothing is called."""
        if action.tool_calls:
            return StepResult(Observation(tuple(map(self._call, action.tool_calls))))
        return await self.user.reply(action.content)

    def _call(self, call: ToolCall) -> Step:
        answer = self.desk.call(call.name, call.arguments)
        if "error" in answer:
            return tool_result(call, answer["error"], is_error=True)
        return tool_result(call, json.dumps(answer["result"], ensure_ascii=False))


def play(blueprint: Blueprint, agent: Agent, user: Agent, max_steps: int = MAX_STEPS) -> Trajectory:
    """One conversation, from the user's first words to the end."""
    task = Task(POLICY, task_id=f"desk/{blueprint.number}")
    return run(rollout(agent, DeskEnvironment(blueprint.database, user), task, max_steps, source=SOURCE))


def verify(blueprint: Blueprint, played: Trajectory) -> list[str]:
    """What speaks against a conversation, by check; an empty list is a success."""
    if played.outcome.termination != "user_stop":
        why = played.extra.get("error")
        return [f"end: {played.outcome.termination.replace('_', ' ')}" + (f" ({why})" if why else "")]
    calls = [call for step in played.steps for call in step.tool_calls]
    found = []
    if state_after(blueprint.database, [(call.name, call.arguments) for call in calls]) != blueprint.end_state():
        found.append("end state: the database differs from the blueprint's")
    text = " ".join(step.content for step in played.steps if step.role == "assistant")
    found += [f"outputs: {output!r} was not mentioned" for output in blueprint.outputs if not mentions(text, output)]
    for call in calls:
        if call.name not in TOOLS:
            found.append(f"format: there is no tool {call.name!r}")
        elif problems := argument_problems(TOOLS[call.name], call.arguments):
            found.append(f"format: {problems[0]}")
    return found


def mentions(text: str, output: str) -> bool:
    """Whether an output stands in a text, as a word of its own; "2.5" also as "2.50"."""
    zeros = r"0*" if re.fullmatch(r"\d+\.\d+", output) else ""
    whole = r"(?:\.0+)?(?!\.?\d)(?!\w)" if re.fullmatch(r"[\d.]+", output) else r"(?!\w)"
    return re.search(rf"(?<![\w.]){re.escape(output)}{zeros}{whole}", text, re.IGNORECASE) is not None


def accepted(
    blueprint: Blueprint, played: Trajectory, agent: str = "rules", user: str = "rules", source: Source = SOURCE
) -> Trajectory:
    """A verified conversation as a sample; the blueprint stands in `extra`."""
    number = f"{blueprint.number:06d}"
    sample = replace(
        played,
        trajectory_id=f"{source.name}/{number}",
        source=replace(source, raw_id=number),
        outcome=Outcome(True, 1.0, "user_stop", checks={"end_state": True, "outputs": True}),
        tags=("multi_turn", "library_desk", *dict.fromkeys(goal.kind for goal in blueprint.goals)),
        extra={
            "user_goal": blueprint.instruction,
            "gold_actions": [{"name": name, "arguments": arguments} for name, arguments in blueprint.actions],
            "gold_outputs": list(blueprint.outputs),
            "blueprint": blueprint.by,
            "agent": agent,
            "user": user,
        },
    )
    sample.validate("warning")
    return sample
