"""Text actions <-> tool calls, for environments that are driven by words: `search[red shoes]`, `go to drawer 1`.

A grammar is a list of templates, each bound to a tool. Parsing gives a call only if rendering that call gives the very
text back, so nothing of the native text is lost; what no template fits is no call (the converter decides).
Used by the converters of `sources/` (notebook 01):

    WEBSHOP = Grammar((Action("search[{keywords}]", "search", "Search the shop"), Action("click[{element}]", "click")))
    WEBSHOP.parse("search[red shoes]")               # ("search", {"keywords": "red shoes"})
    WEBSHOP.render("search", {"keywords": "x"})      # "search[x]"
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from xlam_lib.trajectory import Tool

SLOT = re.compile(r"\{(\w+)\}")
WHOLE = re.compile(r"0|[1-9][0-9]{0,99}")


@dataclass(frozen=True)
class Action:
    """One kind of action. `{slot}` in the template is an argument; text unless `types` says "integer".

    `Action("go to {receptacle}", "go_to", "Walk to a receptacle", {"receptacle": "where, e.g. 'drawer 1'"})`.
    """

    template: str
    name: str
    description: str = ""
    slots: Mapping[str, str] = field(default_factory=dict)  # what each argument is
    types: Mapping[str, str] = field(default_factory=dict)
    narrow: Mapping[str, str] = field(default_factory=dict)  # a slot's pattern where ".*" would take too much

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        parts = self._parts
        made = "".join(
            re.escape(part) if i % 2 == 0 else f"(?P<{part}>{self.narrow.get(part, self._default(part))})"
            for i, part in enumerate(parts)
        )
        if parts[-1] and len(parts) > 3:  # a text that ends otherwise is seen at once, not at each place between slots
            made = rf"(?=.*{re.escape(parts[-1])}\Z){made}"
        return re.compile(made, re.DOTALL)

    def _default(self, slot: str) -> str:
        return WHOLE.pattern if self.types.get(slot) == "integer" else ".*"

    def tool(self) -> Tool:
        """Its schema, the same one each time: every slot is required."""
        return self._tool

    @cached_property
    def _tool(self) -> Tool:
        names = SLOT.findall(self.template)
        properties = {
            name: {"type": self.types.get(name, "string")}
            | ({"description": self.slots[name]} if name in self.slots else {})
            for name in names
        }
        return Tool(self.name, self.description, {"type": "object", "properties": properties, "required": names})

    def parse(self, text: str) -> dict[str, Any] | None:
        """The arguments of a text, or None when it is no action of this kind."""
        if not text.startswith(self._parts[0]) or (found := self.pattern.fullmatch(text)) is None:
            return None
        arguments: dict[str, Any] = {
            name: int(value) if self.types.get(name) == "integer" else value
            for name, value in found.groupdict().items()
        }
        return arguments if self.render(arguments) == text else None

    def render(self, arguments: Mapping[str, Any]) -> str:
        """The native text of a call; a KeyError names the argument that is missing."""
        parts = list(self._parts)
        for at in range(1, len(parts), 2):
            parts[at] = str(arguments[parts[at]])
        return "".join(parts)

    @cached_property
    def _parts(self) -> tuple[str, ...]:
        """Text and names of slots in turns: ("search[", "keywords", "]")."""
        return tuple(SLOT.split(self.template))


@dataclass(frozen=True)
class Grammar:
    """The actions of one environment; names are unique, and the first template that fits is taken."""

    actions: tuple[Action, ...]

    def __post_init__(self) -> None:
        names = [action.name for action in self.actions]
        if len(set(names)) < len(names):
            raise ValueError(f"two actions of one name among {', '.join(names)}: the way back would be lost")

    def tools(self) -> tuple[Tool, ...]:
        """The tools of all actions, in order; the same ones for every trajectory."""
        return self._tools

    @cached_property
    def _tools(self) -> tuple[Tool, ...]:
        return tuple(action.tool() for action in self.actions)

    def parse(self, text: str) -> tuple[str, dict[str, Any]] | None:
        """(tool, arguments) of an action's text, or None: `g.parse("look")` -> ("look", {})."""
        for action in self.actions:
            arguments = action.parse(text)
            if arguments is not None:
                return action.name, arguments
        return None

    def render(self, name: str, arguments: Mapping[str, Any]) -> str:
        """The native text of a call: `g.render("search", {"keywords": "x"})` -> "search[x]"."""
        return self._by_name[name].render(arguments)

    @cached_property
    def _by_name(self) -> dict[str, Action]:
        return {action.name: action for action in self.actions}
