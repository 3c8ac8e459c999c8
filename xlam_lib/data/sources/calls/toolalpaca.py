"""ToolAlpaca: simulated APIs, instructions to them, and what an agent did or should do (notebook 01).

Raw record of train_data.json (an API with its instances; shortened), and what the evaluation files have instead:

    {"Name": "Axolotl", "Documentation": "{\\"openapi\\": \\"3.0.0\\", ...}", "Function_Description": {
       "searchAxolotlImages": "Search for ...\\nParameters: {\\"color\\": \\"Required. string. The color ...\\"}\\n...",
       "components": ""}, "Function_Projection": {"searchAxolotlImages": ["/search", "get"]},
     "Instructions": ["I'm looking for an axolotl that is wild in color ...", ...],
     "Instances": [{"input": "I'm looking for ...", "output": "Here are some pictures: ...", "Final Thought": "...",
       "intermediate_steps": [[["searchAxolotlImages", "{\\"color\\": \\"wild\\"}", " I need ...\\nAction: ..."],
                               "Status Code: 200. Response: ..."]]}]}
    {..., "Golden_Answers": [[{"Action": "searchAxolotlImages", "Action_Input": "{\\"color\\": \\"wild\\"}"}], ...]}
    {"AniAPI": [{"id": 0, "input": [{"role": "user", "content": "... ## Documentation ... ## Task Instruction ...
       ## AI Assistant's Solution\\n1. Function: getCastAndCrew\\nParameters: {...}\\nRetruns: Status Code: 404. ..."}],
       "process_correctness": "No", "final_response_correctness": "No"}]}

Decisions, from looking at the records:
- An API is taken apart: each instance, golden answer or judged solution is a record. The tools are the function
  descriptions (as the agents saw them; `components` is in `extra`), with `getDetails`, by which agents ask the user,
  and `retrievalDataFromFile` where the API or a call names it.
- A thought before an action is `reasoning`, native. An input that isn't a JSON object, or a function that doesn't
  exist, leaves the action a text that isn't learnt from; what came back is then a message of the user.
- Golden answers have no results. A call that needs one ("${animeId from searchAnime}") can't be made yet: the calls
  before it are one turn, the rest stands natively in `extra["gold_rest"]`; so does what follows a question to the user.
  Steps marked "[Optional]" stand there too. An answer of which no call can be made is dropped.
- Functions in golden answers that the description lacks are inferred, named in `extra["inferred_tools"]`.
- A judged solution is a trajectory whose success is the judge's word: process and response both "Yes". The judge's
  reasons and the standard answer are in `extra`.
- Statistics, tables of labels and lists of APIs are dropped.
"""

from __future__ import annotations

import itertools
import json
import re
from typing import Any

from xlam_lib.data.accounting import Drop
from xlam_lib.data.formats.base import SourceInfo, need, need_objects
from xlam_lib.data.formats.flat_tools import with_inferred
from xlam_lib.data.formats.native_actions import ActionBuilder, json_object, native_texts
from xlam_lib.data.sources.catalogs.toolalpaca_tools import GET_DETAILS, RETRIEVAL, described, tools_of
from xlam_lib.trajectory import Outcome, Task, Tool, Trajectory

SOURCE = SourceInfo(
    name="toolalpaca",
    license="Apache-2.0",
    url="https://github.com/tangqiaoyu/ToolAlpaca",
    files=("data/train_data.json", "data/eval_*.json", "evalution_outputs/*.json"),
    samples={"eval_real.json": (2,)},
    version="2",
    fields=(
        *("instance", "case", "instruction", "golden", "number"),
        *(f"api.{key}" for key in ("Name", "Category", "Function_Description", "external_tools", "Description")),
    ),
    left_out={
        "api.Documentation": "the API as OpenAPI, of which the descriptions of its functions were made",
        "api.Functions": "the descriptions of the functions once more, as one text",
        "api.NLDocumentation": "the descriptions of the functions once more, as one text",
        "api.Function_Projection": "the addresses of the functions, which no call needs",
        "api.Introduction": "an introduction of the API to its catalogue",
        "api.Link": "where the API was found",
        "api.Authentication": "how the API would be paid or logged in to",
    },
    layout={
        r"\AGiven the documentation of a REST API and .*?(?=^## Documentation)": "the judge's orders",
        r"^## [^\n]*$": "headings of the parts",
        r"^Analysis.*\Z": "the judge's orders",
        r"Required\. ": "that a parameter is required, which the schema says",
        r"^(Parameters|Retruns|Output|\d+\. (Function|Final Response)):": "labels of a step and of a function",
        r"One of: ": "that an enumeration follows, which the schema has",
        r"^(Process|Final Response) Correctness": "labels of the judgement",
        r"^(ASSISTANT )?Action( Input)?\s*\d*\s*:": "labels of an action",
    },
)
ANSWERS = ("Instances", "Instructions", "Golden_Answers")
TABLES = {
    "statistics": "a table of scores",
    "entries": "a list of APIs",
    "Instructions": "an API without answers to its instructions",
    "Function_Description": "an API without instructions",
}
AGENT, JUDGE = "Action: {}\nAction Input: {}", "Function: {}\nParameters: {}"  # how an action is written
OPTIONAL = "[Optional]"
NEEDS = re.compile(r"\$\{")
STEP = re.compile(r"^(\d+)\. (Function|Final Response): ?", re.MULTILINE)
CALL = re.compile(r"(?P<name>[^\n]*)\nParameters: ?(?P<input>.*?)\nRetruns: ?(?P<result>.*)", re.DOTALL)
LOG = re.compile(r"(?P<thought>.*?)(?:ASSISTANT )?Action\s*+(?:\d++\s*+)?:", re.DOTALL)


