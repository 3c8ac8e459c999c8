"""How WebShop is explained to a model: the task, its two actions and two solved sessions with thoughts and a plan.

The sessions were written for this project over two training goals of the embedded catalogue; their pages are rendered
in the layout that is asked for, so that examples look as the shop itself does (a test plays them). Used by
`environment.py` (notebook 05). Example: `manual(RICH).examples[0].plan`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from xlam_lib.agents.manual import Example, Manual
from xlam_lib.data.formats.environments import WEBSHOP
from xlam_lib.environments.webshop import pages
from xlam_lib.environments.webshop.catalogue import Goal, embedded
from xlam_lib.environments.webshop.pages import Layout
from xlam_lib.environments.webshop.search import SearchEngine, embedded_engine
from xlam_lib.schema import Step, ToolCall

INSTRUCTION = """You are shopping on a website. Find the product that the instruction asks for, and buy it.

There are two actions:
search[keywords] looks for products; it works only on the page with the search bar, {search}.
click[element] clicks what the page shows: a button such as Back to Search, {turning}, Description, Features or \
Buy Now, a product by its number, or an option by its value.

{results} On a product's page choose each option that the instruction names before you buy: color, size, flavor and \
so on. Mind the highest price. click[Buy Now] ends the session, and you are scored by how well the product, its \
options and its price fit. An action that the page doesn't have is answered by {invalid}."""

LABOURS = {"search": ("search",), "click": ("click",)}  # BOLAA's two agents and the tools of each

Turn = tuple[str, str, str]  # a thought, an action and the shop's answer
FRUIT_PLAN = """1. Search for fruit strips with mango.
2. Open the product that fits and whose price is below 40 dollars.
3. Choose mango and 48 count, then buy."""
MASK_PLAN = """1. Search for the mask by its main words.
2. Compare the products that fit: features, size and a price below 40 dollars.
3. Choose 10 ounce and buy the one that has all."""


@cache
def manual(layout: Layout) -> Manual:
    """The manual with its examples in a layout: `manual(SIMPLE).examples[0].steps[0].content`."""
    shop, engine = embedded(), embedded_engine()
    fruit, mask = shop.goal("webshop/train/18"), shop.goal("webshop/train/14")
    examples = (
        Example(_steps(layout, fruit, _fruit(layout, fruit, engine)), FRUIT_PLAN),
        Example(_steps(layout, mask, _mask(layout, mask, engine)), MASK_PLAN),
    )
    instruction = INSTRUCTION.format(
        search=f"[{pages.SEARCH}]" if layout.style == "rich" else pages.SEARCH,
        turning=f"{pages.NEXT}, {pages.PREVIOUS}" if layout.turns else pages.PREVIOUS,
        results=f"The products of a search stand on pages of {pages.WINDOW}."
        if layout.turns
        else f"Of a search you see the best {min(layout.products, pages.WINDOW)} products.",
        invalid='"Invalid action!"' if layout.style == "rich" else "the same page",
    )
    return Manual(instruction, WEBSHOP, examples, LABOURS)


def _fruit(layout: Layout, goal: Goal, engine: SearchEngine) -> Iterator[Turn]:
    """The straight way: a search, a product, two options, the purchase."""
    query, text, words = "mango fruit strips individually wrapped", layout.text, goal.instruction
    found = engine.search(query)
    yield "I search for what the product is.", f"search[{query}]", text(pages.results_page(words, 1, found))
    bought = found[0]
    thought = f"{bought.asin} is fruit strips for lunchboxes at {bought.price_tag}, below 40 dollars. I look at it."
    yield thought, f"click[{bought.asin}]", text(pages.item_page(words, bought, {}))
    chosen: dict[str, str] = {}
    for option, value in (("flavor", "mango"), ("size", "48 count")):
        chosen[option] = value
        page = pages.item_page(words, bought, chosen)
        yield f"The instruction asks for {value}.", f"click[{value}]", layout.clicked(value, page)
    yield "Flavor and size are chosen and the price is right.", f"click[{pages.BUY}]", text(pages.done_page(1.0))


def _mask(layout: Layout, goal: Goal, engine: SearchEngine) -> Iterator[Turn]:
    """The way over a product that lacks something, which its features show."""
    query, text, words = "leave in hair mask coconut oil damaged hair", layout.text, goal.instruction
    found = engine.search(query)
    results = text(pages.results_page(words, 1, found))
    yield "I search for what the product is, and its features.", f"search[{query}]", results
    first, second = found[:2]
    thoughts = (
        "Two masks look alike. I look at the cheaper one first.",
        "It has 10 ounce. Nothing here says damaged hair, so I read its features.",
        "Coconut oil, but nothing for damaged hair. I go back for the other one.",
    )
    item, features = pages.item_page(words, first, {}), pages.sub_page(words, first, "Features")
    yield thoughts[0], f"click[{first.asin}]", text(item)
    yield thoughts[1], "click[Features]", text(features)
    yield thoughts[2], f"click[{pages.PREVIOUS}]", text(item)
    yield "From the product I go back to the results.", f"click[{pages.PREVIOUS}]", results
    item, features = pages.item_page(words, second, {}), pages.sub_page(words, second, "Features")
    yield f"{second.asin} costs {second.price_tag}, still below 40 dollars.", f"click[{second.asin}]", text(item)
    yield "I read its features, too.", "click[Features]", text(features)
    yield "Coconut oil and damaged hair: this one has both.", f"click[{pages.PREVIOUS}]", text(item)
    item = pages.item_page(words, second, {"size": "10 ounce"})
    yield "The instruction asks for 10 ounce.", "click[10 ounce]", layout.clicked("10 ounce", item)
    yield "All fits, and I buy it.", f"click[{pages.BUY}]", text(pages.done_page(1.0))


def _steps(layout: Layout, goal: Goal, turns: Iterator[Turn]) -> tuple[Step, ...]:
    steps = [Step("user", layout.text(pages.search_page(goal.instruction)))]
    for number, (thought, action, answer) in enumerate(turns):
        name, arguments = WEBSHOP.parse(action) or ("", {})
        call = ToolCall(name, arguments, f"call_{number}")
        steps.append(Step("assistant", reasoning=thought, tool_calls=(call,), reasoning_origin="native"))
        steps.append(Step("tool", answer, tool_call_id=call.id, name=name))
    return tuple(steps)
