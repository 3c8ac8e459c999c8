"""What several sources share: the words of WebShop, HotpotQA/FEVER and ALFWorld, and how their episodes become steps.

A source that logs one of these environments parses each action with the grammar below and lets an `Episode` make the
steps; `native_actions` gives the very texts back. No source itself. Used by notebook 01's converters:

    episode = Episode(WEBSHOP, thinks=THINK_BRACKETS, errors=("Invalid action!",))
    episode.user("i need a red lamp")
    episode.act("think[First I search.]", "OK.")          # becomes the reasoning of the next action
    episode.act("search[red lamp]", "[Back to Search] ...")  # a call of `search`, and its result
    episode.act("exit[exit]", "Invalid action!")          # no action: an untrainable text, and the shop's words
    steps = episode.finish()
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from xlam_lib.data.accounting import Drop
from xlam_lib.data.actions import Action, Grammar
from xlam_lib.trajectory import Step, ToolCall, Trajectory

THINK_BRACKETS = Action("think[{thought}]", "think", "Write down a thought")
THINK_COLON = Action("think: {thought}", "think", "Write down a thought")
NOTES = "native_actions"  # key of `extra`: {step: [texts]} where the rule of `native_actions` would not give them

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


@dataclass
class Episode:
    """Steps in the making; see the example at the top of this module.

    A thought counts as one only if the environment took it as one, answering `quiet` or nothing.
    """

    grammar: Grammar
    thinks: Action | None = None
    errors: tuple[str, ...] = ()  # how the environment begins to say that an action was invalid
    quiet: str = "OK."
    steps: list[Step] = field(default_factory=list)
    notes: dict[str, list[str]] = field(default_factory=dict)
    thoughts: list[str] = field(default_factory=list)  # as written, of the action to come
    calls: int = 0
    open: str = ""

    def user(self, content: str) -> None:
        """The task, or the first thing that the environment says."""
        self.steps.append(Step("user", content))

    def act(self, text: str, observation: str | None, reasoning: str = "") -> None:
        """One action and what the environment said to it; None where the record ends before that."""
        self.turn([(text, observation)], reasoning)

    def turn(self, pairs: Sequence[tuple[str, str | None]], reasoning: str = "") -> None:
        """Several actions that were sent in one message, each with what the environment said to it."""
        if self.open:
            raise Drop("call without a result", f"the next turn begins before {self.open!r} was answered")
        if not pairs:
            return
        if len(pairs) == 1 and self._thinks(*pairs[0]):
            self.thoughts.append(pairs[0][0])
            return
        parsed = [parse_loosely(self.grammar, text) for text, _ in pairs]
        texts = [text for text, _ in pairs]
        if None in parsed:
            self._malformed(texts, [observation for _, observation in pairs], reasoning)
            return
        made = [ToolCall(name, arguments, f"call_{self.calls + i}") for i, (name, arguments) in enumerate(parsed)]
        self.calls += len(made)
        self._assistant(texts, reasoning, "", tuple(made))
        for call, (_, observation) in zip(made, pairs, strict=True):
            if observation is None:
                self.open = call.name
            else:
                bad = bool(self.errors) and observation.startswith(self.errors)
                self.steps.append(Step("tool", observation, tool_call_id=call.id, name=call.name, is_error=bad))

    def finish(self) -> tuple[Step, ...]:
        """All steps; thoughts that led to no action are a turn of their own."""
        if self.thoughts:
            self._assistant([], "", "", ())
        return tuple(self.steps)

    def _thinks(self, text: str, observation: str | None) -> bool:
        """Whether it is a thought; it may be cut off before its closing bracket."""
        return (
            self.thinks is not None
            and text.startswith(_ends(self.thinks)[0])
            and (observation or "").strip() in ("", self.quiet)
        )

    def _malformed(self, texts: list[str], observations: Sequence[str | None], reasoning: str) -> None:
        said = "\n".join(observation for observation in observations if observation)
        if "".join(texts):
            self._assistant(texts, reasoning, "\n".join(texts), ())
        if said:
            self.steps.append(Step("user", said))

    def _assistant(self, texts: list[str], reasoning: str, content: str, calls: tuple[ToolCall, ...]) -> None:
        thoughts = [_inner(self.thinks, text) for text in self.thoughts] if self.thinks else []
        reasoning = "\n".join([*([reasoning] if reasoning else []), *thoughts])
        origin = "native" if reasoning else "none"
        if not (reasoning or content or calls):
            return
        step = Step("assistant", content, reasoning, calls, trainable=not content, reasoning_origin=origin)
        written = [*self.thoughts, *texts]
        if _texts(step, self.grammar, self.thinks) != written:
            self.notes[str(len(self.steps))] = written
        self.steps.append(step)
        self.thoughts = []


def native_actions(t: Trajectory, grammar: Grammar, thinks: Action | None = None) -> list[str]:
    """Each action of a trajectory as its environment was given it: ["think[First ...]", "search[red lamp]"].

    By rule, a line of the reasoning is a thought, and a call is rendered by the grammar; `extra["native_actions"]` has
    the texts of the few steps that need more than the rule.
    """
    notes: dict[str, list[str]] = t.extra.get(NOTES, {})
    found = []
    for index, step in enumerate(t.steps):
        if step.role == "assistant":
            found += notes.get(str(index)) or _texts(step, grammar, thinks)
    return found


def parse_loosely(grammar: Grammar, text: str) -> tuple[str, dict[str, Any]] | None:
    """(tool, arguments) of an action, also with space around it or its first letter in another case.

    These are the liberties that the environments take themselves: " search[Rome]" -> ("Search", {"entity": "Rome"}).
    """
    tidy = text.strip()
    for spelling in (text, tidy, tidy[:1].upper() + tidy[1:], tidy[:1].lower() + tidy[1:]):
        if (call := grammar.parse(spelling)) is not None:
            return call
    return None


def _texts(step: Step, grammar: Grammar, thinks: Action | None) -> list[str]:
    thoughts = step.reasoning.split("\n") if step.reasoning and thinks else []
    calls = [grammar.render(call.name, call.arguments) for call in step.tool_calls]
    return [
        *(thinks.render({"thought": line}) for line in thoughts if thinks),
        *(calls or [step.content] * bool(step.content)),
    ]


def _ends(thinks: Action) -> tuple[str, str]:
    """What stands before and behind a thought: ("think[", "]")."""
    before, _, behind = thinks.template.partition("{thought}")
    return before, behind


def _inner(thinks: Action, text: str) -> str:
    before, behind = _ends(thinks)
    return text.removeprefix(before).removesuffix(behind)
