"""AgentBench: its tasks with a known solution, and its gold ALFWorld episodes (notebook 01).

Raw records (shortened):

    {"description": "VIE is the IATA for which city?", "label": ["Vienna"], "type": ["other"],   # database
     "add_description": "The name of this table is Airport Information, and the headers ...",
     "sql": {"query": "SELECT City FROM Airport ..."}, "table": {...}, "source": "wikisql"}
    {"qid": "4300563004000_grailqa", "question": "what position ...", "entities": {"Pat Connaughton": "m.0j50kb6"},
     "actions": ["get_relations(m.0j50kb6)", "get_neighbors(m.0j50kb6,...)", "intersection(#1,#2)"], "answer": [...]}
    {"description": "Count the ...", "create": {...}, "evaluation": {"check": [...], "example": "ls"}}  # OS
    {"act_heat_0": ["You are in the middle ...", "go to fridge 1\\n", "..."], ...}        # ALFWorld

Decisions, from looking at the records:
- The gold SQL (a change's label is its SQL), the gold actions and the example script are calls, tagged "gold". Nobody
  ran them for the record, so the trajectory ends with them: several actions are one turn of calls without results.
  The answer to be found stands in `extra["answer"]`.
- A task whose record knows only the answer is an untrainable call of `answer`: how to find it isn't recorded.
- Knowledge graph: gold actions name entities by Freebase ids, so the question lists names and ids.
- An ALFWorld file is an object of several episodes: observation, action, observation, ...; "Task succeeded." as the
  last observation means success.
- An older form of the system tasks writes commands as {"type": "command", "data": "..."}; it is read, too.
- Dropped: tasks without a solution (a script file that the record only names), lists of games, messages of a few-shot
  prompt (each is an element of its own, so that question and answer can't be told together).
"""

from __future__ import annotations

import json
from typing import Any

from xlam_lib.data.accounting import Drop
from xlam_lib.data.formats.base import SourceInfo, content_id, need, place
from xlam_lib.data.formats.environments import ALFWORLD
from xlam_lib.data.formats.turn_layouts import LAYOUTS, Dialect, Exchange, Form, native_turns, tool
from xlam_lib.data.sources.agents.agentinstruct_grammars import ANSWERS, BASH, ENVIRONMENTS, SQL
from xlam_lib.trajectory import Outcome, Step, Task, Tool, ToolCall, Trajectory

SOURCE = SourceInfo(
    name="agentbench",
    license="Apache-2.0",
    url="https://github.com/THUDM/AgentBench",
    files=("data/dbbench/*.jsonl", "data/knowledgegraph/*.json", "data/os_interaction/**/*.json"),
    samples={
        "dbbench_dev.jsonl": (8,),
        "kg_dev.json": (0,),
        "os_training.json": (0, 1),
    },
    version="2",
    fields=(
        *("description", "add_description", "label", "type", "sql", "answer_md5", "table", "heads", "source"),
        *("qid", "question", "entities", "actions", "answer", "s_expression"),
        *("explanation", "create", "init", "start", "labels", "evaluation", "example"),
        *("alfworld_episode", "turns"),
    ),
)
NO_ANSWER = "a query without an answer: no trajectory to convert"
NAMED_ONLY = "a script that the record only names: no trajectory to convert"
OTHER_LANGUAGE = "a script in another language than the shell's: no trajectory to convert"
SHELLS = ("bash", "sh", "shell", "command", "code")
OF_DATA = ("source", "create", "heads")  # where a question is from, and how its data are made
CHANGES = ("INSERT", "UPDATE", "DELETE")
ANSWER = tool("answer", "Answer the question and end the task.", answer="the answer").tool()
EPISODE = "alfworld_episode"  # key by which `unpack` marks what it took apart
VERBATIM = "written"  # key of `extra`: {call id: gold action} where it differs from the rule
DONE = "Task succeeded."
LAST_LINE = r"(?=[^\n]*\S\s*\Z)"  # only one behind which no other follows
ACTION = r"(?:ACTION:\s*)?(?P<action>\S(?:[^\n]*\S)?)\s*"
WORDS = Dialect(
    ALFWORLD,
    (
        Form(
            rf"\n{LAST_LINE}|ACTION:[^\S\n]*\n\s*{LAST_LINE}",
            rf"\s*{ACTION}",
            opening=r"\s*+THOUGHT:\s*+",
            before=r"(?P<thought>\S(?:.*\S)?)\s*",
        ),
        Form("", rf"(?:THOUGHT:\s*(?P<thought>\S(?:\s*\S)?)\s*)?{ACTION}", before=""),
    ),
    "THOUGHT: {thought}\n ACTION: ",
    {action.name: "{action}\n" for action in ALFWORLD.actions},
)
KG = ENVIRONMENTS["kg"].dialect


