"""Checks the catalogue by drawing from it, and shows what it asks: `python -m xlam_lib.data.apigen.broad --check`.

    for line in checked(read_catalogue(), show=2): print(line)

Reading a file checks its form; here every question and phrase is drawn, with all parts in brackets and without: the
call must fit the schema of its tool, and the question must say each of its values.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping

from xlam_lib.arguments import argument_problems
from xlam_lib.data.apigen.broad.catalogue import CatalogueError
from xlam_lib.data.apigen.broad.phrasing import Phrasing
from xlam_lib.data.apigen.broad.tools import Asked, BroadTool

HALVES = ("train", "test")


def checked(tools: Mapping[str, BroadTool], show: int = 2, seed: int = 0) -> Iterator[str]:
    """Lines to print, some drawn questions of each tool; a CatalogueError names what doesn't hold."""
    for tool in tools.values():
        rng = random.Random(f"{seed}:{tool.name}")
        yield f"{tool.domain}: {tool.name}{' (unseen)' if tool.unseen else ''}: {tool.description}"
        for phrasing in (*tool.questions, *tool.phrases):
            for half in HALVES:
                check_phrasing(rng, tool, phrasing, half)
        for phrasing in rng.sample(tool.questions, min(show, len(tool.questions))) + [rng.choice(tool.phrases)]:
            asked = tool.ask(rng, "train", phrasing)
            yield f"    {asked.words(rng)}  ->  {json.dumps(asked.arguments, ensure_ascii=False)}"


def check_phrasing(rng: random.Random, tool: BroadTool, phrasing: Phrasing, half: str) -> None:
    """A CatalogueError unless what is drawn fits the schema and is said, with no part in brackets and with all."""
    for given in dict.fromkeys([phrasing.firm, phrasing.firm.union(*phrasing.parts)]):
        where = f"{tool.domain}.yaml: tool {tool.name!r}: {phrasing.text!r}"
        try:
            asked = tool.ask(rng, half, phrasing, given)
        except ValueError as error:
            raise CatalogueError(f"{where}: {error}") from error
        if problems := argument_problems(tool.schema, asked.arguments):
            raise CatalogueError(f"{where}: drew {asked.arguments}, which doesn't fit the schema: {problems[0]}")
        if unsaid := unsaid_value(asked, asked.words(rng)):
            raise CatalogueError(f"{where}: the value of {unsaid!r}, {asked.texts[unsaid]!r}, is not said")


def unsaid_value(asked: Asked, words: str) -> str:
    """The first parameter whose value stands not in the words as it was drawn; "" if all do."""
    return next((slot for slot, text in asked.texts.items() if text not in words), "")
