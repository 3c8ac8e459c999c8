"""The mock domain: the service desk of a town library, with a database, typed tools and a policy.

    desk = Desk(make_database(seed=0))
    desk.call("find_member", {"email": "ada.fenmer@example.com"})    # {"result": {"member_id": "M104", ...}}
    desk.state                                                       # a hash of the whole database

Reading tools change nothing. Writing tools do what they are called for: it is the agent who must keep to the policy,
and `faults` says where some actions break it. Used by `blueprint.py` and `play.py`.
"""

from __future__ import annotations

import datetime
import hashlib
import inspect
import json
import random
from collections.abc import Callable
from typing import Any, Literal

from xlam_lib.data import wordlists
from xlam_lib.data.apigen.apis import tool_of
from xlam_lib.errors import XlamError
from xlam_lib.trajectory import Tool
from xlam_lib.validation import argument_problems

Database = dict[str, Any]
Branch = Literal["Central", "Harbour", "Hillside"]
BRANCHES = ("Central", "Harbour", "Hillside")
TODAY = datetime.date(2026, 3, 2)
MOST_RENEWALS, RENEWAL_DAYS, MOST_HOLDS, FINES_LIMIT = 2, 14, 3, 10.0

POLICY = f"""\
# Policy of the library's service desk

You help members of the town library. Today is {TODAY.isoformat()}.

- First find out who writes: ask for the e-mail address and look the member up. Serve only this member, and say nothing
  about others.
- Questions about books, loans, holds and fines are answered from the tools, never from memory.
- Before anything is changed (renewing, placing or cancelling a hold, paying, another e-mail address), say exactly what
  you are about to do and wait until the member agrees.
- A loan is renewed at most {MOST_RENEWALS} times, each time by {RENEWAL_DAYS} days, and never while somebody else has
  a hold on the book. When it can't be renewed, say so; tell the member the date it is due.
- Nobody has more than {MOST_HOLDS} holds. Who owes more than {FINES_LIMIT:.2f} gets no new hold; say how much is owed.
- Fines are paid in full, never in part.
- Make one change at a time. What these tools can't do is handed over to a librarian, and only that.
"""


class DeskError(XlamError, ValueError):
    """A tool can't do what it was called for; the message is what the agent sees."""


def make_database(seed: int = 0) -> Database:
    """Members, books, loans and holds, the same for the same seed."""
    rng = random.Random(f"library:{seed}")
    books = {}
    titles = rng.sample([f"{a} {t}" for a in wordlists.ADJECTIVES[:40] for t in wordlists.THINGS[:40]], 18)
    for number, title in enumerate(titles):
        author = f"{rng.choice(wordlists.FIRST_NAMES)} {rng.choice(wordlists.NAME_STARTS)}mer"
        copies = {branch: rng.randint(0, 3) for branch in BRANCHES}
        books[f"B{201 + number}"] = {"title": title, "author": author, "copies": copies}
    members, loans, holds = {}, {}, {}
    for number, first in enumerate(rng.sample(wordlists.FIRST_NAMES, 8)):
        last = rng.choice(wordlists.NAME_STARTS) + rng.choice(("ford", "mann", "well", "ston"))
        member_id = f"M{101 + number}"
        fines = rng.choice((0.0, 0.0, 2.5, 4.75, 11.2, 14.6))
        email = f"{first}.{last}@example.com".lower()
        members[member_id] = {"name": f"{first} {last}", "email": email, "fines": fines}
        lent, requested = rng.sample(sorted(books), 2), rng.sample(sorted(books), rng.choice((1, 1, 2, 3)))
        for book_id in lent:
            due = (TODAY + datetime.timedelta(days=rng.randint(1, 20))).isoformat()
            loan = {"member_id": member_id, "book_id": book_id, "due": due, "renewals": rng.choice((0, 0, 1, 2))}
            loans[f"L{301 + len(loans)}"] = loan
        for book_id in (one for one in requested if one not in lent):
            hold = {"member_id": member_id, "book_id": book_id, "branch": rng.choice(BRANCHES)}
            holds[hold_id(member_id, book_id)] = hold
    return {"members": members, "books": books, "loans": loans, "holds": holds, "handed_over": 0}


