"""The embedded goals: three of each kind of question, one to learn from and two to be tested on (notebook 05).

    [goal.id for goal in embedded_goals("train")][:2]     # ["weather/forecast_mean/0", "weather/past_highest/0"]

Each was solved by asking the tools: its answer is what the calls of the solution give, its subgoals are their results.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache

from xlam_lib.environments.tool_query import academia_goals, movie_goals, weather_goals
from xlam_lib.environments.tool_query.goals import Goal, GoalError, Question, Solver
from xlam_lib.environments.tool_query.services import Services

SPLITS = ("train", "test", "test")  # of the questions of one kind, in order
TRIES = 200
Kind = Callable[[Solver, random.Random], Question | None]


@cache
def embedded_goals(split: str = "test") -> tuple[Goal, ...]:
    """The 24 goals to learn from ("train") or the 48 to be tested on ("test"); the same ones each time."""
    if split not in SPLITS:
        raise GoalError(f"there is no split {split!r}; expected train or test")
    kinds = [("weather", kind) for kind in weather_goals.KINDS]
    kinds += [("movie", kind) for kind in movie_goals.KINDS]
    kinds += [("academia", kind) for kind in academia_goals.KINDS]
    return tuple(goal for domain, kind in kinds for goal in _goals(domain, kind) if goal.split == split)


def _goals(domain: str, kind: Kind) -> list[Goal]:
    """The goals of one kind, no two with the same question."""
    rng = random.Random(f"tool_query:{domain}:{kind.__name__}")
    services, made = Services(), dict[str, Goal]()
    for _ in range(TRIES):
        setup = weather_goals.setup(rng) if domain == "weather" else {}
        solver = Solver(services.toolkit(domain, setup))
        question = kind(solver, rng)
        if question is not None and question.text not in made:
            name = f"{domain}/{kind.__name__}/{len(made)}"
            made[question.text] = solver.goal(name, question, setup, SPLITS[len(made)])
        if len(made) == len(SPLITS):
            return list(made.values())
    raise GoalError(f"{domain}/{kind.__name__}: {TRIES} draws gave {len(made)} of {len(SPLITS)} questions")
