"""BFCL's agentic categories, memory and web search: their questions, and why they aren't run here.

Used by notebook 05's table of categories. The questions, tools and accepted answers ship in `bfcl-eval`; what their
tools reach doesn't (`NOT_RUN`). Who has it can ask the questions and judge the last words of an agent as BFCL does:

    question = load("web_search_base")[0]
    question.asked.tools, question.accepted          # (Tool("search_engine_query", ...), ...), ("Zhang Yiming",)
    answered(question, "{'answer': 'Zhang Yiming'}") # True
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, replace
from pathlib import Path

from xlam_lib.bench.tasks.bfcl import SOURCE
from xlam_lib.environments.bfcl_multi_turn.package import (
    PACKAGE,
    VERSION,
    BfclError,
    data_folder,
    rows,
    stubbed,
    tool_of,
)
from xlam_lib.trajectory import Step, Trajectory

_BEFORE = "an agent first holds 33 conversations whose memory BFCL's classes keep in files, which a confined process"
NOT_RUN = {
    "memory_kv": f"{_BEFORE} can't write; it also needs the package rank_bm25",
    "memory_vector": f"{_BEFORE} can't write; it also needs faiss, sentence-transformers and a model of the hub",
    "memory_rec_sum": f"{_BEFORE} can't write",
    "web_search_base": "its tools ask a paid search engine (SerpAPI, with a key) and read pages of the internet",
    "web_search_no_snippet": "its tools ask a paid search engine (SerpAPI, with a key) and read pages of the internet",
}
SCENARIOS = ("student", "customer", "finance", "healthcare", "notetaker")  # of the memory categories


@dataclass(frozen=True)
class AgenticQuestion:
    """One question: `asked` with its tools, in our types; `accepted` words, one of which must be in the answer."""

    id: str
    category: str
    asked: Trajectory
    accepted: tuple[str, ...]
    scenario: str = ""  # of a memory: whose conversations must have been held before


def load(category: str, folder: str | Path | None = None) -> list[AgenticQuestion]:
    """The questions of a category: 155 of each memory, 100 of each web search, e.g. `load("memory_kv")[0].accepted`.

    They begin with the system message that says how to answer; a memory's own instructions and content come with its
    state and are left to who runs it.
    """
    if category not in NOT_RUN:
        raise BfclError(f"no agentic category {category!r}; there are {', '.join(NOT_RUN)}")
    kind = "memory" if category.startswith("memory") else "web_search"
    base, name = data_folder(folder), f"{VERSION}_{kind}.json"
    answers = {row["id"]: row["ground_truth"] for row in rows(base / "possible_answer" / name, "id", "ground_truth")}
    documents = base / "multi_turn_func_doc" / f"{category if kind == 'memory' else 'web_search'}.json"
    tools = tuple(tool_of(row, documents.name) for row in rows(documents, "name", "description", "parameters"))
    with stubbed():
        prompts = importlib.import_module(f"{PACKAGE}.constants.default_prompts")
    system = Step("system", prompts.ADDITIONAL_SYSTEM_PROMPT_FOR_AGENTIC_RESPONSE_FORMAT, trainable=False)
    found = []
    for row in rows(base / name, "id", "question"):
        number = row["id"].replace(kind, category, 1)
        (messages,) = row["question"]
        steps = (system, *(Step(message["role"], message["content"], trainable=False) for message in messages))
        source = replace(SOURCE, converter=__name__)
        asked = Trajectory(f"bfcl_v4/{number}", source, tools=tools, steps=steps, split="test", tags=(category,))
        found.append(AgenticQuestion(number, category, asked, tuple(answers[row["id"]]), row.get("scenario", "")))
    return found


def conversations(scenario: str, folder: str | Path | None = None) -> list[list[str]]:
    """What a user says in each conversation that a memory must hold: `conversations("student")[0][0]`."""
    if scenario not in SCENARIOS:
        raise BfclError(f"no scenario {scenario!r} of a memory; there are {', '.join(SCENARIOS)}")
    path = data_folder(folder) / "memory_prereq_conversation" / f"memory_{scenario}.json"
    talks = rows(path, "id", "question")
    return [[message["content"] for turn in row["question"] for message in turn] for row in talks]


def answered(question: AgenticQuestion, text: str) -> bool:
    """Whether one of the accepted answers stands in an agent's last words, by BFCL's own checker."""
    with stubbed():
        checker = importlib.import_module(f"{PACKAGE}.eval_checker.agentic_eval.agentic_checker")
    return bool(checker.agentic_checker(text, list(question.accepted))["valid"])
