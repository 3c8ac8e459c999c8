"""What an assistant says instead of a call or after it: refusals, questions for what is missing, results in words.

refusal(rng, tool)           # "None of the available tools can calculate the wind chill temperature."
question_for(rng, leaf)      # "Could you tell me the annual rate?"
outcome(rng, tool)           # ({"status": "ok", "id": "KX-4821"}, "Done. The reference is KX-4821.")
talk(rng, "train")           # ("Thanks!", "You're welcome!")
"""

from __future__ import annotations

import functools
import random
import re
from pathlib import Path

from xlam_lib.data.apigen.ask import capital
from xlam_lib.data.apigen.broad.tools import Asked, BroadTool, Leaf
from xlam_lib.data.apigen.library.values import split_of
from xlam_lib.settings.yaml_files import read_yaml

TALK = Path(__file__).parent / "words" / "talk.yaml"
SYSTEM = (
    "You are a helpful assistant.",
    "You are a helpful assistant with access to tools. Use them if they help, otherwise answer in words.",
    "Answer the user. Call the functions you need; if none of them fits, say so briefly.",
    "You can call the functions that are listed. Ask for whatever you need and the user hasn't told you.",
    "You are an assistant for everyday tasks. Only use the tools provided, and never invent values.",
    "You are a concise assistant.",
    "Help the user by calling tools. Several calls may be made at once.",
    "Act as a reliable operator of the tools below.",
    "You're a customer's personal assistant. Be brief and friendly.",
    "When no tool can do what is asked, tell the user in one sentence.",
)  # fmt: skip
REFUSALS = (
    "None of the available tools can {}.",
    "I can't do that: I have no tool to {}.",
    "Sorry, none of my tools can {}.",
    "I don't have a tool to {}.",
    "There is no tool here to {}, so I can't help with that.",
    "I'm afraid I can't {} with the tools I have.",
    "That isn't possible with the tools at hand; a tool to {} is missing.",
)
REFUSALS_THAT = (
    "I have no tool that {}.",
    "Sorry, there is no tool here that {}.",
    "None of my tools {}.",
    "For this I'd need a tool that {}, which I don't have.",
)
REFUSALS_THE = (
    "I have no tool for the {}.",
    "None of my tools gives the {}.",
    "Sorry, I have no tool that gives the {}.",
    "I can't find the {} with the tools I have.",
    "There is no tool here for the {}.",
)
SHORT_REFUSALS = (
    "I can't do that with the tools I have.",
    "None of the tools can do this.",
    "Sorry, I have no tool for that.",
    "The available tools don't cover this.",
    "I'm sorry, but none of the functions I can call does that.",
    "This is beyond the tools I have here.",
)
ASKS = (
    "What is the {}?", "Could you tell me the {}?", "Which {} should I use?", "I need the {} for that.",
    "Please give me the {}.", "Sure. What's the {}?", "I'm missing the {}. What is it?",
)  # fmt: skip
ASKS_HOW = ("Could you tell me {}?", "I need to know {} for that.", "Please tell me {}.")
ENDS = re.compile(  # behind which a description goes into detail
    r"(?<=\w)[.;:]\s|[.(]|,? e\.g|,? such as|, for example|, given|, (?:as|by|for|from|if|in|so|that|using|which|with) "
)
QUESTION_WORDS = frozenset("how if what when where whether which who whom whose why".split())
UNITS = frozenset(  # which end names of parameters
    "c cm f ft g h hz kg km kmh km2 kw kwh lb m ma m2 m3 mg min ml mm ms pct percent s sec uf usd v w watts".split()
)
REPLIES = ("{}.", "{}", "It's {}.", "{}, please.", "Oh, sorry: {}.", "I forgot: {}.", "Take {}.", "Let's say {}.")
ERRORS = (
    ("service unavailable", "The tool reports that the service is unavailable. Shall I try again later?"),
    ("request timed out", "The request timed out. Do you want me to try once more?"),
    (
        "too many requests",
        "The service received too many requests just now, so I got no answer. I can try again in a moment.",
    ),
    ("permission denied", "I wasn't allowed to do that: permission was denied."),
    ("internal error", "The tool failed with an internal error, so I have no result for you."),
)
ACTIONS = frozenset(
    """add apply approve archive arrange assign block book buy cancel change clear close configure connect create
    delete deliver disable dispatch enable enroll export forward import install invite lock log mark move open order
    pause pay place play post publish put record refund register remind remove rename renew reply report request
    reschedule reserve reset restart resume save schedule sell send set share start stop submit subscribe switch tag
    transfer turn unlock unsubscribe update upload write""".split()
)  # what a tool does by whose description begins so
SEARCHES = frozenset("browse find list look recommend search show suggest".split())
DONE = ("Done. The reference is {}.", "That's done; your reference is {}.", "All set, the reference number is {}.")


