"""Schemas come with data: nothing that they name is fetched, and no value takes long to be held against them."""

import http.server
import json
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xlam_lib.arguments import argument_problems
from xlam_lib.codec import SEED_STYLE, parse_answer, prompts_of
from xlam_lib.data.apigen.checks import check_format
from xlam_lib.data.apigen.generate import Rejected
from xlam_lib.data.quality.repair import argument_findings, repaired
from xlam_lib.data.quality.verify import verify
from xlam_lib.data.unify import BOOKS, LOSSES, TRAJECTORIES, main
from xlam_lib.errors import TrajectoryError
from xlam_lib.grading import cases_of, grade
from xlam_lib.json_schema import validator
from xlam_lib.json_schema.validator import SchemaLimit, json_validator, schema_fault
from xlam_lib.serve.schema import answer_schema
from xlam_lib.trajectory import Source, Step, Tool, ToolCall, Trajectory

SECRET = "canary-5f1d"


class Canary(http.server.BaseHTTPRequestHandler):
    """Answers whatever is asked, and notes it."""

    asked: list[str] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        body = json.dumps({"type": "integer", "title": SECRET}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_HEAD = do_POST = do_GET

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Canary) as found:
        threading.Thread(target=found.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{found.server_address[1]}"
        found.shutdown()


@pytest.fixture
def schemas(server: str, tmp_path: Path) -> list[dict]:
    """Parameters that name the canaries in every way that JSON Schema knows."""
    (tmp_path / "secret.json").write_text(json.dumps({"enum": [SECRET], "$defs": {"a": {"const": SECRET}}}))
    found = []
    for address in (f"{server}/a.json", f"{server}/a.json#/$defs/a", (tmp_path / "secret.json").as_uri()):
        for x in (
            {"$ref": address},
            {"$dynamicRef": address},
            {"$recursiveRef": address},
            {"$schema": address, "type": "string", "pattern": "^b$"},
            {"$id": address, "$ref": "other.json"},
            {"$id": address, "$ref": "#/$defs/a"},
            {"items": {"$ref": address}, "not": {"$ref": address}},
            {"anyOf": [{"$ref": address}, {"type": "null"}]},
            {"contentMediaType": "application/json", "contentSchema": {"$ref": address}},
        ):
            found.append({"type": "object", "properties": {"x": x}})
        found.append({"type": "object", "$schema": address, "$id": address, "$ref": address, "properties": {}})
        found.append({"type": "object", "$vocabulary": {address: True}, "allOf": [{"$ref": address}], "properties": {}})
    return found


def example(parameters: dict, number: int = 0) -> Trajectory:
    call = ToolCall("f", {"x": "5", "y": ["a"]}, "call_0")
    steps = (Step("user", "Do it with 5."), Step("assistant", tool_calls=(call,)))
    return Trajectory(f"t/{number}", Source("t", "CC0-1.0"), tools=(Tool("f", "Do it.", parameters),), steps=steps)


def test_nothing_is_fetched_by_what_looks_at_schemas(schemas: list[dict], server: str) -> None:
    Canary.asked.clear()
    shown = []
    for number, parameters in enumerate(schemas):
        t = example(parameters, number)
        (tool,), call = t.tools, t.steps[1].tool_calls[0]
        shown += [argument_problems(tool, call.arguments), repaired(tool, call.arguments), verify(t)[1]]
        shown += [argument_findings(tool, call.arguments)]
        shown += [prompts_of(t), grade(cases_of([t], SEED_STYLE), ['{"name": "f", "arguments": {"x": 5}}'])]
        shown += [parse_answer('{"name": "f", "arguments": {"x": 5}}', t.tools)]
        for look in (lambda t: t.validate("warning"), check_format, lambda t: answer_schema(t.tools)):
            try:
                shown.append(look(t))
            except (TrajectoryError, Rejected, ValueError) as error:
                shown.append(str(error))
    assert Canary.asked == [] and SECRET not in repr(shown)


def test_nothing_is_fetched_by_the_command(schemas: list[dict], server: str, tmp_path: Path) -> None:
    Canary.asked.clear()
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"x": "5"}'}}
    secret = (tmp_path / "secret.json").as_uri()
    images = [
        {"type": "image_url", "image_url": {"url": f"{server}/a.png"}},
        {"type": "text", "text": f"See {secret}."},
    ]
    rows = [
        {
            "id": number,
            "messages": [
                {"role": "user", "content": images if number == 0 else f"Do number {number}."},
                {"role": "assistant", "tool_calls": [call]},
                {"role": "tool", "tool_call_id": "1", "content": f'{{"$ref": "{server}/result"}}'},
                {"role": "assistant", "content": f"![picture]({server}/b.png) {secret}"},
            ],
            "tools": [{"type": "function", "function": {"name": "f", "parameters": parameters}}],
            "$schema": server,
        }
        for number, parameters in enumerate(schemas)
    ]
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    arguments = ["--source", "openai_chat", "--input", str(tmp_path / "raw"), "--output", str(tmp_path / "out")]
    assert main(arguments) == main(arguments) == main([*arguments, "--force", "--workers", "2"]) == 0
    assert Canary.asked == []
    for name in (TRAJECTORIES, LOSSES, BOOKS):
        assert SECRET not in (tmp_path / "out" / name).read_text()


