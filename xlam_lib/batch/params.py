"""Parameters of a notebook: what it declares, and whether given values fit.

Used by `xlam_lib.run` (before anything runs) and by the structural test of the notebooks. A notebook declares its
parameters in one cell tagged `parameters`, as annotated literals with a trailing comment:

    lr: float = 1.0e-3  # learning rate
    kinds: list[str] = ["single", "parallel"]  # which trajectories to train on

The cell is read as syntax, never executed. Papermill itself only warns of unknown names and never looks at types.
"""

from __future__ import annotations

import ast
import datetime
import difflib
import io
import json
import math
import sys
import tokenize
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xlam_lib.errors import XlamError

TAG = "parameters"
ATOMS = {"bool": bool, "int": int, "float": float, "str": str, "list": list, "dict": dict}
COMMON = ("out_dir", "seed")


class ParameterError(XlamError, ValueError):
    """A parameters cell that can't be read, or values that don't fit; the message holds one line a problem."""


@dataclass(frozen=True)
class Parameter:
    """One declared parameter: `Parameter("lr", "float", 0.001, "learning rate")`."""

    name: str
    annotation: str
    default: Any
    help: str = ""


def read_parameters(notebook: str | Path) -> dict[str, Parameter]:
    """The parameters a notebook declares, e.g. `read_parameters("notebooks/02_sft.ipynb")["lr"].default` -> 0.001."""
    path = Path(notebook)
    if not path.is_file():
        raise ParameterError(f"{path}: no such notebook")
    try:
        cells = json.loads(path.read_text("utf-8"))["cells"]
        tagged = [c for c in cells if c["cell_type"] == "code" and TAG in c["metadata"].get("tags", [])]
    except (ValueError, KeyError, TypeError) as error:
        raise ParameterError(f"{path}: not a notebook of format 4 ({error}); open and save it in JupyterLab") from error
    if len(tagged) != 1:
        raise ParameterError(f"{path}: {len(tagged)} cells tagged `{TAG}`; expected exactly one")
    return parse_cell("".join(tagged[0]["source"]), str(path))


def parse_cell(source: str, where: str = "parameters cell") -> dict[str, Parameter]:
    """Read a parameters cell: `parse_cell("n: int = 3  # how many")["n"]` -> Parameter("n", "int", 3, "how many")."""
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError) as error:  # ValueError: a null byte, in Python 3.11
        line, text = getattr(error, "lineno", 1), getattr(error, "msg", str(error))
        raise ParameterError(f"{where}: parameters cell, line {line}: {text}") from error
    comments = _comments(source)
    found: dict[str, Parameter] = {}
    for node in body:
        place = f"{where}: parameters cell, line {node.lineno}"
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name) or node.value is None:
            raise ParameterError(f"{place}: expected `name: type = literal  # comment`, found `{ast.unparse(node)}`")
        try:
            default = ast.literal_eval(node.value)
        except (ValueError, TypeError) as error:
            text = ast.unparse(node.value)
            raise ParameterError(f"{place}: `{text}` is no literal; derive values in the next cell") from error
        name, annotation = node.target.id, ast.unparse(node.annotation)
        if name in found:
            raise ParameterError(f"{place}: {name} is declared twice")
        fault = misfit(default, annotation)
        if fault:
            raise ParameterError(f"{place}: default of {name}: {fault}")
        found[name] = Parameter(name, annotation, default, comments.get(node.end_lineno or node.lineno, ""))
    return found


def resolve(parameters: Mapping[str, Parameter], given: Mapping[str, Any], where: str = "parameters") -> dict[str, Any]:
    """All values for a run: defaults overlaid with `given`, e.g. `resolve(p, {"lr": 1})` -> `{"lr": 1.0, "seed": 0}`.

    Unknown names and ill types are collected and raised together. An int given for a float becomes a float.
    """
    faults, values = [], {name: p.default for name, p in parameters.items()}
    for name, value in given.items():
        if name not in parameters:
            faults.append(f"{where}: unknown parameter {name!r}{did_you_mean(name, parameters)}")
            continue
        fault = misfit(value, parameters[name].annotation)
        if fault:
            faults.append(f"{where}: {name} {fault}")
        else:
            values[name] = _as_float(value, parameters[name].annotation)
    if faults:
        raise ParameterError("\n".join(faults))
    return values


