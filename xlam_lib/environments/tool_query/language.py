"""Tool-Query's actions in words: `Action: get_search_movie with Action Input: {"movie_name": "Blue Desert"}`.

Used by the environment and its manual (notebook 05). The form is AgentBoard's (its prompts, "VanillaAgent"):

    ACTIONS.parse('Action: finish with Action Input: {"answer": 8}')     # ("finish", {"answer": 8})
    ACTIONS.render("finish", {"answer": 8})                              # 'finish with Action Input: {"answer": 8}'

`Action:` is the label that a prompt puts before every action, as AgentBoard's does; it is read, and not written.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from xlam_lib.answers.values import read_json
from xlam_lib.data.formats.literals import literal

LABEL, LINK = "Action:", "with Action Input:"
FORMAT_ERROR = f'Format error: please answer in the form "{LABEL} [your action] {LINK} [your action input]".'


class QueryActions:
    """The action language as `agents.manual.Actions`: the first action of a text counts, what follows it doesn't."""

    def parse(self, text: str) -> tuple[str, dict[str, Any]] | None:
        """(tool, arguments) of a model's text, or None where it has no action: `parse("I think so")` -> None.

        Arguments are JSON or, as in some of AgentBoard's records, a Python dictionary, of which nothing is evaluated.
        """
        head, link, rest = text.partition(LINK)
        name = head.rpartition("\n")[2].rpartition(LABEL)[2].strip()
        if not link or not name.isidentifier():
            return None
        arguments = _arguments(rest.lstrip())
        return (name, arguments) if isinstance(arguments, dict) else None

    def render(self, name: str, arguments: Mapping[str, Any]) -> str:
        """The text of a call: `render("loadPaperNet", {})` -> "loadPaperNet with Action Input: {}"."""
        return f"{name} {LINK} {json.dumps(dict(arguments), ensure_ascii=False)}"


ACTIONS = QueryActions()


def _arguments(text: str) -> Any:
    try:
        return read_json(text)[0]
    except ValueError:
        pass
    try:
        return literal(text.partition("\n")[0])
    except ValueError:
        return None
