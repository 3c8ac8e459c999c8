"""The embedded catalogue, the original's files, and the search over both."""

import json
from collections import Counter
from importlib import resources
from itertools import product as combinations

import pytest

from xlam_lib.environments.webshop.catalogue import CatalogueError, embedded, load, read_prices
from xlam_lib.environments.webshop.reward import reward
from xlam_lib.environments.webshop.search import SearchEngine, document, embedded_engine, singular

SHOP = embedded()


def test_the_embedded_catalogue_has_the_shape_that_is_promised():
    assert len(SHOP.products) == 143
    assert {split: len(goals) for split, goals in SHOP.splits.items()} == {"train": 22, "test": 44}
    assert len({goal.id for goal in SHOP.goals}) == len({goal.instruction for goal in SHOP.goals}) == 66
    kinds = {split: Counter(goal.query for goal in goals) for split, goals in SHOP.splits.items()}
    assert set(kinds["train"]) == set(kinds["test"]) and set(kinds["train"].values()) == {1}
    for found in SHOP.products.values():
        assert len(found.asin) == 10 and found.title and found.description and found.bullet_points
        values = [value for values in found.options.values() for value in values]
        assert len(values) == len(set(values)), "a click on an option means one"


def test_one_product_alone_fits_a_goal_and_others_of_its_kind_do_nearly():
    for goal in SHOP.goals:
        best = {
            one.asin: max(
                reward(one, goal, one.price(), dict(zip(one.options, values, strict=True))).total
                for values in combinations(*one.options.values())
            )
            for one in SHOP.products.values()
            if one.query == goal.query
        }
        assert [asin for asin, total in best.items() if total == 1] == [goal.asin]
        others = sorted(total for total in best.values() if total < 1)
        assert len(others) >= 3 and (others[-1] >= 0.6 or goal.id.startswith("webshop/train"))


@pytest.mark.parametrize(
    ("text", "prices"),
    [
        ("$12.99", (12.99,)),
        ("$1,024.50 - $1,100.00", (1024.5, 1100.0)),
        ("$1$2$3", (1.0, 2.0)),
        ("", (100.0,)),
        ("call us", (100.0,)),
        ("$.99", (0.99,)),
        ("$1.2.3", (100.0,)),
    ],
)
def test_prices(text, prices):
    assert read_prices(text) == prices


def test_a_range_of_prices_is_drawn_by_product_and_seed_alone():
    found = next(one for one in SHOP.products.values() if len(one.prices) == 2)
    low, high = found.prices
    assert found.price_tag == f"${low} to ${high}"
    assert low <= found.price(3) <= high and found.price(3) == found.price(3) != found.price(4)


def test_goals_are_found_by_id_or_words():
    goal = SHOP.goals[5]
    assert SHOP.goal(goal.id) == SHOP.goal(goal.instruction) == goal
    with pytest.raises(CatalogueError, match="no goal 'webshop/7'.*train with 22"):
        SHOP.goal("webshop/7")


@pytest.fixture
def folder(tmp_path):
    """The original's three files, made of the embedded catalogue, with what else is in the original's."""
    data = json.loads(resources.files("xlam_lib.environments.webshop").joinpath("catalogue.json").read_text())
    first = data["items"][0]
    odd = {"asin": "B0AAAAAAAA", "name": "Plain", "query": " Lamps ", "pricing": None, "small_description": "One."}
    odd |= {"customization_options": {"Color": None, "Size": [{"value": " A/B "}]}, "product_category": "x"}
    items = [*data["items"], first | {"name": "again"}, first | {"asin": "nan"}, first | {"asin": "B" * 11}, odd]
    human = data["human"] | {"B0AAAAAAAA": [{"instruction": "x", "instruction_attributes": []}]}
    for name, value in (("items_shuffle", items), ("items_ins_v2", data["attributes"]), ("items_human_ins", human)):
        (tmp_path / f"{name}.json").write_text(json.dumps(value))
    return tmp_path