def did_you_mean(name: Any, known: Mapping[str, Any]) -> str:
    """The tail of an error about an unknown name, e.g. `; did you mean 'seed'? known: out_dir, seed`."""
    near = difflib.get_close_matches(str(name), list(known), n=1, cutoff=0.6)
    hint = f"; did you mean {near[0]!r}?" if near else ";"
    return f"{hint} known: {', '.join(sorted(known)) or 'none'}"


def misfit(value: Any, annotation: str) -> str:
    """Why a value doesn't fit ("" when it does): `misfit(2.5, "int")` -> "is the number 2.5: expected int"."""
    node = ast.parse(annotation, mode="eval").body
    if _fits(value, node):
        return ""
    return f"is {_kind(value)}: expected {annotation}{_advice(value, annotation)}"


def _fits(value: Any, node: ast.expr) -> bool:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _fits(value, node.left) or _fits(value, node.right)
    if isinstance(node, ast.Constant) and node.value is None:
        return value is None
    if isinstance(node, ast.Name) and node.id in ATOMS:
        return _is_atom(value, node.id)
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
        inner = list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]
        if node.value.id == "list" and len(inner) == 1:
            return isinstance(value, list) and all(_fits(v, inner[0]) for v in value)
        if node.value.id == "dict" and len(inner) == 2:
            return isinstance(value, dict) and all(_fits(k, inner[0]) and _fits(v, inner[1]) for k, v in value.items())
        if node.value.id == "Literal":
            return any(type(value) is type(v) and value == v for v in map(ast.literal_eval, inner))
    known = ", ".join(ATOMS)
    raise ParameterError(
        f"annotation `{ast.unparse(node)}` is not understood; use {known}, list[…], dict[…, …], Literal[…], X | None"
    )


def _is_atom(value: Any, name: str) -> bool:
    if isinstance(value, bool):
        return name == "bool"
    if name == "float":
        return isinstance(value, int | float) and abs(value) <= sys.float_info.max  # neither nan nor infinity
    return isinstance(value, ATOMS[name])


def _as_float(value: Any, annotation: str) -> Any:
    """An int where a float is declared becomes a float, so that the notebook always meets the declared type."""
    names = {part.strip() for part in annotation.split("|")}
    if isinstance(value, int) and not isinstance(value, bool) and "float" in names and "int" not in names:
        return float(value)
    if isinstance(value, list) and "list[float]" in names:
        return [float(v) for v in value]
    return value


def _kind(value: Any) -> str:
    names = {str: "the string", bool: "the boolean", int: "the integer", float: "the number", list: "the list"}
    if value is None:
        return "empty (null)"
    return f"{names.get(type(value), f'the {type(value).__name__}')} {value!r}"


def _advice(value: Any, annotation: str) -> str:
    """How to write it in YAML instead; YAML 1.1 reads several forms otherwise than one would think."""
    accepted = {part.strip() for part in annotation.split("|")}
    if isinstance(value, str) and accepted & {"float", "int"} and _is_number(value):
        number = float(value)
        if "float" in accepted and "e" in value.lower() and "." not in value:
            head, _, tail = value.lower().partition("e")
            return f". YAML reads {value} as a string since it has no decimal point; write {head}.0e{tail}"
        return f". Write it without quotes: {int(number) if number.is_integer() and 'int' in accepted else number}"
    if isinstance(value, str) and "bool" in accepted and value.lower() in ("true", "false", "yes", "no"):
        return ". Write true or false without quotes"
    if isinstance(value, float) and "int" in accepted and value.is_integer():
        return f". Write {int(value)}"
    if "str" in accepted and isinstance(value, bool | int | float | datetime.date):
        return '. YAML reads yes, no, on, off, numbers and dates as such; put the text between quotes: "…"'
    if isinstance(value, list) and not any(a.startswith("list") for a in accepted):
        return ". To run once for each value, put it under `grid:`"
    return ""


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _comments(source: str) -> dict[int, str]:
    """Line number -> comment text, by Python's own tokenizer (a # inside a string is none)."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {t.start[0]: t.string.lstrip("# ").rstrip() for t in tokens if t.type == tokenize.COMMENT}
