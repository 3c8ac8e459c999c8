"""Episodes of Tool-Query: both forms, words and calls, rewards that add up to progress, hostile arguments."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xlam_lib.agents import Action, rollout, run
from xlam_lib.environments.tool_query import Expert, Goal, ToolQuery, embedded_goals, manual_of
from xlam_lib.environments.tool_query.goals import GoalError
from xlam_lib.environments.tool_query.language import ACTIONS, FORMAT_ERROR
from xlam_lib.schema import Task, ToolCall
from xlam_lib.trajectory import Trajectory

GOALS = {goal.domain: goal for goal in reversed(embedded_goals("train"))}
WEATHER = GOALS["weather"]


def reset(goal=WEATHER, form="text"):
    environment = ToolQuery(goal, form=form)
    environment.reset(goal.task)
    return environment


def test_rewards_of_an_episode_add_up_to_its_progress():
    for goal in GOALS.values():
        episode = run(rollout(Expert(goal), ToolQuery(goal), goal.task))
        rewards = [step.reward for step in episode.steps if step.role == "assistant"]
        assert rewards == pytest.approx([1 / len(goal.subgoals)] * len(goal.subgoals))
        assert episode.outcome.success and episode.outcome.termination == "success"
        episode.validate()


def test_words_are_read_as_calls():
    """The same actions in words and as calls get the same results and rewards."""
    spoken, called = reset(), reset()
    for move in WEATHER.moves:
        one = spoken.step(Action(f"Action: {ACTIONS.render(move.name, move.arguments)}"))
        other = called.step(Action.call(move.name, **move.arguments))
        assert (one.reward, one.done, one.termination) == (other.reward, other.done, other.termination)
        (said,), (result,) = one.observation.steps, other.observation.steps
        assert said.role == "user" and result.role == "tool" and said.content == result.content
    assert spoken.finished


@pytest.mark.parametrize(
    "words", ["I think it is 8.", "Action: finish", 'finish {"answer": 8}', "Action: finish with Action Input: 8"]
)
def test_words_without_an_action_are_told_the_form(words):
    result = reset().step(Action(words))
    assert result.observation.steps[0].content == FORMAT_ERROR and result.reward == 0 and not result.done


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('Action: finish with Action Input: {"answer": 8}', ("finish", {"answer": 8})),
        ("finish with Action Input: {'answer': 'it\\'s'}", ("finish", {"answer": "it's"})),
        ("Think: so.\nAction: loadPaperNet with Action Input: {}\nObservation: PaperNet is", ("loadPaperNet", {})),
        ('Action: f with Action Input: {"a":\n 1} and more', ("f", {"a": 1})),
        ("Action: f with Action Input: {'a': __import__('os')}", None),
        ('Action: two words with Action Input: {"a": 1}', None),
        ("", None),
    ],
)
def test_the_language_of_actions(text, found):
    assert ACTIONS.parse(text) == found


ARGUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=4,
)


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.sampled_from(["answer", "node", "movie_id", "x"]), ARGUMENTS, max_size=3))
def test_what_is_rendered_is_read_back(arguments):
    assert ACTIONS.parse(ACTIONS.render("finish", arguments)) == ("finish", json.loads(json.dumps(arguments)))


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_hostile_calls_are_answered(data):
    """Whatever is called with whatever: an observation for each call, a progress from 0 to 1, and nothing raised."""
    goal = data.draw(st.sampled_from(list(GOALS.values())))
    environment = reset(goal, data.draw(st.sampled_from(["text", "calls"])))
    total = 0.0
    for _ in range(data.draw(st.integers(1, 4))):
        tool = data.draw(st.sampled_from(environment.tools))
        names = [*tool.parameters["properties"], "more"]
        name = data.draw(st.sampled_from([tool.name, "call", "tools", "_load", "__init__", ""]))
        arguments = data.draw(st.dictionaries(st.sampled_from(names), ARGUMENTS, max_size=4))
        calls = (ToolCall(name, arguments, "call_0"), ToolCall(tool.name, arguments, "call_1"))
        result = environment.step(Action(tool_calls=calls))
        total += result.reward
        assert [step.tool_call_id for step in result.observation.steps] == ["call_0", "call_1"]
        assert result.observation.steps[0].is_error or name == tool.name
        assert all(
            step.is_error == step.content.startswith("ERROR | ") or not step.is_error
            for step in result.observation.steps
        )
        assert 0 <= total <= 1 + 1e-9


@pytest.mark.parametrize("place", [1e999, 10**300, -1e308, 2**63, True, "59.9", None, [], {}])
def test_hostile_coordinates(place):
    days = {"start_date": "2023-01-01", "end_date": "2023-01-01"}
    result = reset().step(Action.call("get_historical_rain", latitude=place, longitude=0.0, **days))
    assert result.observation.steps[0].is_error


def test_after_the_answer_all_is_over():
    environment = reset()
    wrong, late = ToolCall("finish", {"answer": "?"}, "a"), ToolCall("finish", {"answer": WEATHER.answer}, "b")
    result = environment.step(Action(tool_calls=(wrong, late)))
    assert result.done and result.termination == "failure"
    assert [step.is_error for step in result.observation.steps] == [False, True]


def test_only_a_call_of_finish_finishes():
    """AgentBoard ends an episode at the word "finish" anywhere in an action."""
    environment = reset(GOALS["movie"])
    assert not environment.step(Action.call("get_search_movie", movie_name="finish Finish")).done
    assert not environment.step(Action.call("finish", answer=["a", 1])).done


def test_the_actions_can_be_asked_for_and_count_for_nothing():
    environment = reset()
    result = environment.step(Action.call("check_valid_actions"))
    assert "get_elevation" in result.observation.steps[0].content and result.reward == 0


def test_an_environment_belongs_to_one_goal():
    with pytest.raises(GoalError, match="plays 'weather/forecast_mean/0', not 'weather/other'"):
        ToolQuery(WEATHER).reset(Task("?", "weather/other"))
    bare = Goal("movie/1", "movie", "?", "Yes", ("Yes",))
    with pytest.raises(GoalError, match="no solution of it is known"):
        Expert(bare)


def test_same_goal_same_bytes():
    def played():
        return run(rollout(Expert(WEATHER), ToolQuery(WEATHER), WEATHER.task, seed=3))

    episode = played()
    assert json.dumps(episode.to_dict()) == json.dumps(played().to_dict())
    assert Trajectory.from_dict(episode.to_dict()) == episode


@pytest.mark.parametrize("domain", ["weather", "movie", "academia"])
def test_a_manual_explains_all_tools_and_shows_two_solved_goals(domain):
    goal = GOALS[domain]
    manual = ToolQuery(goal).manual
    assert manual == manual_of(domain)
    for tool in ToolQuery(goal).tools:
        assert f"Name: {tool.name}({', '.join(tool.parameters['properties'])})\n" in manual.instruction
    train = {one.question for one in embedded_goals("train") if one.domain == domain}
    assert len(manual.examples) == 2
    for example in manual.examples:
        assert example.steps[0].content in train and example.plan
        acting = [step for step in example.steps if step.role == "assistant"]
        assert all(step.reasoning and len(step.tool_calls) == 1 for step in acting)
        assert acting[-1].tool_calls[0].name == "finish"


def test_examples_are_what_the_environment_answers():
    for form in ("text", "calls"):
        for example in manual_of("academia", form).examples:
            goal = next(one for one in embedded_goals("train") if one.question == example.steps[0].content)
            episode = run(rollout(Expert(goal), ToolQuery(goal, form=form), goal.task))
            seen = [(step.role, step.content, step.tool_calls) for step in episode.steps]
            assert seen == [(step.role, step.content, step.tool_calls) for step in example.steps]


def test_over_native_calls_the_manual_leaves_tools_and_form_to_others():
    unified = manual_of("weather", "calls").instruction
    assert "Name:" not in unified and "Action Input" not in unified and "get_latitude_longitude" in unified
