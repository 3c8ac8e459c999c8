"""Reads the catalogue: YAML files of tools with questions, one a domain, checked as they are read.

    tools = read_catalogue()                    # {"calculate_loan_payment": BroadTool(...), ...}

An error names the file, the tool, the parameter or the question, what was found and what is expected. The format:

    values:                                     # kinds of this file (`values.py`); common ones are in values.yaml
      loan_amount: {from: 5000, to: 900000, step: 500, say: ["${:,}", "{} dollars"]}
    tools:
      - name: calculate_loan_payment
        description: Calculate the monthly payment of a loan with a fixed interest rate.
        parameters:
          principal: {type: number, values: loan_amount, description: The amount that is borrowed in dollars.}
          due: {type: string, enum: [start, end], default: end, optional: true, values: {...}, description: ...}
        questions: ["What would I pay each month on a loan of {principal}[, paid {due}]?", ...]    # five at least
        phrases: ["work out the monthly payment on {principal}", ...]                              # two at least

`phrasing.py` has the grammar of questions; `checked` also draws from each of them.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from xlam_lib.arguments import argument_problems
from xlam_lib.data.apigen.broad.phrasing import Phrasing
from xlam_lib.data.apigen.broad.tools import Asked, BroadTool, Leaf
from xlam_lib.data.apigen.broad.values import Choices, Kind, Several, read_kind
from xlam_lib.errors import TrajectoryError, XlamError
from xlam_lib.trajectory import Source, Step, Tool, Trajectory

FOLDER = Path(__file__).parent / "domains"
COMMON = "values.yaml"
HALVES = ("train", "test")
MOST = 25  # tools a file
TYPES = ("string", "integer", "number", "boolean", "array", "object")
ABOUT = {"type", "values", "description", "optional"}
SCHEMA = {  # what goes into the schema beside type and description
    "enum", "default", "items", "format", "pattern", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
    "multipleOf", "minLength", "maxLength", "minItems", "maxItems", "uniqueItems",
}  # fmt: skip
NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


class CatalogueError(XlamError, ValueError):
    """A file of the catalogue that is not as it should be: "finance.yaml: tool 'x': parameter 'y': ..."."""


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """YAML in which only true and false are booleans, and neither dates nor times of day are more than texts.

    The catalogue is large and our own: it is read in C where that is there, and without the limits that
    `xlam_lib.settings.yaml_files` sets for the files of strangers.
    """


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if tag in ("tag:yaml.org,2002:null", "tag:yaml.org,2002:merge")]
    for first, found in _Loader.yaml_implicit_resolvers.items()
}
for _tag, _pattern, _first in (
    ("bool", r"true|false", "tf"),
    ("int", r"[-+]?[0-9]+", "-+0123456789"),
    ("float", r"[-+]?[0-9]+\.[0-9]+(e[-+]?[0-9]+)?", "-+0123456789"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"(?:{_pattern})$"), list(_first))


def _mapping(loader: Any, node: yaml.MappingNode) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        plain = isinstance(key, str | int | float)
        if not plain or key in found:
            problem = f"the key {key!r} is given twice" if plain else f"a key is {key!r}, expected a text"
            raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
        found[key] = loader.construct_object(value_node, deep=True)
    return found


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)


def read_catalogue(folder: str | Path = FOLDER) -> dict[str, BroadTool]:
    """All tools of a folder by name, in the order of the files: `read_catalogue()["calculate_loan_payment"]`."""
    folder = Path(folder)
    known = _common(folder)
    tools: dict[str, BroadTool] = {}
    for path in sorted(folder.glob("*.yaml")):
        if path.name == COMMON:
            continue
        for tool in read_file(path, known):
            if tool.name in tools:
                raise CatalogueError(f"{path.name}: the tool {tool.name!r} is in {tools[tool.name].domain}.yaml, too")
            tools[tool.name] = tool
    return tools


def _common(folder: Path) -> dict[str, Kind]:
    """The kinds of values that every file may name: those of `values.yaml` in the folder, or else of the library."""
    path = folder / COMMON if (folder / COMMON).exists() else FOLDER / COMMON
    return _kinds(load(path), {}, path.name)


def read_file(path: Path, known: Mapping[str, Any]) -> list[BroadTool]:
    """The tools of one file; `known` are the common kinds of values."""
    data = load(path)
    _only(data, {"values", "tools"}, {"tools"}, path.name)
    kinds = {**known, **_kinds(data.get("values") or {}, known, path.name)}
    tools = data["tools"]
    if not isinstance(tools, list) or not 1 <= len(tools) <= MOST:
        found = len(tools) if isinstance(tools, list) else repr(tools)
        raise CatalogueError(f"{path.name}: 'tools' has {found}, expected a list of 1 to {MOST} tools")
    return [_tool(one, kinds, path, number) for number, one in enumerate(tools, start=1)]


def load(path: Path) -> dict[Any, Any]:
    """What a YAML file holds, a mapping; errors name the file and the line."""
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except UnicodeDecodeError as error:
        raise CatalogueError(f"{path.name}: not valid YAML: no text in UTF-8 ({error})") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or " ".join(str(error).split())
        raise CatalogueError(f"{path.name}{line}: not valid YAML: {problem}") from error
    if not isinstance(data, dict):
        raise CatalogueError(f"{path.name}: found {type(data).__name__}, expected a mapping")
    return data


def _kinds(specs: Any, known: Mapping[str, Any], where: str) -> dict[str, Kind]:
    found: dict[str, Kind] = {}
    for name in specs:
        try:
            found[name] = read_kind(name, {**known, **specs})
            _unambiguous(found[name])
        except ValueError as error:
            raise CatalogueError(f"{where}: values {name!r}: {error}") from error
    return found


def _unambiguous(kind: Kind) -> None:
    if fault := kind.ambiguity():
        raise ValueError(f"{fault}; expected sayings that tell the values apart")


def _only(found: Any, allowed: set[str], needed: set[str], where: str) -> None:
    if not isinstance(found, dict):
        raise CatalogueError(f"{where}: found {found!r:.80}, expected a mapping with {', '.join(sorted(needed))}")
    for key in found:
        if key not in allowed:
            raise CatalogueError(f"{where}: unknown key {key!r}; expected are {', '.join(sorted(allowed))}")
    for key in sorted(needed):
        if key not in found:
            raise CatalogueError(f"{where}: {key!r} is missing")


def _tool(spec: Any, kinds: Mapping[str, Kind], path: Path, number: int) -> BroadTool:
    name = spec.get("name", number) if isinstance(spec, dict) else number
    where = f"{path.name}: tool {name!r}"
    keys = {"name", "description", "parameters", "questions", "phrases"}
    _only(spec, keys, keys, where)
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise CatalogueError(f"{where}: the name is not one of a function, as get_time, getTime or clock.get_time")
    if not isinstance(spec["description"], str) or not spec["description"].strip():
        raise CatalogueError(f"{where}: the description is {spec['description']!r}, expected a text")
    leaves: dict[str, Leaf] = {}
    parameters = _object(spec["parameters"], kinds, where, "", True, leaves)
    try:
        Trajectory("x", Source("x", "x"), tools=(Tool(name, "", parameters),), steps=(Step("user", "x"),)).validate()
    except TrajectoryError as error:
        raise CatalogueError(f"{where}: the schema of its parameters is not sound: {error}") from error
    texts = {key: _phrasings(spec[key], least, f"{where}: {key}") for key, least in (("questions", 5), ("phrases", 2))}
    for key, phrasings in texts.items():
        for phrasing in phrasings:
            if fault := _slot_fault(phrasing, leaves) or (_phrase_fault(phrasing) if key == "phrases" else ""):
                raise CatalogueError(f"{where}: {key[:-1]} {phrasing.text!r} {fault}")
    return BroadTool(
        name, path.stem, spec["description"].strip(), parameters, leaves, **texts, key=f"{path.stem}/{name}"
    )


def _object(
    specs: Any, kinds: Mapping[str, Kind], where: str, prefix: str, required: bool, leaves: dict[str, Leaf]
) -> dict[str, Any]:
    """The schema of an object; the values that can be said are put into `leaves`."""
    if not isinstance(specs, dict):
        raise CatalogueError(f"{where}: parameters are {specs!r:.80}, expected a mapping from name to what it is")
    properties, needed = {}, []
    for name, spec in specs.items():
        at = f"{where}: parameter {prefix + str(name)!r}"
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z_]\w*", name):
            raise CatalogueError(f"{at}: expected a name of letters, digits and underscores")
        properties[name] = _parameter(spec, kinds, at, prefix + name, required, leaves)
        if not spec.get("optional"):
            needed.append(name)
    return {"type": "object", "properties": properties, **({"required": needed} if needed else {})}


def _parameter(
    spec: Any, kinds: Mapping[str, Kind], at: str, slot: str, required: bool, leaves: dict[str, Leaf]
) -> dict[str, Any]:
    _only(spec, ABOUT | SCHEMA | {"properties"}, {"type", "description"}, at)
    kind, description = spec["type"], spec["description"]
    if kind not in TYPES:
        raise CatalogueError(f"{at}: the type is {kind!r}, expected one of {', '.join(TYPES)}")
    if not isinstance(description, str) or not description.strip():
        raise CatalogueError(f"{at}: the description is {description!r}, expected a text")
    if spec.get("optional", False) not in (True, False):
        raise CatalogueError(f"{at}: 'optional' is {spec['optional']!r}, expected true or false")
    if "default" in spec and not spec.get("optional"):
        raise CatalogueError(f"{at}: has a default but not 'optional: true'")
    needed = required and not spec.get("optional")
    if kind == "object":
        inner = _object(spec.get("properties"), kinds, at, f"{slot}.", needed, leaves)
        return {"type": "object", "description": description.strip(), **{k: v for k, v in inner.items() if k != "type"}}
    if kind == "array" and not (isinstance(spec.get("items"), dict) and spec["items"].get("type") in TYPES[:4]):
        raise CatalogueError(f"{at}: an array needs items of a type: items: {{type: string}}")
    if "values" not in spec:
        raise CatalogueError(f"{at}: 'values' is missing: the name of a kind, or a kind")
    schema = {"type": kind, "description": description.strip(), **{k: v for k, v in spec.items() if k in SCHEMA}}
    try:
        values = read_kind(spec["values"], kinds)
        if not isinstance(spec["values"], str):  # kinds with a name are looked at once
            _unambiguous(values)
        _fitting(values, schema)
    except ValueError as error:
        raise CatalogueError(f"{at}: {error}") from error
    leaves[slot] = Leaf(slot, values, description.strip(), needed)
    return schema


def _fitting(values: Kind, schema: dict[str, Any]) -> None:
    """A ValueError for a default or a value that doesn't fit the schema; of large kinds some values are tried."""
    tool = Tool("x", "", {"type": "object", "properties": {"x": schema}})
    if isinstance(values, Several) != (schema["type"] == "array"):
        raise ValueError(f"the type is {schema['type']!r}; an array, and only an array, has values {{of: KIND, ...}}")
    tried = [("default", schema["default"])] if "default" in schema else []
    tried += [("value", value) for value in _some(values)]
    for what, value in tried:
        if problems := argument_problems(tool, {"x": value}):
            hint = '; quote it, as in "5"' if schema["type"] == "string" and not isinstance(value, str) else ""
            raise ValueError(f"the {what} {value!r} doesn't fit: {problems[0].partition(': ')[2]}{hint}")


