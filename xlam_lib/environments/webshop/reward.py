"""WebShop's reward of a purchase (Yao et al. 2022, section 3.1 and engine/goal.py), part by part.

    total = r_type * (attributes found + options chosen + price kept) / (attributes + options of the goal + 1)

`r_type` is 1 where the product has the goal's query, two of its categories or more than a fifth of its title's nouns,
0.5 where it has none of these, 0.1 where less than a tenth of the nouns is shared and 0 where none is.

What differs from the original: nouns are found without spaCy's tagger (`matching.title_nouns`), so that `title_score`
counts adjectives and verbs, too, and is often a little higher or lower. On the five titles that the original's tests
score the difference is 0.17 at most and r_type the same. Who has spaCy and its model gets the original's figures:

    tag = spacy.load("en_core_web_lg")
    reward(bought, goal, price, chosen, lambda title: [t.text.lower() for t in tag(title) if t.pos_ in NOUN_TAGS])

Used by `environment.py` and by `bench/tasks/webshop_records.py`, which scores recorded purchases again (notebook 05).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from xlam_lib.environments.webshop.catalogue import Goal, Product
from xlam_lib.environments.webshop.matching import normalize_color, similar, title_nouns

NOUN_TAGS = ("PNOUN", "NOUN", "PROPN")  # spaCy's, as the original lists them
Nouns = Callable[[str], Sequence[str]]


@dataclass(frozen=True)
class TypeReward:
    """Whether the right kind of product was bought: `TypeReward(1.0, True, True, 0.64)`."""

    r_type: float  # 0, 0.1, 0.5 or 1
    query_match: bool
    category_match: bool
    title_score: float  # share of the goal's nouns that the bought title has, 0 to 1


@dataclass(frozen=True)
class Reward:
    """A purchase with all parts of its reward: `Reward(0.75, TypeReward(...), 0.0, 1.0, True)`."""

    total: float  # 0 to 1
    kind: TypeReward
    r_att: float  # share of the goal's attributes that the product has
    r_option: float | None  # share of the goal's options that were chosen; None where it has none
    r_price: bool | None  # None where the goal sets no price

    def info(self) -> dict[str, Any]:
        """As the original logs it: {"r_type": 1.0, "r_att": 0.0, ..., "r_option": 1.0, "r_price": True}."""
        kind = self.kind
        parts = {"r_type": kind.r_type, "r_att": self.r_att, "query_match": kind.query_match}
        parts |= {"category_match": kind.category_match, "title_score": kind.title_score}
        optional = {"r_option": self.r_option, "r_price": self.r_price}
        return parts | {name: value for name, value in optional.items() if value is not None}


def reward(bought: Product, goal: Goal, price: float, chosen: Mapping[str, str], nouns: Nouns = title_nouns) -> Reward:
    """The reward of a product bought for `price` dollars with options such as {"color": "teal"}.

    `reward(product, goal, 21.99, {"color": "teal"}).total` -> 0.8
    """
    kind = type_reward(bought, goal, nouns)
    r_att, attributes = attribute_reward(bought, goal.attributes)
    r_option, options = option_reward(tuple(chosen.values()), goal.options)
    r_price = price <= goal.price_upper if goal.price_upper > 0 else None
    counts = (len(goal.attributes), len(goal.options))
    return Reward(total_reward(kind.r_type, attributes, options, r_price, *counts), kind, r_att, r_option, r_price)


def total_reward(
    r_type: float, attributes: float, options: float, r_price: bool | None, all_attributes: int, all_options: int
) -> float:
    """The weighted sum from its counts: `total_reward(0.5, 1, 2, True, 3, 3)` -> 0.2857142857142857."""
    return r_type * ((attributes + options + bool(r_price)) / (all_attributes + all_options + 1))


def type_reward(bought: Product, goal: Goal, nouns: Nouns = title_nouns) -> TypeReward:
    """Whether query, categories and nouns of the title are those of the goal."""
    query_match = bought.query == goal.query
    category_match = len(_categories(bought.product_category) & _categories(goal.product_category)) >= 2
    desired = nouns(goal.name)
    title_score = len(set(nouns(bought.title)) & set(desired)) / len(desired) if desired else 0.2
    return TypeReward(type_factor(query_match, category_match, title_score), query_match, category_match, title_score)


def type_factor(query_match: bool, category_match: bool, title_score: float) -> float:
    """`r_type` from its three parts; the later rules overrule the earlier: `type_factor(True, True, 0.05)` -> 0.1."""
    if title_score == 0:
        return 0.0
    if title_score < 0.1:
        return 0.1
    return 1.0 if query_match or category_match or title_score > 0.2 else 0.5


def attribute_reward(bought: Product, attributes: Sequence[str]) -> tuple[float, int]:
    """Share and number of the attributes that a product has, in its list or in words of its title, features or
    description: `attribute_reward(shampoo, ["tea tree", "travel size"])` -> (0.5, 1). No attributes: (0.0, 0).
    """
    texts = [text.lower() for text in (bought.title, " ".join(bought.bullet_points), bought.description)]
    found = sum(
        any(similar(one, sought) for one in bought.attributes) or any(sought in text for text in texts)
        for sought in attributes
    )
    return found / len(attributes) if attributes else 0.0, found


def option_reward(chosen: Sequence[str], sought: Sequence[str]) -> tuple[float | None, int]:
    """Share and number of the goal's options among the chosen ones, colours normalised.

    `option_reward(["z2-pink", "8"], ["pink", "8"])` -> (1.0, 2); (None, 0) where the goal has no options.
    """
    colors = [normalize_color(option) for option in chosen]
    found = sum(any(similar(color, normalize_color(option)) for color in colors) for option in sought)
    return found / len(sought) if sought else None, found


def _categories(path: str) -> set[str]:
    """The steps of a path of categories: "Beauty › Hair Care › Wigs" -> {"Beauty", "Hair Care", "Wigs"}."""
    return {part.strip() for part in path.split("›")}