def hold_id(member_id: str, book_id: str) -> str:
    """The id of a hold, the same in whatever order holds are placed: `hold_id("M101", "B205")` -> "H101205"."""
    return f"H{member_id[1:]}{book_id[1:]}"


def writes(method: Callable[..., Any]) -> Callable[..., Any]:
    """Marks a tool that changes the database."""
    method.writes = True  # type: ignore[attr-defined]
    return method


class Desk:
    """The tools over one database; every public method with a docstring but `call` is one."""

    def __init__(self, database: Database) -> None:
        self.database = json.loads(json.dumps(database))

    @property
    def state(self) -> str:
        """A hash of the database."""
        return hashlib.sha256(json.dumps(self.database, sort_keys=True).encode()).hexdigest()[:16]

    def call(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """{"result": ...} or {"error": "..."}; a call that isn't one of the tools' is an error, too."""
        if name not in TOOLS:
            return {"error": f"there is no tool {name!r}"}
        if problems := argument_problems(TOOLS[name], arguments):
            return {"error": problems[0]}
        try:
            return {"result": getattr(self, name)(**arguments)}
        except DeskError as error:
            return {"error": str(error)}

    def _row(self, table: str, key: str) -> dict[str, Any]:
        if key not in self.database[table]:
            raise DeskError(f"there is no {table.removesuffix('s')} {key!r}")
        return self.database[table][key]

    def find_member(self, email: str) -> dict[str, Any]:
        """Find a member by e-mail address.

        email: e-mail address of the member
        """
        for key, member in self.database["members"].items():
            if member["email"] == email.strip().lower():
                return {"member_id": key, "name": member["name"]}
        raise DeskError(f"no member has the e-mail address {email!r}")

    def get_member(self, member_id: str) -> dict[str, Any]:
        """Get the fines, loans and holds of a member.

        member_id: id of the member, such as M101
        """
        member = self._row("members", member_id)
        mine = {
            table: [
                self._shown(table, key) for key, row in self.database[table].items() if row["member_id"] == member_id
            ]
            for table in ("loans", "holds")
        }
        return {"member_id": member_id, **member, **mine}

    def _shown(self, table: str, key: str) -> dict[str, Any]:
        row = {name: value for name, value in self.database[table][key].items() if name != "member_id"}
        return {f"{table.removesuffix('s')}_id": key, **row, "title": self.database["books"][row["book_id"]]["title"]}

    def find_books(self, title: str) -> list[dict[str, Any]]:
        """Find books by words of their title, with the copies in each branch and the number of holds.

        title: title of the book, or some words of it
        """
        words = title.casefold().split()
        found = []
        for key, book in self.database["books"].items():
            if words and all(word in book["title"].casefold().split() for word in words):
                held = [hold for hold in self.database["holds"].values() if hold["book_id"] == key]
                found.append({"book_id": key, **book, "holds": len(held)})
        if not found:
            raise DeskError(f"no book is titled {title!r}")
        return found

    @writes
    def renew_loan(self, loan_id: str) -> dict[str, Any]:
        """Renew a loan.

        loan_id: id of the loan, such as L301
        """
        loan = self._row("loans", loan_id)
        due = datetime.date.fromisoformat(loan["due"]) + datetime.timedelta(days=RENEWAL_DAYS)
        loan["due"], loan["renewals"] = due.isoformat(), loan["renewals"] + 1
        return {"loan_id": loan_id, "due": loan["due"], "renewals": loan["renewals"]}

    @writes
    def place_hold(self, member_id: str, book_id: str, branch: Branch) -> dict[str, Any]:
        """Place a hold on a book for a member, to be picked up at a branch.

        member_id: id of the member
        book_id: id of the book, such as B201
        branch: branch where it is picked up
        """
        self._row("members", member_id)
        self._row("books", book_id)
        rows = self.database["holds"].values()
        if any(row["member_id"] == member_id and row["book_id"] == book_id for row in rows):
            raise DeskError("this member has a hold on this book already")
        key = hold_id(member_id, book_id)
        self.database["holds"][key] = {"member_id": member_id, "book_id": book_id, "branch": branch}
        return {"hold_id": key, "branch": branch}

    @writes
    def cancel_hold(self, hold_id: str) -> dict[str, Any]:
        """Cancel a hold.

        hold_id: id of the hold, such as H101205
        """
        self._row("holds", hold_id)
        del self.database["holds"][hold_id]
        return {"hold_id": hold_id, "status": "cancelled"}

    @writes
    def pay_fines(self, member_id: str, amount: float) -> dict[str, Any]:
        """Pay fines of a member with the card on file.

        member_id: id of the member
        amount: how much is paid
        """
        member = self._row("members", member_id)
        if not 0 < amount <= member["fines"]:
            raise DeskError(f"the amount must be above zero and at most the {member['fines']:.2f} owed")
        member["fines"] = round(member["fines"] - amount, 2)
        return {"paid": amount, "fines": member["fines"]}

    @writes
    def change_email(self, member_id: str, email: str) -> dict[str, Any]:
        """Change the e-mail address of a member.

        member_id: id of the member
        email: new e-mail address
        """
        member = self._row("members", member_id)
        member["email"] = email.strip().lower()
        return {"member_id": member_id, "email": member["email"]}

    @writes
    def hand_over(self, summary: str) -> dict[str, Any]:
        """Hand the conversation over to a librarian.

        summary: what the member wants
        """
        self.database["handed_over"] += 1
        return {"status": "handed over"}


def _tools() -> dict[str, Tool]:
    methods = {name: one for name, one in vars(Desk).items() if inspect.isfunction(one)}
    return {
        name: tool_of(one, without=("self",))
        for name, one in methods.items()
        if not name.startswith("_") and name != "call"
    }


TOOLS: dict[str, Tool] = _tools()
WRITING = tuple(name for name in TOOLS if getattr(vars(Desk)[name], "writes", False))


def faults(database: Database, member_id: str, actions: list[tuple[str, dict[str, Any]]]) -> list[str]:
    """Where some actions for a member break the policy: ["renew_loan L301: renewed 2 times already"]."""
    desk, found = Desk(database), []
    for name, arguments in actions:
        if why := _fault(desk, member_id, name, arguments):
            found.append(f"{name} {' '.join(map(str, arguments.values()))}: {why}")
        desk.call(name, arguments)
    return found


def _fault(desk: Desk, member_id: str, name: str, arguments: dict[str, Any]) -> str:
    tables = desk.database
    for key, table in (("loan_id", "loans"), ("hold_id", "holds")):
        if tables[table].get(arguments.get(key), {"member_id": member_id})["member_id"] != member_id:
            return "belongs to another member"
    if arguments.get("member_id", member_id) != member_id:
        return "is another member"
    if name == "renew_loan" and arguments.get("loan_id") in tables["loans"]:
        return renewal_fault(tables, arguments["loan_id"])
    if name == "place_hold":
        return hold_fault(tables, member_id)
    if name == "pay_fines" and arguments.get("amount") != tables["members"][member_id]["fines"]:
        return "fines are paid in full"
    return ""


def renewal_fault(tables: Database, loan_id: str) -> str:
    """Why a loan can't be renewed, or ""."""
    loan = tables["loans"][loan_id]
    if loan["renewals"] >= MOST_RENEWALS:
        return f"renewed {loan['renewals']} times already"
    others = [one for one in tables["holds"].values() if one["member_id"] != loan["member_id"]]
    return "somebody else has a hold on it" if any(one["book_id"] == loan["book_id"] for one in others) else ""


def hold_fault(tables: Database, member_id: str) -> str:
    """Why a member gets no new hold, or ""."""
    if tables["members"][member_id]["fines"] > FINES_LIMIT:
        return f"owes {tables['members'][member_id]['fines']:.2f}"
    mine = [one for one in tables["holds"].values() if one["member_id"] == member_id]
    return f"has {len(mine)} holds already" if len(mine) >= MOST_HOLDS else ""
