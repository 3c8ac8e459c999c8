"""WebShop as an environment: a goal, a shop, and the actions `search[...]` and `click[...]` (Yao et al. 2022).

    shop = WebShop()                                                   # the embedded catalogue
    task = shop.task(shop.catalogue.goals[0])
    shop.reset(task).steps[0].content                                  # "Webshop \\nInstruction:  \\ni need ..."
    shop.step(Action.call("search", keywords="red lamp"))              # the page of results
    shop.step(Action.call("click", element="Buy Now")).reward          # 0.0 here; of a product its reward, 0 to 1

Actions come as calls or as words, `Action("click[Buy Now]")`. As in the original, what is clicked is compared without
regard to case; an option is kept until another of its name is clicked or the product is left. Not as in the original:
search works only where the page has its search bar (the original's own server takes it everywhere, the environments of
ReAct and BOLAA don't). The session ends with a purchase, which alone has a reward; `purchase` has its parts. Used by
`bench/tasks/webshop.py` (notebook 05) and by whoever trains in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from xlam_lib.agents.base import Action, Observation, StepResult, tool_result
from xlam_lib.agents.manual import Manual
from xlam_lib.data.formats.environments import THINK_BRACKETS, WEBSHOP
from xlam_lib.environments.webshop import pages
from xlam_lib.environments.webshop.catalogue import Catalogue, Goal, Product, embedded
from xlam_lib.environments.webshop.manual import manual
from xlam_lib.environments.webshop.matching import title_nouns
from xlam_lib.environments.webshop.pages import RICH, Layout, Page
from xlam_lib.environments.webshop.reward import Nouns, Reward, reward
from xlam_lib.environments.webshop.search import SearchEngine, embedded_engine
from xlam_lib.errors import XlamError
from xlam_lib.schema import Step, Task, ToolCall

NOTHING = Product()  # the product of a session that has chosen none yet


class SessionError(XlamError, RuntimeError):
    """A shop that is used before a session began in it."""


@dataclass
class Session:
    """Where a shopper stands: the goal, the search, and the product and options of the page."""

    goal: Goal
    page: Page
    found: tuple[Product, ...] = ()
    number: int = 1  # of the page of results
    product: Product = NOTHING
    chosen: dict[str, str] = field(default_factory=dict)  # {"color": "teal"}


class WebShop:
    """The environment; one object plays one session at a time, and several may share a catalogue and an engine."""

    tools = WEBSHOP.tools()

    def __init__(
        self,
        catalogue: Catalogue | None = None,
        layout: Layout = RICH,
        engine: SearchEngine | None = None,
        *,
        attributes: bool = False,
        nouns: Nouns = title_nouns,
    ) -> None:
        self.catalogue = catalogue or embedded()
        self.layout, self.attributes, self.nouns = layout, attributes, nouns
        self.engine = engine or (SearchEngine(catalogue.products) if catalogue else embedded_engine())
        self.purchase: Reward | None = None  # the parts of the last session's reward, once it is over
        self._session: Session | None = None

    @property
    def manual(self) -> Manual:
        """How it is explained to a model, with solved examples in the layout of this shop."""
        return manual(self.layout)

    @staticmethod
    def task(goal: Goal) -> Task:
        """The task that `reset` takes: `WebShop.task(goal).task_id` -> "webshop/test/0"."""
        return Task(goal.instruction, goal.id)

    @property
    def session(self) -> Session:
        """The session that is played; an error before the first `reset`."""
        if self._session is None:
            raise SessionError("this WebShop has no session yet: call reset(task) before it is used")
        return self._session

    def reset(self, task: Task, seed: int = 0) -> Observation:
        """A new session of the goal with the task's id; nothing in it is random."""
        goal = self.catalogue.goal(task.task_id)
        self.purchase = None
        self._session = Session(goal, pages.search_page(goal.instruction))
        return Observation((Step("user", self.layout.text(self._session.page)),))

    def step(self, action: Action) -> StepResult:
        """What follows from an action: a page, or that it was none; after a purchase nothing more."""
        over = self.purchase is not None
        if not action.tool_calls:
            return self._result((Step("user", self._words(action.content.strip())),), over)
        steps = []
        for call in action.tool_calls:
            text, valid = self._act(call.name, call.arguments)
            steps.append(tool_result(call, text, is_error=not valid))
        return self._result(tuple(steps), over)

    def actions(self) -> tuple[ToolCall, ...]:
        """What can be clicked on the page, as calls, and a search without words where it has its search bar."""
        page = self.session.page
        search = (ToolCall("search", {"keywords": ""}),) if page.name == "search" else ()
        return (*search, *(ToolCall("click", {"element": one}) for one in pages.clickable(page, self.layout)))

    def _words(self, content: str) -> str:
        """The answer to an action in words; "OK." to a thought, `think[...]`, as in ReAct's."""
        if self.layout.style == "rich" and THINK_BRACKETS.parse(content) is not None:
            return "OK."
        return self._act(*(WEBSHOP.parse(content) or ("", {})))[0]

    def _result(self, steps: tuple[Step, ...], over: bool) -> StepResult:
        """The answer; the purchase has its reward once, not again for actions after it (`over`)."""
        if self.purchase is None:
            return StepResult(Observation(steps), 0.0)
        total = self.purchase.total
        ending = "success" if total == 1 else "failure"
        return StepResult(Observation(steps), 0.0 if over else total, True, ending)

    def _act(self, name: str, arguments: Mapping[str, Any]) -> tuple[str, bool]:
        """The text that answers a call, and whether it was an action of this page."""
        words = arguments.get({"search": "keywords", "click": "element"}.get(name, ""))
        if isinstance(words, str) and self.purchase is None:
            if name == "search" and self.session.page.name == "search" and words.strip():
                return self._search(words), True
            labels = {label.lower(): label for label in pages.clickable(self.session.page, self.layout)}
            if name == "click" and words.lower() in labels:
                return self._click(labels[words.lower()]), True
        return self.layout.invalid(self.session.page), False

    def _search(self, keywords: str) -> str:
        self.session.found, self.session.number = self.engine.search(keywords), 1
        return self._results()

    def _results(self) -> str:
        session = self.session
        session.product, session.chosen = NOTHING, {}
        return self._show(pages.results_page(session.goal.instruction, session.number, session.found))

    def _item(self) -> str:
        session = self.session
        instruction = session.goal.instruction
        return self._show(pages.item_page(instruction, session.product, session.chosen, self.attributes))

    def _show(self, page: Page) -> str:
        self.session.page = page
        return self.layout.text(page)

    def _click(self, label: str) -> str:
        """The page behind a label of this page."""
        session, kind = self.session, self.session.page.name
        option = self._option(label) if kind == "item" else None
        if option is not None:
            session.chosen[option] = label
            self._item()
            return self.layout.clicked(label, session.page)
        if label == pages.BACK:
            self._session = Session(session.goal, pages.search_page(session.goal.instruction))
            return self._show(self._session.page)
        if kind == "results" and label in (pages.NEXT, pages.PREVIOUS):
            session.number += 1 if label == pages.NEXT else -1
            return self._results()
        if kind == "results":
            session.product = self.catalogue.products[label]
            return self._item()
        if label == pages.PREVIOUS:
            return self._item() if kind == "sub" else self._results()
        return self._buy() if label == pages.BUY else self._sub(label)

    def _option(self, label: str) -> str | None:
        """The name of the option that has this value; of several the last, as in the original."""
        options = self.session.product.options
        return next((name for name in reversed(options) if label in options[name]), None)

    def _sub(self, label: str) -> str:
        return self._show(pages.sub_page(self.session.goal.instruction, self.session.product, label))

    def _buy(self) -> str:
        product, goal, chosen = self.session.product, self.session.goal, self.session.chosen
        self.purchase = reward(product, goal, product.price(self.catalogue.seed), chosen, self.nouns)
        return self._show(pages.done_page(self.purchase.total))
