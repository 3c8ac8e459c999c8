"""The tree of APIs, category -> tool -> API, and the function of each as a model is given it (notebook 05).

ToolBench keeps a tool in `toolenv/tools/<Category>/<tool>.json` (https://github.com/OpenBMB/ToolBench; shortened):

    {"tool_name": "Sky Report", "tool_description": "Weather of today and tomorrow.", "api_list": [
       {"name": "Current weather", "description": "...", "method": "GET", "required_parameters":
         [{"name": "city", "type": "STRING", "description": "", "default": "Oslo"}], "optional_parameters": []}]}

    tree = read_tools("toolenv/tools")
    tree.find("Weather", "sky_report", "current_weather").function.name    # "current_weather_for_sky_report"

Names, types and what is cut off follow `api_json_to_openai_json` of ToolBench's Downstream_tasks/rapidapi.py: the
functions equal those recorded in its answers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from xlam_lib.errors import XlamError
from xlam_lib.schema import Tool

LONGEST_NAME = 64  # characters of a function's name, counted from its end
LONGEST_DESCRIPTION = 256
OUTSIDE_NAMES = re.compile(r"[^a-zA-Z0-9_^\u4e00-\u9fa5]")
RESERVED = ("from", "class", "return", "false", "true", "id", "and")  # get "is_" before them
Key = tuple[str, str, str]  # category, tool and API
TYPES = {"NUMBER": "integer", "STRING": "string", "BOOLEAN": "boolean"}  # all others are strings


class ToolEvalError(XlamError, ValueError):
    """Files of ToolBench or StableToolBench that can't be read; the message names the file and the field."""


def standard_name(text: str) -> str:
    """A name as functions and files bear it: `standard_name("QR Code Generator_v14")` -> "qr_code_generator_v14"."""
    name = re.sub(r"_+", "_", OUTSIDE_NAMES.sub("_", text)).lower().strip("_")
    return f"get_{name}" if name[:1].isdigit() else name


def safe_name(text: str) -> str:
    """The same, of an API or a parameter: `safe_name("Class")` -> "is_class", for Python reserves the word."""
    name = standard_name(text)
    return f"is_{name}" if name in RESERVED else name


def category_name(text: str) -> str:
    """A category as folders bear it: `category_name("News, Media")` -> "News_Media"."""
    return re.sub(r"[ ,/]", "_", text).replace("__", "_")


def key_of(category: str, tool: str, api: str) -> Key:
    """Names of a request as APIs bear them: `key_of("Media", "newapi_for_media", "url")` -> ("Media", "newapi", "url").

    The original's requests name a tool with or without its category, and an API with or without its tool.
    """
    tool, suffix = standard_name(tool), f"_for_{standard_name(category)}"
    while tool.endswith(suffix):
        tool = tool.removesuffix(suffix)
    return category_name(category), tool, safe_name(api).removesuffix(f"_for_{tool}")


@dataclass(frozen=True)
class Parameter:
    """A parameter of an API: `Parameter("city", "STRING", "Name of the city", "Oslo")`; the default is an example."""

    name: str
    type: str = "STRING"
    description: str = ""
    default: Any = ""

    @cached_property
    def schema(self) -> dict[str, Any]:
        """Its JSON Schema, with the example as ToolBench gives it: {"type": "string", ..., "example_value": "Oslo"}."""
        example = {"example_value": self.default} if str(self.default) else {}
        kind, description = TYPES.get(self.type, "string"), self.description[:LONGEST_DESCRIPTION]
        return {"type": kind, "description": description, **example}


