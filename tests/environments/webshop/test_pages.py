"""Pages of recorded sessions, made anew: ReAct's log, AgentBench's and ETO's conversations, the original's HTML."""

import json
import re
from collections import Counter
from html.parser import HTMLParser

import pytest

from xlam_lib.data.sources.agents import webshop_react_log
from xlam_lib.environments.webshop import pages
from xlam_lib.environments.webshop.catalogue import Product, embedded, read_prices
from xlam_lib.environments.webshop.pages import BOLAA, REACT, RICH, SIMPLE

LAMP = Product(
    "B0LAMPLAMP",
    "A Lamp",
    attributes=("led light",),
    bullet_points=("BRIGHT.", "SMALL."),
    description=" It shines. ",
    options={"color": ("red", "blue"), "size": ("small",)},
    prices=(9.5, 12.0),
    **{"category": "garden", "query": "lamps", "product_category": "Home › Lamps"},
)
ITEM = (
    "[Back to Search] \n[< Prev] \ncolor [red][[blue]]\nsize [small]\nA Lamp \nPrice: $9.5 to $12.0 \nRating: N.A. "
    "\n[Description] \n[Features] \n[Reviews] \n[Buy Now]"
)


def test_rich_pages():
    assert RICH.text(pages.search_page("a lamp")) == "Webshop \nInstruction:  \na lamp \n[Search]"
    results = pages.results_page("a lamp", 1, [LAMP] * 12)
    start = "[Back to Search] \nPage 1 (Total results: 12) \n[Next >]"
    assert RICH.text(results) == start + " \n[B0LAMPLAMP] \nA Lamp \n$9.5 to $12.0" * 10
    assert [layout.text(results).count("A Lamp") for layout in (RICH, REACT, BOLAA)] == [10, 3, 8]
    second = RICH.text(pages.results_page("a lamp", 2, [LAMP] * 12))
    assert second.startswith("[Back to Search] \nPage 2 (Total results: 12) \n[< Prev] \n[Next >] \n[B0LAMPLAMP]")
    assert second.count("A Lamp") == 2
    assert RICH.text(pages.item_page("a lamp", LAMP, {"color": "blue"})) == ITEM
    assert RICH.text(pages.sub_page("a lamp", LAMP, "Features")) == "[Back to Search] \n[< Prev] \nBRIGHT. \nSMALL."
    assert RICH.text(pages.sub_page("a lamp", LAMP, "Reviews")) == "[Back to Search] \n[< Prev]"
    assert RICH.text(pages.done_page(0.5)) == "Your score (min 0.0, max 1.0): 0.5"


def test_simple_pages():
    head = "Instruction: [SEP] a lamp [SEP] Back to Search [SEP] "
    assert SIMPLE.text(pages.search_page("a lamp")) == "WebShop [SEP] Instruction: [SEP] a lamp [SEP] Search"
    results = SIMPLE.text(pages.results_page("a lamp", 1, [LAMP]))
    assert results == head + "Page 1 (Total results: 1) [SEP] Next > [SEP] B0LAMPLAMP [SEP] A Lamp [SEP] $9.5 to $12.0"
    sub = SIMPLE.text(pages.sub_page("a lamp", LAMP, "Attributes"))
    assert sub == head + "< Prev [SEP] led light [SEP] garden [SEP] lamps [SEP] Home › Lamps"
    assert SIMPLE.text(pages.sub_page("a lamp", LAMP, "Description")) == head + "< Prev [SEP] It shines."
    assert SIMPLE.text(pages.done_page(1.0)).endswith("Your score (min 0.0, max 1.0) [SEP] 1.0")


def test_what_can_be_clicked():
    results = pages.results_page("x", 2, [LAMP] * 11)
    assert pages.clickable(pages.search_page("x")) == ()
    assert pages.clickable(results) == ("Back to Search", "< Prev", "Next >", "B0LAMPLAMP")
    assert pages.clickable(results, REACT) == ("Back to Search", "B0LAMPLAMP")
    item = pages.item_page("x", LAMP, {}, attributes=True)
    options = ("Back to Search", "< Prev", "red", "blue", "small")
    assert pages.clickable(item, REACT) == (*options, "Description", "Features", "Reviews", "Attributes", "Buy Now")


def product_of(lines: list[str], asin: str = "") -> Product:
    """The product that the lines of an item page in a rich layout show."""
    options = {}
    while not lines[1].startswith("Price: "):
        found = re.match(r"(.*?) (\[.*)$", lines.pop(0))
        options[found[1]] = tuple(value.strip("[") for value in found[2].strip("[]").split("]["))
    return Product(asin, lines[0], options=options, prices=read_prices(lines[1]))


def again(text: str, instruction: str) -> str | None:
    """A page of ReAct's log made anew; None where the text is no page."""
    lines = [line.removesuffix(" ") for line in text.split("\n")]
    if lines[0] == "Webshop":
        return REACT.text(pages.search_page(instruction))
    if lines[0] != "[Back to Search]":
        return None
    if lines[1] == "[< Prev]":
        return REACT.text(pages.item_page(instruction, product_of(lines[2:]), {}))
    total = int(re.fullmatch(r"Page 1 \(Total results: (\d+)\)", lines[1])[1])
    shown = zip(lines[3::3], lines[4::3], lines[5::3], strict=True)
    found = [Product(asin.strip("[]"), title, prices=read_prices(price)) for asin, title, price in shown]
    return REACT.text(pages.results_page(instruction, 1, [*found, *[LAMP] * (total - len(found))]))


