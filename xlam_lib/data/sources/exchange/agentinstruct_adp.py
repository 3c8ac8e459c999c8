"""AgentInstruct: six environments driven by text, as the Agent Data Protocol's samples quote them (notebook 01).

Raw record (element of a list; on the hub `from`/`value`/`loss` in place of `role`/`content`; shortened):

    {"id": "os_42",
     "conversations": [
       {"role": "user", "content": "You are an assistant ... Now, my problem is:\\n\\ntell me ..."},
       {"role": "assistant", "content": "Think: To count the files ...\\n\\nAct: bash\\n\\n```bash\\nls /etc\\n```"},
       {"role": "user", "content": "The output of the OS:\\ncpi cron.hourly ..."},
       {"role": "assistant", "content": "Think: Now I get the answer, it is 220.\\n\\nAct: answer(220)"},
       {"role": "user", "content": "Now, I will start a new problem in a new OS. My problem is:\\n\\nHow many ..."},
       ...]}

Decisions, from looking at the records:
- The environment is that of the id ("os_42"), else that whose opening words stand in the first message.
- Actions become calls (`agentinstruct_grammars.py`); "Think:", "Thought:" and the text before a database action are the
  reasoning. Answering and finishing are calls, too. Words around thought and call that are not the usual ones are kept
  in `extra["layouts"]`, so `native` gives every turn back letter by letter.
- The first message is an instruction; what it says on the format of answers is cut from `task.instruction`, the whole
  is `extra["native_prompt"]`. The "Ok." behind it is `extra["acknowledged"]`.
- OS and KG show the same worked example in every record. It is no part of the task: its messages are
  `extra["example"]`, and `native` gives its turns first.
- Observations are left as they are, with "Observation: " and terminal codes.
- `loss: false` behind the example makes a turn untrainable. Success is not recorded.
- Mind2Web records are one step of a task each, and their thoughts are often of another page: that is upstream's.
- An action that the environment has not (Mind2Web's "Action: SET") stays an untrainable text.
- Records of ADP's standard form beside them are read by `agent_data_protocol.py`; where they are but messages with the
  native text, they are read like raw ones. Their ids begin with "standard/".
"""

from __future__ import annotations

import re
from typing import Any

from xlam_lib.data.accounting import Drop
from xlam_lib.data.formats.base import SPEAKER, SourceInfo, content_id, need, need_objects
from xlam_lib.data.formats.turn_layouts import LAYOUTS, Exchange, native_turns
from xlam_lib.data.sources.agents.agentinstruct_grammars import ENVIRONMENTS, Environment
from xlam_lib.data.sources.exchange.agent_data_protocol import (
    EVENTS,
    NOT_EVENTS,
    assistant_texts,
    chat_messages,
    is_standard,
    trajectory_of,
)
from xlam_lib.schema import Frozen
from xlam_lib.trajectory import Task, Trajectory

SOURCE = SourceInfo(
    name="agentinstruct_adp",
    license="unknown",
    url="https://huggingface.co/datasets/THUDM/AgentInstruct",
    files=("agenttuning_*/sample_raw.json", "agenttuning_*/sample_std.json"),
    hub_id="THUDM/AgentInstruct",
    fields=(
        *("id", "conversations[].from", "conversations[].value", "conversations[].role", "conversations[].content"),
        "conversations[].loss",
        *("details", "tools", *EVENTS),
    ),
    left_out={
        "conversations[].from": SPEAKER,
        "conversations[].role": SPEAKER,
        **NOT_EVENTS,
    },
    layout={
        r"^(A new question|Question):": "what leads to a task",
        r"^(Now, )?(I will start a new problem in a new OS\. )?[Mm]y problem is:": "what leads to a task",
    },
)
ROLES = {"user": "user", "human": "user", "assistant": "assistant", "gpt": "assistant", "agent": "assistant"}
NO_ANSWER = "a query without an answer: no trajectory to convert"


class Message(Frozen, frozen=True):
    """One message in either shape: `Message("assistant", "Think: ...", learn=True)`."""

    role: str
    text: str
    learn: bool = True


def convert(record: dict[str, Any], where: str) -> list[Trajectory]:
    """One episode -> one trajectory."""
    prefix, known = "", record
    if is_standard(record):
        prefix, known = "standard/", {"id": record.get("id"), "conversations": chat_messages(record)}
        if not known["conversations"]:
            return [trajectory_of(record, SOURCE, prefix)]
    messages = messages_of(known)
    name = _environment(record, messages)
    raw_id = prefix + (str(record["id"]) if isinstance(record.get("id"), str | int) else content_id(record))
    return [episode(messages, ENVIRONMENTS[name], SOURCE, raw_id, name)]


