"""The two ways in which a model acts: in words that a grammar reads, or by native tool calls.

Used by the agents of `architectures/` (notebook 05). A form makes the request out of an environment's manual, its
tools and the steps so far, and reads the reply as an action:

    messages, options = IN_WORDS.request(manual, tools, steps, thinks=True, examples=manual.examples)
    IN_WORDS.read(manual, Reply("Thought: Lamps first.\\nAction: search[red lamp]"))    # Action(search, "Lamps first.")

What is no action of the grammar stays the model's words: the environment says what is wrong with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

from xlam_lib.agents.base import Action, AgentError
from xlam_lib.agents.manual import Example, Manual
from xlam_lib.agents.tool_calling import Reply
from xlam_lib.errors import TrajectoryError
from xlam_lib.schema import Step, Tool, ToolCall
from xlam_lib.views import from_openai, to_openai, tools_to_openai

THINK = "Before each action, think about what to do next."
LABELS = {"user": "User", "tool": "Observation", "system": "Note"}  # the first words of the user are the task
Request = tuple[list[dict[str, Any]], dict[str, Any]]  # messages and options of a chat completion


class Form(Protocol):
    """A way to ask for an action, and to read it."""

    def request(
        self,
        manual: Manual,
        tools: Sequence[Tool],
        steps: Sequence[Step],
        *,
        thinks: bool = False,
        examples: Sequence[Example] = (),
        plan: str = "",
    ) -> Request:
        """What is sent to the model: (messages, options)."""

    def read(self, manual: Manual, reply: Reply) -> Action:
        """The action of a reply."""


class InWords:
    """One user message that ends where the model goes on with a thought or an action, as in ReAct's prompts."""

    def request(
        self,
        manual: Manual,
        tools: Sequence[Tool],
        steps: Sequence[Step],
        *,
        thinks: bool = False,
        examples: Sequence[Example] = (),
        plan: str = "",
    ) -> Request:
        """E.g. ([{"role": "user", "content": "You are in a shop. ...\\n\\nTask: ...\\nAction:"}], {})."""
        form = "a line `Thought: ...` and then a line `Action: ...`" if thinks else "a line `Action: ...`"
        parts = [manual.instruction, actions_of(manual, tools), f"Answer with {form}, and nothing else."]
        for example in examples:
            planned = f"Plan: {example.plan}\n" if plan and example.plan else ""
            parts.append(f"An example:\n\n{planned}{_transcript(manual, example.steps, thinks)}")
        planned = f"Plan: {plan}\n" if plan else ""
        cue = "Thought:" if thinks else "Action:"
        turn = "Now it is your turn.\n\n" if examples else ""
        parts.append(f"{turn}{planned}{_transcript(manual, steps, thinks)}{cue}")
        return [{"role": "user", "content": "\n\n".join(part for part in parts if part)}], {}

    def read(self, manual: Manual, reply: Reply) -> Action:
        """The first action of a text; what a model makes up behind it, observations and all, is left out."""
        text = reply.text.strip()
        thought, label, acted = text.partition("Action:")
        if not label:
            thought, acted = "", text
        acted = acted.partition("\nObservation:")[0].strip()
        for tried in (acted, acted.partition("\n")[0].strip()):
            if found := manual.actions.parse(tried):
                thought = thought.strip().removeprefix("Thought:").strip()
                return Action(tool_calls=(ToolCall(*found),), reasoning=thought)
        return Action(text)


class NativeCalls:
    """A system message, solved examples as earlier turns, and the tools of the request; the reply has tool calls."""

    def request(
        self,
        manual: Manual,
        tools: Sequence[Tool],
        steps: Sequence[Step],
        *,
        thinks: bool = False,
        examples: Sequence[Example] = (),
        plan: str = "",
    ) -> Request:
        """E.g. ([{"role": "system", ...}, {"role": "user", ...}], {"tools": [...]})."""
        system = [manual.instruction, THINK if thinks else "", f"Plan: {plan}" if plan else ""]
        turns = [*(step for example in examples for step in example.steps), *steps]
        if not thinks:
            turns = [replace(step, reasoning="") for step in turns]
        messages = [{"role": "system", "content": "\n\n".join(filter(None, system))}, *to_openai(_numbered(turns))]
        return messages, {"tools": tools_to_openai(tools)}

    def read(self, manual: Manual, reply: Reply) -> Action:
        """The calls of a reply, what is said beside them as the thought; words alone stay words."""
        message = {"role": "assistant", "content": reply.text, "tool_calls": list(reply.calls)}
        try:
            (step,) = from_openai([message])
        except TrajectoryError as error:
            raise AgentError(f"the agent's {error}") from error
        thought = getattr(reply, "reasoning", "")
        if step.tool_calls:
            return Action(tool_calls=step.tool_calls, reasoning=thought or step.content)
        return Action(step.content, reasoning=thought)


IN_WORDS, NATIVE = InWords(), NativeCalls()


def actions_of(manual: Manual, tools: Sequence[Tool]) -> str:
    """The actions as a list: "Actions:\\nsearch[<keywords>]: Search the shop."."""
    lines = []
    for tool in tools:
        slots = {name: f"<{name}>" for name in tool.parameters.get("properties", {})}
        lines.append(f"{manual.actions.render(tool.name, slots)}: {tool.description}".rstrip(": "))
    return "\n".join(["Actions:", *lines])


def _transcript(manual: Manual, steps: Sequence[Step], thinks: bool) -> str:
    lines: list[str] = []
    opening = next((step for step in steps if step.role == "user"), None)
    for step in steps:
        if step.role != "assistant":
            lines.append(f"{'Task' if step is opening else LABELS[step.role]}: {step.content}")
            continue
        if thinks and step.reasoning:
            lines.append(f"Thought: {step.reasoning}")
        lines += [f"Action: {manual.actions.render(call.name, call.arguments)}" for call in step.tool_calls]
        if not step.tool_calls:
            lines.append(f"Action: {step.content}")
    return "".join(f"{line}\n" for line in lines)


def _numbered(steps: Sequence[Step]) -> list[Step]:
    """The steps with ids of calls that are their own through all examples and the episode."""
    numbered, ids = [], dict[str, str]()
    for step in steps:
        calls = []
        for call in step.tool_calls:
            ids[call.id] = f"call_{len(numbered)}_{len(calls)}"
            calls.append(replace(call, id=ids[call.id]))
        numbered.append(replace(step, tool_calls=tuple(calls), tool_call_id=ids.get(step.tool_call_id, "")))
    return numbered