def test_reacts_pages_are_made_anew(real_data):
    """All pages of 250 episodes that show a search bar, results or a product, to the byte."""
    text = (real_data / "webshop_react_log" / "episodes_000_249.txt").read_text()
    answers = Counter()
    for _, record in webshop_react_log.split(text):
        (episode,) = webshop_react_log.convert(record, "log")
        start = episode.steps[0].content
        instruction = start.split("Instruction:  \n")[1].removesuffix(" \n[Search]")
        for step in episode.steps:
            if step.role == "assistant":
                continue
            page = again(step.content, instruction)
            assert page in (None, step.content)
            answers["page" if page else " ".join(step.content.split()[:2])] += 1
    others = {"You have": 265, "Your score": 232, "Invalid action!": 143, "": 3}  # three purchases without a score
    assert answers == {"page": 767} | others


def simple_again(text: str) -> str | None:
    """A page of AgentBench's and ETO's conversations made anew; None where our pages don't have it."""
    parts = text.split(" [SEP] ")
    if parts[0] == "WebShop":
        return SIMPLE.text(pages.search_page(parts[2]))
    if parts[0] != "Instruction:" or len(parts) < 5:
        return None
    if parts[3].startswith("Page 1 "):
        shown = zip(parts[5::3], parts[6::3], parts[7::3], strict=True)
        found = [Product(asin, title, prices=read_prices(price)) for asin, title, price in shown]
        return SIMPLE.text(pages.results_page(parts[1], 1, [*found, *[LAMP] * (50 - len(found))]))
    price = next((place for place, part in enumerate(parts) if part.startswith("Price: ")), 0)
    if not price:
        return None
    product = Product("", parts[price - 1], prices=read_prices(parts[price]))
    text = SIMPLE.text(pages.item_page(parts[1], product, {}))
    options = parts[4 : price - 1]  # names and values look alike here: they are put between
    return text.replace(f"< Prev [SEP] {parts[price - 1]}", " [SEP] ".join(["< Prev", *options, parts[price - 1]]))


def test_the_conversations_pages_are_made_anew(real_data):
    made = 0
    for name in ("agentinstruct_adp/agenttuning_webshop/sample_raw.json", "adp_other/eto/sample_raw.json"):
        for record in json.loads((real_data / name).read_text()):
            for turn in record["conversations"]:
                text = (turn.get("content") or turn.get("value", "")).removeprefix("Observation: ")
                page = simple_again(text) if "[SEP]" in text else None
                assert page in (None, text)
                made += page is not None
    assert made == 29


class Reader(HTMLParser):
    """What a reader sees of the original's HTML, as our elements: buttons, products, options and other words."""

    def __init__(self):
        super().__init__()
        self.elements, self.tags = [], []

    def handle_starttag(self, tag, attrs):
        if tag not in ("link", "img", "input", "br"):
            self.tags.append((tag, dict(attrs).get("class")))

    def handle_endtag(self, tag):
        if self.tags:  # the original closes h4 by h5 and the like
            self.tags.pop()

    def handle_data(self, data):
        tag, kind = self.tags[-1] if self.tags else ("", None)
        if not data.strip() or any(outer in ("style", "script", "head") for outer, _ in self.tags):
            return
        names = {"button": "button", "label": "option"}
        found = names.get(tag, "product" if kind == "product-link" else "text")
        self.elements.append((data.strip(), found))


@pytest.mark.parametrize("name", ["results_ws", "item_page_ws", "item_page_ws_desc", "item_page_ws_feat"])
def test_the_originals_html_has_our_elements(real_data, name):
    reader = Reader()
    reader.feed((real_data / "webshop" / f"mock_parse_{name}").read_text())
    seen, texts = reader.elements, [text for text, _ in reader.elements]
    if name == "results_ws":
        places = [place for place, (_, kind) in enumerate(seen) if kind == "product"]
        found = [Product(texts[at], texts[at + 1], prices=read_prices(texts[at + 2])) for at in places]
        page = pages.results_page(texts[1], 1, [*found, *[LAMP] * 40])
        assert len(found) == 10
    elif name == "item_page_ws":
        options, title = {}, texts.index("Price: $100.0") - 1
        for text, kind in seen[4:title]:
            if kind == "text":
                options[text] = ()
            else:
                options[list(options)[-1]] += (text,)
        page = pages.item_page(texts[1], Product("", texts[title], options=options), {})
        assert options == {"color": ("black", "purple", "red"), "size": ("6.5", "7.5", "8", "8.5", "9")}
    else:
        product = Product(description=texts[4], bullet_points=tuple(texts[4:]))
        page = pages.sub_page(texts[1], product, "Features" if name.endswith("feat") else "Description")
    assert seen == [(element.text, element.kind) for element in page.elements]


def test_a_page_of_the_embedded_catalogue_has_no_text_that_looks_like_a_button():
    for product in embedded().products.values():
        for text in (product.title, product.description, *product.bullet_points):
            assert "[" not in text and "]" not in text
