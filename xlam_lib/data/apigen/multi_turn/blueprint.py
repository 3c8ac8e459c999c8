"""Blueprints: what a user asks for, the actions that do it, and what must be mentioned; checked by executing them.

    blueprint = sample(number=3, seed=0)
    blueprint.instruction     # "You are Ada Fenmer, ... You want to renew 'Silver River'. ..."
    blueprint.actions         # (("renew_loan", {"loan_id": "L304"}),)
    validate(blueprint)       # [], it can be done, keeps to the policy and has an effect

`sample` makes them by rule; in `model_players.py` a model proposes them over the same database. Used by `play.py`.
"""

from __future__ import annotations

import datetime
import json
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from xlam_lib.data import wordlists
from xlam_lib.data.apigen.multi_turn.desk import (
    BRANCHES,
    RENEWAL_DAYS,
    TOOLS,
    WRITING,
    Database,
    Desk,
    faults,
    hold_fault,
    make_database,
    renewal_fault,
)
from xlam_lib.validation import argument_problems

Call = tuple[str, dict[str, Any]]  # name and arguments
MOST_GOALS = 3


@dataclass(frozen=True)
class Goal:
    """One thing asked for: `Goal("renew", {"title": "Silver River"})`; a denied one has no action."""

    kind: str
    facts: dict[str, str]
    actions: tuple[Call, ...] = ()
    outputs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Blueprint:
    """What shall happen; `goals` are missing where a model wrote it."""

    number: int
    database: Database
    member_id: str
    instruction: str
    actions: tuple[Call, ...]
    outputs: tuple[str, ...]
    goals: tuple[Goal, ...] = ()
    by: str = "rules"

    @property
    def user(self) -> dict[str, Any]:
        """Name and e-mail address of who writes."""
        return self.database["members"][self.member_id]

    def end_state(self) -> str:
        """The hash of the database after the actions."""
        return state_after(self.database, self.actions)


def state_after(database: Database, calls: Iterable[Call]) -> str:
    """The hash of a database after some calls: `state_after(database, [("renew_loan", {"loan_id": "L304"})])`."""
    desk = Desk(database)
    for name, arguments in calls:
        desk.call(name, arguments)
    return desk.state


def validate(blueprint: Blueprint) -> list[str]:
    """What is wrong with a blueprint, by stage: ["execution: cancel_hold: there is no hold 'H9'"], or nothing."""
    desk = Desk(blueprint.database)
    if blueprint.member_id not in desk.database["members"]:
        return [f"format: there is no member {blueprint.member_id!r}"]
    for name, arguments in blueprint.actions:
        if name not in WRITING:
            return [f"format: {name!r} is no writing tool; those are {', '.join(WRITING)}"]
        if problems := argument_problems(TOOLS[name], arguments):
            return [f"format: {problem}" for problem in problems]
    visible = json.dumps(readable(desk, blueprint.member_id), ensure_ascii=False)
    for name, arguments in blueprint.actions:
        before, answer = desk.state, desk.call(name, arguments)
        if "error" in answer:
            return [f"execution: {name}: {answer['error']}"]
        if desk.state == before:
            return [f"execution: {name} {arguments} changes nothing"]
        visible += json.dumps(answer, ensure_ascii=False)
    if violations := faults(blueprint.database, blueprint.member_id, list(blueprint.actions)):
        return [f"policy: {fault}" for fault in violations]
    if not blueprint.actions and not blueprint.outputs:
        return ["effect: no action and nothing to be mentioned, so nothing could be verified"]
    known = visible + json.dumps(readable(desk, blueprint.member_id), ensure_ascii=False)
    unknown = [output for output in blueprint.outputs if output not in known]
    return [f"outputs: {output!r} is in no result of a tool" for output in unknown]


def readable(desk: Desk, member_id: str) -> list[Any]:
    """All that the reading tools show of this member."""
    books = [desk.call("find_books", {"title": book["title"]}) for book in desk.database["books"].values()]
    return [desk.call("get_member", {"member_id": member_id}), *books]


def sample(number: int, seed: int = 0) -> Blueprint:
    """The blueprint of that number: one to three goals of one member, checked."""
    rng = random.Random(f"{seed}:blueprint:{number}")
    for _ in range(200):
        database = make_database(rng.randrange(10**6))
        proposal = _proposed(number, database, rng)
        if proposal and not validate(proposal):
            return proposal
    raise RuntimeError(f"blueprint {number}: none of 200 proposals is valid")


