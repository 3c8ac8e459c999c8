"""Few-shot prompts of four environments: each episode in them is a trajectory."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from xlam_lib.codec import parse_answer, prompts_of, same_calls
from xlam_lib.data.accounting import Accounting, Drop
from xlam_lib.data.sources import load_source
from xlam_lib.data.sources.agents.react import convert, native, unpack
from xlam_lib.trajectory import Trajectory

HOUSE = "A room.\nYour task is to: put some mug in desk.\n> think: Where?\nOK.\n>go to desk 1\nOn it, nothing.\n"
SHOP = "Webshop \nInstruction:  \na red lamp\n[Search]  \n\nAction 1: search[lamp]\nObservation 1: \na page\n\n"
SHOP += "Action 2: think[Good.]\nObservation 2: OK.\n\nAction 3: click[Buy Now]\n\n"
WIKI = "Question: Which city?\nThought 1: I know.\nAction 1: Finish[Rome]\n"
RULE = "\nDetermine if it SUPPORTS or REFUTES. \n"


def made(text: str) -> list[Trajectory]:
    trajectories = convert({"name": "some", "text": text}, "/data/prompts.json:1")
    for t in trajectories:
        t.validate()
    return trajectories


def test_the_text_decides_of_which_kind_it_is():
    (house,) = made(HOUSE)
    assert native(house) == ["think: Where?", "go to desk 1"] and "alfworld" in house.tags
    assert house.extra["unspaced_prompts"] == [1] and house.steps[1].reasoning == "Where?"
    one, two = made(SHOP + SHOP)
    assert native(one) == native(two) == ["search[lamp]", "think[Good.]", "click[Buy Now]"]
    assert (one.trajectory_id, two.trajectory_id) == ("react/prompts/some/0", "react/prompts/some/1")
    assert one.steps == two.steps and one.steps[-1].role == "assistant"
    first, second = made(WIKI + WIKI.replace("Rome", "Bern"))
    assert (native(first), native(second)) == (["Finish[Rome]"], ["Finish[Bern]"])


def test_claims_have_a_rule_and_answers_may_come_without_tools():
    plain, tight = made(f"{RULE}Claim: A.\nThought: B.\nAnswer: SUPPORTS\n\nClaim: C.\nAnswer:REFUTES\n")
    assert plain.task.instruction == RULE.strip() and plain.tools == ()
    assert (plain.steps[1].content, plain.steps[1].reasoning) == ("SUPPORTS", "B.")
    assert (native(plain), native(tight)) == (["Answer: SUPPORTS"], ["Answer:REFUTES"])
    (acted,) = made(f"{RULE}Claim: A.\nAction 1: Finish[REFUTES]\n")
    assert ("fever" in acted.tags, native(acted)) == (True, ["Finish[REFUTES]"])


def test_unpack():
    assert unpack({"a": "x", "b": "y"}) == [{"name": "a", "text": "x"}, {"name": "b", "text": "y"}]
    assert unpack({"a": 1}) == [{"a": 1}]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"name": "a", "text": "Just words."}, "a text without an action or an answer"),
        ({"name": "a", "text": "Question: Q\nQuestion: R"}, "a question without an answer: no trajectory to convert"),
        ({"name": "a", "text": "> look\na room"}, "an episode without a task"),
        ({"name": "a", "text": "Action 1: search[x]"}, "an episode without a task"),
        ({"name": "a"}, "no 'text'"),
    ],
)
def test_drops(record, reason):
    with pytest.raises(Drop) as drop:
        convert(record, "/data/prompts.json:1")
    assert drop.value.reason == reason


def test_real_prompts(real_data: Path):
    path = real_data / "react"
    accounting = Accounting("react")
    trajectories = list(load_source("react", path, accounting))
    texts = {
        f"{file.stem}/{name}": text
        for file in path.glob("*.json")
        for name, text in json.loads(file.read_text(encoding="utf-8")).items()
    }
    assert (accounting.records_in, accounting.dropped) == (len(texts), {})
    given: dict[str, list[str]] = {}
    for t in trajectories:
        given.setdefault(t.source.raw_id.rpartition("/")[0], []).extend(native(t))
        for index, _, completion in prompts_of(t):
            parsed = parse_answer(completion, t.tools)
            assert same_calls(parsed.answer.calls, t.steps[index].tool_calls)
    for name, text in texts.items():
        expected = re.findall(r"^(?:> ?|Action \d+: )(.*)$", text, re.MULTILINE)
        assert given[name] == (expected or re.findall(r"^Answer:.*$", text, re.MULTILINE)), name
    assert Counter(t.tags[1] for t in trajectories).keys() == {"alfworld", "fever", "hotpotqa", "webshop"}