def unpack(value: dict[str, Any]) -> list[dict[str, Any]]:
    """The instances, golden answers or judged solutions of an object, each with its API."""
    api = {key: inner for key, inner in value.items() if key not in ANSWERS}
    instances, asked, gold = (value.get(key) for key in ("Instances", "Instructions", "Golden_Answers"))
    found = [{"api": api, "instance": item, "number": i} for i, item in enumerate(_list(instances))]
    if gold is not None:  # instructions alone are what the instances answer
        pairs = enumerate(itertools.zip_longest(_list(asked), _list(gold)))
        found += [{"api": api, "instruction": a, "golden": g, "number": i} for i, (a, g) in pairs]
    if found:
        return found
    if value and any(isinstance(item, list) and _judged(item) for item in value.values()):
        cases = [(name, item) for name, items in value.items() if isinstance(items, list) for item in items]
        rest = {name: item for name, item in value.items() if not isinstance(item, list)}
        return [{"api": {"Name": name}, "case": item} for name, item in cases] + ([rest] if rest else [])
    return [value]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _judged(items: list[Any]) -> bool:
    return any(isinstance(item, dict) and ("input" in item or "process_correctness" in item) for item in items)


def convert(record: dict[str, Any], where: str) -> list[Trajectory]:
    """One instance, golden answer or judged solution -> one trajectory."""
    for key, form in TABLES.items():
        if key in record and "api" not in record:
            raise Drop(f"{form}: no trajectory to convert")
    api = need(record, "api", dict)
    name = need(api, "Name", str)
    if "case" in record:
        return [_case(need(record, "case", dict), name)]
    description = need(api, "Function_Description", dict)
    hint = ""
    tools, builder = tools_of(description, "retrieval" in str(api.get("external_tools"))), ActionBuilder()
    if "instance" in record:
        rest: list[str] = []
        hint = _instance(need(record, "instance", dict), builder, {tool.name for tool in tools})
    else:
        rest = _golden(need(record, "instruction", str), need_objects(record.get("golden"), "Golden_Answers"), builder)
    extra = {"gold_rest": rest, "components": description.get("components"), "hint": hint}
    extra["api"] = {key: api[key] for key in ("Category", "Description", "external_tools") if api.get(key)}
    form = "instance" if "instance" in record else "gold"
    return [_trajectory(f"{name}/{form}-{record.get('number', 0)}", builder, tools, (form,), extra, Outcome())]


def native(trajectory: Trajectory) -> list[str]:
    """Each action as it is written there: "Action: getAxolotlFacts\\nAction Input: {\\"limit\\": 3}"."""
    render = _solved if "judged" in trajectory.tags else _action
    texts = native_texts(trajectory, lambda call: render(call.name, call.arguments))
    return texts + trajectory.extra.get("gold_rest", [])


def _action(name: str, arguments: dict[str, Any]) -> str:
    return AGENT.format(name, json.dumps(arguments, ensure_ascii=False))


def _solved(name: str, arguments: dict[str, Any]) -> str:
    return JUDGE.format(name, json.dumps(arguments, ensure_ascii=False))


def _trajectory(
    raw_id: str,
    builder: ActionBuilder,
    declared: list[Tool],
    tags: tuple[str, ...],
    more: dict[str, Any],
    outcome: Outcome,
) -> Trajectory:
    tools, inferred = with_inferred(declared, builder.steps)
    extra = builder.kept() | more | {"inferred_tools": inferred}
    return Trajectory(
        trajectory_id=f"{SOURCE.name}/{raw_id}",
        source=SOURCE.source(raw_id),
        task=Task(task_id=raw_id),
        tools=tools,
        steps=tuple(builder.steps),
        outcome=outcome,
        tags=tags,
        extra={key: value for key, value in extra.items() if value},
    )


def _act(builder: ActionBuilder, known: set[str], name: str, given: str, result: str, thought: str | None) -> None:
    """One action with what came back; one without even a thought is of a judged solution."""
    arguments = json_object(given)
    text = (JUDGE if thought is None else AGENT).format(name, given)
    if arguments is None or name not in known:
        builder.no_call(text, result, thought or "")
        return
    builder.act(name, arguments, text, _solved if thought is None else _action, thought or "")
    builder.result(result, name, is_error=_failed(result))


def _failed(result: str) -> bool:
    """An HTTP status that isn't 2xx, or arguments that were refused."""
    status = re.match(r"Status Code: (\d)", result)
    return status[1] != "2" if status else result.startswith(("Parameter ", "Missing ", "Invalid "))


