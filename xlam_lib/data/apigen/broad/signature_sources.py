"""What packages say of their functions and of the web APIs that they speak to, as tools; `signatures.py` chooses.

    origin, found = package_tools("statistics")       # signatures and docstrings of an installed package
    origin, found = operations("botocore-1.44.8-py3-none-any.whl")   # API descriptions that a wheel ships

Nothing is installed from a wheel and none of its code runs: the descriptions are read out of the archive.
"""

from __future__ import annotations

import gzip
import html
import importlib
import importlib.metadata
import inspect
import json
import platform
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from xlam_lib.data.apigen.apis import ApigenError, tool_of
from xlam_lib.trajectory import Tool

STANDARD = "Python standard library"
PACKAGES: dict[str, tuple[str, ...]] = {  # what is documented well and may be passed on
    STANDARD: (
        "statistics", "textwrap", "shutil", "calendar", "colorsys", "difflib", "fnmatch", "glob", "base64", "heapq",
        "mimetypes", "urllib.parse", "shlex", "html", "os.path", "random", "tempfile", "locale", "zipfile", "tarfile",
        "email.utils", "json", "pprint", "string", "gzip", "bz2", "lzma", "hashlib", "secrets", "linecache",
        "compileall",
    ),
    "numpy": ("numpy", "numpy.linalg", "numpy.fft", "numpy.polynomial.polynomial"),
    "pandas": ("pandas",),
    "networkx": ("networkx",),
    "sympy": ("sympy.ntheory", "sympy.geometry", "sympy.stats", "sympy"),
    "humanize": ("humanize",),
    "babel": ("babel.numbers", "babel.dates", "babel.lists", "babel.units", "babel.core"),
    "huggingface_hub": ("huggingface_hub",),
    "Pillow": ("PIL.ImageOps", "PIL.ImageFilter", "PIL.ImageColor"),
}  # fmt: skip
LICENSES = {
    STANDARD: "PSF-2.0", "numpy": "BSD-3-Clause", "pandas": "BSD-3-Clause", "networkx": "BSD-3-Clause",
    "sympy": "BSD-3-Clause", "humanize": "MIT", "babel": "BSD-3-Clause",
    "huggingface_hub": "Apache-2.0", "Pillow": "MIT-CMU", "botocore": "Apache-2.0",
    "google-api-python-client": "Apache-2.0",
}  # fmt: skip
DOCUMENTED = (  # how docstrings name types, the first that fits
    (r"bool", "boolean"), (r"int", "integer"), (r"float|number|scalar|real", "number"), (r"str|path|file", "string"),
    (r"list|tuple|sequence|array|iterable|\(.*\)", "array"), (r"dict|mapping", "object"),
)  # fmt: skip
SHAPES = {
    "string": "string", "integer": "integer", "long": "integer", "float": "number", "double": "number",
    "boolean": "boolean", "timestamp": "string",
}  # fmt: skip


@dataclass(frozen=True)
class Origin:
    """A package that lent its descriptions: `Origin("numpy", "2.3.5", "BSD-3-Clause")`."""

    name: str
    version: str
    license: str

    def to_dict(self) -> dict[str, str]:
        """As JSON."""
        return asdict(self)


def package_tools(name: str) -> tuple[Origin, Iterable[tuple[str, Tool]]]:
    """The documented functions of an installed package, with its version; they are of no group."""
    version = platform.python_version() if name == STANDARD else importlib.metadata.version(name)
    return Origin(name, version, LICENSES[name]), _functions(PACKAGES[name])


def _functions(modules: Iterable[str]) -> Iterator[tuple[str, Tool]]:
    for module_name in modules:
        module = importlib.import_module(module_name)
        for name in sorted(getattr(module, "__all__", None) or vars(module)):
            function = getattr(module, name, None)
            if name.startswith("_") or inspect.isclass(function) or inspect.ismodule(function):
                continue
            home = getattr(function, "__module__", None) or module_name
            if home.partition(".")[0] != module_name.partition(".")[0]:  # it only uses the function
                continue
            if callable(function) and inspect.getdoc(function) and (tool := _function(function, module_name, name)):
                yield "", tool


def _function(function: Callable[..., Any], module: str, name: str) -> Tool | None:
    """The tool of a function whose arguments all have types, in hints, defaults or docstring; else None."""
    try:
        tool = tool_of(function, without=("self",))
    except ApigenError:
        return None  # its arguments can't be named, or have types that JSON does not know
    properties = {}
    for key, schema in tool.parameters["properties"].items():
        if schema.get("type") is None and (kind := _documented_type(function.__doc__ or "", key)):
            schema = {"type": kind, **({"items": {}} if kind == "array" else {}), **schema}
        if schema.get("type") == "array":
            schema = {**schema, "items": schema.get("items") or {"type": "number"}}
        text = _sentence(schema.get("description", ""))
        kept = {
            key: value for key, value in schema.items() if key not in ("description", "anyOf") and value is not None
        }
        properties[key] = {**kept, **({"description": text} if text else {})}
    if "additionalProperties" in tool.parameters or "$defs" in tool.parameters:
        return None
    parameters = {**tool.parameters, "properties": properties}
    return Tool(f"{module}.{name}" if len(name) % 2 else name, _sentence(tool.description), parameters)