def test_a_canary_that_is_asked_would_sing(server: str) -> None:
    Canary.asked.clear()
    with pytest.warns(DeprecationWarning):
        assert jsonschema.Draft202012Validator({"$ref": f"{server}/a.json"}).is_valid(5)
    assert Canary.asked == ["/a.json"]


def test_local_references_and_dialects_are_known() -> None:
    schema = {
        "$ref": "#/$defs/a",
        "$defs": {"a": {"$id": "http://x.org/a", "$ref": "b"}, "b": {"$id": "http://x.org/b"}},
    }
    assert json_validator(schema).fits(5)
    assert json_validator({"$ref": "https://json-schema.org/draft/2020-12/schema"}).fits({"type": "integer"})
    assert not json_validator({"$ref": "https://json-schema.org/draft/2020-12/schema"}).fits({"type": "int"})


DOUBLING = {str(n): {"oneOf": [{"$ref": f"#/$defs/{n - 1}"}] * 2} for n in range(1, 41)}
SLOW = [
    ({"pattern": "^(a|a)*$"}, "a" * 60 + "b"),
    ({"patternProperties": {"^(a|a)*$": {}}}, {"a" * 60 + "b": 1}),
    ({"patternProperties": {"^(a|a)*$": {}}, "additionalProperties": False}, {"a" * 60 + "b": 1}),
    ({"allOf": [{"patternProperties": {"^(a|a)*$": {}}}], "unevaluatedProperties": False}, {"a" * 60 + "b": 1}),
    ({"$schema": "http://json-schema.org/draft-07/schema#", "pattern": "^(a|a)*$"}, "a" * 60 + "b"),
    ({"items": {"$schema": "http://json-schema.org/draft-04/schema#", "pattern": "^(a|a)*$"}}, ["a" * 60 + "b"]),
    ({"$ref": "#/$defs/40", "$defs": {"0": {}, **DOUBLING}}, 1),
]


@pytest.mark.parametrize(("schema", "value"), SLOW, ids=range(len(SLOW)))
def test_no_value_takes_long(monkeypatch: pytest.MonkeyPatch, schema: dict, value: object) -> None:
    monkeypatch.setattr(validator, "SECONDS", 0.1)
    monkeypatch.setattr(validator, "APPLIED", 10_000)
    start = time.process_time()
    with pytest.raises(SchemaLimit, match="takes more than"):
        json_validator(schema).errors(value)
    assert time.process_time() - start < 5
    tool = Tool("f", "", {"type": "object", "properties": {"x": schema}, "$defs": schema.get("$defs", {})})
    assert "cannot be applied" in argument_problems(tool, {"x": value})[0]


def test_patterns_that_are_too_large_are_not_compiled() -> None:
    for pattern in ("((a{999}){999}){999}", "a|" * 5000):
        with pytest.raises(SchemaLimit, match="too large"):
            json_validator({"pattern": pattern}).errors("a")


@pytest.mark.parametrize("number", [10**400, -(10**400), 10**22, 7.5])
@pytest.mark.parametrize("factor", [0.1, 0.5, 3, 10**300, 1e-320])
def test_multiples_of_any_size(number: float, factor: float) -> None:
    if abs(number) > 1e308 or isinstance(factor, int):
        exact = (Fraction(number) / Fraction(factor)).denominator == 1
        assert json_validator({"multipleOf": factor}).fits(number) == exact
    else:
        json_validator({"multipleOf": factor}).fits(number)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from([0.0, 1.0, 0.5, "", "a", "1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=5,
)


@given(st.lists(VALUES, max_size=5))
def test_unique_items_are_what_jsonschema_finds(values: list) -> None:
    theirs = jsonschema.Draft202012Validator({"uniqueItems": True}).is_valid(values)
    assert json_validator({"uniqueItems": True}).fits(values) == theirs


KEYWORDS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["object", "array", "string", "integer"]),
        "pattern": st.sampled_from(["a", "^b?$", "[0-9]"]),
        "patternProperties": st.just({"a": {"type": "integer"}}),
        "additionalProperties": st.sampled_from([False, {"type": "string"}]),
        "unevaluatedProperties": st.just(False),
        "uniqueItems": st.booleans(),
        "multipleOf": st.sampled_from([2, 0.5]),
        "enum": st.lists(VALUES, min_size=1, max_size=3),
        "items": st.sampled_from([{"type": "string"}, {"pattern": "a"}, False]),
    },
)


@given(KEYWORDS, VALUES)
def test_all_else_is_what_jsonschema_finds(schema: dict, value: object) -> None:
    theirs = [error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(value)]
    assert [error.message for error in json_validator(schema).errors(value)] == theirs


def test_what_is_no_schema_is_named() -> None:
    assert schema_fault({"type": "object"}) is None
    assert schema_fault({"type": "text"}).json_path == "$.type"
