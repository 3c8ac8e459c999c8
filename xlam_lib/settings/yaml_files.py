"""YAML that others wrote, read as plain data within limits: whatever is wrong with it is one error that names the line.

    read_yaml("recipe.yaml")            # {"base": "runs/sft", "lr": 0.0005}

Used for experiments, recipes, launch files and API descriptions. Beside objects (which a safe loader refuses) a file
can harm by aliases that stand for more than memory holds, by depth, and by numbers and dates that Python refuses; a key
that is given twice is refused, too, where plain YAML silently keeps the last.
"""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from xlam_lib.errors import XlamError

BYTES = 1 << 20  # of a file of settings
DEPTH = 50
NODES = 200_000  # with all that aliases stand for written out
BITS = 1024  # of a whole number: more than a float can hold
UNFIT = (ValueError, OverflowError, LookupError, AttributeError)  # a date that isn't one, `!!int x`, too many digits


class YamlError(XlamError, ValueError):
    """A file that isn't YAML, or not within the limits; the message names file and line."""


def read_yaml(path: str | Path, dates: bool = True, most: int = BYTES, where: str = "") -> Any:
    """What a file holds: `read_yaml("02_sft.yaml")` -> {"lr": 0.001}; None for an empty one.

    `where` names it in errors. Without `dates`, days and times stay text, as JSON has them.
    """
    where = where or str(path)
    with open(path, "rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise YamlError(f"{where}: more than {most:,} bytes; is it the right file?")
    try:
        return parse_yaml(data.decode("utf-8-sig"), where, dates)
    except UnicodeDecodeError as error:
        raise YamlError(f"{where}: not valid YAML: no text in UTF-8 ({error})") from error


def parse_yaml(text: str, where: str = "text", dates: bool = True) -> Any:
    """What a text says: `parse_yaml("lr: 0.001")` -> {"lr": 0.001}."""
    try:
        return yaml.load(text, Loader=_Loader if dates else _TextLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or " ".join(str(error).split())
        raise YamlError(f"{where}{line}: not valid YAML: {problem}") from error


class _Loader(yaml.SafeLoader):
    """The safe loader with limits."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.open = 0  # how deep the node lies that is being read
        self.sizes: dict[int, int] = {}  # of nodes by their id, with all below them

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node:
        mark = self.peek_event().start_mark
        is_alias = self.check_event(yaml.AliasEvent)
        if self.open >= DEPTH:
            raise yaml.composer.ComposerError(None, None, f"nested more than {DEPTH} deep", mark)
        self.open += 1
        node = super().compose_node(parent, index)
        self.open -= 1
        if is_alias and id(node) not in self.sizes:
            raise yaml.composer.ComposerError(None, None, "an alias that stands for what it is part of", mark)
        if not is_alias:
            self.sizes[id(node)] = 1 + sum(self.sizes[id(child)] for child in _children(node))
        if self.sizes[id(node)] > NODES:
            problem = f"more than {NODES:,} values, with all that aliases stand for"
            raise yaml.composer.ComposerError(None, None, problem, mark)
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            value = super().construct_object(node, deep)
        except UNFIT as error:
            problem = f"{str(node.value)[:40]!r} can't be read ({error})"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from error
        if isinstance(value, int) and value.bit_length() > BITS:
            problem = f"the number {node.value[:20]}... has more digits than can be calculated with"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
        return value

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            name = key.value if isinstance(key, yaml.ScalarNode) else id(key)
            if name in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{name} is given twice", key.start_mark)
            seen.add(name)
        return super().construct_mapping(node, deep)


class _TextLoader(_Loader):
    """The same, but days and times are text."""

    yaml_implicit_resolvers = {
        first: [rule for rule in rules if not rule[0].endswith(":timestamp")]
        for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [one for pair in node.value for one in pair]
    return node.value if isinstance(node, yaml.SequenceNode) else []