@dataclass(frozen=True)
class Api:
    """One API: `Api("Weather", "Sky Report", "Current weather", "Weather of now.", (Parameter("city"),))`."""

    category: str
    tool: str
    name: str
    description: str = ""
    required: tuple[Parameter, ...] = ()
    optional: tuple[Parameter, ...] = ()

    @cached_property
    def key(self) -> Key:
        """By which it is found and its answers are recorded: ("Weather", "sky_report", "current_weather")."""
        return key_of(self.category, self.tool, self.name)

    @cached_property
    def function(self) -> Tool:
        """What a model may call. As in the original, optional parameters are only shown beside required ones."""
        tool = standard_name(self.tool)
        called = f"{safe_name(self.name)}_for_{tool}"[-LONGEST_NAME:]
        description = f'This is the subfunction for tool "{tool}", you can use this tool.'
        if words := self.description.strip():
            shown = words.replace(self.name, called)[:LONGEST_DESCRIPTION]
            description += f'The description of this function is: "{shown}"'
        optional = self.optional if self.required else ()
        parameters = {
            "type": "object",
            "properties": {safe_name(one.name): one.schema for one in (*self.required, *optional)},
            "required": [safe_name(one.name) for one in self.required],
            "optional": [safe_name(one.name) for one in optional],
        }
        return Tool(called, description, parameters)


def read_api(raw: Mapping[str, Any], where: str, category: str = "", tool: str = "") -> Api:
    """An API of a tool's file, or one of a query's `api_list`, which names category and tool itself."""
    try:
        name = raw.get("api_name", raw.get("name"))
        found = (raw.get("category_name", category), raw.get("tool_name", tool), name)
        if not all(isinstance(one, str) and one for one in found):
            raise ToolEvalError(f"{where}: category, tool and API are {found}; expected three names")
        required, optional = (
            tuple(_parameter(one) for one in raw.get(f"{kind}_parameters") or ()) for kind in ("required", "optional")
        )
        return Api(*found, str(raw.get("api_description", raw.get("description")) or ""), required, optional)
    except (KeyError, TypeError, AttributeError) as error:
        raise ToolEvalError(f"{where}: an API is not as in ToolBench's files ({error!r}): {str(raw)[:120]}") from error


def _parameter(raw: Mapping[str, Any]) -> Parameter:
    return Parameter(raw["name"], raw.get("type", "STRING"), raw.get("description") or "", raw.get("default", ""))


class Tree:
    """APIs, found by the names that a request uses; `descriptions` has a line on each tool, by its standard name."""

    def __init__(self, apis: Iterable[Api], descriptions: Mapping[str, str] | None = None) -> None:
        self._apis = {api.key: api for api in apis}
        self.descriptions = dict(descriptions or {})

    def __iter__(self) -> Iterator[Api]:
        return iter(self._apis.values())

    def __len__(self) -> int:
        return len(self._apis)

    def find(self, category: str, tool: str, api: str) -> Api | None:
        """An API by names however they are spelt: `tree.find("Weather", "Sky Report", "Current weather")`."""
        return self._apis.get(key_of(category, tool, api))


def read_tools(folder: str | Path) -> Tree:
    """All tools of a folder `<Category>/<tool>.json`, as ToolBench's `toolenv/tools`, in the order of their names."""
    folder = Path(folder)
    apis, descriptions = [], {}
    for path in sorted(folder.glob("*/*.json")):
        tool = read_json(path)
        if not isinstance(tool, dict) or not isinstance(tool.get("api_list"), list):
            raise ToolEvalError(f"{path}: no 'api_list'; expected a tool as in ToolBench's toolenv/tools")
        name = tool.get("tool_name") or tool.get("name") or path.stem
        apis += [read_api(raw, str(path), path.parent.name, name) for raw in tool["api_list"]]
        descriptions[standard_name(name)] = str(tool.get("tool_description") or "")
    if not apis:
        raise ToolEvalError(f"{folder}: no tools; expected files like {folder}/Weather/sky_report.json")
    return Tree(apis, descriptions)


def read_json(path: Path) -> Any:
    """The value of a JSON file: `read_json(Path("G1_instruction.json"))`; an error names the file."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ToolEvalError(f"{path}: not a JSON file ({error})") from error
