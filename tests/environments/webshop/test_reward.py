"""The reward of a purchase, its comparison of words, and what a purchase can't do."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xlam_lib.environments.webshop.catalogue import Goal, Product
from xlam_lib.environments.webshop.matching import COLORS, normalize_color, similar, title_nouns, token_set_ratio
from xlam_lib.environments.webshop.reward import attribute_reward, option_reward, reward, type_factor, type_reward

THROW = Product(
    asin="B0",
    title="Fleece Throw Blanket for Couch",
    query="throw blankets",
    product_category="Home & Kitchen › Bedding › Throws",
    attributes=("super soft",),
    bullet_points=("MACHINE WASHABLE: on a gentle cycle.",),
    description="For the couch.",
    options={"color": ("teal", "ivory"), "size": ("50 x 60 inches",)},
    prices=(21.99,),
)
GOAL = Goal(
    "webshop/0",
    "i need a teal throw",
    *("B0", THROW.title, THROW.query, "garden", THROW.product_category),
    attributes=("super soft", "machine washable"),
    options=("teal", "50 x 60 inches"),
    price_upper=30.0,
)
CHOSEN = {"color": "teal", "size": "50 x 60 inches"}
WORDS = st.text("abc xyz", max_size=12)


def test_the_goal_itself_gets_all():
    found = reward(THROW, GOAL, 21.99, CHOSEN)
    assert found.total == 1
    assert found.info() == {
        **{"r_type": 1.0, "r_att": 1.0, "query_match": True, "category_match": True, "title_score": 1.0},
        **{"r_option": 1.0, "r_price": True},
    }


@pytest.mark.parametrize(
    ("change", "price", "chosen", "total"),
    [
        ({}, 30.01, CHOSEN, 4 / 5),
        ({}, 30.0, CHOSEN, 1),
        ({}, 21.99, {"color": "ivory", "size": "50 x 60 inches"}, 4 / 5),
        ({}, 21.99, {}, 3 / 5),
        ({"bullet_points": ()}, 21.99, CHOSEN, 4 / 5),
        ({"title": "Couch"}, 21.99, CHOSEN, 1),  # one of the four nouns is enough with the query
        ({"title": "Red Lamp"}, 21.99, CHOSEN, 0),  # no noun at all
        ({"query": "lamps", "product_category": "Home & Kitchen", "title": "Couch Blanket"}, 21.99, CHOSEN, 1),
    ],
)
def test_each_part_counts_once(change, price, chosen, total):
    assert reward(replace(THROW, **change), GOAL, price, chosen).total == pytest.approx(total)


@pytest.mark.parametrize(
    ("query", "category", "score", "factor"),
    [
        (True, True, 0.0, 0.0),
        (True, True, 0.09, 0.1),
        (False, False, 0.1, 0.5),
        (False, False, 0.2, 0.5),
        (False, False, 0.21, 1.0),
        (True, False, 0.1, 1.0),
        (False, True, 0.2, 1.0),
    ],
)
def test_the_factor_of_the_type(query, category, score, factor):
    assert type_factor(query, category, score) == factor


def test_edges():
    assert type_reward(THROW, replace(GOAL, name="")).title_score == 0.2  # no noun to share: as in the original
    assert attribute_reward(THROW, ()) == (0.0, 0)
    assert option_reward(("teal",), ()) == (None, 0)
    assert option_reward((), ("teal",)) == (0.0, 0)
    free = reward(THROW, replace(GOAL, price_upper=0.0), 1e9, CHOSEN)
    assert free.r_price is None and "r_price" not in free.info() and free.total == 4 / 5


def test_another_tagger_can_be_given():
    assert type_reward(THROW, GOAL, lambda title: title.lower().split()[:1]).title_score == 1
    assert reward(THROW, replace(GOAL, name="Lamp"), 9, CHOSEN, lambda title: ["x"]).kind.r_type == 1


@pytest.mark.parametrize(
    ("one", "two", "score"),
    [
        # as thefuzz 0.19.0 computes them on difflib
        ("essential oil", "essential oils", 96),
        ("grey XL", "XL", 100),
        ("pack of 12", "pack of 6", 88),
        ("6.1 inch", "6.7 inch", 88),
        ("", "grey", 0),
        ("", "", 0),
        ("blue", "red", 29),
        ("x-large", "xx-large", 93),
        ("Über-soft", "ber soft", 100),  # what isn't ASCII is left out
        ("baa", "a ab", 29),
        ("a ab", "baa", 57),  # difflib is no measure: the order counts
    ],
)
def test_token_set_ratio(one, two, score):
    assert token_set_ratio(one, two) == score
    assert similar(one, two) == (score > 85)


@given(WORDS, WORDS)
def test_likeness_has_bounds_and_is_full_where_all_words_are_shared(one, two):
    assert 0 <= token_set_ratio(one, two) <= 100
    assert token_set_ratio(one, f"{one} {two}") == token_set_ratio(f"{two} {one}", one) == (100 if one.split() else 0)


def test_colors():
    assert len(COLORS) == 102 and list(COLORS) == sorted(COLORS)
    assert [normalize_color(text) for text in ("z2-pink", "dark red", "8", "")] == ["pink", "dark", "8", ""]


def test_nouns_are_words_that_may_be_some():
    assert title_nouns("Power Cord for JBL Bar 2.1, with 4K and T-Shirt (X)") == [
        "power",
        "cord",
        "jbl",
        "bar",
        "t-shirt",
    ]


@given(st.floats(0, 1), st.booleans(), st.booleans())
def test_more_in_common_is_never_worth_less(score, query, category):
    assert type_factor(query, category, score) <= type_factor(True, category, score) <= 1
    assert type_factor(query, category, score) <= type_factor(query, category, min(1.0, score + 0.1))
