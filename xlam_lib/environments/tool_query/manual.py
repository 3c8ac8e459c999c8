"""How Tool-Query is explained to a model: task, tools and rules in words, and two solved examples (notebook 05).

    manual = manual_of("movie")            # in the original's action language
    manual_of("movie", "calls")            # over native tool calls: tools and form stand elsewhere

The instruction follows AgentBoard's prompts in what it holds, name by name; its sentences are ours. The examples are
embedded goals of the train split, with thoughts and a plan.
"""

from __future__ import annotations

from functools import cache

from xlam_lib.agents.manual import Example, Manual
from xlam_lib.environments.tool_query.embedded import embedded_goals
from xlam_lib.environments.tool_query.goals import Goal
from xlam_lib.environments.tool_query.language import ACTIONS, LABEL, LINK
from xlam_lib.environments.tool_query.services import TOOLKITS, Services
from xlam_lib.environments.tool_query.toolkit import Form, shown
from xlam_lib.schema import Step, Tool, ToolCall

EXAMPLES = 2  # a domain
TASK = "Answer the user's question by asking the tools. Nothing is known from memory: look everything up."
COORDINATES = "Coordinates of a city come from get_latitude_longitude, never from memory."
END = "Once you know the answer, call finish with it, in the form that the question asks for."
FORM = f'Each answer is one action: "{LABEL} [your action] {LINK} [your action input]", with the input as JSON.'


@cache
def manual_of(domain: str, form: Form = "text") -> Manual:
    """The manual of a domain: `manual_of("weather").instruction`."""
    rules = [COORDINATES, END] if domain == "weather" else [END]
    listed = [*map(described, TOOLKITS[domain].tools)] if form == "text" else []
    instruction = "\n\n".join([TASK, *listed, " ".join([*rules, *([FORM] if form == "text" else [])])])
    goals = [goal for goal in embedded_goals("train") if goal.domain == domain]
    return Manual(instruction, ACTIONS, tuple(Example(solved(goal, form), goal.plan) for goal in goals[:EXAMPLES]))


def described(tool: Tool) -> str:
    """A tool in words, as AgentBoard's prompts describe theirs:

    Name: get_movie_cast(movie_id)
    Description: Get the first ten people of a movie's cast, with the characters they play.
    Parameters:
    - movie_id (Type: string): id of the movie
    """
    properties = tool.parameters["properties"]
    lines = [f"Name: {tool.name}({', '.join(properties)})", f"Description: {tool.description}"]
    for name, one in properties.items():
        values = f", one of: {', '.join(one['enum'])}" if "enum" in one else ""
        lines += ["Parameters:"] if len(lines) == 2 else []
        lines += [f"- {name} (Type: {one['type']}{values}): {one['description']}"]
    return "\n".join(lines)


def solved(goal: Goal, form: Form = "text") -> tuple[Step, ...]:
    """The steps of an episode that reaches the goal, from the question to the last observation."""
    toolkit, steps = Services().toolkit(goal.domain, goal.setup), [Step("user", goal.question)]
    for number, move in enumerate(goal.moves):
        call = ToolCall(move.name, move.arguments, f"call_{number}")
        result = shown(toolkit.call(move.name, move.arguments), form)
        steps.append(Step("assistant", "", move.thought, (call,), reasoning_origin="native"))
        steps.append(Step("tool", result, tool_call_id=call.id, name=call.name))
    return tuple(steps)
