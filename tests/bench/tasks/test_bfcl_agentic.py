"""BFCL's agentic questions: all are there, with their tools and answers, and each category says why it isn't run."""

import pytest

from xlam_lib.bench.tasks.bfcl_agentic import NOT_RUN, SCENARIOS, answered, conversations, load
from xlam_lib.bench.tasks.bfcl_overall import MEMORY, WEB_SEARCH
from xlam_lib.environments.bfcl_multi_turn import BfclError


@pytest.mark.parametrize("category", NOT_RUN)
def test_every_question_has_tools_answers_and_a_reason_for_not_being_run(category):
    questions = load(category)
    assert len(questions) == (155 if category in MEMORY else 100) == len({question.id for question in questions})
    for question in questions:
        assert question.asked.validate() == [] and question.accepted and question.category == category
        assert [step.role for step in question.asked.steps] == ["system", "user"]
        assert question.id.startswith(f"{category}_") and (question.scenario in SCENARIOS) == (category in MEMORY)
        assert answered(question, f"{{'answer': '{question.accepted[0]}', 'context': ''}}")
        break
    assert len(NOT_RUN[category]) > 20


def test_the_categories_are_those_with_a_weight():
    assert set(NOT_RUN) == {*MEMORY, *WEB_SEARCH}
    with pytest.raises(BfclError, match="no agentic category 'memory'; there are memory_kv"):
        load("memory")


def test_answers_are_found_in_words_and_only_as_words():
    question = load("memory_kv")[1]
    assert question.accepted == ("35", "thirty five")
    assert [answered(question, text) for text in ("You are 35.", "Thirty-five", "135", "I do not know")] == [
        True, False, False, False,
    ]  # fmt: skip


def test_conversations_that_a_memory_must_hold():
    assert sum(len(conversations(scenario)) for scenario in SCENARIOS) == 37
    assert "Michael" in conversations("customer")[0][0]
    with pytest.raises(BfclError, match="no scenario 'pilot' of a memory"):
        conversations("pilot")


def test_the_folder_of_real_records_reads_like_the_package(real_data):
    for category in NOT_RUN:
        packaged = {question.id: question for question in load(category)}
        found = load(category, real_data / "bfcl_v4")
        assert found and all(packaged[question.id] == question for question in found)
