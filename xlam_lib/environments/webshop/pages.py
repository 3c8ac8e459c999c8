"""WebShop's pages as what a reader sees of them, and the texts that agents are given for them.

A page is a list of elements, in the order of the original's HTML templates: words, buttons, links to products and
options of a product. A layout makes one text of them. Three sorts of layouts are on record:

    RICH, REACT and BOLAA, as in the environments of ReAct (Yao et al. 2023) and BOLAA (Liu et al. 2023), which most of
    the recorded sessions have, and in which the published tables were measured; REACT shows three and BOLAA eight
    products of a page, and neither turns pages:

        [Back to Search]
        Page 1 (Total results: 50)
        [Next >]
        [B09QQLDJ93]
        Lroveb Fashion Long Curly Wig ...
        $34.89

    SIMPLE, the original's mode "text", also AgentBench's: all texts of the page with separators between them:

        Instruction: [SEP] i need ... [SEP] Back to Search [SEP] Page 1 (Total results: 50) [SEP] Next > [SEP] B09...

A page's text has no blanks or line ends around it, as the converters of the recorded sessions keep it. Used by
`environment.py` (notebook 05). Example: `RICH.text(results_page("i need ...", 1, products))`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from xlam_lib.environments.webshop.catalogue import Product

WINDOW = 10  # products on a page of results
BUY, NEXT, PREVIOUS, BACK, SEARCH = "Buy Now", "Next >", "< Prev", "Back to Search", "Search"
SUB_PAGES = ("Description", "Features", "Reviews")
ATTRIBUTES = "Attributes"  # a fourth, which the original shows only where it is asked to
SCORE = "Your score (min 0.0, max 1.0)"


@dataclass(frozen=True)
class Element:
    """A piece of a page: `Element("Buy Now", "button")`."""

    text: str
    kind: Literal["text", "button", "product", "option"] = "text"
    chosen: bool = False  # of an option


@dataclass(frozen=True)
class Page:
    """A page and its elements in order: `Page("done", (Element("Thank you for shopping with us!"), ...))`."""

    name: Literal["search", "results", "item", "sub", "done"]
    elements: tuple[Element, ...]


def search_page(instruction: str) -> Page:
    """Where a session begins, and where "Back to Search" leads: the instruction above a search bar."""
    return Page("search", (*_texts("WebShop", "Instruction:", instruction), Element(SEARCH, "button")))


def results_page(instruction: str, number: int, found: Sequence[Product]) -> Page:
    """Page `number`, from 1, of the products found; as in the original "Next >" is there even where none follow."""
    total = Element(f"Page {number} (Total results: {len(found)})")
    turn = _buttons(PREVIOUS, NEXT) if number > 1 else _buttons(NEXT)
    products = (
        element
        for product in found[(number - 1) * WINDOW : number * WINDOW]
        for element in (Element(product.asin, "product"), *_texts(product.title, product.price_tag))
    )
    return Page("results", (*_head(instruction), *_buttons(BACK), total, *turn, *products))


def item_page(instruction: str, product: Product, chosen: Mapping[str, str], attributes: bool = False) -> Page:
    """A product with its options, `chosen` being {"color": "teal"}; with `attributes` a button leads to these, too.

    Its rating is "N.A.", as in the recorded sessions: the original's catalogue comes without reviews.
    """
    options = (
        element
        for name, values in product.options.items()
        for element in (Element(name), *(Element(one, "option", chosen.get(name) == one) for one in values))
    )
    facts = _texts(product.title, f"Price: {product.price_tag}", "Rating: N.A.")
    buttons = _buttons(*SUB_PAGES, *((ATTRIBUTES,) if attributes else ()), BUY)
    return Page("item", (*_head(instruction), *_buttons(BACK, PREVIOUS), *options, *facts, *buttons))


def sub_page(instruction: str, product: Product, name: str) -> Page:
    """One of a product's pages of words: "Description", "Features", "Attributes"; there are no "Reviews"."""
    kinds = (product.category, product.query, product.product_category)
    texts = {
        "Description": (product.description,),
        "Features": product.bullet_points,
        ATTRIBUTES: (*product.attributes, *kinds),
    }.get(name, ())
    words = _texts(*(text for text in texts if text.strip()))
    return Page("sub", (*_head(instruction), *_buttons(BACK, PREVIOUS), *words))


def done_page(score: float) -> Page:
    """What comes after a purchase."""
    return Page("done", _texts("Thank you for shopping with us!", SCORE, str(score)))


@dataclass(frozen=True)
class Layout:
    """How pages become texts: `Layout("rich", products=3, turns=False)` is ReAct's."""

    style: Literal["rich", "simple"] = "rich"
    products: int = WINDOW  # of a page of results that are shown; the others can be clicked all the same
    turns: bool = True  # whether "Next >" and "< Prev" turn pages of results

    def text(self, page: Page) -> str:
        """The text of a page, e.g. "[Back to Search] \n[< Prev] \ncolor [teal][ivory] ..."."""
        if self.style == "simple":
            return " [SEP] ".join(element.text.strip() for element in page.elements)
        if page.name == "done":
            return f"{SCORE}: {page.elements[-1].text}"
        return self._rich(page).strip()

    def invalid(self, page: Page) -> str:
        """The answer to an action that is none here: words in the rich layouts, the same page in the simple one."""
        return "Invalid action!" if self.style == "rich" else self.text(page)

    def clicked(self, option: str, page: Page) -> str:
        """The answer to the choice of an option, `page` being the product's with the option chosen."""
        return f"You have clicked {option}." if self.style == "rich" else self.text(page)

    def _rich(self, page: Page) -> str:
        """Each element on its line, but for options, which stand behind their name; the instruction only at first."""
        if page.name == "search":
            return f"Webshop \nInstruction:  \n{page.elements[2].text} \n[{SEARCH}]"
        text, products = "", 0
        for element in page.elements[2:]:
            products += element.kind == "product"
            if products > self.products:
                break
            if element.kind == "option":
                text += f"[[{element.text}]]" if element.chosen else f"[{element.text}]"
            else:
                text += f"\n{element.text} " if element.kind == "text" else f"\n[{element.text}] "
        return text


RICH = Layout()
REACT = Layout("rich", products=3, turns=False)
BOLAA = Layout("rich", products=8, turns=False)
SIMPLE = Layout("simple")


def clickable(page: Page, layout: Layout = RICH) -> tuple[str, ...]:
    """What can be clicked: ("Back to Search", "Next >", "B0...", ...); a search bar is none of it."""
    barred = (SEARCH,) if layout.turns or page.name != "results" else (SEARCH, NEXT, PREVIOUS)
    return tuple(one.text for one in page.elements if one.kind != "text" and one.text not in barred)


def _head(instruction: str) -> tuple[Element, ...]:
    return _texts("Instruction:", instruction)


def _buttons(*labels: str) -> tuple[Element, ...]:
    return tuple(Element(label, "button") for label in labels)


def _texts(*texts: str) -> tuple[Element, ...]:
    return tuple(Element(text) for text in texts)
