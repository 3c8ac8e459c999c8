"""WebShop as a benchmark: how well an agent buys what an instruction asks for (Yao et al. 2022, arXiv:2207.01206).

An agent searches, compares and buys in `environments/webshop`; its purchase is scored from 0 to 1. Without `path` the
shop is the embedded one (44 test goals over 143 products): it shows whether an agent works, and its figures stand
beside no published ones. With the original's files in `path` the goals are the original's; BOLAA's and AgentLite's
published figures (Liu et al. 2023, 2024) are averages over goals of its test split, in the layout `BOLAA`, and with a
highest price for each goal that the original draws without a seed. Used by notebook 05. Example:

    task = WebShopTask()                                        # or WebShopTask("data/webshop", layout=BOLAA)
    item = task.items()[0]
    episode = run(rollout(task.expert(item), task.environment(item), item.task, task.max_steps))
    task.score(item, episode)                                   # {"id": ..., "reward": 1.0, "success": True, ...}
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from xlam_lib.agents.base import Action, Observation
from xlam_lib.bench.base import Figure, Row, TaskError
from xlam_lib.bench.base import Task as Benchmark
from xlam_lib.environments.webshop import pages
from xlam_lib.environments.webshop.catalogue import Catalogue, Goal, embedded, load
from xlam_lib.environments.webshop.environment import WebShop
from xlam_lib.environments.webshop.matching import normalize_color, similar
from xlam_lib.environments.webshop.pages import RICH, Layout
from xlam_lib.environments.webshop.reward import Reward
from xlam_lib.environments.webshop.search import SearchEngine, embedded_engine
from xlam_lib.trajectory import Step, Task, Trajectory

PRICE = ", and price"  # begins the part of an instruction that names the highest price
LOOP = 3  # the same action so often in a row, at the end of a session without a purchase, is a loop
FAILURES = {
    "wrong_answer": "bought a product of another kind, without all attributes, or too dear",
    "wrong_argument": "bought a product that fits, but not all options of the goal",
    "loop": f"bought nothing: the last {LOOP} actions are the same",
    "bad_format": "bought nothing: the last actions are no calls, or answers that can't be read",
    "wrong_function": "bought nothing: the last action calls a tool that the shop doesn't have",
    "max_steps": "bought nothing within the limit of actions",
    "gave_up": "bought nothing and stopped",
}


@dataclass(frozen=True)
class Item:
    """One goal to shop for: `Item(Goal("webshop/test/0", "i need ..."))`."""

    goal: Goal

    @property
    def id(self) -> str:
        return self.goal.id

    @property
    def task(self) -> Task:
        """What the environment's `reset` takes."""
        return WebShop.task(self.goal)

    @property
    def kind(self) -> str:
        """How much is asked for, by which BOLAA compares agents: "4 conditions", attributes and options."""
        return f"{len(self.goal.attributes) + len(self.goal.options)} conditions"


class WebShopTask(Benchmark):
    """The goals of a split, of the embedded catalogue or of the original's files."""

    name, title = "webshop", "WebShop"
    metric = (
        "Average reward of the purchases, from 0 to 1; a session without a purchase counts 0. "
        "Success: the share of sessions with a reward of 1."
    )
    differs = (
        "the shop is embedded, 143 products and 44 goals of our own, unless the original's files are given; title"
        " words are matched without spaCy, prices are drawn with a seed, search is BM25 with another stemmer"
    )
    scores = ("reward", "success")
    figures = (
        Figure("webshop.reward", "05_benchmarking", "WebShop, average reward", floor=0.0, aim=0.5),
        Figure("webshop.success", "05_benchmarking"),
    )
    published = ("webshop_bolaa", "webshop_agentlite")
    max_steps: ClassVar[int] = 15  # actions of an agent, as ReAct's runs allow

    def __init__(
        self,
        path: str | Path | None = None,
        split: str = "test",
        layout: Layout = RICH,
        *,
        products: int | None = None,
        limit: int | None = None,
    ) -> None:
        """`products`: how many of the original's are read (None: all); `limit`: how many goals are taken."""
        self.catalogue: Catalogue = embedded() if path is None else load(path, products)
        self.engine: SearchEngine = embedded_engine() if path is None else SearchEngine(self.catalogue.products)
        self.layout = layout
        if split not in self.catalogue.splits:
            raise TaskError(f"task webshop: no split {split!r}; there are {', '.join(self.catalogue.splits)}")
        self._items = tuple(Item(goal) for goal in self.catalogue.splits[split][:limit])

    def items(self) -> Sequence[Item]:
        return self._items

    def environment(self, item: Item) -> WebShop:
        """A shop for the item's session: `reset(item.task)` begins it."""
        return WebShop(self.catalogue, self.layout, self.engine)

    def expert(self, item: Item) -> Expert:
        """An agent that knows the goal's product and buys it with the goal's options."""
        return Expert(item.goal, self.catalogue, self.engine)

    def score(self, item: Item, answer: Trajectory, cut_off: bool = False) -> Row:
        """The row of an episode: its actions are done again in a shop, whose purchase counts."""
        return row(item.id, answer, self._purchase(item, answer)) | {"kind": item.kind}

    def _purchase(self, item: Item, episode: Trajectory) -> Reward | None:
        shop = self.environment(item)
        shop.reset(item.task)
        for step in episode.steps:
            if step.role == "assistant" and shop.step(Action(step.content, step.tool_calls)).done:
                break
        return shop.purchase


