"""Many blueprints, each played until an episode passes or the tries are used up; all of it accounted for.

    for blueprint, trajectory in produce(range(100), RulePlayers(seed=0), tally := MultiTally(), attempts=3):
        ...

An episode that fails leaves nothing to the next one: the same blueprint is played anew, with other words of the user. A
blueprint belongs to its number and the seed alone. Models play several blueprints at once. Used by `run.py`.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol

from xlam_lib.agents import Agent
from xlam_lib.data.apigen.multi_turn.blueprint import Blueprint, sample
from xlam_lib.data.apigen.multi_turn.model_players import ModelBlueprints, model_agent, model_user
from xlam_lib.data.apigen.multi_turn.play import SOURCE, accepted, play, verify
from xlam_lib.data.apigen.multi_turn.rule_players import DeskAgent, ScriptedUser
from xlam_lib.endpoint import Endpoint
from xlam_lib.trajectory import Source, Trajectory


@dataclass
class MultiTally:
    """What became of blueprints and episodes: episodes = accepted + failed, numbers = accepted + given up."""

    numbers: int = 0
    episodes: int = 0
    accepted: int = 0
    attempts: Counter[int] = field(default_factory=Counter)  # of the accepted ones
    failed: Counter[str] = field(default_factory=Counter)  # by check
    given_up: Counter[str] = field(default_factory=Counter)  # "no blueprint", or the check that failed last
    refused_blueprints: Counter[str] = field(default_factory=Counter)  # proposals of a model, by check

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "numbers": self.numbers,
            "episodes": self.episodes,
            "accepted": self.accepted,
            "accepted_by_attempt": {str(n): count for n, count in sorted(self.attempts.items())},
            "failed_by_check": dict(sorted(self.failed.items())),
            "given_up": dict(sorted(self.given_up.items())),
            "refused_blueprints_by_check": dict(sorted(self.refused_blueprints.items())),
        }


class Players(Protocol):
    """Makes blueprints and those who play them; must be safe to be used by several threads."""

    at_once: int
    names: tuple[str, str]  # of agent and user

    def blueprint(self, number: int) -> tuple[Blueprint | None, list[str]]:
        """(the blueprint of that number or None, what was wrong with proposals)."""

    def pair(self, blueprint: Blueprint, attempt: int) -> tuple[Agent, Agent]:
        """A fresh agent and a fresh user."""


@dataclass
class RulePlayers:
    """Everything by rule: `RulePlayers(seed=0)`. Same seed, same episodes."""

    seed: int = 0
    agent: Callable[[], Agent] = DeskAgent
    at_once: int = 1
    names: tuple[str, str] = ("rules", "rules")

    def blueprint(self, number: int) -> tuple[Blueprint | None, list[str]]:
        """A sampled one."""
        return sample(number, self.seed), []

    def pair(self, blueprint: Blueprint, attempt: int) -> tuple[Agent, Agent]:
        """The agent and a user whose words depend on the attempt."""
        return self.agent(), ScriptedUser(blueprint, random.Random(f"{self.seed}:{blueprint.number}:user:{attempt}"))


@dataclass
class ModelPlayers:
    """A model as agent and user; blueprints by rule, or by the model, too: `ModelPlayers(endpoint, seed=0)`."""

    endpoint: Endpoint
    seed: int = 0
    user_endpoint: Endpoint | None = None  # None: the same one
    proposes: bool = False

    @property
    def at_once(self) -> int:
        """Episodes played at the same time."""
        return self.endpoint.concurrency

    @property
    def names(self) -> tuple[str, str]:
        """The models' names."""
        return self.endpoint.model, (self.user_endpoint or self.endpoint).model

    def blueprint(self, number: int) -> tuple[Blueprint | None, list[str]]:
        """A sampled or a proposed one."""
        if not self.proposes:
            return sample(number, self.seed), []
        author = ModelBlueprints(self.endpoint)
        return author.make(number, self.seed), author.faults

    def pair(self, blueprint: Blueprint, attempt: int) -> tuple[Agent, Agent]:
        """Both models."""
        return model_agent(self.endpoint), model_user(self.user_endpoint or self.endpoint, blueprint)


@dataclass
class _Played:
    blueprint: Blueprint | None
    refused: list[str]
    tries: list[list[str]] = field(default_factory=list)  # what spoke against each episode
    made: Trajectory | None = None


def produce(
    numbers: Sequence[int], players: Players, tally: MultiTally, attempts: int = 3, source: Source = SOURCE
) -> Iterator[tuple[Blueprint | None, Trajectory | None]]:
    """Each number's blueprint and trajectory in order, None where there is none."""
    with ThreadPoolExecutor(players.at_once, thread_name_prefix="play") as pool:
        width = max(1, 4 * players.at_once)
        for start in range(0, len(numbers), width):
            part = numbers[start : start + width]
            for played in pool.map(lambda number: _play(number, players, attempts, source), part):
                _count(played, tally)
                yield played.blueprint, played.made


def _play(number: int, players: Players, attempts: int, source: Source) -> _Played:
    played = _Played(*players.blueprint(number))
    if played.blueprint is None:
        return played
    for attempt in range(attempts):
        agent, user = players.pair(played.blueprint, attempt)
        conversation = play(played.blueprint, agent, user)
        against = verify(played.blueprint, conversation)
        played.tries.append(against)
        if not against:
            played.made = accepted(played.blueprint, conversation, *players.names, source=source)
            break
    return played


def _count(played: _Played, tally: MultiTally) -> None:
    tally.numbers += 1
    tally.refused_blueprints.update(_check(fault) for fault in played.refused)
    tally.episodes += len(played.tries)
    tally.failed.update(_check(against[0]) for against in played.tries if against)
    if played.made is not None:
        tally.accepted += 1
        tally.attempts[len(played.tries)] += 1
    else:
        tally.given_up[_check(played.tries[-1][0]) if played.tries else "no blueprint"] += 1


def _check(fault: str) -> str:
    """The check that found a fault: "end state: the database ..." -> "end state"; an end with its kind."""
    head, _, rest = fault.partition(":")
    return f"{head}: {rest.partition('(')[0].strip()}" if head == "end" else head
