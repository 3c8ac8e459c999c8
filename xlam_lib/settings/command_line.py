"""Settings of a training run: a dataclass whose fields are the options of its command line, or keys of a YAML file.

    python -m xlam_lib.train.sft recipe.yaml --out runs/other

Used by the commands of `xlam_lib.train`. A field's default is the option's default, its metadata the help; an option
overrides the file, which is named first. Unknown options and keys, ill-typed values and those out of a setting's range
end with argparse's one-line error, before anything else is imported. A setting that was renamed is read under its
former name, too, for one version, and a warning names the new one.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from xlam_lib.settings.options import current, out_of_range, shown
from xlam_lib.settings.yaml_files import YamlError, read_yaml

T = TypeVar("T")
PLAN = "plan"  # the section of a file that says what a training is planned for


def from_command_line(settings: type[T], argv: Sequence[str] | None, prog: str, description: str) -> T:
    """Settings from options: `from_command_line(SftSettings, ["--out", "runs/sft"], "xlam_lib.train.sft", "SFT")`.

    Booleans are flags (`--from-scratch`, `--no-from-scratch`), tuples take several values, a Literal lists the choices.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {prog}", description=description, allow_abbrev=False)
    parser.add_argument("config", nargs="?", help="a YAML file with any of these settings")
    hints = get_type_hints(settings)
    for field in dataclasses.fields(settings):  # type: ignore[arg-type]
        _add_argument(parser, field.name, hints[field.name], field.metadata.get("help", ""))
        if former := field.metadata.get("formerly"):
            _add_argument(parser, former, hints[field.name], argparse.SUPPRESS)
    named = vars(parser.parse_args(argv))
    path = named.pop("config")
    try:
        named = current(settings, named, "command line")
    except ValueError as error:
        parser.error(str(error))
    values = {**(_from_yaml(path, settings, parser) if path else {}), **named}
    missing = [
        f"--{field.name.replace('_', '-')}"
        for field in dataclasses.fields(settings)  # type: ignore[arg-type]
        if field.name not in values and field.default is dataclasses.MISSING
    ]
    if missing:
        parser.error(f"the following arguments are required: {', '.join(missing)}")
    if faults := out_of_range(settings, values):
        parser.error("; ".join(faults))
    return settings(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})


def _add_argument(parser: argparse.ArgumentParser, name: str, kind: Any, help: str) -> None:
    flag, given = f"--{name.replace('_', '-')}", {"help": help, "default": argparse.SUPPRESS}
    if kind is bool:
        parser.add_argument(flag, action=argparse.BooleanOptionalAction, **given)
    elif get_origin(kind) is tuple:
        parser.add_argument(flag, type=get_args(kind)[0], nargs="+", **given)
    elif get_args(kind):
        parser.add_argument(flag, choices=get_args(kind), **given)
    else:
        parser.add_argument(flag, type=kind, **given)


def planned(settings: type[T], path: str | Path) -> T:
    """What a file says under `plan:`, for `plan.py`: a ValueError says what is wrong with it."""
    found = read_yaml(path)
    given = found.get(PLAN) if isinstance(found, dict) else found
    if not isinstance(given, dict):
        raise ValueError(f"{path}: expected a section `{PLAN}:` with `setting: value` lines, found {shown(given)}")
    values, hints = {}, get_type_hints(settings)
    for name, value in given.items():
        values[name] = _converted(hints[name], value) if name in hints else None
        if values[name] is None:
            expected = _type_name(hints[name]) if name in hints else f"one of {', '.join(hints)}"
            raise ValueError(f"{path}: {PLAN}: {name} is {shown(value)}, expected {expected}")
    missing = [
        field.name
        for field in dataclasses.fields(settings)  # type: ignore[arg-type]
        if field.name not in values and field.default is dataclasses.MISSING
    ]
    if missing:
        raise ValueError(f"{path}: {PLAN}: {', '.join(missing)} missing")
    if faults := out_of_range(settings, values):
        raise ValueError(f"{path}: {PLAN}: {'; '.join(faults)}")
    return settings(**values)


def _from_yaml(path: str, settings: Any, parser: argparse.ArgumentParser) -> dict[str, Any]:
    """The settings that a file gives, each of the type that it declares; its section `plan:` is for `plan.py`."""
    try:
        found = read_yaml(path) or {}
    except YamlError as error:
        parser.error(str(error))
    except OSError as error:
        parser.error(f"{path}: {error}")
    if not isinstance(found, dict):
        parser.error(f"{path}: expected `setting: value` lines, found {type(found).__name__}")
    found.pop(PLAN, None)
    try:
        found = current(settings, found, path)
    except ValueError as error:
        parser.error(f"{path}: {error}")
    hints = get_type_hints(settings)
    for name, value in found.items():
        if name not in hints:
            parser.error(f"{path}: unknown setting {shown(name)}; known are {', '.join(hints)}")
        found[name] = _converted(hints[name], value)
        if found[name] is None:
            parser.error(f"{path}: {name} is {shown(value)}, expected {_type_name(hints[name])}")
    return found


def _converted(hint: Any, value: Any) -> Any:
    """The value as a field of that type holds it, None where it doesn't fit."""
    if get_origin(hint) is tuple:
        items = [_converted(get_args(hint)[0], item) for item in (value if isinstance(value, list) else [value])]
        return None if any(item is None for item in items) else items
    if get_origin(hint) is Literal:
        return value if value in get_args(hint) else None
    if hint is float and type(value) in (int, str):  # 5e-4 without a point is a text in YAML 1.1
        try:
            return float(value)
        except (ValueError, OverflowError):
            return None
    return value if type(value) is hint else None


def _type_name(hint: Any) -> str:
    if get_origin(hint) is tuple:
        return f"a list of {_type_name(get_args(hint)[0])}"
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
