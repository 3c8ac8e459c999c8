"""Settings of a training run: a dataclass whose fields are the options of its command line.

Used by `python -m xlam_lib.train.sft` and `python -m xlam_lib.train.dpo`. A field's default is the option's default,
its metadata the help; unknown options and ill-typed values end with argparse's one-line error.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, get_args, get_type_hints

T = TypeVar("T")


def option(default: Any, help: str) -> Any:
    """A field with its help: `lr: float = option(1e-3, "peak learning rate")`; `...` makes the option required."""
    given = {} if default is ... else {"default": default}
    return dataclasses.field(**given, metadata={"help": help})


def from_command_line(settings: type[T], argv: Sequence[str] | None, prog: str, description: str) -> T:
    """Settings from options: `from_command_line(SftSettings, ["--out", "runs/sft"], "xlam_lib.train.sft", "SFT")`.

    Booleans are flags (`--from-scratch`, `--no-from-scratch`); a Literal type lists the choices.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {prog}", description=description, allow_abbrev=False)
    hints = get_type_hints(settings)
    for field in dataclasses.fields(settings):  # type: ignore[arg-type]
        name, kind = f"--{field.name.replace('_', '-')}", hints[field.name]
        given: dict[str, Any] = {"help": field.metadata.get("help", ""), "default": field.default}
        if field.default is dataclasses.MISSING:
            given = {"help": given["help"], "required": True}
        if kind is bool:
            parser.add_argument(name, action=argparse.BooleanOptionalAction, **given)
        elif get_args(kind):
            parser.add_argument(name, choices=get_args(kind), **given)
        else:
            parser.add_argument(name, type=kind, **given)
    return settings(**vars(parser.parse_args(argv)))


def to_arguments(options: Mapping[str, Any]) -> list[str]:
    """Options as a command line: `to_arguments({"lr": 1e-3, "fresh": True})` -> ["--lr", "0.001", "--fresh"].

    None is left out, so that the default holds.
    """
    arguments: list[str] = []
    for name, value in options.items():
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            arguments.append(f"--{flag}" if value else f"--no-{flag}")
        elif value is not None:
            arguments += [f"--{flag}", str(value)]
    return arguments
