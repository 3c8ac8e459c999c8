"""Real signatures that stand beside the tools of the catalogue: nothing asks for them, so that a model must choose.

    len(real_tools())     # some hundred: documented functions of Python packages, operations of web APIs

They lie in `signatures.jsonl`: a first line with the sources, their versions and licences, then a tool a line. It is
made again, from the packages that are installed and from wheels of `botocore` and `google-api-python-client`, by

    pip download --no-deps botocore google-api-python-client -d wheels
    python -m xlam_lib.data.apigen.broad.signatures --wheel wheels/*.whl

`signature_sources.py` reads what the packages say; here it is thinned out: a tool has a short description and at most
six parameters with types, each package lends so many and no more, and no description is longer than a sentence.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from xlam_lib.data.apigen.broad.signature_sources import PACKAGES, Origin, operations, package_tools
from xlam_lib.errors import as_command
from xlam_lib.files import writing
from xlam_lib.trajectory import Tool
from xlam_lib.validation import argument_problems

FILE = Path(__file__).with_name("signatures.jsonl")
MOST = {"botocore": 330, "google-api-python-client": 260}  # tools of a source, 60 unless said
PER_GROUP = 2  # operations of one web API
LONGEST = 170  # characters of a description
PARAMETERS = range(1, 7)


@functools.cache
def real_tools() -> tuple[Tool, ...]:
    """The tools of the file, in its order: `real_tools()[0].name`."""
    lines = FILE.read_text(encoding="utf-8").splitlines()[1:]
    return tuple(Tool(one["name"], one["description"], one["parameters"]) for one in map(json.loads, lines))


def sources() -> list[dict[str, str | int]]:
    """Where they come from: [{"name": "botocore", "version": "1.44.8", "license": "Apache-2.0", "tools": 330}, ...]."""
    with open(FILE, encoding="utf-8") as file:
        return json.loads(file.readline())["sources"]


def collect(wheels: Iterable[str | Path]) -> tuple[list[dict], list[Tool]]:
    """(the sources, the tools) of the installed packages and of the wheels; the same ones for the same versions."""
    found: dict[str, Tool] = {}
    listed = []
    for origin, candidates in _candidates(wheels):
        kept = list(_thinned(candidates, MOST.get(origin.name, 60), found))
        found |= {tool.name: tool for tool in kept}
        listed.append({**origin.to_dict(), "tools": len(kept)})
    return listed, list(found.values())


def _candidates(wheels: Iterable[str | Path]) -> Iterator[tuple[Origin, Iterable[tuple[str, Tool]]]]:
    for name in PACKAGES:
        yield package_tools(name)
    for wheel in wheels:
        yield operations(wheel)


def _thinned(candidates: Iterable[tuple[str, Tool]], most: int, known: dict[str, Tool]) -> Iterator[Tool]:
    """So many of the tools that are short enough, a few of each group, by a hash of their names."""
    usable = [(group, tool) for group, tool in candidates if tool.name not in known and _usable(tool)]
    usable.sort(key=lambda one: hashlib.sha256(one[1].name.encode()).digest())
    groups: dict[str, int] = {}
    chosen: dict[str, Tool] = {}
    for group, tool in usable:
        groups[group] = groups.get(group, 0) + 1
        if len(chosen) < most and (groups[group] <= PER_GROUP or group == ""):
            chosen.setdefault(tool.name, tool)
    yield from chosen.values()


def _usable(tool: Tool) -> bool:
    properties = tool.parameters["properties"]
    texts = [tool.description, *(schema.get("description", "") for schema in properties.values())]
    short = len(tool.description) >= 20 and all(len(text) <= LONGEST and text.isascii() for text in texts)
    typed = all(isinstance(schema.get("type"), str) for schema in properties.values())
    named = all(re.fullmatch(r"[A-Za-z]\w*", name) for name in properties)
    if (
        not short
        or not typed
        or not named
        or len(properties) not in PARAMETERS
        or "deprecated" in " ".join(texts).lower()
    ):
        return False
    defaults = {name: schema["default"] for name, schema in properties.items() if "default" in schema}
    rest = {**tool.parameters, "required": []}
    return not argument_problems(Tool(tool.name, "", rest), defaults)


def main(arguments: Sequence[str] | None = None) -> int:
    """Makes `signatures.jsonl` again."""
    parser = argparse.ArgumentParser(prog="python -m xlam_lib.data.apigen.broad.signatures")
    parser.add_argument("--wheel", nargs="*", default=[], help="wheels of botocore and google-api-python-client")
    parser.add_argument("--out", type=Path, default=FILE)
    args = parser.parse_args(arguments)
    return as_command(lambda: _write(args.wheel, args.out))


def _write(wheels: Sequence[str], out: Path) -> None:
    listed, tools = collect(wheels)
    with writing(out) as file:
        for line in ({"sources": listed}, *(tool.to_dict() for tool in tools)):
            file.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")
    print(f"{len(tools)} tools of {len(listed)} sources, {out.stat().st_size / 1000:.0f} kB -> {out}")


if __name__ == "__main__":
    sys.exit(main())
