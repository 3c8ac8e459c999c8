"""Goals and progress: AgentBoard's rule on its own records, the embedded goals, and files that are no goals."""

import hashlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xlam_lib.agents import Action
from xlam_lib.environments.tool_query import ToolQuery, embedded_goals, progress, read_goals, same_answer
from xlam_lib.environments.tool_query.goals import GoalError
from xlam_lib.environments.tool_query.progress import in_order, subgoal_of

VALUES = st.one_of(st.integers(0, 3), st.sampled_from("ab"), st.booleans())


def record(**changes):
    info = {
        "answer": "No",
        "init_config": {"current_date": "2023-05-15", "current_location": "Oslo"},
        "tool": "weather",
    }
    made = {"id": 4, "goal": "Is it warm?", "subgoals": ["No"], "additional_info": info | changes.pop("info", {})}
    return made | changes


def test_all_goals_of_agentboard_are_read_and_their_answers_reach_them(real_data):
    """140 goals, each of which has one subgoal, its answer: to give it is progress 1, anything else none."""
    seen = 0
    for domain, count in (("weather", 60), ("movie", 60), ("academia", 20)):
        goals = read_goals(real_data / "agentboard_tool_query" / f"{domain}.jsonl")
        assert len(goals) == count and {goal.domain for goal in goals} == {domain}
        for goal in goals:
            assert (set(goal.setup) == {"current_date", "current_location"}) == (domain == "weather")
            for given_answer, right in ((goal.answer, True), ("something else", False)):
                environment = ToolQuery(goal)
                environment.reset(goal.task)
                result = environment.step(Action.call("finish", answer=given_answer))
                assert result.done and result.reward == float(right)
                assert result.termination == ("success" if right else "failure")
            seen += 1
    assert seen == 140


def test_recorded_subgoals_are_answers_in_the_order_of_finish(real_data):
    """As AgentBoard's `finish` sorts lists, its annotators sorted them; theirs and ours must be the same order."""
    lists = 0
    for domain in ("weather", "movie", "academia"):
        for goal in read_goals(real_data / "agentboard_tool_query" / f"{domain}.jsonl"):
            assert goal.subgoals == (in_order(goal.answer),)
            lists += isinstance(goal.answer, list)
    assert lists == 23


def test_to_do_lists_and_sheets_are_no_queries(real_data):
    with pytest.raises(GoalError, match=r"sheet.jsonl, line 1: the tool is 'sheet'; Tool-Query has weather"):
        read_goals(real_data / "agentboard_tool_query/sheet.jsonl")


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("{", "no JSON"),
        ("[]", "expected an object"),
        (record(info={"tool": "stocks"}), "the tool is 'stocks'"),
        (record(goal=" "), "goal is ' '"),
        (record(subgoals=[]), "a list of subgoals"),
        (record(subgoals="No"), "a list of subgoals"),
        (record(info={"answer": None}), "and an answer"),
        (record(id=None), "id is None"),
        (record(info={"init_config": None}), "init_config with current_date"),
        (
            record(info={"init_config": {"current_date": "today", "current_location": "Oslo"}}),
            "current_date is 'today'",
        ),
    ],
)
def test_a_line_that_is_no_goal_is_named(tmp_path, line, fault):
    path = tmp_path / "test.jsonl"
    path.write_text(json.dumps(record(id=1)) + "\n\n" + (line if isinstance(line, str) else json.dumps(line)) + "\n")
    with pytest.raises(GoalError, match=f"test.jsonl, line 3: .*{fault}"):
        read_goals(path)


def test_a_file_needs_goals_with_ids_of_their_own(tmp_path):
    path = tmp_path / "test.jsonl"
    path.write_text("\n")
    with pytest.raises(GoalError, match="holds no goal"):
        read_goals(path)
    path.write_text(json.dumps(record()) + "\n" + json.dumps(record()) + "\n")
    with pytest.raises(GoalError, match="line 2: the id 'weather/4' is there already"):
        read_goals(path)


def test_a_result_counts_for_one_subgoal():
    assert progress(["a", "a", "b", {"id": 1}], ["a", {"id": 1.0}]) == 0.5
    assert progress([1], [True]) == 0.0 and progress(["8"], [8]) == 0.0
    assert progress([], ["a"]) == 0.0


@settings(max_examples=50, deadline=None)
@given(st.lists(VALUES, min_size=1), st.lists(VALUES), VALUES)
def test_progress_never_falls_and_doesnt_depend_on_order(subgoals, results, more):
    before = progress(subgoals, results)
    assert 0 <= before <= progress(subgoals, [*results, more]) <= 1
    assert progress(subgoals[::-1], results[::-1]) == before
    assert progress(subgoals, [*results, *subgoals]) == 1


def test_what_of_a_result_is_compared():
    days = {"time": ["2015-01-01"], "temperature_2m_max": [4.3], "temperature_2m_min": [-3.6]}
    assert subgoal_of("weather", {"latitude": 31.2, "daily": days}) == {
        "latitude": 31.2,
        "daily": {"time": ["2015-01-01"]},
    }
    assert subgoal_of("weather", {"daily": {"rain_sum": [1.0]}}) == {"daily": {"rain_sum": [1.0]}}
    assert subgoal_of("movie", {"id": 1, "budget": 5, "biography": "x"}) == {"id": 1}
    assert subgoal_of("academia", {"budget": 5}) == {"budget": 5}


@pytest.mark.parametrize(
    ("predicted", "expected", "right"),
    [
        (8.0, 8, True),
        ("8", 8, False),
        (True, 1, False),
        (["b", "a"], ["a", "b"], True),
        (["a"], ["a", "a"], False),
        ([2, 1.0], [1, 2], True),
        ("yes", "Yes", False),
    ],
)
def test_answers_are_compared_as_json(predicted, expected, right):
    assert same_answer(predicted, expected) is right


@pytest.mark.parametrize("answer", [["a", 1], [{}, {}], [None, "a"], [[1], 2]])
def test_a_list_of_all_sorts_has_no_order(answer):
    with pytest.raises(TypeError):
        in_order(answer)


def test_embedded_goals_are_the_same_everywhere():
    """By content, so that another machine, version or order of sets would show."""
    rows = [
        [goal.id, goal.question, goal.answer, goal.subgoals]
        for split in ("train", "test")
        for goal in embedded_goals(split)
    ]
    digest = hashlib.sha256(json.dumps(rows).encode()).hexdigest()
    assert digest[:16] == "46a6c4b5ac6490a0"


def test_no_question_is_both_learned_and_tested():
    train, test = embedded_goals("train"), embedded_goals("test")
    assert (len(train), len(test)) == (24, 48)
    assert len({goal.question for goal in (*train, *test)}) == 72 == len({goal.id for goal in (*train, *test)})
    assert {goal.domain: sum(one.domain == goal.domain for one in test) for goal in test} == {
        "weather": 16, "movie": 16, "academia": 16}  # fmt: skip
    with pytest.raises(GoalError, match="no split 'dev'"):
        embedded_goals("dev")


def test_embedded_goals_have_a_way_of_several_steps():
    for goal in embedded_goals("train") + embedded_goals("test"):
        assert 3 <= len(goal.moves) == len(goal.subgoals) <= 20
        assert goal.plan and all(move.thought for move in goal.moves)
        assert goal.moves[-1].name == "finish" and same_answer(goal.moves[-1].arguments["answer"], goal.answer)
