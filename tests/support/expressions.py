"""Every regular expression of ours, found in the modules, with the ways in which it is used."""

import ast
import contextlib
import importlib
import re
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import cached_property
from types import ModuleType
from typing import Any

from xlam_lib.data.golden import golden
from xlam_lib.data.sources import SOURCES
from xlam_lib.paths import root

METHODS: dict[str, Callable[[re.Pattern, Any], Any]] = {  # those of one growth count as one
    "match": re.Pattern.match,
    "fullmatch": re.Pattern.fullmatch,
    "search": re.Pattern.search,
    "finditer": lambda pattern, text: [0 for _ in pattern.finditer(text)],
}
SAME = {**{name: name for name in METHODS}, **dict.fromkeys(("findall", "split", "sub", "subn"), "finditer")}
LIBRARY = root() / "xlam_lib"
LITERALS_ONLY = ("train", "models", "perf", "plots")  # rooms that take long to import: nothing there is put together
ELSEWHERE = {"yaml_implicit_resolvers": {"match"}}  # what PyYAML does with those of a loader
COMPILE = re.compile
Found = dict[re.Pattern, tuple[str, set[str]]]  # where it stands, and how it is used


class Module:
    """What the source of a module says: calls of `re`, and which methods of what are called."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.made: list[tuple[ast.Call, re.Pattern | None, str]] = []  # with the name that it gets
        self.methods: dict[str, set[str]] = defaultdict(set)  # of names and attributes
        self.imported: set[tuple[str, str]] = set()
        nodes = list(ast.walk(ast.parse(text)))
        called: set[ast.AST] = set()
        named: dict[ast.AST, str] = {}
        for node in nodes:
            match node:
                case ast.ImportFrom(module=module, names=names):
                    self.imported |= {(module, alias.name) for alias in names}
                case ast.Assign(targets=[ast.Name(id=id)], value=value):
                    named[value] = id
                case ast.Attribute(value=ast.Name(id=id) | ast.Attribute(attr=id) as inner, attr=attr):
                    called.add(inner)
                    self.methods[id] |= {SAME[attr]} if attr in SAME else set()
        for node in nodes:
            match node:
                case ast.Name(id=id, ctx=ast.Load()) if id.isupper() and node not in called:
                    self.methods[id] |= METHODS.keys()  # it is handed on
                case ast.Call(func=ast.Attribute(value=ast.Name(id="re"), attr=attr)) if attr in (*SAME, "compile"):
                    self.made.append((node, literal(node), named.get(node, "")))


def literal(node: ast.Call) -> re.Pattern | None:
    """The expression of a call of `re`, None where it is put together."""
    try:
        source = ast.literal_eval(node.args[0])
    except ValueError:
        return None
    given = [item.value for item in node.keywords if item.arg == "flags"]
    given += node.args[1:2] if node.func.attr == "compile" else []
    return re.compile(source, eval(ast.unparse(given[0]), {"re": re}) if given else 0)


def expressions() -> Found:
    """All of them: written as literals, put together when modules are imported, or made while records are read."""
    modules = {}
    for path in sorted(LIBRARY.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if any(f".{name}(" in text for name in (*SAME, "compile")):
            name = ".".join(path.relative_to(root()).with_suffix("").parts).removesuffix(".__init__")
            modules[name] = Module(name, text)
    found: Found = {}

    def add(pattern: re.Pattern, place: str, methods: set[str]) -> None:
        found.setdefault(pattern, (place, set()))[1].update(methods)

    def uses(owner: str, name: str) -> set[str]:
        everywhere = [one for at, one in modules.items() if at == owner or (owner, name) in one.imported]
        return ELSEWHERE.get(name) or set().union(*(one.methods[name] for one in everywhere)) or set(METHODS)

    for name, module in modules.items():
        for node, pattern, given in module.made:
            if pattern is not None:
                method = node.func.attr
                add(pattern, f"{name}:{node.lineno}", uses(name, given) if method == "compile" else {SAME[method]})
        if name.split(".")[1] in LITERALS_ONLY:
            continue
        for place, owner, given, pattern in patterns_of(importlib.import_module(name)):
            if pattern not in found:
                add(pattern, f"{name} {place}", uses(owner, given))
    known = set(found)
    for pattern, method in made_while_reading():
        if pattern not in known:
            add(pattern, f"{pattern.pattern!r} made while records are read", {method})
    return found


def patterns_of(module: ModuleType) -> Iterator[tuple[str, str, str, re.Pattern]]:
    """(where, the module and the name by which it is used, the expression) of globals and of what is in them."""
    seen: set[int] = set()

    def walk(value: Any, place: str, owner: str, name: str) -> Iterator[tuple[str, str, str, re.Pattern]]:
        if isinstance(value, re.Pattern):
            yield place, owner, name, value
        if id(value) in seen:
            return
        seen.add(id(value))
        inner: list[tuple[str, str, str, Any]] = []
        if isinstance(value, dict):
            inner = [(f"{place}[{key!r}]", owner, name, item) for key, item in value.items()]
        elif hasattr(type(value), "_fields"):
            inner = [(f"{place}.{key}", type(value).__module__, key, getattr(value, key)) for key in value._fields]
        elif isinstance(value, list | tuple | set | frozenset):
            inner = [(f"{place}[{at}]", owner, name, item) for at, item in enumerate(value)]
        elif isinstance(value, type) and value.__module__ == module.__name__:
            inner = [(f"{place}.{key}", owner, key, item) for key, item in vars(value).items()]
        elif type(value).__module__.startswith("xlam_lib."):
            for key, item in vars(type(value)).items():
                if isinstance(item, cached_property) and "Pattern" in str(item.func.__annotations__.get("return")):
                    getattr(value, key)
            own = type(value).__module__
            inner = [(f"{place}.{key}", own, key, item) for key, item in getattr(value, "__dict__", {}).items()]
        for at, whose, called, item in inner:
            yield from walk(item, at, whose, called)

    for name, value in list(vars(module).items()):
        if not name.startswith("__"):
            yield from walk(value, name, module.__name__, name)


def made_while_reading() -> list[tuple[re.Pattern, str]]:
    """The expressions that functions put together from what they are given, and how each is used."""
    made: dict[tuple[re.Pattern, str], None] = {}
    with contextlib.ExitStack() as stack:
        for name in (*SAME, "compile"):
            if hasattr(re, name):
                stack.enter_context(_recorded(name, made))
        for source in SOURCES:
            golden(source)
    return list(made)


@contextlib.contextmanager
def _recorded(name: str, made: dict[tuple[re.Pattern, str], None]) -> Iterator[None]:
    """Calls of a function of `re` by our modules are written down."""
    original = getattr(re, name)

    def recorder(pattern: Any, *args: Any, **kwargs: Any) -> Any:
        if sys._getframe(1).f_globals["__name__"].startswith("xlam_lib."):
            flags = kwargs.get("flags", args[0] if name == "compile" and args else 0)
            for method in METHODS if name == "compile" else (SAME[name],):
                made[COMPILE(pattern, flags), method] = None
        return original(pattern, *args, **kwargs)

    setattr(re, name, recorder)
    try:
        yield
    finally:
        setattr(re, name, original)
