"""Who writes the query and its calls: templates, which need nothing, or a model behind an OpenAI-compatible endpoint.

    TemplateGenerator(library).write([Task(plan)])           # ['{"query": "...", "tool_calls": [...]}']
    ModelGenerator(library, endpoint).write([Task(plan)])

Both return the *text* of a JSON object, so that the format check of `stages.py` judges both alike. A task that failed a
check comes again with the text and the reason: the model reads both, the templates draw anew. A text is never
evaluated.
"""

from __future__ import annotations

import json
import random
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from xlam_lib.data.apigen import ask
from xlam_lib.data.apigen.apis import Api, Library
from xlam_lib.data.apigen.phrases import Half, check_template, phrase
from xlam_lib.data.apigen.sampler import Plan
from xlam_lib.endpoint import Endpoint, Message
from xlam_lib.trajectory import Tool

ANSWER_SCHEMA = {
    "type": "object",
    "properties": {
        "query": {
            "type": "string",
            "minLength": 1,
            "description": "what the user says, with every value that is needed",
        },
        "tool_calls": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "arguments": {"type": "object"}},
                "required": ["name", "arguments"],
                "additionalProperties": False,
            },
        },
    },
    "required": ["query", "tool_calls"],
    "additionalProperties": False,
}


@dataclass
class Task:
    """A plan and what became of earlier tries: (text, why it failed) each."""

    plan: Plan
    tried: list[tuple[str, str]] = field(default_factory=list)


class Generator(Protocol):
    """Writes a text for each task, in order; "" where none could be had."""

    name: str

    def write(self, tasks: Sequence[Task]) -> list[str]:
        """The texts."""


class TemplateGenerator:
    """Queries from templates: those of the embedded tools where they have some, else made of the descriptions."""

    name = "templates"

    def __init__(self, library: Library, half: Half = "train") -> None:
        from xlam_lib.data.apigen.library.registry import TOOLS

        for api in library:
            for template in api.questions:
                check_template(api, template)
        self.library, self.half = library, half
        self.specs = {name: spec for name, spec in TOOLS.items() if name in library.by_name}
        self.specs = {name: spec for name, spec in self.specs.items() if library[name].tool == spec.schema}

    def write(self, tasks: Sequence[Task]) -> list[str]:
        """A text for each task, the same for the same plan and number of tries."""
        return [self._one(task.plan, task.plan.rng(len(task.tried))) for task in tasks]

    def _one(self, plan: Plan, rng: random.Random) -> str:
        clauses = [self._clause(rng, name) for name in (plan.expected or (plan.absent,))]
        calls = [
            {"name": name, "arguments": arguments} for name, (_, arguments) in zip(plan.expected, clauses, strict=False)
        ]
        query = " ".join(ask.capital(text) for text, _ in clauses)
        return json.dumps({"query": query, "tool_calls": calls}, ensure_ascii=False)

    def _clause(self, rng: random.Random, name: str) -> tuple[str, dict[str, Any]]:
        if name in self.specs:
            asked = ask.clause(rng, self.specs[name], self.half)
            return ask.say(rng, asked), asked.arguments
        return phrase(rng, self.library[name], self.half)


class ModelGenerator:
    """Queries from a model: `ModelGenerator(library, Endpoint("http://127.0.0.1:8000/v1", "M"))`."""

    def __init__(self, library: Library, endpoint: Endpoint, guided: bool = False) -> None:
        self.library, self.endpoint = library, endpoint
        self.name = endpoint.model
        self.guided = guided  # whether the endpoint is to hold the model to the schema

    def write(self, tasks: Sequence[Task]) -> list[str]:
        """A text for each task; why none came stands in `errors`, by number of the plan."""
        options: dict[str, Any] = {}
        if self.guided:
            schema = {"name": "sample", "schema": ANSWER_SCHEMA, "strict": True}
            options["response_format"] = {"type": "json_schema", "json_schema": schema}
        seeds = [zlib.crc32(f"{task.plan.number}:{len(task.tried)}".encode()) % 2**31 for task in tasks]
        replies = self.endpoint.ask_all([messages(task, self.library.__getitem__) for task in tasks], seeds, **options)
        self.errors = {task.plan.number: one.error for task, one in zip(tasks, replies, strict=True) if one.error}
        return [one.text for one in replies]


INSTRUCTION = """\
You write training data for models that call functions. Invent one realistic user query and the function calls that
serve it completely.

- The user doesn't know the functions: no function or argument names in the query, but every value that a call needs.
- Make values up that are realistic and varied. Don't use placeholders.
- Arguments fit the functions' JSON Schema; leave out optional ones that the query says nothing about.
- {task}
- The query is {style}.

Answer with one JSON object and nothing else. Its JSON Schema:
{schema}"""
TASKS: dict[str, Callable[[Plan], str]] = {
    "simple": lambda plan: f"The query needs exactly one call, of {plan.expected[0]}.",
    "multiple": lambda plan: (
        f"The query needs exactly one call, of {plan.expected[0]}; the other functions don't fit it."
    ),
    "parallel": lambda plan: (
        f"The query needs {plan.expected[0]} exactly {len(plan.expected)} times, each time with other arguments."
    ),
    "parallel_multiple": lambda plan: f"The query needs one call of each of: {', '.join(plan.expected)}.",
    "irrelevant": lambda plan: "The query is reasonable, but none of the functions can serve it: tool_calls is empty.",
}


def messages(task: Task, tool_of: Callable[[str], Api]) -> list[Message]:
    """What a model is shown: the functions, the task, examples, and its failed tries with the reasons."""
    plan = task.plan
    tools: list[Tool] = [tool_of(name).tool for name in plan.offered]
    system = INSTRUCTION.format(task=TASKS[plan.kind](plan), style=plan.style, schema=json.dumps(ANSWER_SCHEMA))
    shown = "\n".join(json.dumps(tool.to_dict(), ensure_ascii=False) for tool in tools)
    user = f"Functions:\n{shown}\n"
    if plan.examples:
        lines = "\n".join(json.dumps(one, ensure_ascii=False) for one in plan.examples)
        user += f"\nExamples, with other functions:\n{lines}\n"
    chat: list[Message] = [{"role": "system", "content": system}, {"role": "user", "content": user + "\nYour JSON:"}]
    for text, reason in task.tried:
        again = f"That failed the {reason}. Write a sample that mends this, as one JSON object and nothing else."
        chat += [{"role": "assistant", "content": text or "(nothing)"}, {"role": "user", "content": again}]
    return chat
