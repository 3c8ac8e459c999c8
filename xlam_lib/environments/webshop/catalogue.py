"""The goods of WebShop and what shoppers look for, from the original's files or from the catalogue that lies here.

The original's files (download script of the repository princeton-nlp/WebShop), read from one folder:

    items_shuffle.json or items_shuffle_1000.json     [{"asin": "B09...", "name": "...", "query": "...", ...}, ...]
    items_ins_v2.json or items_ins_v2_1000.json       {"B09...": {"attributes": ["tea tree"], ...}}
    items_human_ins.json                              {"B09...": [{"instruction": "i need ...", ...}]}

`catalogue.json` beside this file has the three in one, written for this project: 88 products of 22 kinds (invented
brands and numbers, prices and options as shops have them) and 66 goals, of which 22 are for training. Prices drawn
from a range and a goal's highest price are random in the original, and not seeded; here they depend on product and
seed alone. Used by `environment.py` and `bench/tasks/webshop.py` (notebook 05). Example:

    shop = embedded()
    shop.goals[0].instruction        # "i need ..., and price lower than 40.00 dollars"
    load("data/webshop").products    # {"B09...": Product(asin="B09...", ...), ...}
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from xlam_lib.errors import XlamError

NO_LIMIT = 1_000_000.0  # the highest price of a goal without one, as in the original
LIMITS = tuple(10.0 * tens for tens in range(1, 100))  # dollars, from which a goal's highest price is drawn
SHUFFLE = 233  # the original's seed for the order of goals
NO_PRICE = 100.0  # dollars: what a product without a price costs
SPLITS = {"test": slice(0, 500), "dev": slice(500, 1500), "train": slice(1500, None)}  # of the original's goals


class CatalogueError(XlamError, ValueError):
    """Files that aren't the shop's, or a goal that isn't in them."""


@dataclass(frozen=True)
class Product:
    """One product; options as {"color": ("teal", "ivory")}, prices in dollars, one or the ends of a range."""

    asin: str = ""
    title: str = ""
    query: str = ""  # the search by which it was found, and so its kind
    category: str = ""  # "garden"
    product_category: str = ""  # "Home & Kitchen › Bedding › Throws"
    attributes: tuple[str, ...] = ()
    bullet_points: tuple[str, ...] = ()
    description: str = ""
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    prices: tuple[float, ...] = (NO_PRICE,)

    @property
    def price_tag(self) -> str:
        """As a page shows it: "$9.98" or "$19.99 to $22.99"."""
        return " to ".join(f"${price}" for price in self.prices)

    def price(self, seed: int = 0) -> float:
        """What it costs, drawn from its range by its number and the seed alone: `product.price()` -> 21.4."""
        return self.prices[0] if len(self.prices) == 1 else random.Random(f"{seed}/{self.asin}").uniform(*self.prices)


@dataclass(frozen=True)
class Goal:
    """What a shopper looks for: `Goal("webshop/0", "i need a teal throw, ...", "B0...", ..., ("super soft",), ...)`."""

    id: str = ""
    instruction: str = ""
    asin: str = ""  # the product that it was written for; others may fit as well
    name: str = ""  # that product's title
    query: str = ""
    category: str = ""
    product_category: str = ""
    attributes: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    price_upper: float = NO_LIMIT  # dollars


@dataclass(frozen=True)
class Catalogue:
    """All products by number, and the goals in the original's order, by split: {"test": (Goal(...), ...)}."""

    products: Mapping[str, Product]
    splits: Mapping[str, tuple[Goal, ...]]
    seed: int = 0

    @property
    def goals(self) -> tuple[Goal, ...]:
        """The goals of all splits."""
        return tuple(goal for goals in self.splits.values() for goal in goals)

    def goal(self, goal_id: str) -> Goal:
        """A goal by its id, or by its instruction: `shop.goal("webshop/test/3")`."""
        for goal in self.goals:
            if goal_id in (goal.id, goal.instruction):
                return goal
        known = ", ".join(f"{split} with {len(goals)}" for split, goals in self.splits.items())
        raise CatalogueError(f"no goal {goal_id[:80]!r} in this catalogue; its splits of goals are {known}")


@cache
def embedded() -> Catalogue:
    """The catalogue that lies beside this file, always the same: 88 products, 22 goals to train, 44 to test."""
    text = resources.files(__package__).joinpath("catalogue.json").read_text(encoding="utf-8")
    data = json.loads(text)
    products = _products(data["items"], data["attributes"])
    splits = {
        split: _goals({asin: products[asin] for asin in data[split]}, data["human"], 0, split)
        for split in ("train", "test")
    }
    return Catalogue(products, splits)


