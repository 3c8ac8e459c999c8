"""The shop as an environment: what each action leads to, what is none, and texts that mean harm."""

import json
import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xlam_lib.agents import Action, rollout, run
from xlam_lib.environments.webshop import BOLAA, REACT, RICH, SIMPLE, CatalogueError, SessionError, WebShop, embedded
from xlam_lib.environments.webshop.pages import clickable
from xlam_lib.trajectory import Task

SHOP = embedded()
GOAL = SHOP.goal("webshop/test/0")  # a fleece throw in teal, 50 x 60 inches
PRODUCT = SHOP.products[GOAL.asin]


def opened(*actions: str, layout=RICH, **options) -> tuple[WebShop, list[str]]:
    """A shop after these actions in words, and its answers, the opening first."""
    shop = WebShop(layout=layout, **options)
    answers = [shop.reset(shop.task(GOAL)).steps[0].content]
    for action in actions:
        (step,) = shop.step(Action(action)).observation.steps
        answers.append(step.content)
    return shop, answers


def test_a_session_from_search_to_purchase():
    search, item = "search[plush fleece throw]", f"click[{GOAL.asin}]"
    shop, answers = opened(search, item, "click[teal]", "click[Features]", "click[< Prev]", "click[50 x 60 inches]")
    assert answers[0] == f"Webshop \nInstruction:  \n{GOAL.instruction} \n[Search]"
    assert f"[{GOAL.asin}] \n{PRODUCT.title} \n$21.99 to $34.99" in answers[1]
    assert answers[2].startswith("[Back to Search] \n[< Prev] \ncolor [teal][charcoal][wine red][ivory]\nsize [50 x")
    assert answers[3] == "You have clicked teal."
    assert answers[4].startswith("[Back to Search] \n[< Prev] \nMACHINE WASHABLE: ")
    assert "[[teal]][charcoal]" in answers[5]
    result = shop.step(Action.call("click", element="buy now"))
    (step,) = result.observation.steps
    assert (step.role, step.content, step.name) == ("tool", "Your score (min 0.0, max 1.0): 1.0", "click")
    assert (result.reward, result.done, result.termination) == (1.0, True, "success")
    assert shop.purchase.info()["r_option"] == 1.0
    again = shop.step(Action("click[Buy Now]"))
    assert (again.reward, again.done, again.observation.steps[0].content) == (0.0, True, "Invalid action!")


def test_what_is_forgotten_and_what_is_kept():
    shop, answers = opened("search[fleece throw]", f"click[{GOAL.asin}]", "click[teal]", "click[ivory]")
    assert shop.session.chosen == {"color": "ivory"}
    results = shop.step(Action("click[< Prev]")).observation.steps[0].content
    assert results == answers[1] and shop.session.chosen == {}
    assert shop.step(Action("click[Back to Search]")).observation.steps[0].content == answers[0]
    assert shop.session.found == ()


def test_pages_of_results_are_turned():
    shop, answers = opened("search[black with size and pack]", "click[Next >]", "click[Next >]", "click[< Prev]")
    assert answers[2].startswith("[Back to Search] \nPage 2 (Total results: 50) \n[< Prev] \n[Next >] \n[B0")
    assert answers[3].startswith("[Back to Search] \nPage 3 ") and answers[4] == answers[2]
    listed = [one for page in answers[1:4] for one in page.split("[") if one.startswith("B0")]
    assert len(set(listed)) == 30


def test_a_fixed_price_decides_and_a_wrong_purchase_fails():
    dear = next(one for one in SHOP.products.values() if one.query == GOAL.query and one.prices[0] > GOAL.price_upper)
    shop, _ = opened(f"search[{dear.title}]", f"click[{dear.asin}]")
    result = shop.step(Action("click[Buy Now]"))
    assert result.done and result.termination == "failure" and result.reward == shop.purchase.total < 1
    assert shop.purchase.r_price is False and shop.purchase.r_option == 0


@pytest.mark.parametrize(
    "action",
    [
        *("click[Search]", "click[Buy Now]", "click[B0]", "search[]", "search[  ]", "buy", "", "click[]", "click"),
        *("search[x", "exit[quit]", "CLICK[Search]"),
    ],
)
@pytest.mark.parametrize("layout", [RICH, SIMPLE], ids=["rich", "simple"])
def test_what_is_no_action_changes_nothing(action, layout):
    shop, answers = opened(action, layout=layout)
    assert answers[1] == ("Invalid action!" if layout is RICH else answers[0])
    assert shop.session.page.name == "search" and shop.purchase is None


def test_a_search_needs_the_search_bar_and_a_click_the_page():
    _, answers = opened("search[throw]", "search[lamp]", f"click[{GOAL.asin}]", "click[B0LAMPLAMP]", "click[Next >]")
    assert [answers[place] for place in (2, 4, 5)] == ["Invalid action!"] * 3
    _, answers = opened("search[black pack size]", "click[Next >]", layout=REACT)
    assert answers[2] == "Invalid action!"
    _, answers = opened("search[throw]", f"click[{GOAL.asin}]", "click[Attributes]")
    assert answers[3] == "Invalid action!"
    _, answers = opened("search[throw]", f"click[{GOAL.asin}]", "click[Attributes]", attributes=True)
    assert answers[3].startswith("[Back to Search] \n[< Prev] \nmachine washable \nsuper soft \ngarden")