def native(t: Trajectory) -> list[str]:
    """Every turn as the source writes it, those of the worked example first."""
    if "environment" not in t.extra:
        return assistant_texts(t)
    return native_episode(t, ENVIRONMENTS[t.extra["environment"]])


def native_episode(t: Trajectory, environment: Environment) -> list[str]:
    """The same for a known environment."""
    example = [message["content"] for message in t.extra.get("example", []) if message["role"] == "assistant"]
    return example + native_turns(t, environment.dialect)


def messages_of(record: dict[str, Any]) -> list[Message]:
    """The messages of a record, or a Drop: `messages_of({"conversations": [{"from": "human", "value": "Hi"}]})`."""
    found = []
    for number, raw in enumerate(need_objects(need(record, "conversations", list), "conversations")):
        role, text = raw.get("role", raw.get("from")), raw.get("content", raw.get("value"))
        if not isinstance(role, str) or role not in ROLES:
            raise Drop("message of an unknown role", f"{role!r} at {number}"[:200])
        if not isinstance(text, str):
            raise Drop("message content is not text", f"{role}: {type(text).__name__}")
        found.append(Message(ROLES[role], text, raw.get("loss") is not False))
    if not found or found[0].role != "user":
        raise Drop("conversation that doesn't begin with the user")
    return found


def episode(
    messages: list[Message], environment: Environment, source: SourceInfo, raw_id: str, name: str, **extra: Any
) -> Trajectory:
    """The trajectory of one episode; `extra` is put beside what is known of it."""
    prompt, task, rest, acknowledged = _opening(messages, environment)
    example, task, rest = _example(task, rest, environment)
    exchange = Exchange(environment.dialect, environment.errors)
    exchange.user(re.sub(rf"^(?:{environment.lead})", "", task))
    for message in rest:
        if message.role == "assistant":
            exchange.agent(message.text, message.learn)
        else:
            exchange.environment(message.text)
    if not any(step.role == "assistant" for step in exchange.steps):
        raise Drop(NO_ANSWER)
    notes = {
        "environment": name,
        "native_prompt": prompt,
        "acknowledged": acknowledged,
        "example": [{"role": message.role, "content": message.text} for message in example],
        LAYOUTS: exchange.layouts,
        **extra,
    }
    instruction = re.sub(environment.cut, "", prompt, flags=re.DOTALL).strip() if environment.cut else prompt
    return Trajectory(
        trajectory_id=f"{source.name}/{raw_id}",
        source=source.source(raw_id),
        task=Task(instruction, task_id=raw_id),
        tools=environment.dialect.tools(),
        steps=tuple(exchange.steps),
        tags=(name,),
        extra={key: value for key, value in notes.items() if value},
    )


def _environment(record: dict[str, Any], messages: list[Message]) -> str:
    name = str(record.get("id")).rpartition("_")[0]
    if name in ENVIRONMENTS:
        return name
    for name, environment in ENVIRONMENTS.items():
        if environment.marker in messages[0].text:
            return name
    raise Drop("unknown environment", f"id {str(record.get('id'))[:40]!r}: {messages[0].text[:80]!r}")


def _opening(messages: list[Message], environment: Environment) -> tuple[str, str, list[Message], str]:
    """(prompt, task, what follows, acknowledgement); a first message that is answered at once is the task itself."""
    first, rest = messages[0].text, messages[1:]
    split = re.search(environment.task, first) if environment.task else None
    if split:
        return first[: split.start()], first[split.end() :], rest, ""
    waits = len(rest) >= 2 and rest[0].role == "assistant" and rest[1].role == "user"
    if waits and environment.dialect.parse(rest[0].text) is None:
        return first, rest[1].text, rest[2:], rest[0].text
    if rest and rest[0].role == "user":
        return first, rest[0].text, rest[1:], ""
    return "", first, rest, ""


def _example(task: str, rest: list[Message], environment: Environment) -> tuple[list[Message], str, list[Message]]:
    """(messages of the worked example, task, what follows)."""
    again = [i for i, m in enumerate(rest) if m.role == "user" and environment.again and _starts(environment.again, m)]
    if not again:
        return [], task, rest
    at = again[-1]
    question = re.sub(rf"^(?:{environment.again})", "", rest[at].text)
    return [Message("user", task), *rest[:at]], question, rest[at + 1 :]


def _starts(pattern: str, message: Message) -> bool:
    return re.match(pattern, message.text) is not None
