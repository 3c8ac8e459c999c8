"""The catalogue: every fault of a file is named with file, tool, parameter, what was found and what is expected."""

import random

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from xlam_lib.data.apigen.broad.catalogue import CatalogueError, checked, read_catalogue
from xlam_lib.data.apigen.broad.phrasing import Phrasing
from xlam_lib.data.apigen.broad.values import read_kind

PRINCIPAL = {"type": "integer", "values": {"from": 1, "to": 90, "say": ["${}"]}, "description": "What is borrowed."}
DUE = {
    "type": "string", "enum": ["start", "end"], "default": "end", "optional": True,
    "values": {"start": ["early"], "end": ["late"]}, "description": "When it is paid.",
}  # fmt: skip
QUESTIONS = [f"{word} a loan of {{principal}}[, paid {{due}}]?" for word in ("What", "How", "Why", "When", "Which")]
PHRASES = ["work out a loan of {principal}", "<find|get> the rate of {principal}[ paid {due}]"]


def tool(**changes):
    made = {"name": "pay_loan", "description": "Monthly rate.", "parameters": {"principal": PRINCIPAL, "due": DUE}}
    return {**made, "questions": QUESTIONS, "phrases": PHRASES, **changes}


def write(folder, *tools, name="bank.yaml", **more):
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(yaml.safe_dump({"tools": list(tools), **more}, sort_keys=False))
    return folder


def test_a_sound_file_is_read_and_asks_for_what_it_says(tmp_path):
    tools = read_catalogue(write(tmp_path / "a", tool()))
    asked = tools["pay_loan"].ask(random.Random(0), "train", tools["pay_loan"].questions[0])
    assert asked.words(random.Random(0)).startswith(f"What a loan of ${asked.arguments['principal']}")
    assert tools["pay_loan"].parameters["required"] == ["principal"]
    assert list(checked(tools))


def parameter(**changes):
    return tool(parameters={"principal": {**PRINCIPAL, **changes}, "due": DUE})


def without(spec, key):
    return {name: value for name, value in spec.items() if name != key}