def row(name: str, episode: Trajectory, purchase: Reward | None, reward: float | None = None) -> Row:
    """The row of an episode; `reward` in place of a purchase whose parts are unknown, as of recorded sessions.

    `row("webshop/test/0", episode, None)` -> {"id": ..., "reward": 0.0, "success": False, "failure": "max_steps", ...}
    """
    total = purchase.total if purchase else reward or 0.0
    acts = [step for step in episode.steps if step.role == "assistant"]
    answers = [step for step in episode.steps if step.role == "tool"]
    return {
        "id": name,
        "reward": total,
        "success": total == 1,
        "failure": failure(episode, purchase, reward),
        "kind": "",
        "actions": len(acts),
        "invalid": sum(step.is_error for step in answers),
        **(purchase.info() if purchase else {}),
    }


def failure(episode: Trajectory, purchase: Reward | None, reward: float | None = None) -> str:
    """Which of `FAILURES` an episode is: `failure(episode, purchase)` -> "wrong_argument".

    It is "" for a full reward, and for an episode that what surrounds it broke off.
    """
    if purchase is not None:
        full = purchase.kind.r_type == 1 and purchase.r_att == 1 and purchase.r_price is not False
        return "" if purchase.total == 1 else "wrong_argument" if full else "wrong_answer"
    if reward is not None:
        return "" if reward == 1 else "wrong_answer"
    if episode.outcome.termination == "infra_error":
        return ""
    acts = [step for step in episode.steps if step.role == "assistant"]
    last = [[(call.name, dict(call.arguments)) for call in step.tool_calls] or step.content for step in acts[-LOOP:]]
    if len(last) == LOOP and all(act == last[0] for act in last):
        return "loop"
    if not acts or not acts[-1].tool_calls or episode.extra.get("error"):
        return "bad_format"
    known = {tool.name for tool in WebShop.tools}
    if any(call.name not in known for call in acts[-1].tool_calls):
        return "wrong_function"
    return "max_steps" if episode.outcome.termination == "max_steps" else "gave_up"


class Expert:
    """The scripted agent: it searches with the goal's words, turns pages to its product, and buys that.

    Only which product it is, it knows beforehand, so that its sessions can be learnt from; where the goal's words don't
    find the product, it searches with the title.
    """

    name = "expert"

    def __init__(self, goal: Goal, catalogue: Catalogue, engine: SearchEngine) -> None:
        product = catalogue.products[goal.asin]
        searches = [goal.instruction.partition(PRICE)[0], product.title]
        keywords = next((words for words in searches if product in engine.search(words)), product.title)
        found = engine.search(keywords)
        if product not in found:
            raise TaskError(
                f"task webshop: a search for the title of {goal.asin} doesn't find it; {goal.id} has no expert"
            )
        values = [value for values in product.options.values() for value in values]
        options = (sought if sought in values else alike(sought, values) for sought in goal.options)
        clicks = [pages.NEXT] * (found.index(product) // pages.WINDOW) + [goal.asin]
        clicks += [option for option in options if option is not None] + [pages.BUY]
        self._script = [Action.call("search", keywords=keywords)]
        self._script += [Action.call("click", element=element) for element in clicks]

    def act(self, observation: Observation, history: Sequence[Step]) -> Action:
        """The next action of its script, as many as it has done before."""
        return self._script[sum(step.role == "assistant" for step in history)]


def alike(sought: str, values: Sequence[str]) -> str | None:
    """The first value that the reward takes for a goal's option: `alike("pink", ["8", "z2-pink"])` -> "z2-pink"."""
    return next((value for value in values if similar(normalize_color(value), normalize_color(sought))), None)


TASK = WebShopTask
