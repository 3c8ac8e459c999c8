"""Operations of an OpenAPI 3 document as callable things, answered from the document itself.

    apis = read_openapi("petstore.yaml")          # a path, or the parsed document
    apis["show_pet_by_id"].runs.answer({"petId": "7"})   # {"result": {"id": 7, "name": "Ada Fenmer"}}

The parameters of an operation (path, query, header) and the properties of its JSON body become the arguments of one
tool. There is no network, so nothing is really asked: an answer is an example of the document where there is one, else
is made of the response's schema, always the same for the same arguments; fields named like an argument repeat it.
Such data teaches how to call, not what the service knows. References within the document are resolved; one that
points elsewhere is an error. Used by `apis.py` and `run.py`.
"""

from __future__ import annotations

import json
import random
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xlam_lib.data.apigen.apis import Api, ApigenError, Library
from xlam_lib.data.apigen.draw import CannotDraw, draw, fits
from xlam_lib.settings.yaml_files import YamlError, parse_yaml
from xlam_lib.trajectory import Tool

METHODS = ("get", "put", "post", "delete", "patch", "head", "options", "trace")
PLACES = ("path", "query", "header")  # cookies are set by browsers
NOT_ASKED = ("accept", "content-type", "authorization")  # header parameters that OpenAPI itself ignores


