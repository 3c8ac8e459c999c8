"""Models behind any OpenAI-compatible endpoint: they play user and agent, and propose blueprints (`produce.py`).

    with Endpoint("http://127.0.0.1:8000/v1", "M") as endpoint:
        blueprint = ModelBlueprints(endpoint).make(3, seed=0)      # None when no proposal was valid
        play(blueprint, model_agent(endpoint), model_user(endpoint, blueprint))

The agent is given policy, tools and conversation as OpenAI messages, and calls tools as the endpoint has it. The user
is given the blueprint's instruction, and sees only the agent's words. Who proposes, as in the first phase of APIGen-MT,
sees the policy, the tools and one member's part of the database. A proposal must be well formed, must run on the
database, must keep to the policy, and what is to be mentioned must stand in some result (`blueprint.validate`); what
fails a check goes back with the reasons.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from typing import Any

from xlam_lib.agents import ToolCallingAgent
from xlam_lib.agents.tool_calling import Endpoint
from xlam_lib.agents.user import STOP
from xlam_lib.data.apigen.multi_turn.blueprint import Blueprint, readable, validate
from xlam_lib.data.apigen.multi_turn.desk import POLICY, TOOLS, Database, Desk, make_database

USER_INSTRUCTION = f"""\
You play a person who writes to a service desk. Who you are and what you want:

{{instruction}}

- Write one short message at a time, as that person would. Never play the agent.
- Tell things bit by bit, when they matter or when you are asked. Make nothing up: what isn't written above you don't
  know.
- You know nothing of tools. Wait until something is really done before you go on to the next wish.
- When all is done, or was refused for good, answer {STOP} and nothing else."""


def model_user(endpoint: Endpoint, blueprint: Blueprint) -> ToolCallingAgent:
    """A model that plays the blueprint's user."""
    return ToolCallingAgent(endpoint, system=USER_INSTRUCTION.format(instruction=blueprint.instruction))


def model_agent(endpoint: Endpoint) -> ToolCallingAgent:
    """A model that plays the agent, with the policy and the tools of the desk."""
    return ToolCallingAgent(endpoint, tuple(TOOLS.values()), POLICY)


AUTHOR_INSTRUCTION = """\
You invent tasks for testing an agent at a service desk. You see its policy, its tools and one member's part of the
database. Propose one realistic task of that member: what the member wants (one to three things, told to somebody who
will play the member), the writing calls that a perfect agent would make, in order, and the texts that it must tell.

- The actions keep to the policy. What it forbids isn't done; then the agent must tell why, or what the member asks.
- `outputs` are short texts, such as a date or an amount, exactly as the tools give them.
- `instruction` speaks to the player ("You are ... You want ..."), names who they are and their e-mail address, and
  holds every detail that is needed, but no ids.

Answer with one JSON object and nothing else:
{"instruction": "...", "actions": [{"name": "...", "arguments": {...}}], "outputs": ["..."]}"""


@dataclass
class ModelBlueprints:
    """Blueprints that a model proposes: `ModelBlueprints(endpoint).make(3, seed=0)`; failures are fed back."""

    endpoint: Endpoint
    attempts: int = 3
    faults: list[str] = field(default_factory=list)  # of all proposals that failed

    def make(self, number: int, seed: int = 0) -> Blueprint | None:
        """The blueprint of that number, or None when no proposal was valid."""
        rng = random.Random(f"{seed}:blueprint:{number}")
        database = make_database(rng.randrange(10**6))
        member_id = rng.choice(sorted(database["members"]))
        messages = self.messages(database, member_id)
        for _ in range(self.attempts):
            reply = self.endpoint.ask(messages)
            made, wrong = read_proposal(reply.text, number, database, member_id, self.endpoint.model)
            wrong = [f"generation: {reply.error}"] if reply.error else wrong or (validate(made) if made else [])
            if made and not wrong:
                return made
            self.faults += wrong
            again = f"That failed: {'; '.join(wrong)}. Propose a task that mends this, as one JSON object."
            messages += [
                {"role": "assistant", "content": reply.text or "(nothing)"},
                {"role": "user", "content": again},
            ]
        return None

    def messages(self, database: Database, member_id: str) -> list[dict[str, Any]]:
        """What the model is shown."""
        tools = [tool.to_dict() for tool in TOOLS.values()]
        shown = {"tools": tools, "database": readable(Desk(database), member_id)}
        user = f"{POLICY}\n\n{json.dumps(shown, ensure_ascii=False)}\n\nThe task of member {member_id}, as JSON:"
        return [{"role": "system", "content": AUTHOR_INSTRUCTION}, {"role": "user", "content": user}]


def read_proposal(
    text: str, number: int, database: Database, member_id: str, by: str
) -> tuple[Blueprint | None, list[str]]:
    """(the blueprint in a model's text, []) or (None, what is wrong with the text)."""
    start, end = text.find("{"), text.rfind("}")
    try:
        value = json.loads(text[start : end + 1]) if start >= 0 else None
    except (ValueError, RecursionError) as error:
        return None, [f"format: no JSON ({error})"]
    if not isinstance(value, dict) or value.keys() != {"instruction", "actions", "outputs"}:
        return None, ["format: expected one object with instruction, actions and outputs"]
    actions, outputs, instruction = value["actions"], value["outputs"], value["instruction"]
    if not isinstance(instruction, str) or not instruction.strip():
        return None, ["format: instruction is no text"]
    if not isinstance(outputs, list) or not all(isinstance(one, str) and one for one in outputs):
        return None, ["format: outputs are a list of texts"]
    if not isinstance(actions, list) or not all(
        isinstance(one, dict) and isinstance(one.get("name"), str) and isinstance(one.get("arguments"), dict)
        for one in actions
    ):
        return None, ["format: actions are a list of {name, arguments}"]
    pairs = tuple((one["name"], one["arguments"]) for one in actions)
    return Blueprint(number, database, member_id, instruction.strip(), pairs, tuple(outputs), by=by), []
