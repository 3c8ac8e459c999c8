"""Settings of a training run: a dataclass whose fields are the options of its command line, or keys of a YAML file.

    python -m xlam_lib.train.sft recipe.yaml --out runs/other

Used by the commands of `xlam_lib.train`. A field's default is the option's default, its metadata the help; an option
overrides the file, which is named first. Unknown options and keys, and ill-typed values, end with argparse's one-line
error.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import yaml

T = TypeVar("T")
PLAN = "plan"  # the section of a file that says what a training is planned for


def option(default: Any, help: str) -> Any:
    """A field with its help: `lr: float = option(1e-3, "peak learning rate")`; `...` makes the option required."""
    given = {} if default is ... else {"default": default}
    return dataclasses.field(**given, metadata={"help": help})


def from_command_line(settings: type[T], argv: Sequence[str] | None, prog: str, description: str) -> T:
    """Settings from options: `from_command_line(SftSettings, ["--out", "runs/sft"], "xlam_lib.train.sft", "SFT")`.

    Booleans are flags (`--from-scratch`, `--no-from-scratch`), tuples take several values, a Literal lists the choices.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {prog}", description=description, allow_abbrev=False)
    parser.add_argument("config", nargs="?", help="a YAML file with any of these settings")
    hints = get_type_hints(settings)
    for field in dataclasses.fields(settings):  # type: ignore[arg-type]
        name, kind = f"--{field.name.replace('_', '-')}", hints[field.name]
        given: dict[str, Any] = {"help": field.metadata.get("help", ""), "default": argparse.SUPPRESS}
        if kind is bool:
            parser.add_argument(name, action=argparse.BooleanOptionalAction, **given)
        elif get_origin(kind) is tuple:
            parser.add_argument(name, type=get_args(kind)[0], nargs="+", **given)
        elif get_args(kind):
            parser.add_argument(name, choices=get_args(kind), **given)
        else:
            parser.add_argument(name, type=kind, **given)
    named = vars(parser.parse_args(argv))
    path = named.pop("config")
    values = {**(_from_yaml(path, hints, parser) if path else {}), **named}
    missing = [
        f"--{field.name.replace('_', '-')}"
        for field in dataclasses.fields(settings)  # type: ignore[arg-type]
        if field.name not in values and field.default is dataclasses.MISSING
    ]
    if missing:
        parser.error(f"the following arguments are required: {', '.join(missing)}")
    return settings(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})


def planned(settings: type[T], path: str | Path) -> T:
    """What a file says under `plan:`, for `plan.py`: a ValueError says what is wrong with it."""
    given = (yaml.safe_load(Path(path).read_text("utf-8")) or {}).get(PLAN)
    if not isinstance(given, dict):
        raise ValueError(f"{path}: expected a section `{PLAN}:` with `setting: value` lines, found {given!r}")
    values, hints = {}, get_type_hints(settings)
    for name, value in given.items():
        values[name] = _typed(hints[name], value) if name in hints else None
        if values[name] is None:
            expected = _named(hints[name]) if name in hints else f"one of {', '.join(hints)}"
            raise ValueError(f"{path}: {PLAN}: {name} is {value!r}, expected {expected}")
    missing = [
        field.name
        for field in dataclasses.fields(settings)  # type: ignore[arg-type]
        if field.name not in values and field.default is dataclasses.MISSING
    ]
    if missing:
        raise ValueError(f"{path}: {PLAN}: {', '.join(missing)} missing")
    return settings(**values)


def _from_yaml(path: str, hints: Mapping[str, Any], parser: argparse.ArgumentParser) -> dict[str, Any]:
    """The settings that a file gives, each of the type that it declares; its section `plan:` is for `plan.py`."""
    try:
        found = yaml.safe_load(Path(path).read_text("utf-8")) or {}
    except (OSError, yaml.YAMLError) as error:
        parser.error(f"{path}: {error}")
    if not isinstance(found, dict):
        parser.error(f"{path}: expected `setting: value` lines, found {type(found).__name__}")
    found.pop(PLAN, None)
    for name, value in found.items():
        if name not in hints:
            parser.error(f"{path}: unknown setting {name!r}; known are {', '.join(hints)}")
        found[name] = _typed(hints[name], value)
        if found[name] is None:
            parser.error(f"{path}: {name} is {value!r}, expected {_named(hints[name])}")
    return found


def _typed(hint: Any, value: Any) -> Any:
    """The value as a field of that type holds it, None where it doesn't fit."""
    if get_origin(hint) is tuple:
        items = [_typed(get_args(hint)[0], item) for item in (value if isinstance(value, list) else [value])]
        return None if None in items else items
    if get_origin(hint) is Literal:
        return value if value in get_args(hint) else None
    if hint is float and type(value) in (int, str):  # 5e-4 without a point is a text in YAML 1.1
        try:
            return float(value)
        except ValueError:
            return None
    return value if type(value) is hint else None


def _named(hint: Any) -> str:
    if get_origin(hint) is tuple:
        return f"a list of {_named(get_args(hint)[0])}"
    if get_origin(hint) is Literal:
        return f"one of {', '.join(map(str, get_args(hint)))}"
    return {str: "text", float: "a number", int: "a whole number", bool: "true or false"}[hint]


def to_arguments(options: Mapping[str, Any]) -> list[str]:
    """Options as a command line: `to_arguments({"lr": 1e-3, "fresh": True})` -> ["--lr", "0.001", "--fresh"].

    None is left out, so that the default holds.
    """
    arguments: list[str] = []
    for name, value in options.items():
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            arguments.append(f"--{flag}" if value else f"--no-{flag}")
        elif isinstance(value, tuple | list):
            arguments += [f"--{flag}", *map(str, value)] if value else []
        elif value is not None:
            arguments += [f"--{flag}", str(value)]
    return arguments
