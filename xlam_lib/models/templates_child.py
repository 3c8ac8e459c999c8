"""Renders a chat template in a process of its own, within limits of time and memory; started by `templates.py`.

Reads one JSON object from standard input ({"template", "conversations", "variables", "seconds", "bytes", "longest"})
and writes one: {"texts": [[text, [[start, end], ...]], ...]}, the places being those between generation marks, or
{"error": ..., "number": of the conversation}. The environment is that of transformers: Jinja's sandbox, which refuses
attributes of Python, with the same tags, filters and functions. What the sandbox doesn't refuse, loops without end and
texts that double, the limits end.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import jinja2
from jinja2 import ext, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

UNFIT = (
    jinja2.TemplateError,
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    SyntaxError,
    TypeError,
    ValueError,
)  # what the expressions of a template may come to


class GenerationMarks(ext.Extension):
    """The tag `{% generation %}`: remembers where what the assistant says stands in the text."""

    tags = {"generation"}
    written: list[str]
    places: list[tuple[int, int]]

    def parse(self, parser: Any) -> nodes.CallBlock:
        """The tag and its body as a call."""
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_marked"), [], [], body).set_lineno(line)

    def _marked(self, caller: Any) -> str:
        start, text = sum(map(len, self.written)), caller()
        self.places.append((start, start + len(text)))
        return text


def environment() -> tuple[ImmutableSandboxedEnvironment, GenerationMarks]:
    """Jinja as transformers sets it up, and its marks."""
    made = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[GenerationMarks, ext.loopcontrols]
    )
    made.filters["tojson"] = _tojson
    made.globals["raise_exception"] = _raise_exception
    made.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    return made, made.extensions[GenerationMarks.identifier]


def _tojson(
    value: Any, ensure_ascii: bool = False, indent: Any = None, separators: Any = None, sort_keys: bool = False
) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _raise_exception(message: str) -> None:
    raise jinja2.TemplateError(message)


def answer(request: Mapping[str, Any]) -> dict[str, Any]:
    """The texts of all conversations, or the first error."""
    texts, length = [], 0
    try:
        jinja, marks = environment()
        template = jinja.from_string(request["template"])
        for messages in request["conversations"]:
            marks.written, marks.places = [], []
            for part in template.generate(messages=messages, **request["variables"]):
                marks.written.append(part)
                length += len(part)
                if length > request["longest"]:
                    return {"error": f"it writes more than {request['longest']:,} characters", "number": len(texts)}
            texts.append(["".join(marks.written), marks.places])
    except UNFIT as error:
        return {"error": f"{str(error) or type(error).__name__}"[:1000], "number": len(texts)}
    except MemoryError:
        return {"error": f"it needs more than {request['bytes']:,} bytes of memory", "number": len(texts)}
    return {"texts": texts}


def main() -> None:
    """One request, one answer."""
    request = json.load(sys.stdin)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (request["seconds"], request["seconds"] + 1))
    resource.setrlimit(resource.RLIMIT_DATA, (request["bytes"], request["bytes"]))
    json.dump(answer(request), sys.stdout)


if __name__ == "__main__":
    main()
