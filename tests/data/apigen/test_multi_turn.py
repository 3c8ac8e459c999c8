"""Conversations over the mock desk: blueprints checked by executing, players by rule and by model, the end verified."""

import json
import random
from collections import Counter
from dataclasses import replace

import judge_server
import pytest

from xlam_lib.agents import Action
from xlam_lib.agents.user import STOP
from xlam_lib.data.apigen.multi_turn.blueprint import Blueprint, sample, validate
from xlam_lib.data.apigen.multi_turn.desk import (
    TOOLS,
    WRITING,
    Desk,
    faults,
    hold_fault,
    make_database,
    renewal_fault,
)
from xlam_lib.data.apigen.multi_turn.model_players import ModelBlueprints, model_agent, model_user
from xlam_lib.data.apigen.multi_turn.play import accepted, mentions, play, verify
from xlam_lib.data.apigen.multi_turn.produce import ModelPlayers, MultiTally, RulePlayers, produce
from xlam_lib.data.apigen.multi_turn.rule_players import DeskAgent, ScriptedUser
from xlam_lib.endpoint import Endpoint
from xlam_lib.trajectory import Trajectory

JudgeServer, answer = judge_server.JudgeServer, judge_server.answer


@pytest.fixture
def desk() -> Desk:
    return Desk(make_database(1))


def first(table: dict, fits) -> str:
    return next(key for key, row in table.items() if fits(row))


# The desk


def test_the_same_seed_gives_the_same_database_whose_keys_fit_together():
    assert make_database(5) == make_database(5) != make_database(6)
    for seed in range(30):
        db = make_database(seed)
        for row in (*db["loans"].values(), *db["holds"].values()):
            assert row["member_id"] in db["members"] and row["book_id"] in db["books"]
        assert len({member["email"] for member in db["members"].values()}) == len(db["members"])
        assert len({book["title"] for book in db["books"].values()}) == len(db["books"])


def test_tools_are_typed_and_only_writing_ones_change_anything(desk):
    assert set(WRITING) == {"renew_loan", "place_hold", "cancel_hold", "pay_fines", "change_email", "hand_over"}
    assert TOOLS["place_hold"].parameters["properties"]["branch"]["enum"] == ["Central", "Harbour", "Hillside"]
    assert "self" not in str([tool.parameters for tool in TOOLS.values()])
    before = desk.state
    member = desk.call("find_member", {"email": desk.database["members"]["M101"]["email"].upper()})
    assert member["result"]["member_id"] == "M101"
    account = desk.call("get_member", {"member_id": "M101"})["result"]
    assert len(account["loans"]) == 2 and desk.call("find_books", {"title": account["loans"][0]["title"]})["result"]
    assert desk.state == before
    assert desk.call("renew_loan", {"loan_id": account["loans"][0]["loan_id"]})["result"]["renewals"] >= 1
    assert desk.state != before


@pytest.mark.parametrize(
    ("name", "arguments", "error"),
    [
        ("shout", {}, "no tool 'shout'"),
        ("find_member", {}, "'email' is a required property"),
        ("find_member", {"email": "nobody@example.com"}, "no member has"),
        ("get_member", {"member_id": "M999"}, "no member 'M999'"),
        ("find_books", {"title": "No Such Book"}, "no book is titled"),
        ("find_books", {"title": " "}, "no book is titled"),
        ("renew_loan", {"loan_id": "L999"}, "no loan 'L999'"),
        ("place_hold", {"member_id": "M101", "book_id": "B201", "branch": "Moon"}, "'Moon' is not one of"),
        ("pay_fines", {"member_id": "M101", "amount": 900.0}, "at most the"),
        ("pay_fines", {"member_id": "M101", "amount": -1.0}, "above zero"),
    ],
)
def test_tools_refuse_with_a_reason_and_change_nothing(desk, name, arguments, error):
    before = desk.state
    assert error in desk.call(name, arguments)["error"] and desk.state == before