def _instance(instance: dict[str, Any], builder: ActionBuilder, known: set[str]) -> str:
    """The steps of an instance; returns the hint that its input ends with, which is of upstream's making."""
    if "error" in instance and "intermediate_steps" not in instance:
        raise Drop("infrastructure error, no steps", str(instance["error"])[:120])
    words, _, hint = need(instance, "input", str).partition("\nHint: ")
    builder.user(words)
    for step in need(instance, "intermediate_steps", list):
        if not (isinstance(step, list) and len(step) == 2 and isinstance(step[0], list) and len(step[0]) >= 2):
            raise Drop("a step that isn't an action and its result", str(step)[:120])
        (name, given, *log), result = step
        if not (isinstance(name, str) and isinstance(given, str)):
            raise Drop("an action that isn't text", str(step[0])[:120])
        found = LOG.match(log[0]) if log and isinstance(log[0], str) else None
        result = result if isinstance(result, str) else json.dumps(result, ensure_ascii=False)
        _act(builder, known, name, given, result, found["thought"].strip() if found else "")
    final, output = instance.get("Final Thought") or "", need(instance, "output", str)
    builder.assistant(output, reasoning=final if isinstance(final, str) else "")
    return hint


def _golden(instruction: str, actions: list[dict[str, Any]], builder: ActionBuilder) -> list[str]:
    """One turn with the calls that can be made at once; returns the texts of the others."""
    builder.user(instruction)
    calls, rest = [], []
    for action in actions:
        name, given = need(action, "Action", str), need(action, "Action_Input", str)
        arguments = None if name.startswith(OPTIONAL) or NEEDS.search(given) else json_object(given)
        waiting = bool(rest) or any(call[0] == GET_DETAILS.name for call in calls)
        if arguments is None or waiting:
            rest.append(AGENT.format(name, given))
        else:
            calls.append((name, arguments, AGENT.format(name, given)))
    if not calls:
        raise Drop("no call of the golden answer can be read" if rest else "an instruction without an answer")
    builder.parallel(calls, _action)
    return rest


def _case(case: dict[str, Any], name: str) -> Trajectory:
    """A solution as the judge was shown it, with the judge's word."""
    prompt = case.get("input")
    prompt = (
        prompt[-1].get("content") if isinstance(prompt, list) and prompt and isinstance(prompt[-1], dict) else prompt
    )
    if not isinstance(prompt, str):
        raise Drop("a judged case without its prompt", str(case)[:120])
    solution = _section(prompt, "AI Assistant's Solution", "Analysis")
    retrieval = f"Function: {RETRIEVAL.name}\n" in solution
    tools = described(_section(prompt, "Documentation", "Task Instruction"), retrieval)
    builder, known = ActionBuilder(), {tool.name for tool in tools}
    builder.user(_section(prompt, "Task Instruction", "Standard Answer").strip())
    for kind, text in _steps(solution):
        found = CALL.fullmatch(text.strip("\n"))
        if kind == "Final Response":
            builder.assistant(text.strip())
        elif found:
            _act(builder, known, found["name"].strip(), found["input"], found["result"], None)
        else:
            raise Drop("a step that isn't an action and its result", text[:120])
    if len(builder.steps) == 1:
        raise Drop("a judged case without a solution", solution[:120])
    checks = {key: case.get(key) for key in ("process_correctness", "final_response_correctness") if key in case}
    known_verdict = len(checks) == 2 and all(isinstance(value, str) for value in checks.values())
    success = all(value == "Yes" for value in checks.values()) if known_verdict else None
    raw_id = f"{name}/judged-{case.get('id', 0)}"
    standard = _section(prompt, "Standard Answer", "AI Assistant's Solution").strip()
    extra = {"standard_answer": standard, "judgement": case.get("output")}
    return _trajectory(raw_id, builder, tools, ("judged",), extra, Outcome(success, checks=checks))


def _section(prompt: str, title: str, following: str) -> str:
    """The text between two headings."""
    head = f"## {title}\n"
    start = _line_of(head, prompt, 0)
    if start < 0:
        raise Drop("prompt without a block", f"no ## {title}")
    start += len(head)
    end = _line_of(f"## {following}", prompt, start)
    return prompt[start:] if end < 0 else prompt[start:end]


def _line_of(head: str, text: str, start: int) -> int:
    """Where the first line that begins so begins, from `start` on, where a line begins; -1 if there is none."""
    if text.startswith(head, start):
        return start
    found = text.find("\n" + head, start)
    return found + 1 if found >= 0 else -1


def _steps(solution: str) -> list[tuple[str, str]]:
    """(kind, text) of the numbered steps; a number out of order belongs to the text of a step."""
    starts = []
    for found in STEP.finditer(solution):
        if found[1] == str(len(starts) + 1):
            starts.append(found)
    ends = [found.start() for found in starts[1:]] + [len(solution)]
    return [(found[2], solution[found.end() : end]) for found, end in zip(starts, ends, strict=False)]
