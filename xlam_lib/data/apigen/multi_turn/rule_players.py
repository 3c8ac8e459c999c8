"""A user and an agent that need no model: both know only what a player may know (`play.py`).

`ScriptedUser` works through the goals of a blueprint in varied words, gives what it is asked for, agrees, asks again
when it is refused. `DeskAgent` understands a message by its words, looks things up, keeps to the policy and asks
before it writes. It can misunderstand; then the conversation doesn't reach its goal and is dropped like any other.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Generator, Sequence
from typing import Any

from xlam_lib.agents import Action, Observation
from xlam_lib.agents.user import STOP
from xlam_lib.data.apigen.multi_turn.blueprint import Blueprint, Goal
from xlam_lib.data.apigen.multi_turn.desk import BRANCHES, FINES_LIMIT, MOST_HOLDS, MOST_RENEWALS
from xlam_lib.trajectory import Step

OPENINGS = ("Hello!", "Hi,", "Good morning.", "Hi there.", "")
SAYINGS = {
    "renew": (
        "I would like to renew '{title}'.",
        "Can I keep '{title}' a bit longer?",
        "please extend my loan of '{title}'.",
    ),
    "hold": (
        "could you reserve '{title}' for me? I'd pick it up at {branch}.",
        "I want to put a hold on '{title}'.",
        "please put '{title}' aside for me at the {branch} branch.",
    ),
    "cancel": (
        "I don't need '{title}' any more, please cancel my hold on it.",
        "can you cancel the hold on '{title}'?",
    ),
    "pay": ("do I owe anything? I would like to pay it.", "I want to pay my fines.", "please settle what I owe."),
    "email": (
        "my e-mail address has changed, it is {email} now.",
        "please change my e-mail address to {email}.",
        "I have a new e-mail address.",
    ),
    "due": (
        "when is '{title}' due?",
        "until when can I keep '{title}'?",
        "by what day do I have to bring back '{title}'?",
    ),
    "copies": (
        "how many copies of '{title}' are there at {branch}?",
        "does {branch} have '{title}', and how many copies of it?",
    ),
}
REFUSED_THEN = {"renew": "Oh. When is it due, then?", "hold": "I see. Why is that, how much do I owe?"}
AGREE = ("Yes, please.", "Yes.", "Yes, go ahead.", "That's right, yes.")
NEXT = ("Great. And ", "Thanks. ", "Thank you! Next, ", "Good. One more thing: ")
PATIENCE = 4  # turns spent on one goal


class ScriptedUser:
    """Plays a blueprint made by rule: `ScriptedUser(blueprint, random.Random(0))`."""

    name = "rules"

    def __init__(self, blueprint: Blueprint, rng: random.Random) -> None:
        if not blueprint.goals:
            raise ValueError(f"blueprint {blueprint.number} has no goals; only a model can play it")
        self.blueprint, self.rng = blueprint, rng
        self.waiting = list(blueprint.goals)
        self.goal: Goal | None = None
        self.turns = 0
        self.asked_why = False

    def act(self, observation: Observation, history: Sequence[Step]) -> Action:
        """The next words."""
        return Action(self._reply(observation.steps[-1].content))

    def _reply(self, message: str) -> str:
        if self.goal is None:
            first = self._next()
            early = self.rng.random() < 0.3
            mail = f" My e-mail address is {self.blueprint.user['email']}." if early else ""
            return f"{self.rng.choice(OPENINGS)} {_capital(first)}{mail}".strip()
        self.turns += 1
        if self.turns > 2 * PATIENCE:
            return f"This leads nowhere. {STOP}"
        return self._answer(message)

    def _answer(self, message: str) -> str:
        goal, low = self.goal, message.lower()
        assert goal is not None
        if re.search(r"your e-?mail|which e-?mail|e-?mail address, please", low) and "new" not in low:
            return self.rng.choice(("It is {}.", "{}", "Sure, {}.")).format(self.blueprint.user["email"])
        if re.search(r"\(yes|shall i|do you agree|is that right|confirm", low):
            return self.rng.choice(AGREE)
        if re.search(r"new (e-?mail )?address\b.*\?", low) and "email" in goal.facts:
            return self.rng.choice(("It is {}.", "{}")).format(goal.facts["email"])
        if "which branch" in low and "branch" in goal.facts:
            return self.rng.choice(("At {}, please.", "{}.")).format(goal.facts["branch"])
        if "which title" in low and "title" in goal.facts:
            return f"'{goal.facts['title']}'."
        if "did not understand" in low:
            return _capital(self._words(goal))
        refused = re.search(r"\b(can't|cannot|can not|not possible)\b", low)
        if refused and not self.asked_why and goal.kind in REFUSED_THEN and not _answered(goal, message):
            self.asked_why = True
            return REFUSED_THEN[goal.kind]
        if self.waiting:
            thanks = self.rng.choice(NEXT)
            text = self._next()
            return thanks + (text if thanks.endswith((", ", ": ", "And ")) else _capital(text))
        return f"{self.rng.choice(('That is all, thank you.', 'Thanks, bye!', 'Perfect, thank you.'))} {STOP}"

    def _next(self) -> str:
        self.goal, self.turns, self.asked_why = self.waiting.pop(0), 0, False
        return self._words(self.goal)

    def _words(self, goal: Goal) -> str:
        return self.rng.choice(SAYINGS[goal.kind]).format(**goal.facts)


def _answered(goal: Goal, message: str) -> bool:
    return all(output in message for output in goal.outputs)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


INTENTS = (  # the first that fits counts
    ("cancel", r"\bcancel\b"),
    ("renew", r"\brenew|\bextend|\blonger\b"),
    ("email", r"(new|chang\w*).*e-?mail|e-?mail.*(new|chang)"),
    ("copies", r"\bcopies\b|\bavailable\b"),
    ("hold", r"\bhold\b|\breserve|\baside\b"),
    ("due", r"\bdue\b|until when|bring back"),
    ("pay", r"\bfines?\b|\bowe\b|\bpay\b|\bsettle\b"),
)
EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]++@[\w-]++\.\w+")
TITLE = re.compile(r"^(?>.*?(?<!\w)['\"])(.+?)['\"](?!\w)", re.MULTILINE)  # none is closed if a line's first isn't
Dialogue = Generator[Action, Any, Any]  # yields actions; is sent the user's words, or a call's result


class DeskAgent:
    """Understands by words and keeps to the policy. With `careless` it neither asks nor looks before it writes."""

    name = "rules"

    def __init__(self, careless: bool = False) -> None:
        self.careless = careless
        self._dialogue: Dialogue | None = None

    def act(self, observation: Observation, history: Sequence[Step]) -> Action:
        """The next action."""
        latest = observation.steps[-1]
        if self._dialogue is None:
            self._dialogue = self._serve(latest.content)
            return next(self._dialogue)
        return self._dialogue.send(_parsed(latest))

    def _serve(self, text: str) -> Dialogue:
        member = yield from self._identify(text)
        while True:
            intent = next((name for name, words in INTENTS if re.search(words, text.lower())), "")
            if not intent:
                text = yield Action("I did not understand that. What can I do for you?")
                continue
            answer = yield from getattr(self, f"_{intent}")(member, text)
            text = yield Action(answer)

    def _identify(self, text: str) -> Dialogue:
        while True:
            known = [one for one in EMAIL.findall(text) if not re.search(r"new|chang", text.lower())]
            if not known:
                text = yield Action("Happy to help. What is your e-mail address, please?")
                known = EMAIL.findall(text)
            for email in known:
                found = yield Action.call("find_member", email=email)
                if found:
                    return found["member_id"]
            text = yield Action("I can't find you. Which e-mail address do you have with us?")

    def _title(self, text: str) -> Dialogue:
        while not (named := TITLE.search(text)):
            text = yield Action("Which title is it, please?")
        return named[1]

    def _mine(self, member: str, table: str, text: str) -> Dialogue:
        """The member's loan or hold of the title that was named, or None."""
        title = yield from self._title(text)
        account = yield Action.call("get_member", member_id=member)
        found = [row for row in account[table] if row["title"].casefold() == title.casefold()]
        return found[0] if found else None

    def _agreed(self, what: str) -> Dialogue:
        if self.careless:
            return True
        reply = yield Action(f"{what} Shall I do that? (yes/no)")
        return bool(re.match(r"\W*(yes|sure|ok|please|that's right)", reply.lower()))

    def _renew(self, member: str, text: str) -> Dialogue:
        loan = yield from self._mine(member, "loans", text)
        if loan is None:
            return "You have no loan of that title."
        books = yield Action.call("find_books", title=loan["title"])
        account = yield Action.call("get_member", member_id=member)
        own = sum(hold["book_id"] == loan["book_id"] for hold in account["holds"])
        others = next(book["holds"] for book in books if book["book_id"] == loan["book_id"]) - own
        if not self.careless and (loan["renewals"] >= MOST_RENEWALS or others > 0):
            why = "somebody else has a hold on it" if others > 0 else f"it was renewed {loan['renewals']} times already"
            return f"I'm sorry, it can't be renewed: {why}. It is due on {loan['due']}."
        if not (yield from self._agreed(f"I would renew '{loan['title']}', which is due on {loan['due']}.")):
            return "All right, I leave it as it is."
        done = yield Action.call("renew_loan", loan_id=loan["loan_id"])
        return f"Done. '{loan['title']}' is now due on {done['due']}."

    def _due(self, member: str, text: str) -> Dialogue:
        loan = yield from self._mine(member, "loans", text)
        return f"'{loan['title']}' is due on {loan['due']}." if loan else "You have no loan of that title."

    def _cancel(self, member: str, text: str) -> Dialogue:
        hold = yield from self._mine(member, "holds", text)
        if hold is None:
            return "You have no hold on that title."
        if not (yield from self._agreed(f"I would cancel your hold on '{hold['title']}'.")):
            return "All right, the hold stays."
        yield Action.call("cancel_hold", hold_id=hold["hold_id"])
        return f"Your hold on '{hold['title']}' is cancelled."

    def _hold(self, member: str, text: str) -> Dialogue:
        title = yield from self._title(text)
        books = yield Action.call("find_books", title=title)
        if not books:
            return "We have no book of that title."
        account = yield Action.call("get_member", member_id=member)
        if account["fines"] > FINES_LIMIT and not self.careless:
            owed = f"{account['fines']:.2f}"
            return f"I'm sorry, that can't be done while you owe more than {FINES_LIMIT:.2f}; you owe {owed}."
        if len(account["holds"]) >= MOST_HOLDS and not self.careless:
            return f"I'm sorry, you can't have more than {MOST_HOLDS} holds."
        branch = _branch(text)
        while not branch:
            branch = _branch((yield Action(f"At which branch: {', '.join(BRANCHES)}?")))
        if not (yield from self._agreed(f"I would place a hold on '{title}', to be picked up at {branch}.")):
            return "All right, I place no hold."
        yield Action.call("place_hold", member_id=member, book_id=books[0]["book_id"], branch=branch)
        return f"Your hold on '{title}' is placed; you can pick it up at {branch}."

    def _pay(self, member: str, text: str) -> Dialogue:
        account = yield Action.call("get_member", member_id=member)
        owed = account["fines"]
        if not owed:
            return "You owe nothing."
        if not (yield from self._agreed(f"You owe {owed:.2f}. I would charge it to your card.")):
            return "All right, nothing is paid."
        yield Action.call("pay_fines", member_id=member, amount=owed)
        return f"Thank you, {owed:.2f} is paid."

    def _email(self, member: str, text: str) -> Dialogue:
        while not (found := EMAIL.search(text)):
            text = yield Action("What is the new address?")
        if not (yield from self._agreed(f"I would change your address to {found[0]}.")):
            return "All right, it stays as it is."
        yield Action.call("change_email", member_id=member, email=found[0])
        return f"Your address is now {found[0]}."

    def _copies(self, member: str, text: str) -> Dialogue:
        title = yield from self._title(text)
        books = yield Action.call("find_books", title=title)
        if not books:
            return "We have no book of that title."
        branch = _branch(text)
        counts = books[0]["copies"]
        shown = {branch: counts[branch]} if branch else counts
        return "; ".join(f"{name} has {count} copies of '{title}'" for name, count in shown.items()) + "."


def _branch(text: str) -> str:
    return next((branch for branch in BRANCHES if branch.lower() in text.lower()), "")


def _parsed(step: Step) -> Any:
    """What the dialogue is sent: the user's words, or a tool's result (None for an error)."""
    if step.role == "user":
        return step.content
    return None if step.is_error else json.loads(step.content)