def test_policy_is_held_against_actions():
    found: Counter[str] = Counter()
    for seed in range(20):
        db = make_database(seed)
        for key, loan in db["loans"].items():
            broken = faults(db, loan["member_id"], [("renew_loan", {"loan_id": key})])
            assert bool(broken) == bool(renewal_fault(db, key))
            found.update(one.partition(": ")[2] for one in broken)
            other = next(one for one in db["members"] if one != loan["member_id"])
            assert "another member" in faults(db, other, [("renew_loan", {"loan_id": key})])[0]
        for member in db["members"]:
            free = first(db["books"], lambda row: True)
            hold = ("place_hold", {"member_id": member, "book_id": free, "branch": "Central"})
            assert bool(faults(db, member, [hold])) == bool(hold_fault(db, member))
            if db["members"][member]["fines"] > 1:
                assert "in full" in faults(db, member, [("pay_fines", {"member_id": member, "amount": 1.0})])[0]
    assert set(found) == {"renewed 2 times already", "somebody else has a hold on it"}


# Blueprints


def test_blueprints_are_valid_varied_and_the_same_for_the_same_seed():
    made = [sample(number, seed=0) for number in range(120)]
    assert made[7] == sample(7, seed=0) and made[7] != sample(7, seed=1)
    assert all(validate(one) == [] for one in made)
    kinds = Counter(goal.kind for one in made for goal in one.goals)
    assert set(kinds) == {"renew", "hold", "cancel", "pay", "email", "due", "copies"} and min(kinds.values()) >= 8
    denied = [goal for one in made for goal in one.goals if goal.kind in ("renew", "hold") and not goal.actions]
    assert len(denied) >= 8
    assert {len(one.goals) for one in made} == {1, 2, 3}


def changed(blueprint: Blueprint, **change) -> Blueprint:
    return replace(blueprint, **change)


@pytest.mark.parametrize(
    ("change", "stage"),
    [
        ({"member_id": "M999"}, "format"),
        ({"actions": (("get_member", {"member_id": "M101"}),)}, "format"),
        ({"actions": (("renew_loan", {"loan": "L301"}),)}, "format"),
        ({"actions": (("renew_loan", {"loan_id": "L999"}),)}, "execution"),
        ({"actions": (("change_email", {"member_id": "M102", "email": "new@example.org"}),)}, "policy"),
        ({"actions": (), "outputs": ()}, "effect"),
        ({"actions": (), "outputs": ("the moon",)}, "outputs"),
    ],
)
def test_a_blueprint_that_can_not_be_verified_is_refused(change, stage):
    base = changed(sample(0), member_id="M101", actions=(), outputs=())
    assert validate(changed(base, **change))[0].startswith(f"{stage}: ")


def test_an_action_that_changes_nothing_is_refused():
    base = sample(0)
    same = base.user["email"]
    action = ("change_email", {"member_id": base.member_id, "email": same})
    assert "changes nothing" in validate(changed(base, actions=(action,), outputs=()))[0]


# Playing by rule


def test_rules_play_most_blueprints_to_their_end():
    tally = MultiTally()
    made = list(produce(range(80), RulePlayers(seed=0), tally))
    counts = tally.to_dict()
    assert counts["numbers"] == 80 == counts["accepted"] + sum(counts["given_up"].values())
    assert counts["episodes"] == counts["accepted"] + sum(counts["failed_by_check"].values())
    assert counts["accepted"] >= 70
    for blueprint, one in made:
        if one is None:
            continue
        assert one.validate() == [] and STOP not in str(one.to_dict())
        assert one.tags[:2] == ("multi_turn", "library_desk") and one.outcome.reward == 1.0
        wrote = [call.name for step in one.steps for call in step.tool_calls if call.name in WRITING]
        assert sorted(wrote) == sorted(name for name, _ in blueprint.actions)
        assert one.extra["gold_outputs"] == list(blueprint.outputs)
        assert Trajectory.from_dict(one.to_dict()) == one
    turns = [sum(step.role == "user" for step in one.steps) for _, one in made if one]
    assert max(turns) >= 7 and min(turns) >= 2


def test_the_agent_asks_before_it_writes():
    for _, one in produce(range(30), RulePlayers(seed=2), MultiTally()):
        for number, step in enumerate(one.steps if one else ()):
            if any(call.name in WRITING for call in step.tool_calls):
                words = [earlier for earlier in one.steps[:number] if not earlier.tool_calls and earlier.role != "tool"]
                assert words[-1].role == "user" and "(yes/no)" in words[-2].content