def unpack(value: dict[str, Any]) -> list[dict[str, Any]]:
    """An object of several episodes -> one record each."""
    if value and all(_is_episode(turns) for turns in value.values()):
        return [{EPISODE: name, "turns": turns} for name, turns in value.items()]
    return [value]


def convert(record: dict[str, Any], where: str) -> list[Trajectory]:
    """One task with its gold solution -> one trajectory."""
    if EPISODE in record:
        return [_episode(record)]
    if "actions" in record and "question" in record:
        return [_knowledge_graph(record)]
    if "label" in record and "description" in record:
        return [_database(record, where)]
    if "evaluation" in record and "description" in record:
        return [_system(record, where)]
    if "role" in record and "content" in record:
        raise Drop("one message of a prompt, not a conversation: no trajectory to convert")
    if record and all(_is_games(value) for value in record.values()):
        raise Drop("a list of games: no trajectory to convert")
    raise Drop("a record of an unknown kind", f"it has {', '.join(map(repr, list(record)[:12])) or 'no keys'}")


def native(t: Trajectory) -> list[str]:
    """Every gold action as the record has it: ["get_relations(m.0j50kb6)", ...]; an answer is none."""
    if "alfworld" in t.tags:
        return native_turns(t, WORDS)
    calls = [call for step in t.steps for call in step.tool_calls if step.trainable]
    return [t.extra.get(VERBATIM, {}).get(call.id) or _rule(call) for call in calls]


def _database(record: dict[str, Any], where: str) -> Trajectory:
    description, label = need(record, "description", str), record.get("label")
    more = record.get("add_description")
    question = "\n".join(part for part in (description, more) if isinstance(part, str) and part)
    kinds = record.get("type") if isinstance(record.get("type"), list) else [record.get("type")]
    sql = record.get("sql").get("query") if isinstance(record.get("sql"), dict) else record.get("sql")
    labels = label if isinstance(label, list) else [label]
    changes = bool(set(CHANGES) & {kind for kind in kinds if isinstance(kind, str)})
    if changes and len(labels) == 1 and isinstance(labels[0], str):
        sql, label = labels[0], None
    if isinstance(sql, str) and sql.strip():
        calls = [ToolCall("execute_sql", {"query": sql}, "call_0")]
    elif label in (None, [], ""):
        raise Drop(NO_ANSWER)
    else:
        calls = [ToolCall("answer", {"answers": label if isinstance(label, list) else str(label)}, "call_0")]
    extra = {"answer": label, "kinds": kinds, **{key: record.get(key) for key in ("answer_md5", "table", *OF_DATA)}}
    return _gold(question, calls, (SQL.tool(), ANSWERS), f"db/{_id(record, where)}", "db", extra)


def _knowledge_graph(record: dict[str, Any]) -> Trajectory:
    question, actions = need(record, "question", str), need(record, "actions", list)
    entities = record.get("entities")
    if isinstance(entities, dict) and entities:
        question += "\nEntities: " + ", ".join(f"{name} ({entity})" for name, entity in entities.items())
    calls, verbatim = [], {}
    for number, text in enumerate(actions):
        turn = KG.parse(f"Action: {text}") if isinstance(text, str) else None
        if turn is None or turn.thought or turn.content:
            raise Drop("gold action of an unknown form", f"{text!r}"[:200])
        calls.append(ToolCall(turn.name, turn.arguments, f"call_{number}"))
        if _rule(calls[-1]) != text:
            verbatim[calls[-1].id] = text
    if not calls:
        raise Drop(NO_ANSWER)
    extra = {key: record.get(key) for key in ("answer", "s_expression", "entities", *OF_DATA)} | {VERBATIM: verbatim}
    raw_id = str(record["qid"]) if isinstance(record.get("qid"), str | int) else content_id(record)
    return _gold(question, calls, KG.tools(), f"kg/{raw_id}", "kg", extra)


