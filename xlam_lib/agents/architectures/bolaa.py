"""BOLAA: a controller that lets several labour agents work, each with actions of its own (arXiv 2308.05960, 3.2).

Before each action the controller asks the model which labour agent is next, by its name and what it can do; that agent
then sees the episode, its own actions and those parts of the examples that use them. In WebShop one searches and the
other clicks. An environment whose manual has no labour agents, or one, is left to a single one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from xlam_lib.agents.architectures.language import LanguageAgent, recent
from xlam_lib.agents.base import Action, Observation
from xlam_lib.agents.forms import actions_of
from xlam_lib.agents.manual import Example
from xlam_lib.schema import Step, Tool

SEEN = 2_000  # characters of the episode that the controller sees, besides the task


class Bolaa(LanguageAgent):
    """Routes, then acts: `Bolaa(endpoint, environment)`."""

    name, title, order = "bolaa", "BOLAA", 80
    shows_examples = True

    async def act(self, observation: Observation, history: Sequence[Step]) -> Action:
        """The action of the labour agent that the controller chose."""
        steps = (*history, *observation.steps)
        offered = {tool.name: tool for tool in self.environment.tools}
        labours = {
            name: [offered[tool] for tool in tools if tool in offered] for name, tools in self.manual.labours.items()
        }
        labours = {name: tools for name, tools in labours.items() if tools}
        if len(labours) < 2:
            return await self.choose(steps, self.environment.tools, self.manual.examples)
        tools = labours[await self._next(steps, labours)]
        names = {tool.name for tool in tools}
        return await self.choose(steps, tools, [_part(example, names) for example in self.manual.examples])

    async def _next(self, steps: Sequence[Step], labours: dict[str, list[Tool]]) -> str:
        """Whose turn it is: the first name in the reply, else that of the agent who didn't act last."""
        agents = "\n\n".join(f"Agent {name}. {actions_of(self.manual, tools)}" for name, tools in labours.items())
        shown = [f"{step.role}: {step.content or _called(step)}" for step in recent(steps, SEEN)]
        asked = f"Which agent acts next? Answer with one name: {', '.join(labours)}."
        parts = [self.manual.instruction, agents, "\n".join(shown), asked]
        reply = await self.reply([{"role": "user", "content": "\n\n".join(parts)}])
        for word in re.findall(r"\w+", reply.text[:SEEN]):
            if word in labours:
                return word
        last = next((step.tool_calls[0].name for step in reversed(steps) if step.tool_calls), "")
        return next(name for name, tools in labours.items() if last not in [tool.name for tool in tools])


def _part(example: Example, names: set[str]) -> Example:
    """An example as a labour agent sees it: calls of others, and their results, are left out."""
    kept, others = [], set()
    for step in example.steps:
        if step.tool_calls and any(call.name not in names for call in step.tool_calls):
            others |= {call.id for call in step.tool_calls}
        elif step.role != "tool" or step.tool_call_id not in others:
            kept.append(step)
    return replace(example, steps=tuple(kept))


def _called(step: Step) -> str:
    return ", ".join(f"{call.name} {call.arguments}" for call in step.tool_calls)


AGENT = Bolaa