def test_same_seed_same_episodes():
    lines = [
        [str(one and one.to_dict()) for _, one in produce(range(12), RulePlayers(seed=s), MultiTally())]
        for s in (0, 0, 1)
    ]
    assert lines[0] == lines[1] != lines[2]


def test_a_careless_agent_is_found_out():
    """It renews what may not be renewed, and gives holds to those who owe: the database ends otherwise."""
    denied = [
        one for one in map(sample, range(150)) if any(g.kind in ("renew", "hold") and not g.actions for g in one.goals)
    ]
    for one in denied[:12]:
        played = play(one, DeskAgent(careless=True), ScriptedUser(one, random.Random(0)))
        assert verify(one, played)[0] == "end state: the database differs from the blueprint's"
    tally = MultiTally()
    list(produce(range(60), RulePlayers(0, lambda: DeskAgent(careless=True)), tally, attempts=2))
    assert 0 < tally.accepted < 60 and tally.given_up["end state"] + tally.given_up["outputs"] > 0


class Scripted:
    """A player that acts as it is scripted; a text is a message. Then it repeats `after`."""

    name = "scripted"

    def __init__(self, *actions, after: str = "Anything else?") -> None:
        self.actions, self.after = list(actions), after

    def act(self, observation, history) -> Action:
        action = self.actions.pop(0) if self.actions else self.after
        return Action(action) if isinstance(action, str) else action


def user(*messages: str) -> Scripted:
    return Scripted(*messages, after=STOP)


def ends(blueprint: Blueprint, agent: Scripted, user: Scripted) -> list[str]:
    return verify(blueprint, play(blueprint, agent, user))


def test_what_ends_otherwise_is_refused():
    due = next(one for one in map(sample, range(200)) if [goal.kind for goal in one.goals] == ["due"])
    loan = first(due.database["loans"], lambda row: row["member_id"] == due.member_id)
    answered = f"It is due on {due.outputs[0]}."
    assert ends(due, Scripted(answered), user("When?")) == []
    assert ends(due, Scripted(), user("When?")) == [f"outputs: {due.outputs[0]!r} was not mentioned"]
    renewed = Scripted(Action.call("renew_loan", loan_id=loan), answered)
    assert ends(due, renewed, user("When?"))[0].startswith("end state")
    assert ends(due, Scripted(Action.call("dance"), answered), user("When?")) == ["format: there is no tool 'dance'"]
    without = Scripted(Action.call("find_member"), answered)
    assert ends(due, without, user("When?"))[0].startswith("format: find_member: ")
    assert ends(due, Scripted(), user(*["Hm?"] * 100)) == ["end: max steps"]
    reading = Scripted(*[Action.call("get_member", member_id="M101")] * 100)
    assert ends(due, reading, user("Hm?")) == ["end: max steps"]
    assert ends(due, Scripted(Action()), user("Hm?")) == ["end: failure (the agent neither said nor called anything)"]
    assert ends(due, Scripted(), user("")) == ["end: infra error (the user said nothing)"]


@pytest.mark.parametrize(
    ("text", "output", "found"),
    [
        ("You owe 2.50.", "2.5", True),
        ("You owe 12.5.", "2.5", False),
        ("You owe 2.55.", "2.5", False),
        ("There are 3 copies.", "3", True),
        ("There are 13 copies.", "3", False),
        ("It costs 3.5", "3", False),
        ("There are 3.", "3", True),
        ("due on 2026-03-04.", "2026-03-04", True),
        ("Central has it", "central", True),
    ],
)
def test_outputs_are_looked_for_as_whole_words(text, output, found):
    assert mentions(text, output) == found


def test_a_failed_call_is_marked_in_the_trajectory():
    due = next(one for one in map(sample, range(200)) if [goal.kind for goal in one.goals] == ["due"])
    agent = Scripted(Action.call("get_member", member_id="M999"), due.outputs[0])
    played = play(due, agent, user("When?"))
    assert isinstance(played, Trajectory) and verify(due, played) == []
    assert [step.is_error for step in accepted(due, played).steps] == [False, False, True, False]


def test_a_script_needs_goals():
    with pytest.raises(ValueError, match="has no goals"):
        ScriptedUser(replace(sample(0), goals=()), random.Random(0))


