"""WebShop as a benchmark: its expert, its rows, and its failures by name."""

import pytest

from xlam_lib.agents import Action, rollout, run
from xlam_lib.bench.base import TaskError
from xlam_lib.bench.tasks import tasks
from xlam_lib.bench.tasks.webshop import FAILURES, WebShopTask, alike
from xlam_lib.environments.webshop import REACT, SIMPLE

TASK = WebShopTask()
ITEM = TASK.items()[0]


class Script:
    """Does what it was made with, and the last of it again and again."""

    name = "script"

    def __init__(self, *actions):
        self.actions = [Action(action) if isinstance(action, str) else action for action in actions]

    def act(self, observation, history):
        done = sum(step.role == "assistant" for step in history)
        return self.actions[min(done, len(self.actions) - 1)]


def row_of(*actions, max_steps=15, item=ITEM):
    return TASK.score(item, run(rollout(Script(*actions), TASK.environment(item), item.task, max_steps)))


@pytest.mark.parametrize(("split", "layout"), [("train", REACT), ("test", SIMPLE)])
def test_the_expert_gets_all_of_every_item(split, layout):
    task = WebShopTask(split=split, layout=layout)
    rows = []
    for item in task.items():
        episode = run(rollout(task.expert(item), task.environment(item), item.task, task.max_steps))
        assert episode.outcome.success and episode.outcome.reward == 1.0
        rows.append(task.score(item, episode))
    result = task.result(rows, {})
    assert len(rows) == {"train": 22, "test": 44}[split]
    assert result.mean("reward") == result.mean("success") == 1.0 and result.failures() == {}
    assert {row["invalid"] for row in rows} == {0}
    assert set(result.by_kind()) == {"3 conditions", "4 conditions"}


def test_a_row_has_the_parts_of_the_reward():
    asin = ITEM.goal.asin
    row = row_of("search[fleece throw]", "click[nothing]", f"click[{asin}]", "click[teal]", "click[Buy Now]")
    assert (row["id"], row["kind"], row["actions"], row["invalid"]) == ("webshop/test/0", "4 conditions", 5, 0)
    assert (row["reward"], row["success"], row["failure"]) == (0.8, False, "wrong_argument")
    assert (row["r_type"], row["r_att"], row["r_option"], row["r_price"]) == (1.0, 1.0, 0.5, True)


def call(name, **arguments):
    return Action.call(name, **arguments)


OTHER = next(item.goal.asin for item in TASK.items() if item.goal.query == "herbal teas")


@pytest.mark.parametrize(
    ("actions", "failure"),
    [
        (["search[chamomile tea]", f"click[{OTHER}]", "click[Buy Now]"], "wrong_answer"),
        ([call("search", keywords="tea"), call("click", element="Back to Search")] * 7, "max_steps"),
        ([call("search", keywords="tea"), call("click", element="nothing")], "loop"),
        (["I like this shop."] * 12 + [f"I think {n}." for n in range(3)], "bad_format"),
        ([call("search", keywords="tea"), *(call("buy", n=n) for n in range(14))], "wrong_function"),
    ],
)
def test_failures_have_names(actions, failure):
    row = row_of(*actions)
    assert row["failure"] == failure and failure in FAILURES and not row["success"]
    assert row["reward"] == 0 or failure == "wrong_answer"


def test_stopping_without_a_purchase_is_giving_up():
    item = ITEM
    episode = run(rollout(Script(call("search", keywords="tea")), TASK.environment(item), item.task, 1))
    stopped = episode.__class__.from_dict(episode.to_dict() | {"outcome": {"termination": "user_stop"}})
    assert TASK.score(item, stopped)["failure"] == "gave_up"
    assert TASK.score(item, episode)["failure"] == "max_steps"
    broken = episode.__class__.from_dict(episode.to_dict() | {"outcome": {"termination": "infra_error"}})
    assert TASK.score(item, broken)["failure"] == ""


def test_the_reward_is_that_of_the_actions_not_of_the_record():
    """An episode that claims more than its actions gave gets what they give."""
    episode = run(rollout(Script("search[tea]"), TASK.environment(ITEM), ITEM.task, 2))
    claimed = episode.__class__.from_dict(episode.to_dict() | {"outcome": {"success": True, "reward": 1.0}})
    assert TASK.score(ITEM, claimed)["reward"] == 0


def test_the_task_is_found_and_its_splits_differ():
    assert tasks()["webshop"] is WebShopTask
    assert len(WebShopTask(limit=3).items()) == 3
    assert not {item.goal.instruction for item in TASK.items()} & {
        item.goal.instruction for item in WebShopTask(split="train").items()
    }
    with pytest.raises(TaskError, match="no split 'dev'; there are train, test"):
        WebShopTask(split="dev")
    with pytest.raises(TaskError, match="no single question"):
        TASK.question(ITEM)


def test_an_option_that_is_alike_is_taken():
    assert alike("pink", ["8", "z2-pink"]) == "z2-pink" and alike("9", ["8"]) is None