def load(folder: str | Path, products: int | None = None, seed: int = 0) -> Catalogue:
    """The original's catalogue from its folder, of all or of the first `products`; goals as the original orders them.

    The first 500 goals are the test, the next 1000 the development, the rest the training split, as in the paper.
    """
    items = _read(folder, list, "items_shuffle.json", "items_shuffle_1000.json")
    attributes = _read(folder, dict, "items_ins_v2.json", "items_ins_v2_1000.json")
    human = _read(folder, dict, "items_human_ins.json")
    made = _products(items[:products], attributes)
    goals = list(_goals(made, human, seed, ""))
    random.Random(SHUFFLE).shuffle(goals)
    if not goals:
        raise CatalogueError(
            f"{folder}: no product has an instruction in items_human_ins.json; are the files of a set?"
        )
    named = {
        split: tuple(replace(goal, id=f"webshop/{split}/{n}") for n, goal in enumerate(goals[part]))
        for split, part in SPLITS.items()
    }
    return Catalogue(made, named, seed)


def _read(folder: str | Path, kind: type, *names: str) -> Any:
    for name in names:
        path = Path(folder) / name
        if path.is_file():
            break
    else:
        raise CatalogueError(f"{folder}: no {' nor '.join(names)}; download the original's data into this folder")
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CatalogueError(f"{path}: not JSON ({error}); download it again") from error
    if not isinstance(data, kind):
        raise CatalogueError(f"{path}: found {type(data).__name__}, expected {kind.__name__}, as in the original")
    return data


def _products(items: Sequence[Mapping[str, Any]], attributes: Mapping[str, Any]) -> dict[str, Product]:
    """Products by number; as in the original the first of a number counts, and one of more than ten letters none."""
    made: dict[str, Product] = {}
    for place, item in enumerate(items):
        asin = item.get("asin") if isinstance(item, Mapping) else None
        if not isinstance(asin, str):
            raise CatalogueError(f"product {place}: no 'asin'; expected an object as in items_shuffle.json")
        if asin != "nan" and len(asin) <= 10 and asin not in made:
            made[asin] = _product(item, attributes.get(asin, {}).get("attributes", ["DUMMY_ATTR"]))
    return made


def _product(item: Mapping[str, Any], attributes: Sequence[str]) -> Product:
    bullets = item.get("small_description") or ""
    return Product(
        asin=item["asin"],
        title=item.get("name") or "",
        query=(item.get("query") or "").lower().strip(),
        category=item.get("category") or "",
        product_category=item.get("product_category") or "",
        attributes=tuple(attributes),
        bullet_points=tuple(bullets) if isinstance(bullets, list) else (bullets,),
        description=item.get("full_description") or "",
        options={
            name.lower(): tuple(_option(content["value"]) for content in contents)
            for name, contents in (item.get("customization_options") or {}).items()
            if contents is not None
        },
        prices=read_prices(item.get("pricing") or ""),
    )


def _option(value: str) -> str:
    return value.strip().replace("/", " | ").lower()


def read_prices(text: str) -> tuple[float, ...]:
    """One price, or the ends of a range, in dollars: "$1,024.50 - $1,100.00" -> (1024.5, 1100.0); none -> (100.0,)."""
    found = [re.sub(r"[^\d.]", "", part) for part in text.split("$")[1:]]
    prices = tuple(float(part) for part in found if re.fullmatch(r"\d+(?:\.\d*)?|\.\d+", part))
    return prices[:2] or (NO_PRICE,)


def _goals(products: Mapping[str, Product], human: Mapping[str, Any], seed: int, split: str) -> tuple[Goal, ...]:
    """Goals of products in order; an instruction without attributes is left out, as in the original."""
    goals: list[Goal] = []
    for asin, product in products.items():
        for number, one in enumerate(human.get(asin, ())):
            if not one["instruction_attributes"]:
                continue
            limit, words = _limit(product.price(seed), random.Random(f"{seed}/{asin}/{number}"))
            goals.append(
                Goal(
                    f"webshop/{split}/{len(goals)}",
                    one["instruction"].strip(".") + words,
                    *(asin, product.title, product.query, product.category, product.product_category),
                    attributes=tuple(one["instruction_attributes"]),
                    options=tuple(one["instruction_options"]),
                    price_upper=limit,
                )
            )
    return tuple(goals)


def _limit(price: float, drawn: random.Random) -> tuple[float, str]:
    """The highest price of a goal, and its words: the higher of two of the four round prices above the product's."""
    above = [limit for limit in LIMITS if limit > price][:4]
    if len(above) < 2:
        return NO_LIMIT, ""
    limit = max(drawn.sample(above, 2))
    return limit, f", and price lower than {limit:.2f} dollars"
