"""The service desk: when an episode ends, what its reward is, and agents whose actions are all calls or JSON."""

import json
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xlam_lib.agents import Action, JsonCalls, Observation, rollout, run
from xlam_lib.agents.user import STOP
from xlam_lib.data.apigen.multi_turn.blueprint import sample
from xlam_lib.data.apigen.multi_turn.rule_players import DeskAgent
from xlam_lib.environments.service_desk import MANUAL, ServiceDesk, reward_of

READ, WRITE = JsonCalls().parse, JsonCalls().render


class Silent:
    """A user who says one thing and then stops."""

    name = "silent"

    def act(self, observation, history):
        return Action(f"Bye. {STOP}" if history else "Hello.")


@cache
def blueprint(kind):
    """The first one that asks for this alone and needs an action for it."""
    made = (sample(number, 5) for number in range(500))
    return next(one for one in made if [goal.kind for goal in one.goals] == [kind] and (one.actions or kind == "due"))


def play(made, *actions):
    """(results of some actions over a desk whose user stops after the first words)."""

    async def played():
        desk = ServiceDesk(made, lambda blueprint, seed: Silent())
        await desk.reset(desk.task)
        return [await desk.step(action) for action in actions]

    return run(played())


def calls(made):
    return [Action.call(name, **arguments) for name, arguments in made.actions]


@pytest.mark.parametrize("kind", ["renew", "pay", "cancel", "due"])
def test_the_reward_asks_for_the_state_and_for_the_words(kind):
    made = blueprint(kind)
    told = Action(f"It is {', '.join(made.outputs)}.")
    *_, done = play(made, *calls(made), told)
    assert (done.reward, done.done, done.termination) == (1.0, True, "success")
    if made.actions:
        (undone,) = play(made, told)
        assert (undone.reward, undone.termination) == (0.0, "failure")
    if made.outputs:
        *_, untold = play(made, *calls(made), Action("Done."))
        assert (untold.reward, untold.termination) == (0.0, "failure")


def test_words_beside_a_call_are_words_and_reading_is_no_fault():
    made = blueprint("renew")
    looked = Action.call("get_member", member_id=made.member_id)
    aside = Action(f"It will be {made.outputs[0]}.", calls(made)[0].tool_calls)
    assert play(made, looked, aside, Action("Done."))[-1].reward == 1.0


def test_another_change_is_a_fault():
    made = blueprint("pay")
    more = Action.call("change_email", member_id=made.member_id, email="x@example.org")
    assert play(made, *calls(made), more, Action(f"{made.outputs}"))[-1].reward == 0.0


def test_an_episode_ends_when_the_user_is_handed_over():
    made = blueprint("due")
    wrong, right = play(made, Action.call("hand_over"), Action.call("hand_over", summary="?"))
    assert not wrong.done and wrong.observation.steps[0].is_error
    assert right.done and right.reward == 0.0 and right.termination == "failure"


def test_an_agent_may_speak_by_a_call():
    made = blueprint("due")
    empty, two, done = play(
        made,
        Action.call("respond", content=" "),
        Action(tool_calls=(*Action.call("respond", content="a").tool_calls, *Action.call("find_books").tool_calls)),
        Action.call("respond", content=f"It is due on {made.outputs[0]}."),
    )
    assert empty.observation.steps[0].is_error and not empty.done
    assert all(step.is_error for step in two.observation.steps) and not two.done
    assert done.reward == 1.0 and [step.content for step in done.observation.steps] == ["Bye."]


def test_the_same_seed_gives_the_same_episode_and_another_other_words():
    desk = ServiceDesk(sample(3, 5))
    one, same, other = (run(rollout(DeskAgent(), desk, desk.task, seed=seed)) for seed in (0, 0, 1))
    assert json.dumps(one.to_dict()) == json.dumps(same.to_dict())
    assert [step.content for step in one.steps] != [step.content for step in other.steps]
    assert one.outcome.success and one.outcome.reward == 1.0


def test_the_manual_has_policy_tools_and_form():
    assert "# Policy" in MANUAL.instruction and '"place_hold"' in MANUAL.instruction and "respond" in MANUAL.instruction
    assert ServiceDesk(sample(0, 5)).manual is MANUAL


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"name": "f", "arguments": {"a": 1}}', ("f", {"a": 1})),
        ('Say {"name": "f", "arguments": {"a": 1}} and so on', None),  # in the midst of words it is no call
        ('{"name": "f"}', ("f", {})),
        ('{"name": "f", "arguments": "a"}', None),
        ('{"name": 1, "arguments": {}}', None),
        ("[1]", None),
        ("{", None),
        ("", None),
    ],
)
def test_actions_as_json(text, found):
    assert READ(text) == found


def test_an_action_that_is_written_is_read_back():
    assert READ(WRITE("f", {"a": "é\n", "b": [None]})) == ("f", {"a": "é\n", "b": [None]})


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from([tool.name for tool in ServiceDesk.tools] + ["respond", "call", "__class__", ""]),
    st.dictionaries(
        st.sampled_from(["member_id", "amount", "email", "content", "title", "x"]),
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text(max_size=9)
        | st.lists(st.integers(), max_size=2),
        max_size=4,
    ),
)
def test_hostile_calls_are_answered(name, arguments):
    (result,) = play(sample(0, 5), Action.call(name, **arguments))
    assert len(result.observation.steps) == 1 and result.reward in (None, 0.0)


def test_reward_by_hand():
    made = blueprint("renew")
    assert reward_of(made, made.end_state(), ["It is due on ", made.outputs[0]]) == 1.0
    assert reward_of(made, made.end_state(), [made.outputs[0] + "1"]) == 0.0
    assert reward_of(made, "another", made.outputs) == 0.0


def test_observations_of_the_user_are_words():
    opening = run(ServiceDesk(sample(0, 5)).reset(ServiceDesk(sample(0, 5)).task))
    assert isinstance(opening, Observation) and opening.steps[0].role == "user"
