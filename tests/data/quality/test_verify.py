"""Verification: each rule found where it is broken, nothing found where nothing is, repairs that change no meaning."""

import dataclasses
import json
import random
from collections import Counter, defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xlam_lib.data.apigen import build_embedded
from xlam_lib.data.quality.findings import RULES, Policy
from xlam_lib.data.quality.verify import findings_table, first_error, policy_of, unrepaired, verify
from xlam_lib.data.sources import SOURCES, SourceInfo, load_source
from xlam_lib.trajectory import Outcome, Source, Step, Task, Tool, ToolCall, Trajectory, read_jsonl

BOOK = Tool(
    "book",
    "Books a table",
    {
        "type": "object",
        "properties": {
            "place": {"type": "string"},
            "guests": {"type": "integer"},
            "outside": {"type": "boolean"},
            "area": {"type": "string", "enum": ["bar", "hall"]},
            "tags": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["place"],
    },
)


def trajectory(*steps: Step, query: str = "A table for 5 at Luigi's", tools=(BOOK,), **more) -> Trajectory:
    return Trajectory("demo-1", Source("demo", "CC0-1.0"), tools=tools, steps=(Step("user", query), *steps), **more)


def call(arguments: dict, name: str = "book", id: str = "call_0", content: str = "") -> Step:
    return Step("assistant", content, tool_calls=(ToolCall(name, arguments, id),))


def result(content: str = '{"ok": 1}', id: str = "call_0", **more) -> Step:
    return Step("tool", content, tool_call_id=id, name="book", **more)


def rules(t: Trajectory, policy: Policy | None = None) -> list[str]:
    return [finding.rule for finding in verify(t, policy or Policy())[1]]


GOOD = (call({"place": "Luigi's", "guests": 5}), result(), Step("assistant", "Your table has been booked."))


def test_nothing_is_found_where_nothing_is_wrong():
    good = trajectory(*GOOD, outcome=Outcome(True))
    assert verify(good) == (good, [])


TIMES_OUT = Outcome(False, termination="max_steps")
BROKEN = {
    "undefined function": trajectory(call({}, "boook")),
    "missing required argument": trajectory(call({"guests": 5})),
    "unknown argument": trajectory(call({"place": "Luigi's", "when": "5"})),
    "wrongly typed argument": trajectory(call({"place": "Luigi's", "guests": "five"}), query="five at Luigi's"),
    "argument against its schema": trajectory(call({"place": "Luigi's", "area": "roof"}), query="Luigi's on the roof"),
    "repaired argument": trajectory(call({"place": "Luigi's", "guests": "5"})),
    "ungrounded value": trajectory(call({"place": "Da Mario"})),
    "call without result": trajectory(call({"place": "Luigi's"}), Step("assistant", "Done.")),
    "result without call": trajectory(call({"place": "Luigi's"}), result(), result()),
    "repeated call": trajectory(
        call({"place": "Luigi's"}), result(), call({"place": "Luigi's"}, id="b"), result(id="b")
    ),
    "error observation": trajectory(call({"place": "Luigi's"}), result('{"error": "closed"}')),
    "invalid action": trajectory(call({"place": "Luigi's"}), result("Nothing happens.")),
    "empty final answer": trajectory(call({"place": "Luigi's"}), result(), Step("assistant", "", reasoning="Hm.")),
    "contradictory final answer": trajectory(
        call({"place": "Luigi's"}), result("Error: closed"), Step("assistant", "Your table has been booked.")
    ),
}


def test_every_rule_has_an_example():
    assert BROKEN.keys() == RULES.keys()


@pytest.mark.parametrize("rule", BROKEN)
def test_each_rule_alone(rule):
    found = set(rules(BROKEN[rule])) - ({"error observation"} if rule == "contradictory final answer" else set())
    assert found == {rule}
    finding = next(one for one in verify(BROKEN[rule])[1] if one.rule == rule)
    assert (finding.trajectory_id, finding.level) == ("demo-1", RULES[rule].level)
    assert finding.step in (0, 1, 2, 3) and finding.found and "\n" not in finding.found


def test_a_policy_changes_levels_and_silences_rules():
    t = BROKEN["ungrounded value"]
    assert first_error(verify(t)[1]) is None
    strict = first_error(verify(t, Policy({"ungrounded value": "error"}))[1])
    assert (strict.rule, strict.found) == ("ungrounded value", "book: place is 'Da Mario', which nobody said")
    assert rules(t, Policy({"ungrounded value": "off"})) == []
    assert rules(t, Policy(composed=("place",))) == rules(t, Policy(composed=("book.place",))) == []
    with pytest.raises(ValueError, match="no rule 'ungrounded'"):
        Policy({"ungrounded": "off"})
    with pytest.raises(ValueError, match="expected 'error'"):
        Policy({"ungrounded value": "fatal"})


def test_a_source_declares_its_policy():
    info = SourceInfo("x", "MIT", "", (), argument_level="warning", policy=Policy({"repeated call": "off"}))
    assert policy_of(info).level("unknown argument") == "warning"
    assert policy_of(info).level("repeated call") == "off"
    assert policy_of(dataclasses.replace(info, argument_level="error")).level("unknown argument") == "error"


def test_a_source_adds_words_of_its_environment():
    t = trajectory(call({"place": "Luigi's"}), result("Out of order\nCome back"), Step("assistant", "Closed."))
    assert rules(t) == []
    assert rules(t, Policy(errors=("Out of order",))) == ["error observation"]
    assert rules(t, Policy(invalid=("Come back",))) == ["invalid action"]


REPAIRS = [
    ("guests", "5", 5),
    ("guests", 5.0, 5),
    ("guests", " -3 ", -3),
    ("outside", "True", True),
    ("outside", "false", False),
    ("place", 5, "5"),
    ("area", "Bar", "bar"),
    ("tags", '["a"]', ["a"]),
    ("tags", "['a', \"b\"]", ["a", "b"]),
]
KEPT = [
    ("guests", "five"),
    ("guests", "5.5"),
    ("guests", "05"),
    ("guests", 4.5),
    ("guests", True),
    ("outside", "yes"),
    ("outside", 1),
    ("place", 1.5),
    ("place", False),
    ("tags", "a"),
    ("tags", '{"a": 1}'),
    ("tags", "[open('x')]"),
    ("area", "Bars"),
]


@pytest.mark.parametrize(("name", "raw", "value"), REPAIRS)
def test_safe_repairs(name, raw, value):
    before = trajectory(call({"place": "x"} | {name: raw}))
    after, findings = verify(before, Policy({"ungrounded value": "off"}))
    new = after.steps[1].tool_calls[0].arguments[name]
    assert (new, type(new)) == (value, type(value))
    assert [finding.rule for finding in findings] == ["repaired argument"]
    assert "read as" in findings[0].found
    assert unrepaired(after) == before
    assert after.validate("error") == []
    assert verify(after)[0] == after
    assert verify(before, Policy(repair=False))[0] == before


@pytest.mark.parametrize(("name", "raw"), KEPT)
def test_what_has_two_readings_stays(name, raw):
    before = trajectory(call({"place": "x"} | {name: raw}))
    after, findings = verify(before)
    assert after == before
    assert {finding.rule for finding in findings} & {"wrongly typed argument", "argument against its schema"}


def test_a_union_is_repaired_only_if_one_branch_can_be_meant():
    either = {"type": "object", "properties": {"n": {"anyOf": [{"type": "integer"}, {"type": "boolean"}]}}}
    for raw, value in (("5", 5), ("true", True), ("x", "x")):
        after, _ = verify(trajectory(call({"n": raw}), tools=(Tool("book", "", either),)))
        assert after.steps[1].tool_calls[0].arguments["n"] == value


def test_the_last_calls_may_stay_unanswered_but_not_some_of_them():
    two = Step(
        "assistant", tool_calls=(ToolCall("book", {"place": "5"}, "a"), ToolCall("book", {"place": "table"}, "b"))
    )
    assert rules(trajectory(two)) == []
    assert rules(trajectory(two, result(id="a"))) == ["call without result"]


def test_a_call_is_repeated_only_if_nothing_new_came_between():
    def walk(*places: str) -> list[str]:
        steps = []
        for number, place in enumerate(places):
            steps += [call({"place": place}, id=f"c{number}"), result(f"You are at {place}", f"c{number}")]
        return rules(trajectory(*steps, query="Go to the desk, the bed and the lamp"))

    assert walk("desk", "bed", "desk") == []
    assert walk("desk", "desk") == ["repeated call"]
    assert walk("desk", "bed", "desk", "bed", "desk") == ["repeated call"] * 2


def test_gold_calls_are_right_by_definition():
    t = trajectory(call({"place": "Da Mario"}), tags=("gold",))
    assert rules(t) == []


def test_no_answer_is_missing_where_the_run_was_cut_off_or_nothing_fits():
    cut = trajectory(call({"place": "Luigi's"}), result(), Step("assistant", reasoning="Next"), outcome=TIMES_OUT)
    assert rules(cut) == []
    assert rules(trajectory(Step("assistant", reasoning="No tool fits."))) == []
    assert rules(trajectory(call({"answer": ""}), tools=())) == ["undefined function", "empty final answer"]


def test_a_success_that_gives_up_is_a_contradiction():
    sorry = Step("assistant", "I'm sorry, I could not find a table.")
    assert rules(trajectory(*GOOD[:2], sorry, outcome=Outcome(True))) == ["contradictory final answer"]
    assert rules(trajectory(*GOOD[:2], sorry, outcome=Outcome(False))) == []


def test_table():
    findings = [one for t in BROKEN.values() for one in verify(t)[1]]
    lines = findings_table(findings, 20).splitlines()
    assert lines[0] == "| rule | level | findings | trajectories | share | example |"
    assert len(lines) == 2 + len(RULES)
    assert "| ungrounded value | warning | 1 | 1 | 5.0% | demo-1, step 1: book: place is 'Da Mario'" in lines[8]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
schemas = st.sampled_from([{"type": kind} for kind in ("integer", "number", "boolean", "string", "array", "object")])


@settings(max_examples=60, deadline=None)
@given(json_values, schemas, st.text(max_size=30))
def test_never_raises_and_repairs_only_what_becomes_valid(value, schema, query):
    tool = Tool("f", "", {"type": "object", "properties": {"x": schema}})
    before = trajectory(call({"x": value}, "f"), result("?"), tools=(tool,), query=query or "?")
    after, findings = verify(before)
    assert unrepaired(after) == before
    if after != before:
        assert not {"wrongly typed argument"} & {finding.rule for finding in findings}
    json.dumps([finding.to_dict() for finding in findings])


@pytest.fixture(scope="module")
def embedded(tmp_path_factory):
    paths = build_embedded(
        tmp_path_factory.mktemp("embedded") / "data", 0, n_train=60, n_test_seen=100, n_test_unseen=40
    )
    return [t for split in ("train", "test_seen", "test_unseen") for t in read_jsonl(paths[split])]


def test_embedded_data_has_no_findings(embedded):
    assert [finding for t in embedded for finding in verify(t)[1]] == []


def swapped(trajectories, rng):
    """Each trajectory with one value taken from another one: (trajectory, step), for values that are no booleans."""
    pool = defaultdict(list)
    for t in trajectories:
        for _, _, c, name in slots(t):
            pool[c.name, name].append(c.arguments[name])
    for t in trajectories:
        open_slots = [slot for slot in slots(t) if len(set(map(str, pool[slot[2].name, slot[3]]))) > 1]
        if open_slots:
            index, number, c, name = rng.choice(open_slots)
            other = rng.choice([value for value in pool[c.name, name] if value != c.arguments[name]])
            calls = list(t.steps[index].tool_calls)
            calls[number] = dataclasses.replace(c, arguments={**c.arguments, name: other})
            steps = list(t.steps)
            steps[index] = dataclasses.replace(steps[index], tool_calls=tuple(calls))
            yield dataclasses.replace(t, steps=tuple(steps)), index


def slots(t):
    schemas = {tool.name: tool.parameters["properties"] for tool in t.tools}
    for index, step in enumerate(t.steps):
        for number, c in enumerate(step.tool_calls):
            for name, value in c.arguments.items():
                if type(value) in (str, int, float) and "enum" not in schemas[c.name].get(name, {}):
                    yield index, number, c, name


def test_most_values_of_other_trajectories_are_found(embedded):
    found = [
        any(one.rule == "ungrounded value" and one.step == index for one in verify(t)[1])
        for t, index in swapped(embedded, random.Random(0))
    ]
    assert len(found) > 100
    assert sum(found) / len(found) > 0.7


def test_few_values_of_real_records_are_ungrounded(real_data):
    """High precision: models do invent values, but in few records of the curated sources."""
    for source, most in (("tau_bench", 0.05), ("xlam_fc_60k", 0.0), ("webshop_react_log", 0.02)):
        policy = policy_of(SOURCES[source].SOURCE)
        ids = Counter(
            t.trajectory_id
            for t in load_source(source, real_data / source)
            for one in verify(t, policy)[1][:200]
            if one.rule == "ungrounded value"
        )
        total = sum(1 for _ in load_source(source, real_data / source))
        assert len(ids) / total <= most, (source, ids)


def test_instruction_and_results_ground_values_too():
    known = dict(query="Book it", task=Task("The default place is Da Mario"))
    assert rules(trajectory(call({"place": "Da Mario"}), **known)) == []
    later = (call({"place": "it"}), result('{"table": "T-81"}'), call({"place": "T-81"}, id="b"))
    assert rules(trajectory(*later, query="Book it")) == []