def _system(record: dict[str, Any], where: str) -> Trajectory:
    evaluation = need(record, "evaluation", dict)
    command = _command(evaluation.get("example", record.get("example")))
    answer = _text(evaluation.get("match")) or _text(evaluation.get("answer"))
    if command:
        calls = [ToolCall("execute_bash", {"command": command}, "call_0")]
    elif answer:
        calls = [ToolCall("answer", {"answer": answer}, "call_0")]
    else:
        raise Drop(NO_ANSWER, f"evaluation has {json.dumps(evaluation)[:120]}")
    keys = ("explanation", "create", "init", "start", "labels")
    extra = {**{key: record.get(key) for key in keys}, "evaluation": evaluation}
    tools = (BASH.tool(), ANSWER)
    return _gold(need(record, "description", str), calls, tools, f"os/{_id(record, where)}", "os", extra)


def _command(example: Any) -> str:
    """The shell commands of an example: a text, {"code"} or, in the older form, {"type": "command", "data"}."""
    if not isinstance(example, dict):
        return _text(example)
    language = str(example.get("language") or example.get("type") or "bash")
    if "file" in example and not _text(example):
        raise Drop(NAMED_ONLY, str(example["file"])[:120])
    if language not in SHELLS:
        raise Drop(OTHER_LANGUAGE, language[:120])
    return _text(example)


def _text(value: Any) -> str:
    """A text, or the one in an object of either form; "" where there is none."""
    if isinstance(value, dict):
        value = next((value[key] for key in ("code", "data", "answer", "content") if value.get(key) is not None), "")
    return value if isinstance(value, str) and value.strip() else ""


def _gold(
    question: str, calls: list[ToolCall], tools: tuple[Tool, ...], raw_id: str, kind: str, extra: dict[str, Any]
) -> Trajectory:
    """Question, and one turn with all gold calls; one that only knows the answer is not to be learnt from."""
    if not question:
        raise Drop("empty query")
    trainable = calls[0].name != "answer"
    return Trajectory(
        trajectory_id=f"{SOURCE.name}/{raw_id}",
        source=SOURCE.source(raw_id),
        task=Task(task_id=raw_id),
        tools=tools,
        steps=(Step("user", question), Step("assistant", tool_calls=tuple(calls), trainable=trainable)),
        tags=("gold", kind) if trainable else ("gold", kind, "answer_only"),
        extra={key: value for key, value in extra.items() if value},
    )


def _episode(record: dict[str, Any]) -> Trajectory:
    turns = [_content(turn) for turn in need(record, "turns", list)]
    done = len(turns) > 2 and turns[-1].strip() == DONE
    exchange = Exchange(WORDS, r"^Nothing happens")
    exchange.user(turns[0])
    for number, text in enumerate(turns[1:-1] if done else turns[1:]):
        if number % 2:
            exchange.environment(text)
        else:
            exchange.agent(text)
    raw_id = f"alfworld/{need(record, EPISODE, str)}"
    extra = {LAYOUTS: exchange.layouts, "end": turns[-1] if done else ""}
    return Trajectory(
        trajectory_id=f"{SOURCE.name}/{raw_id}",
        source=SOURCE.source(raw_id),
        task=Task(task_id=raw_id),
        tools=ALFWORLD.tools(),
        steps=tuple(exchange.steps),
        outcome=Outcome(True, None, "success") if done else Outcome(),
        tags=("gold", "alfworld"),
        extra={key: value for key, value in extra.items() if value},
    )


def _content(turn: Any) -> str:
    text = turn.get("content") if isinstance(turn, dict) else turn
    if not isinstance(text, str):
        raise Drop("message content is not text", f"found {type(text).__name__}")
    return text


def _rule(call: ToolCall) -> str:
    """How a gold action is written as a rule: "get_neighbors(#0,sports.sport.team)", the SQL, the script."""
    if call.name in ("execute_sql", "execute_bash"):
        return str(next(iter(call.arguments.values())))
    return f"{call.name}({','.join(map(str, call.arguments.values()))})"


def _id(record: dict[str, Any], where: str) -> str:
    return f"{place(where).rpartition('/')[2].partition(':')[0]}/{content_id(record)}"


def _is_episode(turns: Any) -> bool:
    """Several texts or messages, the first of which describes a scene."""
    if not isinstance(turns, list) or len(turns) < 2:
        return False
    texts = [turn.get("content") if isinstance(turn, dict) else turn for turn in turns]
    return all(isinstance(text, str) for text in texts) and " " in texts[0].strip()


def _is_games(value: Any) -> bool:
    """A list of game files: ["json_2.1.1/valid_unseen/.../game.tw-pddl", ...]."""
    return isinstance(value, list) and all(isinstance(path, str) and " " not in path for path in value)
