"""ToolBench's queries: what a user asks, and the APIs that may be called for it (notebook 05).

A file of them, as both ToolBench and StableToolBench (`solvable_queries/test_instruction`) publish, shortened:

    [{"query": "Will I need an umbrella in Oslo?", "query_id": 28, "relevant APIs": [["Sky Report", "Tomorrow"]],
      "api_list": [{"category_name": "Weather", "tool_name": "Sky Report", "api_name": "Tomorrow", ...}]}]

    queries = read_queries("solvable_queries/test_instruction")     # a folder: all its sets; a file: that one
    queries[0].functions[0].name

The three published columns are the three kinds of sets: queries of tools that were trained on (`*_instruction`), of
new tools in known categories (`*_tool`), and of tools in new categories (`*_category`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from xlam_lib.environments.tooleval.apis import Api, ToolEvalError, read_api, read_json
from xlam_lib.schema import Tool

GROUPS = {
    "instruction": "Unseen Insts & Same Set",
    "tool": "Unseen Tools & Seen Cat",
    "category": "Unseen Tools & Unseen Cat",
}
FINISH = Tool(
    "Finish",
    "Ends the task, and must be called last. Give the final answer when you can answer the user, who sees nothing but "
    "it, so put all that was asked for into it; or give up and restart when you can't go on.",
    {
        "type": "object",
        "properties": {
            "return_type": {"type": "string", "enum": ["give_answer", "give_up_and_restart"]},
            "final_answer": {
                "type": "string",
                "description": 'What the user is answered; needed where return_type is "give_answer"',
            },
        },
        "required": ["return_type"],
    },
)


@dataclass(frozen=True)
class Query:
    """One query: `Query("28", "Will I need an umbrella in Oslo?", apis, "G1_instruction")`."""

    id: str
    text: str
    apis: tuple[Api, ...]
    subset: str = ""  # the set that it is from: G1_instruction, G1_tool, G1_category, G2_..., G3_instruction
    relevant: tuple[tuple[str, str], ...] = ()  # (tool, API) that ToolBench made the query from
    facts: tuple[str, ...] = ()  # what a right answer states; ToolBench's queries have none

    @property
    def group(self) -> str:
        """The published column: "Unseen Insts & Same Set"; the set itself where it is none of the three kinds."""
        return GROUPS.get(self.subset.rpartition("_")[2], self.subset)

    @cached_property
    def by_function(self) -> dict[str, Api]:
        """The APIs by the names of their functions; of two with one name the first, as in the original."""
        found: dict[str, Api] = {}
        for api in self.apis:
            found.setdefault(api.function.name, api)
        return found

    @cached_property
    def functions(self) -> tuple[Tool, ...]:
        """What a model may call, `Finish` last."""
        return (*(api.function for api in self.by_function.values()), FINISH)


def read_queries(path: str | Path) -> list[Query]:
    """The queries of a file, or of all JSON files of a folder, in order; ids are "<set>/<query_id>"."""
    path = Path(path)
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    queries = [_query(raw, file, number) for file in files for number, raw in enumerate(_list(file))]
    if not queries:
        raise ToolEvalError(f"{path}: no queries; expected files such as {path}/G1_instruction.json")
    return queries


def _list(path: Path) -> list[Any]:
    found = read_json(path)
    if not isinstance(found, list):
        raise ToolEvalError(f"{path}: holds {type(found).__name__}; expected a list of queries")
    return found


def _query(raw: Any, path: Path, number: int) -> Query:
    where = f"{path}[{number}]"
    if not isinstance(raw, Mapping) or not isinstance(raw.get("query"), str) or not raw.get("api_list"):
        raise ToolEvalError(f"{where}: expected a query with 'query' and 'api_list'; is it a file of answers?")
    subset = path.stem.removesuffix("_query")
    return Query(
        id=f"{subset}/{raw.get('query_id', number)}",
        text=raw["query"].strip(),
        apis=tuple(read_api(one, where) for one in raw["api_list"]),
        subset=subset,
        relevant=tuple((str(tool), str(api)) for tool, api in raw.get("relevant APIs") or ()),
    )