def test_calls_that_are_malformed_are_errors_and_several_are_answered_in_order():
    shop, _ = opened()
    for call in (Action.call("search"), Action.call("search", keywords=3), Action.call("buy", x=1)):
        (step,) = shop.step(call).observation.steps
        assert step.is_error and step.content == "Invalid action!"
    both = Action.call("search", keywords="throw").tool_calls + Action.call("click", element=GOAL.asin).tool_calls
    bought = (*both, *Action.call("click", element="Buy Now").tool_calls, *both)
    result = shop.step(Action(tool_calls=bought))
    assert result.done and [step.is_error for step in result.observation.steps] == [False, False, False, True, True]


def test_a_thought_in_words_is_taken_as_one():
    assert opened("think[First I search.]")[1][1] == "OK."
    assert "Search" in opened("think[First I search.]", layout=SIMPLE)[1][1]


def test_a_shop_without_a_session_or_a_goal_says_so():
    with pytest.raises(SessionError, match="reset"):
        WebShop().step(Action("click[x]"))
    with pytest.raises(CatalogueError, match="no goal 'webshop/dev/1'"):
        WebShop().reset(Task("", "webshop/dev/1"))


@pytest.mark.parametrize("layout", [RICH, SIMPLE, REACT, BOLAA], ids=["rich", "simple", "react", "bolaa"])
def test_the_manual_s_examples_are_what_the_shop_answers(layout):
    shop = WebShop(layout=layout)
    assert shop.manual is shop.manual and len(shop.manual.examples) == 2
    for example in shop.manual.examples:
        opening, *others = example.steps
        goal = next(goal for goal in SHOP.splits["train"] if goal.instruction in opening.content)
        assert shop.reset(shop.task(goal)).steps[0].content == opening.content
        for acted, answer in zip(others[::2], others[1::2], strict=True):
            assert acted.reasoning and example.plan
            (call,) = acted.tool_calls
            assert shop.manual.actions.parse(shop.manual.actions.render(call.name, call.arguments)) is not None
            assert shop.step(Action(tool_calls=acted.tool_calls)).observation.steps[0].content == answer.content
        assert shop.purchase.total == 1
    words = shop.manual.instruction
    assert ("Next >" in words) == layout.turns and ("Invalid action!" in words) == (layout.style == "rich")
    tools = {tool.name for tool in shop.tools}
    assert {name for names in shop.manual.labours.values() for name in names} == tools


class Shopper:
    """Clicks at random what the page shows, and searches a random word of the catalogue."""

    name = "random"

    def __init__(self, shop: WebShop, seed: int):
        self.shop, self.drawn = shop, random.Random(seed)
        self.words = sorted({word for one in SHOP.products.values() for word in one.title.split()})

    def act(self, observation, history):
        call = self.drawn.choice(self.shop.actions())
        if call.name == "search":
            return Action.call("search", keywords=self.drawn.choice(self.words))
        return Action(tool_calls=(call,))


def played(seed: int, layout=RICH):
    goal = SHOP.splits["test"][seed % 44]
    shop = WebShop(layout=layout)
    return run(rollout(Shopper(shop, seed), shop, shop.task(goal), 30, seed=seed)), shop


def test_a_random_shopper_gets_next_to_nothing_and_never_an_error():
    rewards = []
    for seed in range(132):
        episode, shop = played(seed)
        assert not any(step.is_error for step in episode.steps)
        rewards.append(episode.outcome.reward)
        assert (episode.outcome.termination == "max_steps") == (shop.purchase is None)
    assert any(rewards) and sum(rewards) / len(rewards) < 0.1
    assert rewards.count(1.0) <= 1


def test_the_same_seed_gives_the_same_bytes():
    for layout in (RICH, SIMPLE):
        first, second = (json.dumps(played(7, layout)[0].to_dict()) for _ in range(2))
        assert first == second


@given(st.text(max_size=200), st.sampled_from(["search[{}]", "click[{}]", "{}", "think[{}]"]))
@settings(max_examples=60, deadline=None)
def test_no_text_is_an_error(text, form):
    shop, answers = opened("search[throw]", form.format(text), "click[Back to Search]", form.format(text))
    assert all(answers) and shop.purchase is None


HOSTILE = {
    "long": "x" * 1_000_000,
    "words": "fleece throw " * 80_000,
    "brackets": "search[" * 150_000,
    "closing": "]" * 1_000_000,
    "control": "\x00\x1b[2J\r\n\t\u202e" * 100_000,
    "surrogates": "\ud800" * 1_000_000,
    "product": f"{GOAL.asin}]" * 80_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_texts_are_answered_at_once(name):
    text = HOSTILE[name]
    shop = WebShop()
    shop.reset(shop.task(GOAL))
    before = time.process_time()
    for action in (
        Action(text),
        Action(f"search[{text}]"),
        Action.call("click", element=text),
        Action(f"think[{text}]"),
    ):
        (step,) = shop.step(action).observation.steps
        assert len(step.content) < 5_000 and (len(text) < 100 or text[:50] not in step.content)
    assert time.process_time() - before < 2
    assert shop.session.page.name in ("search", "results") and clickable(shop.session.page) is not None
