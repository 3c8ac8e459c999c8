"""JSON files of logs in which one of several records is broken: it costs itself, whatever the source."""

import json

import pytest

from xlam_lib.data.accounting import Loss
from xlam_lib.data.reading import read_text
from xlam_lib.data.sources.logs import inspect_ai, openai_responses, openhands
from xlam_lib.data.streams import Raw

SOURCES = [inspect_ai, openai_responses, openhands]
PARTS = {
    openai_responses: {"type": "message", "role": "user", "content": "Hi"},
    openhands: {"action": "run", "args": {}},
}
GOOD = [json.dumps({"name": name, "runs": [{"x": 1}]}) for name in ("first", "second")]
BROKEN = [
    '{"name": }',
    '{"name": "b", "runs": [{"x": 1, }]}',
    '{"a": "b" "c": 1}',
    "{x}",
    '{"a": ' + "[" * 20_000 + "]" * 20_000 + "}",
]


def found(tmp_path, text, source):
    path = tmp_path / "runs.json"
    path.write_text(text, encoding="utf-8")
    return list(read_text(path, source.split))


@pytest.mark.parametrize("between", [", ", ",\n", ",\n  "])
@pytest.mark.parametrize("broken", BROKEN, ids=lambda text: text[:20])
@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.SOURCE.name)
def test_a_broken_element_of_a_list_costs_itself(tmp_path, source, broken, between):
    first, lost, last = found(tmp_path, f"[{between[1:]}{between.join([GOOD[0], broken, GOOD[1]])}]", source)
    assert [first.value["name"], last.value["name"]] == ["first", "second"]
    assert isinstance(lost, Loss) and (lost.kind, lost.line) == ("quarantined", first.line + ("\n" in between))
    assert lost.reason.startswith("not JSON: ")


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.SOURCE.name)
def test_a_broken_line_among_lines_costs_itself(tmp_path, source):
    rows = found(tmp_path, "\n".join([GOOD[0], BROKEN[0], "", GOOD[1], BROKEN[-1]]), source)
    assert [(row.line, isinstance(row, Raw)) for row in rows] == [(1, True), (2, False), (4, True), (5, False)]
    assert rows[1].reason == "not JSON: Expecting value at character 10 of the line"


@pytest.mark.parametrize("source", PARTS, ids=lambda source: source.SOURCE.name)
def test_a_run_with_a_broken_part_is_lost_as_a_whole(tmp_path, source):
    """What is left would read as if nothing had happened between."""
    part = json.dumps(PARTS[source])
    (lost,) = found(tmp_path, f"[{part},\n{{x}},\n{part}]", source)
    assert isinstance(lost, Loss) and lost.line == 2 and lost.reason.startswith("not JSON: ")


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.SOURCE.name)
@pytest.mark.parametrize("text", ['{"a": [\n{"x": 1},\n{"x": 2}\n], }', "[{x}, {y}]", "[", "{", "no"])
def test_text_that_is_no_json_at_all_is_one_loss(tmp_path, source, text):
    (lost,) = found(tmp_path, text, source)
    assert isinstance(lost, Loss) and lost.kind == "quarantined"
