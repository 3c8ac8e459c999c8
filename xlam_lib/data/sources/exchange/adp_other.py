"""ETO, CodeActInstruct and Synatra, as the Agent Data Protocol's samples quote them, raw and standard (notebook 01).

Raw records (elements of lists; shortened):

    {"id": "webshop_0", "reward": 1.0, "source": "human",                                          # ETO
     "conversations": [{"from": "human", "value": "You are web ..."}, {"from": "gpt", "value": "OK"},
                       {"from": "human", "value": "WebShop [SEP] Instruction: [SEP] i need a long clip-in ..."},
                       {"from": "gpt", "value": "Thought: I need ...\\nAction: search[clip-in hair]"}]}
    {"id": "oct28_full6728/reasoning/hotpotqa/23173/claude-2/max5_p2+tool+cd",                     # CodeActInstruct
     "conversations": [{"role": "system", "content": "You are a helpful assistant ..."},
                       {"role": "user", "content": "Task:\\nDid Ivan Lendl or ..."},
                       {"role": "assistant", "content": "To ...\\n\\n<execute>\\n...\\n</execute>"}]}
    {"prompt": "\\"\\"\\"You are given an ...", "response": "# step 2: ...\\nclick(...)"}             # Synatra

Decisions, from looking at the records:
- ETO's turns are AgentInstruct's with "Thought: ...\\nAction: ..."; ScienceWorld has a grammar of its own. `reward` is
  the outcome's; success is reward 1. What the instruction says of formats is treated as in `agentinstruct_adp`.
- CodeActInstruct: `<execute>` and `<solution>` as in `mint_bench`; success isn't recorded.
- Synatra: a record is one step. The comments before the call are the reasoning, the summary behind it is content. The
  tools are inferred from the call and the past actions of the prompt (`synatra_steps.py`).
- ADP's standard form is read by `agent_data_protocol.py`; where it is but messages with the native text (as for ETO),
  it is read like a raw record. Ids of the standard form begin with "standard/".
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from xlam_lib.data.accounting import Drop
from xlam_lib.data.formats import code_tags
from xlam_lib.data.formats.actions import Action, Grammar
from xlam_lib.data.formats.base import SPEAKER, SourceInfo, as_reward, content_id, need, need_objects
from xlam_lib.data.formats.turn_layouts import LAYOUTS, Exchange, native_turns
from xlam_lib.data.sources.agents.agentinstruct_grammars import ENVIRONMENTS, Environment, inline, thought_and_action
from xlam_lib.data.sources.exchange import synatra_steps
from xlam_lib.data.sources.exchange.agent_data_protocol import (
    EVENTS,
    NOT_EVENTS,
    assistant_texts,
    chat_messages,
    is_standard,
    trajectory_of,
)
from xlam_lib.data.sources.exchange.agentinstruct_adp import Message, episode, messages_of, native_episode
from xlam_lib.trajectory import Outcome, Task, Trajectory

SOURCE = SourceInfo(
    name="adp_other",
    license="unknown",
    url="https://github.com/neulab/agent-data-protocol",
    files=("*/sample_raw.json", "*/sample_std.json"),
    hub_id="neulab/agent-data-collection",
    fields=(
        *("id", "conversations[].from", "conversations[].value", "conversations[].role", "conversations[].content"),
        "conversations[].loss",
        *("reward", "source", "prompt", "response", "details", "tools", *EVENTS),
    ),
    left_out={
        "conversations[].from": SPEAKER,
        "conversations[].role": SPEAKER,
        **NOT_EVENTS,
    },
)
SHORT = r".*?"
PAIRS = (  # template, name, what it does; the first slot takes as little as possible
    ("connect {object} to {target}", "connect", "Connect two parts of a circuit."),
    ("use {object} on {target}", "use_on", "Use a tool on something."),
    ("move {object} to {receptacle}", "move", "Put something into a place or container."),
    ("pour {object} into {receptacle}", "pour", "Pour a liquid into a container."),
    ("dunk {object} into {receptacle}", "dunk", "Dip a container into a liquid."),
)
SINGLES = (
    ("look at {object}", "look_at", "Describe an object."),
    ("look in {object}", "look_in", "Describe what a container holds."),
    ("go to {location}", "go_to", "Go to a room next to this one."),
    ("teleport to {location}", "teleport_to", "Be in any room at once."),
    ("focus on {object}", "focus_on", "Say that this object is what the task is about."),
    ("pick up {object}", "pick_up", "Put an object into the inventory."),
    ("put down {object}", "put_down", "Take an object out of the inventory."),
    ("disconnect {object}", "disconnect", "Take a part out of a circuit."),
    ("deactivate {object}", "deactivate", "Switch a device off."),
    ("activate {object}", "activate", "Switch a device on."),
    ("examine {object}", "examine", "Describe an object closely."),
    ("close {object}", "close", "Close a door or container."),
    ("flush {object}", "flush", "Flush a toilet."),
    ("open {object}", "open", "Open a door or container."),
    ("read {object}", "read", "Read what is written."),
    ("mix {object}", "mix", "Mix what a container holds."),
    ("eat {object}", "eat", "Eat food."),
    ("use {object}", "use", "Use a tool."),
)
ALONE = (
    ("look around", "look_around", "Describe the room."),
    ("inventory", "inventory", "List what you carry."),
    ("task", "task", "Say the task again."),
    ("wait1", "wait_one", "Let one step pass."),
    ("wait", "wait", "Let ten steps pass."),
)
SCIENCEWORLD = Grammar(
    (
        *(Action(template, name, what) for template, name, what in ALONE),
        *(Action(template, name, what, narrow={"object": SHORT}) for template, name, what in PAIRS),
        *(Action(template, name, what) for template, name, what in SINGLES),
        Action(
            "{choice}",
            "choose",
            "Answer the environment's question which of several was meant.",
            {"choice": "its number"},
            {"choice": "integer"},
        ),
    )
)
ETO = {
    "webshop": inline(ENVIRONMENTS["webshop"]),
    "alfworld": replace(inline(ENVIRONMENTS["alfworld"]), cut=r"\n?Your response should use the following format:.*"),
    "sciworld": Environment(
        thought_and_action(SCIENCEWORLD, "Thought: ", "\nAction: "),
        "science experiment",
        r"\n?Your response should use the following format:.*",
        errors=r"^(?:Observation: )?No known action matches that input",
    ),
}


def convert(record: dict[str, Any], where: str) -> list[Trajectory]:
    """One record of any of them -> one trajectory."""
    if "prompt" in record and "response" in record:
        return [synatra_steps.trajectory_of(record, SOURCE)]
    prefix, known = "", record
    if is_standard(record):
        prefix, known = "standard/", {**record, "conversations": chat_messages(record)}
    if prefix and not known["conversations"]:
        return [trajectory_of(record, SOURCE, prefix)]
    raw_id = prefix + (str(record["id"]) if isinstance(record.get("id"), str | int) else content_id(record))
    raw = need_objects(need(known, "conversations", list), "conversations")
    if any("<execute>" in str(message.get("content", message.get("value"))) for message in raw[:2]):
        return [_codeact(raw, raw_id)]
    messages = messages_of(known)
    name = _environment(record, messages)
    if name is None:
        if prefix:
            return [trajectory_of(record, SOURCE, prefix)]
        raise Drop("unknown environment", f"id {str(record.get('id'))[:40]!r}: {messages[0].text[:80]!r}")
    t = episode(messages, ETO[name], SOURCE, raw_id, name, made_by=record.get("source"))
    return [replace(t, outcome=_outcome(record))]


def native(t: Trajectory) -> list[str]:
    """Every turn of the agent as the source writes it."""
    name = t.extra.get("environment")
    if name in ETO:
        return native_episode(t, ETO[name])
    if name == "python":
        return native_turns(t, code_tags.CODEACT)
    return [synatra_steps.native(t)] if name == "web" else assistant_texts(t)


def _environment(record: dict[str, Any], messages: list[Message]) -> str | None:
    """By the id's first word, else by the prompt's opening words."""
    word = re.split(r"[_/-]", str(record.get("id")))[0].lower().replace("scienceworld", "sciworld")
    if word in ETO:
        return word
    return next((name for name, environment in ETO.items() if environment.marker in messages[0].text), None)


def _outcome(record: dict[str, Any]) -> Outcome:
    reward = as_reward(record.get("reward"))
    return Outcome() if reward is None else Outcome(reward == 1, reward, "success" if reward == 1 else "failure")


def _codeact(raw: list[dict[str, Any]], raw_id: str) -> Trajectory:
    system = raw[0].get("role", raw[0].get("from")) == "system"
    prompt = str(raw[0].get("content", raw[0].get("value")) or "") if system else ""
    messages = messages_of({"conversations": raw[1:] if system else raw})
    exchange = Exchange(code_tags.CODEACT, code_tags.ERRORS)
    exchange.user(messages[0].text)
    for message in messages[1:]:
        if message.role == "assistant":
            exchange.agent(message.text, message.learn)
        else:
            code_tags.answer(exchange, message.text)
    if not any(step.role == "assistant" for step in exchange.steps):
        raise Drop("a query without an answer: no trajectory to convert")
    extra = {"environment": "python", "native_prompt": prompt, LAYOUTS: exchange.layouts}
    return Trajectory(
        trajectory_id=f"{SOURCE.name}/{raw_id}",
        source=SOURCE.source(raw_id),
        task=Task(code_tags.instruction_of(prompt), task_id=raw_id),
        tools=code_tags.CODEACT.tools(),
        steps=tuple(exchange.steps),
        tags=("python",),
        extra={key: value for key, value in extra.items() if value},
    )