# Playing by model, against a real server


def endpoint(url: str, **options) -> Endpoint:
    return Endpoint(url, "M", **{"longest_pause": 0.02, "timeout": 5.0, "concurrency": 3, "attempts": 2} | options)


def calling(name: str, arguments: str) -> dict:
    body = answer("")
    call = {"id": "c", "type": "function", "function": {"name": name, "arguments": arguments}}
    body["choices"][0]["message"] |= {"content": None, "tool_calls": [call]}
    return body


def scripted(blueprint: Blueprint):
    """A server that plays both sides of a question for a due date."""

    def reply(body, number):
        messages = body["messages"]
        if "You play a person" in messages[0]["content"]:
            assert blueprint.instruction in messages[0]["content"] and "tools" not in body
            return 200, STOP if len(messages) > 3 else "<think>hm</think>When is my book due?"
        assert blueprint.instruction not in str(messages) and len(body["tools"]) == len(TOOLS)
        if messages[-1]["role"] == "user":
            return 200, calling("get_member", json.dumps({"member_id": blueprint.member_id}))
        assert messages[-1]["role"] == "tool" and messages[-1]["tool_call_id"] == messages[-2]["tool_calls"][0]["id"]
        return 200, f"It is due on {blueprint.outputs[0]}."

    return reply


def test_models_play_user_and_agent():
    due = next(one for one in map(sample, range(200)) if [goal.kind for goal in one.goals] == ["due"])
    with JudgeServer(scripted(due)) as server, endpoint(server.url) as model:
        played = play(due, model_agent(model), model_user(model, due))
        assert verify(due, played) == []
    made = accepted(due, played, "M", "M")
    assert [step.role for step in made.steps] == ["user", "assistant", "tool", "assistant"]
    assert made.steps[0].content == "When is my book due?"


@pytest.mark.parametrize(
    ("reply", "end", "fault"),
    [
        ((200, calling("get_member", "{")), "failure", "arguments are not JSON"),
        ((200, calling("get_member", "[]")), "failure", "an object of arguments"),
        ((500, {"error": "oops"}), "infra error", "status 500"),
        ((200, ""), "failure", "neither said nor called"),
    ],
)
def test_a_model_that_breaks_off_ends_its_episode_only(reply, end, fault):
    one = sample(0)
    with JudgeServer(lambda body, n: reply) as server, endpoint(server.url) as model:
        found = verify(one, play(one, model_agent(model), user("Hello")))
    assert found[0].startswith(f"end: {end} (") and fault in found[0]


def test_a_proposed_blueprint_is_checked_and_failures_are_fed_back():
    seen = []

    def reply(body, number):
        seen.append(body["messages"])
        shown = body["messages"][1]["content"].partition("\n\n{")[2].partition("\n\nThe task")[0]
        account = json.loads("{" + shown)
        mine = account["database"][0]["result"]
        action = {"name": "change_email", "arguments": {"member_id": mine["member_id"], "email": "new@example.org"}}
        wrong = {"name": "renew_loan", "arguments": {"loan_id": "L999"}}
        texts = ["What?", {"actions": [wrong]}, {"actions": [action]}]
        given = texts[min(number, 3) - 1]
        whole = {"instruction": "You are somebody. You want another address.", "outputs": ["new@example.org"]}
        return 200, given if isinstance(given, str) else "Here: " + json.dumps(whole | given)

    with JudgeServer(reply) as server, endpoint(server.url) as model:
        author = ModelBlueprints(model)
        made = author.make(3)
        assert made and validate(made) == [] and made.by == "M" and made.goals == ()
        assert [fault.partition(":")[0] for fault in author.faults] == ["format", "execution"]
        assert "there is no loan 'L999'" in seen[2][-1]["content"]
        assert ModelBlueprints(model, attempts=1).make(4) is not None
    with JudgeServer(lambda body, n: (200, "{}")) as server, endpoint(server.url) as model:
        tally = MultiTally()
        assert list(produce(range(2), ModelPlayers(model, proposes=True), tally)) == [(None, None)] * 2
        assert tally.given_up == {"no blueprint": 2} and tally.refused_blueprints == {"format": 6}