def _documented_type(text: str, name: str) -> str:
    """The type that a docstring of NumPy's or Sphinx's form gives an argument, as JSON Schema calls it, or ""."""
    found = re.search(rf"^\s*{re.escape(name)}\s*:\s*(.+)$|:type\s+{re.escape(name)}:\s*(.+)$", text, re.MULTILINE)
    said = (found[1] or found[2]).lower() if found else ""
    return next((kind for words, kind in DOCUMENTED if re.match(rf"[`{{~]*({words})", said)), "")


def operations(wheel: str | Path) -> tuple[Origin, Iterable[tuple[str, Tool]]]:
    """The operations that a wheel of botocore or google-api-python-client describes, grouped by web API."""
    distribution, version = Path(wheel).name.split("-")[:2]
    name = distribution.replace("_", "-")
    if name not in READERS:
        raise ApigenError(f"{wheel}: expected a wheel of {' or '.join(READERS)}")
    return Origin(name, version, LICENSES[name]), READERS[name](Path(wheel))


def _documents(wheel: Path, pattern: str) -> Iterator[tuple[str, dict[str, Any]]]:
    with zipfile.ZipFile(wheel) as archive:
        for path in sorted(archive.namelist()):
            if found := re.fullmatch(pattern, path):
                data = archive.read(path)
                yield found[1], json.loads(gzip.decompress(data) if path.endswith(".gz") else data)


def _botocore(wheel: Path) -> Iterator[tuple[str, Tool]]:
    for service, document in _documents(wheel, r"botocore/data/([\w-]+)/[\d-]+/service-2\.json(?:\.gz)?"):
        shapes = document["shapes"]
        for operation, spec in document["operations"].items():
            shape = shapes.get(spec.get("input", {}).get("shape"), {})
            properties = {name: _member(member, shapes) for name, member in shape.get("members", {}).items()}
            name = (f"{service}_{_snake(operation)}", operation, f"{service}.{_snake(operation)}")[len(operation) % 3]
            required = [one for one in shape.get("required", []) if one in properties]
            yield service, _operation(name, spec.get("documentation", ""), properties, required)


def _member(member: dict[str, Any], shapes: dict[str, Any]) -> dict[str, Any]:
    shape = shapes[member["shape"]]
    schema: dict[str, Any] = {"type": SHAPES.get(shape["type"])}
    if shape["type"] == "list" and shapes[shape["member"]["shape"]]["type"] in SHAPES:
        schema = {"type": "array", "items": {"type": SHAPES[shapes[shape["member"]["shape"]]["type"]]}}
    if 0 < len(shape.get("enum", ())) <= 8:
        schema["enum"] = shape["enum"]
    return {**schema, "description": _sentence(member.get("documentation", "") or shape.get("documentation", ""))}


def _google(wheel: Path) -> Iterator[tuple[str, Tool]]:
    for name, document in _documents(wheel, r"googleapiclient/discovery_cache/documents/([\w]+)\.v[\w.]+\.json"):
        for method in _methods(document):
            if "request" in method or "id" not in method:  # its body is described elsewhere
                continue
            specs = method.get("parameters", {})
            required = [key for key, spec in specs.items() if spec.get("required")]
            kept = [*required, *(key for key in specs if key not in required)][:5]
            properties = {key: _google_parameter(specs[key]) for key in kept}
            short = method["id"].split(".")
            label = ".".join(short[-2:]) if len(method["id"]) % 2 else _snake("_".join([short[-1], short[-2]]))
            yield name, _operation(label, method.get("description", ""), properties, required)


def _methods(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from node.get("methods", {}).values()
    for inner in node.get("resources", {}).values():
        yield from _methods(inner)


def _google_parameter(spec: dict[str, Any]) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": spec["type"]}
    if 0 < len(spec.get("enum", ())) <= 8:
        schema["enum"] = spec["enum"]
    if spec.get("repeated"):
        schema = {"type": "array", "items": schema}
    return {**schema, "description": _sentence(spec.get("description", ""))}


READERS: dict[str, Callable[[Path], Iterator[tuple[str, Tool]]]] = {
    "botocore": _botocore,
    "google-api-python-client": _google,
}


def _operation(name: str, text: str, properties: dict[str, Any], required: list[str]) -> Tool:
    schema = {"type": "object", "properties": properties, **({"required": required} if required else {})}
    return Tool(name.replace("-", "_"), _sentence(text), schema)


def _sentence(text: str) -> str:
    """The first sentence of a documentation, without its markup."""
    plain = " ".join(html.unescape(re.sub(r"<[^<>]+>|:\w+:|`+|\*\*|\[Developer Preview\]", "", text)).split())
    plain = re.sub(r"^(Required|Optional|Output only|Immutable)\.\s+", "", plain)
    return re.split(r"(?<=[^.][.])\s+(?=[A-Z])", plain, maxsplit=1)[0]


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