def _proposed(number: int, database: Database, rng: random.Random) -> Blueprint | None:
    member_id = rng.choice(sorted(database["members"]))
    desk, goals = Desk(database), []
    for kind in rng.sample(sorted(GOALS), rng.randint(1, MOST_GOALS)):
        if goal := GOALS[kind](desk.database, member_id, rng):
            goals.append(goal)
            for name, arguments in goal.actions:
                desk.call(name, arguments)
    titles = [goal.facts["title"] for goal in goals if "title" in goal.facts]
    if not goals or len(set(titles)) < len(titles):  # two requests about one book could be done in either order
        return None
    member = database["members"][member_id]
    requests = " Then ".join(REQUESTS[goal.kind].format(**goal.facts) for goal in goals)
    instruction = (
        f"You are {member['name']}, a member of the town library; your e-mail address is {member['email']}. {requests} "
        "You say one thing at a time, and you agree when you are asked to confirm."
    )
    actions = tuple(action for goal in goals for action in goal.actions)
    outputs = tuple(dict.fromkeys(output for goal in goals for output in goal.outputs))
    return Blueprint(number, database, member_id, instruction, actions, outputs, tuple(goals))


REQUESTS = {
    "renew": "You want to renew your loan of '{title}'; if that can't be, you want to know when it is due.",
    "hold": "You want '{title}' to be put on hold for you, to be picked up at {branch}; if that can't be, ask why.",
    "cancel": "You no longer need your hold on '{title}' and want it cancelled.",
    "pay": "You want to know what you owe, and pay it.",
    "email": "You have a new e-mail address, {email}, and want it to be changed.",
    "due": "You want to know when '{title}' is due.",
    "copies": "You want to know how many copies of '{title}' there are at {branch}.",
}


def _renew(db: Database, member_id: str, rng: random.Random) -> Goal | None:
    mine = [key for key, loan in db["loans"].items() if loan["member_id"] == member_id]
    key = rng.choice(mine)
    due = db["loans"][key]["due"]
    facts = {"title": _title(db, "loans", key)}
    if renewal_fault(db, key):
        return Goal("renew", facts, outputs=(due,))
    later = (datetime.date.fromisoformat(due) + datetime.timedelta(days=RENEWAL_DAYS)).isoformat()
    return Goal("renew", facts, (("renew_loan", {"loan_id": key}),), (later,))


def _hold(db: Database, member_id: str, rng: random.Random) -> Goal | None:
    rows = [*db["holds"].values(), *db["loans"].values()]
    mine = {row["book_id"] for row in rows if row["member_id"] == member_id}
    book_id = rng.choice([key for key in db["books"] if key not in mine])
    facts = {"title": db["books"][book_id]["title"], "branch": rng.choice(BRANCHES)}
    if hold_fault(db, member_id).startswith("owes"):
        return Goal("hold", facts, outputs=(str(db["members"][member_id]["fines"]),))
    if hold_fault(db, member_id):
        return Goal("hold", facts)
    arguments = {"member_id": member_id, "book_id": book_id, "branch": facts["branch"]}
    return Goal("hold", facts, (("place_hold", arguments),))


def _cancel(db: Database, member_id: str, rng: random.Random) -> Goal | None:
    mine = [key for key, hold in db["holds"].items() if hold["member_id"] == member_id]
    if not mine:
        return None
    key = rng.choice(mine)
    return Goal("cancel", {"title": _title(db, "holds", key)}, (("cancel_hold", {"hold_id": key}),))


def _pay(db: Database, member_id: str, rng: random.Random) -> Goal | None:
    owed = db["members"][member_id]["fines"]
    arguments = {"member_id": member_id, "amount": owed}
    return Goal("pay", {}, (("pay_fines", arguments),), (str(owed),)) if owed else None


def _email(db: Database, member_id: str, rng: random.Random) -> Goal | None:
    email = f"{rng.choice(wordlists.FIRST_NAMES)}{rng.randint(10, 99)}@example.org".lower()
    return Goal("email", {"email": email}, (("change_email", {"member_id": member_id, "email": email}),))


def _due(db: Database, member_id: str, rng: random.Random) -> Goal | None:
    key = rng.choice([key for key, loan in db["loans"].items() if loan["member_id"] == member_id])
    return Goal("due", {"title": _title(db, "loans", key)}, outputs=(db["loans"][key]["due"],))


def _copies(db: Database, member_id: str, rng: random.Random) -> Goal | None:
    book, branch = rng.choice(list(db["books"].values())), rng.choice(BRANCHES)
    return Goal("copies", {"title": book["title"], "branch": branch}, outputs=(str(book["copies"][branch]),))


def _title(db: Database, table: str, key: str) -> str:
    return db["books"][db[table][key]["book_id"]]["title"]


GOALS: dict[str, Callable[[Database, str, random.Random], Goal | None]] = {
    "renew": _renew, "hold": _hold, "cancel": _cancel, "pay": _pay, "email": _email, "due": _due, "copies": _copies,
}  # fmt: skip