VERBS = frozenset(
    """analyze approximate ask assess calculate combine compare compress compute control convert copy correct count
    decode decrypt define describe detect determine download draw encode encrypt evaluate expand explain extract fetch
    fill filter fit flip format generate get give identify insert join locate lookup make measure merge monitor multiply
    normalize obtain parse pick predict print produce query read retrieve return reverse roll round run scan select
    simplify simulate solve sort split suggest summarize tell toggle track transcribe translate trim turn validate
    verify view work""".split()
)  # what a tool finds out by whose description begins so
NOUNS_TOO = frozenset(
    """average change charge check count cost discount display draw estimate factor fit force forecast heat list log map
    mark measure order pay place plan plot predict print project quote rank rate record refund reply report request
    return reverse roll round run sample scan search share sort split sum test time track transfer update view work
    yield""".split()
)  # verbs only before an object
OBJECTS = frozenset(
    "a an all any each every how into its one out several some the this two up what when whether which your".split()
)


def refusal(rng: random.Random, tool: BroadTool) -> str:
    """A sentence that says that no tool can do what this one does, often by the words of its description."""
    form, does = deed(tool.description)
    if rng.random() < 0.35 or not form:
        return rng.choice(SHORT_REFUSALS)
    return rng.choice({"to": REFUSALS, "that": REFUSALS_THAT, "the": REFUSALS_THE}[form]).format(does)


def deed(description: str) -> tuple[str, str]:
    """(how to speak of it, what a tool does): ("to", "convert a length"), ("that", "converts ..."), ("the", "area of").

    The form is "" where the description is long, or nothing that can be put into a sentence.
    """
    does = ENDS.split(description, maxsplit=1)[0].strip()
    verb, _, rest = does.partition(" ")
    follows = rest.partition(" ")[0]
    if len(does) > 90 or not does[:2].istitle():
        return "", does
    does, verb = does[:1].lower() + does[1:], verb.lower()
    third = verb.endswith("s") and not verb.endswith("ss")
    base = verb.removesuffix("s") if third else verb
    named = base in VERBS or base in ACTIONS or base in SEARCHES
    known = (
        named and follows not in ("and", "of") and (base not in NOUNS_TOO or (base == "search" and follows == "for"))
    )
    if verb not in OBJECTS and (known or follows in OBJECTS):  # what has an object is a verb
        return ("that" if third else "to"), does
    if (
        re.match(r"(?:[\w'-]+ ){1,4}(?:of|between|through|from|for|in|on|at|by|that|needed|near|after)\b", does)
        and verb not in OBJECTS
    ):
        return "the", does
    return "", does


def question_for(rng: random.Random, leaf: Leaf) -> str:
    """The assistant asks for a value, by its name or by what it means: "Could you tell me the annual rate?"."""
    words = [word for word in leaf.label.split() if word not in UNITS]
    meaning = re.sub(r"^(?:The|A|An) ", "", re.split(r"[.,:;(]", leaf.description)[0].strip())
    told = meaning[:1].lower() + meaning[1:] if meaning[1:2].islower() else meaning
    clear = words and (len(words) > 1 or len(words[0]) > 4)
    if clear and rng.random() < 0.65 or len(told) > 60 or not told:
        return rng.choice(ASKS).format(" ".join(words) or leaf.label)
    return rng.choice(ASKS_HOW if told.partition(" ")[0] in QUESTION_WORDS else ASKS).format(told)


def reply(rng: random.Random, asked: Asked, slot: str) -> str:
    """The user gives the value: "For 12 years." or "It's 12 years."."""
    if rng.random() < 0.3:
        return f"{capital(asked.phrasing.lead(slot))} {asked.texts[slot]}."
    return rng.choice(REPLIES).format(asked.texts[slot])


def outcome(rng: random.Random, tool: BroadTool) -> tuple[dict, str] | None:
    """(what the tool answers, what the assistant says then), or None for a tool whose answer can't be made up.

    Calculations and facts are not invented: only deeds, searches and failures are told.
    """
    if rng.random() < 0.25:
        error, words = rng.choice(ERRORS)
        return {"error": error}, words
    form, does = deed(tool.description)
    verb = does.partition(" ")[0]
    verb = verb.removesuffix("s") if form == "that" else verb if form == "to" else ""
    if verb in ACTIONS:
        code = f"{rng.choice('ABCDEFGHKLMNPRSTVX')}{rng.choice('ABCDEFGHKLMNPRSTVX')}-{rng.randrange(1000, 99999)}"
        key = rng.choice(("reference", "id", "confirmation"))
        return {"status": rng.choice(("ok", "success", "confirmed", "done")), key: code}, rng.choice(DONE).format(code)
    if verb in SEARCHES:
        count = rng.choice((0, 0, 2, 3, 5, 8, 12, 17, 24))
        found = f"I found {count} results." if count else "I found nothing that fits."
        return {"count": count}, found
    return None


@functools.cache
def _talk() -> dict[str, list[tuple[str, list[str]]]]:
    found: dict[str, list[tuple[str, list[str]]]] = {"train": [], "test": []}
    for entry in read_yaml(TALK):
        for says in entry["says"]:
            found[split_of(says)].append((says, entry["answers"]))
    return found


def talk(rng: random.Random, half: str) -> tuple[str, str]:
    """(what a user says, what is answered) in plain talk that needs no tool."""
    says, answers = rng.choice(_talk()[half])
    return says, rng.choice(answers)
