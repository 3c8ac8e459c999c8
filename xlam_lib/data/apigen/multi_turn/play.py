"""A simulated user and an agent play a blueprint; the conversation is kept only if it ends as the blueprint says.

    episode = play(blueprint, DeskAgent(), ScriptedUser(blueprint, random.Random(0)))
    verify(blueprint, episode)            # [] or ["end state: the database differs from the blueprint's"]
    trajectory(blueprint, episode)

The agent sees policy, tools and conversation, never the blueprint; the user sees the instruction, never the tools. What
is verified is the state of the database and what was said, not the path: reading more, or asking again, is no fault.
Users and agents are rules (`rule_players.py`) or models (`model_players.py`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from xlam_lib.data.apigen.multi_turn.blueprint import Blueprint
from xlam_lib.data.apigen.multi_turn.desk import POLICY, TOOLS, Desk
from xlam_lib.errors import XlamError
from xlam_lib.trajectory import Outcome, Source, Step, Task, ToolCall, Trajectory
from xlam_lib.validation import argument_problems

STOP = "###STOP###"
MOST_STEPS = 60
SOURCE = Source("apigen_mt_desk", "unknown", converter="xlam_lib.data.apigen.multi_turn")


class User(Protocol):
    """Says the next thing; ends with STOP in the text when all is done, or given up."""

    def say(self, steps: Sequence[Step]) -> str:
        """The next words, given the conversation so far."""


class Agent(Protocol):
    """Answers or calls tools."""

    name: str

    def act(self, steps: Sequence[Step]) -> Step:
        """The next assistant step, given the conversation so far; ids of calls are set by who plays."""


class Broken(XlamError, RuntimeError):
    """A player that has nothing to give: an endpoint that fails, an empty answer."""


@dataclass
class Episode:
    """What was said and done: the steps, the desk at the end, and why it ended."""

    desk: Desk
    steps: list[Step] = field(default_factory=list)
    end: str = "max_steps"  # user_stop, max_steps or broken
    fault: str = ""


def play(blueprint: Blueprint, agent: Agent, user: User, most_steps: int = MOST_STEPS) -> Episode:
    """One conversation, from the user's first words to the end."""
    episode = Episode(Desk(blueprint.database))
    try:
        while len(episode.steps) < most_steps:
            said = user.say(episode.steps)
            text = said.replace(STOP, "").strip()
            if text:
                episode.steps.append(Step("user", text))
            if STOP in said:
                episode.end = "user_stop"
                break
            if not text:
                raise Broken("the user said nothing")
            _agent_turn(episode, agent, most_steps)
    except Broken as error:
        episode.end, episode.fault = "broken", str(error)
    return episode


def _agent_turn(episode: Episode, agent: Agent, most_steps: int) -> None:
    """The agent calls tools until it says something."""
    while len(episode.steps) < most_steps:
        step = agent.act(episode.steps)
        if not step.content and not step.tool_calls:
            raise Broken("the agent neither said nor called anything")
        number = sum(len(one.tool_calls) for one in episode.steps)
        calls = tuple(replace(call, id=f"call_{number + n}") for n, call in enumerate(step.tool_calls))
        episode.steps.append(replace(step, tool_calls=calls))
        for call in calls:
            answer = episode.desk.call(call.name, call.arguments)
            text = answer["error"] if "error" in answer else json.dumps(answer["result"], ensure_ascii=False)
            episode.steps.append(Step("tool", text, tool_call_id=call.id, name=call.name, is_error="error" in answer))
        if not calls:
            return


def verify(blueprint: Blueprint, episode: Episode) -> list[str]:
    """What speaks against an episode, by check; an empty list is a success."""
    if episode.end != "user_stop":
        return [f"end: {episode.end.replace('_', ' ')}" + (f" ({episode.fault})" if episode.fault else "")]
    found = []
    if episode.desk.state != blueprint.end_state():
        found.append("end state: the database differs from the blueprint's")
    said = " ".join(step.content for step in episode.steps if step.role == "assistant")
    found += [f"outputs: {output!r} was not said" for output in blueprint.outputs if not _says(said, output)]
    for call in (call for step in episode.steps for call in step.tool_calls):
        if call.name not in TOOLS:
            found.append(f"format: there is no tool {call.name!r}")
        elif problems := argument_problems(TOOLS[call.name], call.arguments):
            found.append(f"format: {problems[0]}")
    return found


def _says(said: str, output: str) -> bool:
    """Whether a text stands in another, as a word of its own; "2.5" also as "2.50"."""
    zeros = r"0*" if re.fullmatch(r"\d+\.\d+", output) else ""
    whole = r"(?:\.0+)?(?!\.?\d)(?!\w)" if re.fullmatch(r"[\d.]+", output) else r"(?!\w)"
    return re.search(rf"(?<![\w.]){re.escape(output)}{zeros}{whole}", said, re.IGNORECASE) is not None


def trajectory(
    blueprint: Blueprint, episode: Episode, agent: str = "rules", user: str = "rules", source: Source = SOURCE
) -> Trajectory:
    """A verified episode in the unified format; the blueprint stands in `extra`."""
    name = f"{source.name}/{blueprint.number:06d}"
    steps = list(episode.steps)
    made = Trajectory(
        trajectory_id=name,
        source=replace(source, raw_id=f"{blueprint.number:06d}"),
        task=Task(POLICY, task_id=f"desk/{blueprint.number}"),
        tools=tuple(TOOLS.values()),
        steps=tuple(steps),
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
    made.validate("warning")
    return made


def call_step(name: str, **arguments: object) -> Step:
    """An assistant step of one call: `call_step("get_member", member_id="M101")`."""
    return Step("assistant", tool_calls=(ToolCall(name, dict(arguments)),))
