"""The words of WebShop, HotpotQA/FEVER and ALFWorld as grammars, which several sources share (notebook 01).

No source itself. `WEBSHOP.parse("click[Buy Now]")` -> ("click", {"element": "Buy Now"}); `episodes.py` makes steps of
whole episodes.
"""

from __future__ import annotations

import re

from xlam_lib.data.formats.actions import Action, Grammar
from xlam_lib.data.formats.base import content_id
from xlam_lib.data.formats.episodes import NOTES, Episode, native_actions, parse_loosely

__all__ = [
    "ALFWORLD",
    "ALFWORLD_ERRORS",
    "CLOSED_BOOK",
    "NOTES",
    "THINK_BRACKETS",
    "THINK_COLON",
    "WEBSHOP",
    "WIKI",
    "Episode",
    "household_task",
    "native_actions",
    "parse_loosely",
    "shop_goal",
    "task_name",
]

THINK_BRACKETS = Action("think[{thought}]", "think", "Write down a thought")
THINK_COLON = Action("think: {thought}", "think", "Write down a thought")

WEBSHOP = Grammar(
    (
        Action(
            "search[{keywords}]",
            "search",
            "Search the shop. Possible only on a page with a search bar.",
            {"keywords": "what to search for"},
        ),
        Action(
            "click[{element}]",
            "click",
            "Click a button, a link, a product or an option of the page, e.g. 'Buy Now', 'Next >' or a product number.",
            {"element": "its text as the page shows it"},
        ),
    )
)

WIKI = Grammar(
    (
        Action(
            "Search[{entity}]",
            "Search",
            "Search Wikipedia for an article: returns its first sentences, or similar titles if there is no such one.",
            {"entity": "the title to search for"},
        ),
        Action(
            "Lookup[{keyword}]",
            "Lookup",
            "Return the next sentence with a keyword in the article that was found last.",
            {"keyword": "the words to look for"},
        ),
        Action("Finish[{answer}]", "Finish", "Give the answer and end the task.", {"answer": "the answer"}),
    )
)

OBJECT = "the object, with its number, e.g. 'mug 1'"
PLACE = "the receptacle, with its number, e.g. 'drawer 1'"
SHORT = r".*?"  # as little as possible: "take a from b from c" takes "a"


def _with(verb: str, name: str, what: str, device: str) -> Action:
    slots = {"object": OBJECT, "receptacle": f"{device}, with its number"}
    return Action(f"{verb} {{object}} with {{receptacle}}", name, what, slots, narrow={"object": SHORT})


def _place(template: str, name: str, what: str) -> Action:
    return Action(template, name, what, {"object": OBJECT, "receptacle": PLACE}, narrow={"object": SHORT})


ALFWORLD = Grammar(
    (
        Action("go to {receptacle}", "go_to", "Walk to a receptacle and see what is there.", {"receptacle": PLACE}),
        _place("take {object} from {receptacle}", "take", "Take an object from the receptacle you are at."),
        _place("put {object} in/on {receptacle}", "put", "Put the object you hold into or onto a receptacle."),
        _place("move {object} to {receptacle}", "move", "Put the object you hold into or onto a receptacle."),
        Action("open {receptacle}", "open", "Open a receptacle.", {"receptacle": PLACE}),
        Action("close {receptacle}", "close", "Close a receptacle.", {"receptacle": PLACE}),
        Action("use {object}", "use", "Switch on a device such as a lamp.", {"object": OBJECT}),
        _with("heat", "heat", "Heat the object you hold.", "the microwave"),
        _with("cool", "cool", "Cool the object you hold.", "the fridge"),
        _with("clean", "clean", "Clean the object you hold.", "the sink"),
        _with("slice", "slice", "Slice an object with the knife you hold.", "the knife"),
        Action("examine {target}", "examine", "Look closely at an object or a receptacle.", {"target": "what"}),
        Action("look", "look", "Look around."),
        Action("inventory", "inventory", "See what you hold."),
    )
)
CLOSED_BOOK = ("gold", "closed_book")  # tags of a right answer that no step leads to
ALFWORLD_ERRORS = ("Nothing happens", "Nothing happened")


def task_name(environment: str, text: str) -> str:
    """The id of a task by its text, so that the same task has one id in all sources: "webshop/1f0a3c5d7e9b"."""
    return f"{environment}/{content_id({'task': ' '.join(text.split())})}"


def shop_goal(page: str) -> str:
    """The instruction on WebShop's first page: "i need a red lamp, and price lower than 20.00 dollars"."""
    found = re.search(r"Instruction:\s*+((?:.*?\S)??)\s*(?:\[Search\]|\Z)", page, re.DOTALL)
    return found[1] if found else page


def household_task(text: str) -> str:
    """What ALFWorld asks for, without the room: "put some mug on desk."."""
    return text.rpartition("Your task is to:")[2].strip() or text
