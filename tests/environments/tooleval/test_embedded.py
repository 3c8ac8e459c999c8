"""Our own collection: sets as published, facts that only calls reveal, examples to learn from."""

import asyncio
import json
from collections import Counter

import pytest

from xlam_lib.environments.tooleval import embedded
from xlam_lib.environments.tooleval.apis import Api
from xlam_lib.environments.tooleval.queries import GROUPS
from xlam_lib.environments.tooleval.verdicts import states


def tools(split, subset=""):
    """(tool, category) that the queries of a set call."""
    found = set()
    for one in embedded.solved(split):
        if one.query.subset == subset or not subset:
            found |= {
                (tool, api.category) for tool, _ in one.query.relevant for api in one.query.apis if api.tool == tool
            }
    return found


def test_how_much_there_is():
    assert len(embedded.tree()) == 32 and len(embedded.tree().descriptions) == 13
    assert len({api.category for api in embedded.tree()}) == 8
    assert Counter(one.query.group for one in embedded.solved()) == dict.fromkeys(GROUPS.values(), 15)
    assert len(embedded.solved("train")) == 16
    texts = [one.query.text for split in ("train", "test") for one in embedded.solved(split)]
    assert len(set(texts)) == len(texts)


def test_sets_are_what_their_columns_say():
    train = tools("train")
    assert tools("test", "G1_instruction") == train
    known, new = tools("test", "G1_tool"), tools("test", "G1_category")
    assert not (known | new) & train and not known & new
    assert {category for _, category in known} <= {category for _, category in train}
    assert not {category for _, category in new} & {category for _, category in train}


@pytest.mark.parametrize("split", ["train", "test"])
def test_facts_come_from_the_calls_and_only_from_them(split):
    for one in embedded.solved(split):
        answers = [embedded.answer(one.query.by_function[call.name], call.arguments) for call in one.calls[:-1]]
        assert not any(answer["error"] for answer in answers), one.query.id
        responses = json.dumps(answers, ensure_ascii=False)
        for fact in one.query.facts:
            assert states(responses, fact) and states(one.calls[-1].arguments["final_answer"], fact), one.query.id
            assert not states(one.query.text, fact), one.query.id
        assert one.query.facts


def test_every_api_is_called_by_some_query():
    called = {call.name for split in ("train", "test") for one in embedded.solved(split) for call in one.calls}
    assert {api.function.name for api in embedded.tree()} - called == set()


def test_answers_of_the_tables():
    convert = embedded.tree().find("Finance", "Currency Kit", "Convert amount")
    given = {"amount": "80", "is_from": "eur", "to": " NOK "}
    assert embedded.answer(convert, given) == {"error": "", "response": {"rate": 11.72, "result": 937.6}}
    for amount in ("many", None, True, "1e3", float("inf"), 10**400, "9" * 400):
        assert embedded.answer(convert, {**given, "amount": amount})["error"] == "Message error..."
    hotel = embedded.tree().find("Travel", "Hotel Desk", "Hotel details")
    assert embedded.answer(hotel, {"hotel_id": "101"}) == embedded.answer(hotel, {"hotel_id": 101})
    assert embedded.answer(hotel, {"hotel_id": 101, "lang": "en"})["response"]["message"].endswith("'lang'")
    assert embedded.answer(Api("Travel", "Other", "a"), {}) is None


def test_examples_are_solved_episodes_with_thoughts():
    assert len(embedded.examples()) == 6
    for example in embedded.examples():
        assert example.plan and example.steps[0].role == "user"
        acted = [step for step in example.steps if step.role == "assistant"]
        assert all(step.reasoning and len(step.tool_calls) == 1 for step in acted)
        assert acted[-1].tool_calls[0].name == "Finish"


def test_examples_call_only_functions_that_a_query_offers():
    known = [
        one.query for split in ("train", "test") for one in embedded.solved(split) if one.query.subset != "G1_tool"
    ]
    for query in known:
        shown = embedded.examples_for(query)
        names = {call.name for example in shown for step in example.steps for call in step.tool_calls}
        assert names <= {tool.name for tool in query.functions}
        assert bool(shown) == (query.subset != "G1_category") or query.subset == "G1_tool"


def test_the_server_answers_as_the_tables_do():
    api = embedded.tree().find("Science", "Element & Planet Lookup", "Class")
    assert api.function.name == "is_class_for_element_planet_lookup"
    found = asyncio.run(embedded.server().reply(*api.key, '{"symbol": "Xe"}'))
    assert found["response"] == {"class": "noble gas", "discovered": "in 1898"}