def _some(values: Kind) -> Iterator[Any]:
    if isinstance(values, Choices):
        yield from values.options
        return
    rng = random.Random(0)
    for _ in range(8):
        yield values.make(rng).value


def _phrasings(texts: Any, least: int, where: str) -> tuple[Phrasing, ...]:
    if not isinstance(texts, list) or len(texts) < least or not all(isinstance(text, str) for text in texts):
        found = f"{len(texts)} entries" if isinstance(texts, list) else repr(texts)
        raise CatalogueError(f"{where}: found {found}, expected a list of at least {least} texts")
    if twice := [text for at, text in enumerate(texts) if text in texts[:at]]:
        raise CatalogueError(f"{where}: {twice[0]!r} stands there twice")
    try:
        return tuple(Phrasing.parse(text.strip()) for text in texts)
    except ValueError as error:
        raise CatalogueError(f"{where}: {error}") from error


def _slot_fault(phrasing: Phrasing, leaves: Mapping[str, Leaf]) -> str:
    """What is wrong with the values that a question says; "" if nothing is."""
    if unknown := sorted(phrasing.slots - leaves.keys()):
        return f"has the slot {{{unknown[0]}}}, but the parameters are {', '.join(leaves) or 'none'}"
    if missing := [slot for slot, leaf in leaves.items() if leaf.required and slot not in phrasing.firm]:
        where = "only in brackets, or in one choice of several" if missing[0] in phrasing.slots else "nowhere"
        return f"says the required {{{missing[0]}}} {where}; expected where it is always said"
    said = phrasing.firm.union(*phrasing.parts)
    if lost := sorted(phrasing.slots - said):
        return f"says {{{lost[0]}}} in one choice of several only; expected in all of them, or in brackets"
    if any(not part for part in phrasing.parts):
        return "has a part in brackets without a value; expected a slot of an optional parameter in it"
    return ""


def _phrase_fault(phrasing: Phrasing) -> str:
    text = phrasing.text.lstrip("<")
    if not (text[:1].islower() or text[:1] == "{"):
        return "doesn't begin with a verb in lower case, as in 'work out the area of {shape}'"
    return f"ends with {text[-1]!r}; expected no end mark, for phrases are joined" if text[-1] in ".?!" else ""


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
