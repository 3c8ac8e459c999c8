"""WebShop's recorded sessions and reward cases scored again, to show that our reward is the original's (notebook 05).

Three sorts of records: the cases of the original's own tests of its reward (its files test_goal and
test_normalize, as one JSON object), sessions of people (one JSON line a page), and the printed log of ReAct's
agent. `cases` and `session` give `Check`s, each a figure of ours beside the recorded one; `react_log` gives rows as the
benchmark does. Example:

    [check for check in cases(json.loads(Path("reward_oracle_cases.json").read_text())) if not check.agrees]
    rows = react_log(Path("episodes_000_249.txt").read_text())
    sum(row["reward"] for row in rows) / len(rows)              # 0.6462
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from xlam_lib.bench.base import Row, TaskError
from xlam_lib.bench.tasks.webshop import row
from xlam_lib.data.sources.agents import webshop_react_log
from xlam_lib.environments.webshop import reward
from xlam_lib.environments.webshop.catalogue import Goal, Product
from xlam_lib.environments.webshop.matching import normalize_color

NEAR = 0.01  # how near a title score is to one that is recorded as "about": the tolerance of the original's tests


@dataclass(frozen=True)
class Check:
    """A figure of ours beside the recorded one: `Check("type_reward/7 title_score", 0.5, 0.333, 0.01)`."""

    what: str
    ours: Any
    recorded: Any
    tolerance: float = 1e-9
    at_most: bool = False  # the record says only that the figure is below

    @property
    def agrees(self) -> bool:
        if self.at_most:
            return self.ours < self.recorded
        if isinstance(self.recorded, float) and isinstance(self.ours, float | int):
            return math.isclose(self.ours, self.recorded, abs_tol=self.tolerance, rel_tol=0)
        return self.ours == self.recorded


def cases(record: Mapping[str, Any]) -> list[Check]:
    """All figures of the cases of the original's tests: {"type_reward": [...], "attribute_reward": [...], ...}."""
    makers = {"type_reward": _type, "attribute_reward": _attributes, "option_reward": _options, "total_reward": _total}
    checks: list[Check] = []
    for kind, made in record.items():
        if kind not in makers and kind != "normalize_color":
            raise TaskError(f"cases of {kind!r}: expected those of {', '.join(makers)} or normalize_color")
        for number, case in enumerate(made):
            where = f"{kind}/{number}"
            if kind == "normalize_color":
                checks.append(Check(where, normalize_color(case[0]), case[1]))
            else:
                checks += makers[kind](where, case)
    return checks


def _type(where: str, case: Mapping[str, Any]) -> Iterator[Check]:
    if "names" in case:
        names = case["names"]
        goal, bought = Goal(name=names[0]), Product(title=names[1])
    else:
        one, other = case["goal"], case["purchased"]
        goal = Goal(name=one["name"], query=one["query"], product_category=one["product_category"])
        bought = Product(title=other["name"], query=other["query"], product_category=other["product_category"])
    ours = reward.type_reward(bought, goal)
    for name, value in case["expect"].items():
        if name.startswith("title_score_"):
            below = name == "title_score_below"
            yield Check(f"{where} title_score", ours.title_score, value, NEAR, at_most=below)
        else:
            yield Check(f"{where} {name}", getattr(ours, name), value)


def _attributes(where: str, case: Mapping[str, Any]) -> Iterator[Check]:
    bought = case["purchased"]
    product = Product(
        title=bought.get("Title", ""),
        attributes=tuple(bought["Attributes"]),
        bullet_points=tuple(bought.get("BulletPoints", ())),
        description=bought.get("Description", ""),
    )
    share, matches = reward.attribute_reward(product, case["goal"])
    yield Check(f"{where} r_att", share, case["expect"]["r_att"])
    yield Check(f"{where} matches", matches, case["expect"]["matches"])


def _options(where: str, case: Mapping[str, Any]) -> Iterator[Check]:
    share, matches = reward.option_reward(case["purchased"], case["goal"])
    yield Check(f"{where} r_option", share, case["expect"]["r_option"])
    yield Check(f"{where} matches", matches, case["expect"]["matches"])


def _total(where: str, case: Mapping[str, Any]) -> Iterator[Check]:
    parts = case["parts"]
    counts = (parts["attr_matches"], parts["option_matches"], parts["price_ok"], parts["n_attr"], parts["n_opt"])
    yield Check(where, reward.total_reward(parts["r_type"], *counts), case["expect"])


def session(lines: Sequence[str]) -> list[Check]:
    """All parts of the reward of a person's session (its lines, the last being the purchase), and their sum.

    The log names the product that was bought but doesn't hold it. So `r_type` is made of the recorded matches and title
    score, and `r_att`, which needs the product, is taken over; where the goal's own product was bought, its name,
    query and categories are the goal's, and all of `r_type` is made anew.
    """
    done = _object(lines[-1]) if lines else {}
    goal, bought, info = (done.get(key) for key in ("goal", "content", "reward_info"))
    if done.get("page") != "done" or not all(isinstance(part, Mapping) for part in (goal, bought, info)):
        raise TaskError(
            "a session whose last line is no purchase: expected page 'done' with goal, content, reward_info"
        )
    r_option, options = reward.option_reward(tuple(bought["options"].values()), goal["goal_options"])
    r_price = bought["price"] <= goal["price_upper"]
    r_type = reward.type_factor(info["query_match"], info["category_match"], info["title_score"])
    attributes = info["r_att"] * len(goal["attributes"])
    counts = (len(goal["attributes"]), len(goal["goal_options"]))
    total = reward.total_reward(r_type, attributes, options, r_price, *counts)
    checks = [
        Check("r_type", r_type, info["r_type"]),
        Check("r_option", r_option, info.get("r_option")),
        Check("r_price", r_price, info["r_price"]),
        Check("reward", total, done["reward"]),
    ]
    return checks + (_same_product(goal, info) if bought["asin"] == goal["asin"] else [])


def _same_product(goal: Mapping[str, Any], info: Mapping[str, Any]) -> list[Check]:
    sought = Goal(name=goal["name"], query=goal["query"], product_category=goal["product_category"])
    bought = Product(title=goal["name"], query=goal["query"], product_category=goal["product_category"])
    ours = reward.type_reward(bought, sought)
    names = ("query_match", "category_match", "title_score")
    return [Check(f"bought {name}", getattr(ours, name), info[name], NEAR) for name in names]


def _object(line: str) -> Mapping[str, Any]:
    try:
        found = json.loads(line)
    except ValueError as error:
        raise TaskError(f"a line of a session is not JSON ({error}): {line[:80]!r}") from error
    return found if isinstance(found, Mapping) else {}


def react_log(text: str) -> list[Row]:
    """A row for each episode of the log that ReAct's notebook prints; the score that the shop printed is the reward.

    `so_far` is what the notebook counted up to there: [episodes, mean reward, success, crashes], e.g. [250.0, ...].
    """
    rows = []
    for _, record in webshop_react_log.split(text):
        for episode in webshop_react_log.convert(record, f"episode {record['episode']}"):
            bought = episode.outcome.termination != "max_steps"
            made = row(episode.trajectory_id, episode, None, episode.outcome.reward if bought else None)
            rows.append(made | {"so_far": [float(part) for part in str(record.get("so_far", "")).split()]})
    return rows