@dataclass(frozen=True)
class Operation:
    """How one operation answers: `Operation("GET /pets/{petId}", schema={"type": "object", ...})`."""

    where: str
    schema: dict[str, Any] | None = None  # of the successful response's JSON
    examples: tuple[Any, ...] = ()
    root: dict[str, Any] = field(default_factory=dict)

    def answer(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """The answer to a call, always the same for the same arguments."""
        text = json.dumps([self.where, arguments], sort_keys=True)
        rng = random.Random(zlib.crc32(text.encode()))
        if self.examples:
            return {"result": _repeating(rng.choice(self.examples), arguments, self)}
        if self.schema is None:
            return {"result": {"status": "done"}}
        try:
            return {"result": _repeating(draw(self.schema, rng, root=self.root), arguments, self)}
        except CannotDraw as error:
            return {"error": f"ValueError: {self.where} can't be mocked: {error}"}


def _repeating(value: Any, arguments: dict[str, Any], operation: Operation) -> Any:
    """The value with what the caller has named in its place, as long as the response's schema allows it."""
    if not isinstance(value, dict):
        return value
    repeated = {key: arguments[key] for key in value if key in arguments}
    ids = [one for key, one in arguments.items() if re.fullmatch(r"\w*[a-z](?:_id|Id|ID)", key)]
    changed = {**value, **({"id": ids[-1]} if ids and "id" in value else {}), **repeated}
    fitting = operation.schema is None or fits(operation.schema, changed, operation.root)
    return changed if fitting else value


def read_openapi(document: str | Path | dict[str, Any], group: str = "") -> Library:
    """The library of all operations of a document; an ApigenError says which part of it can't be read."""
    where = "the document" if isinstance(document, dict) else str(document)
    root = document if isinstance(document, dict) else _load(Path(document))
    version = str(root.get("openapi", ""))
    if not version.startswith("3."):
        found = version or (f"Swagger {root['swagger']}" if "swagger" in root else "none")
        raise ApigenError(f"{where}: expected a document of OpenAPI 3, found version {found}")
    title = root.get("info", {}).get("title", "") if isinstance(root.get("info"), dict) else ""
    reader = _Reader(root, group or _name(str(title)) or "api", where)
    library = Library(reader.apis())
    if not len(library):
        raise ApigenError(f"{where}: has no operations under 'paths'")
    return library


def _load(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ApigenError(f"{path}: is no text in UTF-8 ({error})") from error
    try:
        found = json.loads(text)
    except RecursionError as error:
        raise ApigenError(f"{path}: is nested too deep to be read") from error
    except ValueError:
        found = _of_yaml(text, path)
    if not isinstance(found, dict):
        raise ApigenError(f"{path}: expected an object, found {type(found).__name__}")
    try:
        return json.loads(json.dumps(found))  # keys such as 200 become text
    except TypeError as error:
        raise ApigenError(f"{path}: holds what JSON can't ({error})") from error


def _of_yaml(text: str, path: Path) -> Any:
    try:
        return parse_yaml(text, str(path), dates=False)
    except YamlError as error:
        raise ApigenError(f"{path}: is neither JSON nor YAML ({error})") from error


class _Reader:
    def __init__(self, root: dict[str, Any], group: str, where: str) -> None:
        self.root, self.group, self.where = root, group, where
        self.names: set[str] = set()

    def apis(self) -> Iterator[Api]:
        """Every operation, in the document's order."""
        for path, item in (self.root.get("paths") or {}).items():
            item = self.local(item, f"paths {path}")
            for method in METHODS:
                if isinstance(item.get(method), dict):
                    yield self.api(path, method, item)

    def api(self, path: str, method: str, item: dict[str, Any]) -> Api:
        """One operation."""
        operation, where = item[method], f"{method.upper()} {path}"
        name = _name(operation.get("operationId") or f"{method}_{path}")
        while name in self.names:
            name += "_2"
        self.names.add(name)
        text = operation.get("summary") or operation.get("description") or item.get("summary") or where
        schema = self.schema_of_arguments(operation, item, where)
        tags = operation.get("tags") or [self.group]
        answers = self.answers(operation, where)
        asked = tuple(str(one) for one in operation.get("x-questions") or ())
        return Api(Tool(name, " ".join(str(text).split()), schema), str(tags[0]), answers, asked)

    def schema_of_arguments(self, operation: dict[str, Any], item: dict[str, Any], where: str) -> dict[str, Any]:
        """Parameters and body as one object."""
        properties: dict[str, Any] = {}
        required: list[str] = []
        listed = [*(item.get("parameters") or ()), *(operation.get("parameters") or ())]
        for parameter in (self.local(one, where) for one in listed):
            key, place = parameter.get("name"), parameter.get("in")
            if place not in PLACES or not key or (place == "header" and key.lower() in NOT_ASKED):
                continue
            schema = parameter.get("schema") or self.of_content(parameter, where) or {"type": "string"}
            properties[key] = self.described(self.schema(schema, where), parameter)
            if parameter.get("required") or place == "path":
                required.append(key)
        body = self.local(operation.get("requestBody") or {}, where)
        schema = self.schema(self.of_content(body, where) or {}, where)
        if schema.get("properties") and schema.get("type", "object") == "object":
            properties = {**schema["properties"], **properties}
            required += schema.get("required", [])
        elif schema:
            properties["body"] = self.described(schema, body)
            required += ["body"] if body.get("required") else []
        made: dict[str, Any] = {"type": "object", "properties": properties}
        needed = [key for key in dict.fromkeys(required) if key in properties]
        return made | ({"required": needed} if needed else {})

    def answers(self, operation: dict[str, Any], where: str) -> Operation:
        """How the operation answers when all is well."""
        responses = {str(key): value for key, value in (operation.get("responses") or {}).items()}
        good = sorted(key for key in responses if key.startswith("2")) or [key for key in responses if key == "default"]
        if not good:
            return Operation(where)
        content = self.local(responses[good[0]], where).get("content") or {}
        media = next((one for kind, one in content.items() if "json" in kind), None)
        if media is None:
            return Operation(where)
        examples = [self.local(one, where).get("value") for one in (media.get("examples") or {}).values()]
        examples += [media["example"]] if "example" in media else []
        schema = self.schema(media.get("schema") or {}, where)
        given = tuple(one for one in examples if one is not None)
        return Operation(where, schema or None, given or tuple(schema.get("examples", ())))

    def of_content(self, holder: dict[str, Any], where: str) -> dict[str, Any] | None:
        """The schema of the JSON content, or of a form."""
        content = holder.get("content") or {}
        kinds = sorted(content, key=lambda kind: ("json" not in kind, "form" not in kind))
        return content[kinds[0]].get("schema") if kinds else None

    def described(self, schema: dict[str, Any], holder: dict[str, Any]) -> dict[str, Any]:
        """The schema with the description and the example that its parameter has."""
        more: dict[str, Any] = {}
        if holder.get("description"):
            more["description"] = " ".join(str(holder["description"]).split())
        given = [one.get("value") for one in (holder.get("examples") or {}).values() if isinstance(one, dict)]
        given += [holder["example"]] if "example" in holder else []
        if given := [one for one in given if one is not None and fits(schema, one)]:
            more["examples"] = given
        return {**schema, **more}

    def local(self, value: Any, where: str) -> dict[str, Any]:
        """What a reference points to, itself no reference any more."""
        for _ in range(20):
            if not isinstance(value, dict):
                raise ApigenError(f"{self.where}, {where}: expected an object, found {str(value)[:80]!r}")
            if not isinstance(value.get("$ref"), str):
                return value
            value = self.pointed(value["$ref"], where)
        raise ApigenError(f"{self.where}, {where}: a reference that leads to itself")

    def pointed(self, pointer: str, where: str) -> Any:
        """The value a pointer such as "#/components/schemas/Pet" leads to."""
        if not pointer.startswith("#/"):
            raise ApigenError(f"{self.where}, {where}: {pointer!r} points out of the document; put it inside first")
        value: Any = self.root
        for part in pointer[2:].split("/"):
            key = part.replace("~1", "/").replace("~0", "~")
            if not isinstance(value, dict) or key not in value:
                raise ApigenError(f"{self.where}, {where}: {pointer!r} points to nothing (no {key!r})")
            value = value[key]
        return value

    def schema(self, value: Any, where: str, above: tuple[str, ...] = ()) -> dict[str, Any]:
        """A schema of JSON Schema 2020: references put in place, OpenAPI 3.0's own words translated.

        A schema that holds itself is cut off where it would begin again.
        """
        if not isinstance(value, dict):
            return {}
        if isinstance(pointer := value.get("$ref"), str):
            if pointer in above:
                return {}
            return self.schema(self.pointed(pointer, where), where, (*above, pointer))
        made: dict[str, Any] = {}
        for key, part in value.items():
            if key in ("properties", "patternProperties") and isinstance(part, dict):
                made[key] = {name: self.schema(one, where, above) for name, one in part.items()}
            elif key in ("allOf", "anyOf", "oneOf", "prefixItems") and isinstance(part, list):
                made[key] = [self.schema(one, where, above) for one in part]
            elif key in ("items", "additionalProperties", "not") and isinstance(part, dict):
                made[key] = self.schema(part, where, above)
            elif key not in OWN_WORDS:
                made[key] = part
        return _translated(made, value)


OWN_WORDS = ("nullable", "example", "discriminator", "xml", "externalDocs", "deprecated", "readOnly", "writeOnly")


def _translated(schema: dict[str, Any], raw: dict[str, Any]) -> dict[str, Any]:
    for bound, edge in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        flagged = isinstance(schema.get(bound), bool)  # 3.0: a flag beside the bound
        if flagged and schema.pop(bound) and edge in schema:
            schema[bound] = schema.pop(edge)
    if raw.get("nullable") and isinstance(schema.get("type"), str):
        schema["type"] = [schema["type"], "null"]
        if "enum" in schema and None not in schema["enum"]:
            schema["enum"] = [*schema["enum"], None]
    if "example" in raw and "examples" not in schema:
        schema["examples"] = [raw["example"]]
    return {key: value for key, value in schema.items() if not key.startswith("x-")}


def _name(text: str) -> str:
    """A name for a function: "showPetById" -> "show_pet_by_id"."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text)
    return re.sub(r"[\W_]+", "_", spaced).strip("_").lower()[:64]