FAULTS = {
    "unknown key": (tool(answers=[]), "tool 'pay_loan': unknown key 'answers'; expected are description, name"),
    "nothing to say": (without(tool(), "phrases"), "tool 'pay_loan': 'phrases' is missing"),
    "name": (tool(name="pay loan"), "tool 'pay loan': the name is not one of a function"),
    "description": (tool(description=" "), "the description is ' ', expected a text"),
    "too few": (tool(questions=QUESTIONS[:4]), "questions: found 4 entries, expected a list of at least 5 texts"),
    "twice": (tool(questions=QUESTIONS + QUESTIONS[:1]), "stands there twice"),
    "grammar": (tool(phrases=["work on {principal}", "see <{principal}"]), "the '<' at character 5 has no '>'"),
    "unknown slot": (tool(phrases=["a {principal}", "b {principal} {rate}"]), "has the slot {rate}, but the"),
    "unsaid": (tool(phrases=["a {principal}", "b"]), "phrase 'b' says the required {principal} nowhere"),
    "in brackets": (tool(phrases=["a {principal}", "b[ {principal}]"]), "{principal} only in brackets"),
    "in one choice": (tool(phrases=["a {principal}", "b <{principal}|x>"]), "{principal} only in brackets, or in one"),
    "optional in one choice": (tool(phrases=["a {principal}", "b {principal} <{due}|x>"]), "says {due} in one choice"),
    "empty brackets": (tool(phrases=["a {principal}", "b {principal}[, please]"]), "a part in brackets without"),
    "end mark": (tool(phrases=["a {principal}", "b {principal}."]), "ends with '.'; expected no end mark"),
    "capital": (tool(phrases=["a {principal}", "Work on {principal}"]), "doesn't begin with a verb in lower case"),
    "type": (parameter(type="int"), "parameter 'principal': the type is 'int', expected one of string, integer"),
    "no values": (tool(parameters={"principal": without(PRINCIPAL, "values")}), "'values' is missing"),
    "no such kind": (parameter(values="dollars"), "there is no kind of values 'dollars'; known are"),
    "kind of another type": (parameter(values=["one", "two"]), "parameter 'principal': the value 'one' doesn't fit"),
    "not in enum": (parameter(enum=[1, 2]), "doesn't fit"),
    "default": (parameter(default=5), "has a default but not 'optional: true'"),
    "default of another type": (parameter(default="5", optional=True), "the default '5' doesn't fit"),
    "schema": (parameter(pattern="("), "parameter 'principal': the value"),
    "array": (parameter(type="array"), "an array needs items of a type"),
    "said alike": (
        parameter(values={1: ["one"], 2: ["two", "One"]}),
        "parameter 'principal': 'One' is said of 1 and of 2; expected sayings that tell the values apart",
    ),
    "rounded": (parameter(type="number", values={"from": 1, "to": 2, "step": 0.1, "say": "{:.0f}"}), "is said of"),
    "silent": (parameter(values={"from": 1, "to": 5, "say": ["some"]}), "the saying 'some' doesn't say the value"),
    "no steps": (parameter(values={"from": 5, "to": 1}), "there are no values"),
    "unknown part": (parameter(values={"from": 1, "to": 5, "by": 2}), "have the unknown key 'by'"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named(tmp_path, fault):
    spec, message = FAULTS[fault]
    with pytest.raises(CatalogueError) as found:
        read_catalogue(write(tmp_path / "a", spec))
    assert message in str(found.value)
    assert str(found.value).startswith("bank.yaml: tool 'pay")


def test_a_name_in_two_files_names_both(tmp_path):
    write(tmp_path / "a", tool())
    write(tmp_path / "a", tool(), name="other.yaml")
    with pytest.raises(CatalogueError, match=r"other.yaml: the tool 'pay_loan' is in bank.yaml, too"):
        read_catalogue(tmp_path / "a")


def test_a_fault_of_a_kind_names_the_kind(tmp_path):
    write(tmp_path / "a", tool(), values={"day": {"date": "%Y-%m-%d", "say": ["%d/%m/%Y", "%m/%d/%Y"]}})
    with pytest.raises(
        CatalogueError, match=r"bank.yaml: values 'day': '..../..../....' is said of|values 'day': .* is said of"
    ):
        read_catalogue(tmp_path / "a")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tools: [", "bank.yaml:[12]: not valid YAML: "),
        ("tools: []", "'tools' has 0, expected a list of 1 to 25 tools"),
        ("tools: [3]", "tool 1: found 3, expected a mapping"),
        ("values: {}\nvalues: {}", "bank.yaml:2: not valid YAML: the key 'values' is given twice"),
        ("? [a, b]\n: 1", "bank.yaml:1: not valid YAML: a key is .*, expected a text"),
        ("more: 1\ntools: []", "unknown key 'more'; expected are tools, values"),
    ],
)
def test_a_file_that_is_no_catalogue(tmp_path, text, message):
    (tmp_path / "bank.yaml").write_text(text)
    with pytest.raises(CatalogueError, match=message):
        read_catalogue(tmp_path)


def test_words_that_yaml_takes_for_other_things_are_texts(tmp_path):
    listed = "[on, off, yes, 'no', 12:30, 2024-01-05, 1e5]"
    text = f"values: {{mode: {listed}}}\ntools:\n- name: set_mode\n  description: Set it.\n  parameters:\n    mode: "
    text += "{type: string, values: mode, description: The mode.}\n  questions: "
    text += str([f"{word} {{mode}}" for word in "abcde"]) + "\n  phrases: ['a {mode}', 'b {mode}']"
    (tmp_path / "a.yaml").write_text(text)
    kind = read_catalogue(tmp_path)["set_mode"].leaves["mode"].kind
    assert list(kind.options) == ["on", "off", "yes", "no", "12:30", "2024-01-05", "1e5"]


def test_an_array_whose_values_would_fall_apart_is_a_fault(tmp_path):
    names = {
        "type": "array",
        "items": {"type": "string"},
        "description": "Names.",
        "values": {"of": ["Ann, Bob", "Cy"]},
    }
    phrases = ["a {names}", "b {names}"]
    spec = tool(parameters={"names": names}, questions=[f"{word} {{names}}" for word in "abcde"], phrases=phrases)
    with pytest.raises(CatalogueError, match="'Ann, Bob' holds ', ', which stands between the values of the array"):
        read_catalogue(write(tmp_path / "a", spec))


@given(st.text(alphabet="ab {}[]<>|", max_size=24))
def test_a_text_is_parsed_or_refused_with_a_place(text):
    try:
        phrasing = Phrasing.parse(text)
    except ValueError as error:
        assert "character" in str(error)
    else:
        said = phrasing.render(random.Random(0), dict.fromkeys(phrasing.slots, "x"))
        assert not set("{}[]<>|") & set(said)


@pytest.mark.parametrize(
    ("text", "droppable"),
    [
        ("the weather in {city} on {date}?", ("city", "date")),
        ("a loan of {sum} over {years}, please", ("years",)),
        ("between {a} and {b}", ()),
        ("convert {a} to {b}", ("b",)),
        ("send it to {a} and wait", ()),
        ("in {a} or in {a}", ()),
    ],
)
def test_what_can_be_left_out_has_a_preposition_before_and_an_end_behind(text, droppable):
    phrasing = Phrasing.parse(text)
    assert phrasing.droppable == droppable
    for slot in droppable:
        said = phrasing.render(random.Random(0), dict.fromkeys(phrasing.slots, "X"), without=slot)
        assert said.count("X") == len(phrasing.slots) - 1 and "  " not in said


def test_articles_fit_the_value_and_nothing_else_changes():
    phrasing, rng = Phrasing.parse("buy a {thing} and a apple for {who}"), random.Random(0)
    assert phrasing.render(rng, {"thing": "oven", "who": "a uncle"}) == "buy an oven and a apple for a uncle"
    for thing in ("unicycle", "unit", "one-way ticket", "European map", "used car", "pear"):
        assert phrasing.render(rng, {"thing": thing, "who": "me"}).startswith(f"buy a {thing}")
    for thing in ("8-inch pan", "hour", "umbrella", "uninstaller", "11th try"):
        assert phrasing.render(rng, {"thing": thing, "who": "me"}).startswith(f"buy an {thing}")


KINDS = (
    {"from": 5, "to": 900, "step": 0.25, "say": ["{}%", "{:,} percent"]},
    {"from": -40, "to": 3000},
    {"date": "%Y-%m-%d", "say": ["%B %d, %Y", "%d %b %Y"]},
    {"time": "%H:%M", "say": ["%I:%M %p"]},
    {"make": ["{first} {last}"], "first": {"words": "FIRST_NAMES"}, "last": ["Lee", "Khan", "Novak", "Reed"]},
    {"of": {"from": 1, "to": 500}, "min": 2, "max": 4},
)  # fmt: skip


@pytest.mark.parametrize("spec", KINDS, ids=str)
def test_training_and_test_share_no_value(spec):
    kind, rng = read_kind(spec, {}), random.Random(1)
    assert kind.ambiguity() == ""
    drawn = {half: [kind.draw(rng, half).value for _ in range(400)] for half in ("train", "test")}
    flat = {half: {v for x in values for v in (x if isinstance(x, list) else [x])} for half, values in drawn.items()}
    assert flat["train"] and flat["test"] and not flat["train"] & flat["test"]


def test_days_and_times_are_said_as_people_write_them():
    rng = random.Random(3)
    day, time = read_kind(KINDS[2], {}), read_kind(KINDS[3], {})
    assert not any(text.startswith("0") or " 0" in text for text in (day.make(rng).text for _ in range(300)))
    assert not any(text.startswith("0") for text in (time.make(rng).text for _ in range(300)))


def test_the_whole_catalogue_is_sound():
    """Each question and phrase is drawn, with all parts in brackets and without: it says the values of a sound call."""
    tools = read_catalogue()
    assert len(list(checked(tools, show=1))) >= 3 * len(tools)
    assert 0.03 < sum(tool.unseen for tool in tools.values()) / len(tools) < 0.25