def test_the_original_files_are_read(folder):
    shop = load(folder)
    assert list(shop.products)[:-1] == list(SHOP.products)
    assert shop.products[next(iter(SHOP.products))] == next(iter(SHOP.products.values()))
    odd = shop.products["B0AAAAAAAA"]
    assert (odd.query, odd.prices, odd.bullet_points) == ("lamps", (100.0,), ("One.",))
    assert odd.options == {"size": ("a | b",)} and odd.attributes == ("DUMMY_ATTR",)
    assert {goal.asin for goal in shop.goals} == {goal.asin for goal in SHOP.goals}
    assert [goal.id for goal in shop.splits["test"]] == [f"webshop/test/{n}" for n in range(66)]
    assert [goal.asin for goal in shop.goals] != sorted((g.asin for g in shop.goals), key=list(shop.products).index)
    assert load(folder) == shop and load(folder, products=100).goals != shop.goals
    limits = [(goal.price_upper, shop.products[goal.asin].price(0)) for goal in shop.goals]
    assert all(price < limit <= price + 40 and limit % 10 == 0 for limit, price in limits)
    assert [goal.price_upper for goal in load(folder, seed=1).goals] != [limit for limit, _ in limits]


def test_files_that_are_not_the_originals_are_named(folder):
    (folder / "items_human_ins.json").write_text("[]")
    with pytest.raises(CatalogueError, match="items_human_ins.json: found list, expected dict"):
        load(folder)
    (folder / "items_human_ins.json").write_text("{}")
    with pytest.raises(CatalogueError, match="no product has an instruction"):
        load(folder)
    (folder / "items_shuffle.json").write_text('[{"name": "x"}]')
    with pytest.raises(CatalogueError, match="product 0: no 'asin'"):
        load(folder)
    (folder / "items_ins_v2.json").write_text("{")
    with pytest.raises(CatalogueError, match="items_ins_v2.json: not JSON"):
        load(folder)
    (folder / "items_shuffle.json").unlink()
    with pytest.raises(CatalogueError, match="no items_shuffle.json nor items_shuffle_1000.json"):
        load(folder)


def test_real_attributes_are_read(real_data, tmp_path):
    table = (real_data / "webshop" / "items_ins_v2_1000.json").read_text()
    asins = list(json.loads(table))
    items = [{"asin": asin, "name": f"Product {asin}"} for asin in asins]
    human = {asins[0]: [{"instruction": "x.", "instruction_attributes": ["oral care"], "instruction_options": []}]}
    (tmp_path / "items_shuffle_1000.json").write_text(json.dumps(items))
    (tmp_path / "items_human_ins.json").write_text(json.dumps(human))
    (tmp_path / "items_ins_v2_1000.json").write_text(table)
    shop = load(tmp_path)
    assert len(shop.products) == 300
    assert shop.products["B07QXZL1K5"].attributes == ("eco friendly", "oral care", "sensitive skin")
    assert [goal.instruction for goal in shop.goals][0].startswith("x, and price lower than 1")


def test_a_search_finds_every_goal_by_its_title_first():
    engine = embedded_engine()
    for goal in SHOP.goals:
        assert engine.search(goal.name)[0].asin == goal.asin
        assert goal.asin in [found.asin for found in engine.search(goal.instruction)[:10]]


def test_searches():
    engine = embedded_engine()
    assert engine.search("zzz qqq") == engine.search("") == engine.search("the of and") == ()
    assert engine.search("LOAFER") == engine.search("loafers") != ()
    assert len(engine.search("with color and size black pack")) == 50
    again = SearchEngine(SHOP.products)
    for query in ("black", "pack of 6", "women's shoes", "throw"):
        assert [one.asin for one in again.search(query)] == [one.asin for one in engine.search(query)]


def test_equal_scores_stand_in_the_order_of_the_catalogue():
    one = next(iter(SHOP.products.values()))
    engine = SearchEngine({"a": one, "b": one, "c": one})
    assert engine.search(one.title) == (one, one, one)
    assert list(engine._index.get_scores(["throw"])).count(engine._index.get_scores(["throw"])[0]) == 3


def test_bm25_is_lucenes():
    """Known answer: idf * tf / (tf + k1 * (1 - b + b * length / mean)), as Lucene computes it since version 8."""
    import math

    engine = embedded_engine()
    lengths = [len(engine._words(document(one))) for one in engine.products]
    counts = [engine._words(document(one)).count("mango") for one in engine.products]
    holding = sum(count > 0 for count in counts)
    idf = math.log(1 + (len(counts) - holding + 0.5) / (holding + 0.5))
    mean = sum(lengths) / len(lengths)
    expected = [idf * n / (n + 0.9 * (0.6 + 0.4 * length / mean)) for n, length in zip(counts, lengths, strict=True)]
    assert list(engine._index.get_scores(["mango"])) == pytest.approx(expected, abs=1e-5)


def test_plurals():
    words = "loafers berries glasses boots shoes bus dress us s eyes".split()
    assert [singular(word) for word in words] == "loafer berry glasse boot shoe bus dress us s eye".split()
