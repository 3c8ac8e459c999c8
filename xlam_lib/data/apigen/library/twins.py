"""Masked twins: made-up tools, for training only, that teach a model to read the list of tools it is given.

Used by `embedded.py`. Each twin joins a verb, a noun and a few arguments into a schema with matching queries, e.g.
`polish_lantern(owner, grade)` with "polish the lantern for owner Mara Holston with grade 7". Twins run as echo
functions (`facts.echo`). `twins(n, seed)` makes them; none bears the name, or a noun, of a tool kept for the unseen
test.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from xlam_lib.data import wordlists
from xlam_lib.data.apigen.library.frames import Frame
from xlam_lib.data.apigen.library.registry import TOOLS, UNSEEN, Link
from xlam_lib.data.apigen.library.spec import Param, ToolSpec
from xlam_lib.data.apigen.library.values import POOLS, Pool, decimal, several, whole

VERBS = wordlists.words("""
approve archive arrange audit bind block boil borrow brush bundle buy calibrate cancel carve charge clean clear
collect cool copy count cover crop cut deliver design dig donate draw drop dry empty fetch fill film flag fold freeze
glue grade grow guard heat hide hire hold host inspect install iron join label launch lease level lift list load mark
measure mix mount move offer order pack paint park patch pause pick plant polish pour press price print publish pull
pump push rank refill refund register release remove renew rent repair replace report rescue reset resize restore
return rinse roll rotate save scan seal sell sharpen ship sketch sort split stack stamp start stop store submit swap
sweep tag tape test tow trace track trade train transfer trim tune turn twist unlock update upgrade upload verify
visit wash water weigh wipe wrap
""")
EXTRA_NOUNS = wordlists.words("""
acorn airship alarm album altar amplifier antenna apron aquarium arcade armor atlas auction badge bagpipe balcony
balloon bamboo banjo barn barrel beacon beehive blueprint boulder bouquet bracket brick broom bulb bunker buoy cable
cactus canoe capsule caravan carriage cartoon chariot chimney chisel clarinet coin comet costume cottage cradle crate
crayon crystal dagger dam diary dome donkey doorbell drone drum dungeon easel envelope exhibit fabric farm ferry
fiddle firewall flute fossil freezer funnel furnace gadget galaxy gazebo generator glacier goggle gong gravel
greenhouse grill guitar hammock harp hatch hedge helmet hive hose hydrant iceberg igloo incubator ink jar jersey jewel
jigsaw kayak kennel keyboard kiln knot lagoon lasso lathe lawn lens lever lifeboat loom lute magnet mailbox mansion
marina mask mast medal microscope mill mine mosaic motor mural necklace nest net nozzle oar oasis orbit ornament
pagoda paddle palette parachute pavilion pebble pendulum permit pier pillar pipe plaster plow podium pond portrait
poster prism propeller pulley puppet pyramid quarry quilt raft railing ranch reactor reef relic ribbon robot rocket
rope rudder sail satellite sauna scale scarecrow sculpture seed shield shuttle sled sluice snowman spool squadron
stable stamp statue submarine sundial swing sword tank tapestry telescope terrace thread throne tractor trampoline
trumpet tunnel turbine turret typewriter valve vault veil vineyard violin voucher wagon walnut warehouse watermill wax
wheel windmill winery wreath yacht zeppelin
""")
UNCOUNTED = wordlists.words("rain luggage gravel honey smoke snow thunder wind wax armor ink fabric plaster college")
ATTRIBUTES = {
    "owner": "person", "keeper": "person", "builder": "person", "color": "color", "age": "number", "value": "number",
    "size": "number", "origin": "city",
    "label": "code", "serial": "code", "batch": "code", "nickname": "title", "shape": "word", "supplier": "person",
    "depth": "number", "opening": "date",
}  # fmt: skip
LINKED = {
    "person": "person",
    "code": "code",
    "city": "city",
    "number": "whole",
    "date": "date",
    "title": "title",
    "word": "word",
}
SCALES = (
    ("small", "medium", "large"), ("low", "normal", "high"), ("soft", "hard"), ("round", "square", "oval"),
    ("daily", "weekly", "monthly"), ("fast", "slow"), ("first", "second", "third"), ("cheap", "fair", "premium"),
    ("dry", "wet"), ("left", "right", "center"),
)  # fmt: skip


@dataclass(frozen=True)
class Idea:
    """A kind of argument: names it may bear, its description, cue phrases with `{}` for the value, and its pool."""

    names: tuple[str, ...]
    description: str
    cues: tuple[str, ...]
    pool: Pool


def _idea(names: str, description: str, cues: str, pool: Pool) -> Idea:
    return Idea(tuple(names.split()), description, tuple(cues.split("|")), pool)


IDEAS = (
    _idea("owner owner_name", "name of the owner", " for owner {}| of the owner {}", POOLS["person"]),
    _idea("customer client", "name of the customer", " for the customer {}| for customer {}", POOLS["person"]),
    _idea("helper assistant", "name of the helper", " with helper {}| with {} as helper", POOLS["person"]),
    _idea("sender", "name of the sender", " from sender {}", POOLS["person"]),
    _idea("city town", "name of the city", " in {}| in the city {}", POOLS["city"]),
    _idea("origin from_place", "city it comes from", " from {}| coming from {}", POOLS["city"]),
    _idea("destination to_place", "city to go to", " to {}| going to {}", POOLS["city"]),
    _idea("street", "name of the street", " on {}| on the street {}", POOLS["street"]),
    _idea("date day", "date to do it", " on {}| on the date {}", POOLS["date"]),
    _idea("start start_date", "first date", " starting {}| starting on {}", POOLS["date"]),
    _idea("deadline until", "last date", " until {}| before the deadline {}", POOLS["date"]),
    _idea("time", "time of day", " at {}", POOLS["time"]),
    _idea("company maker", "name of the company", " of the company {}| by the company {}", POOLS["company"]),
    _idea("club team", "name of the club", " for the club {}", POOLS["team"]),
    _idea("code key", "secret code", " with code {}| using the code {}", POOLS["code"]),
    _idea("symbol", "symbol to use", " with symbol {}", POOLS["symbol"]),
    _idea("note text comment", "text of the note", ' with the note "{}"| saying "{}"', POOLS["sentence"]),
    _idea("title name", "title to give", ' called "{}"| with the title "{}"', POOLS["title"]),
    _idea("phone", "phone number", " with phone {}| under the phone number {}", POOLS["phone"]),
    _idea("email address", "email address", " for the address {}| with email {}", POOLS["email"]),
    _idea("file document", "name of the file", " from file {}| with the file {}", POOLS["file"]),
    _idea("product article", "name of the product", " with a {}| for a {}", POOLS["product"]),
    _idea("days", "number of days", " for {} days", whole(2, 90)),
    _idea("hours", "number of hours", " for {} hours", decimal(2, 60)),
    _idea("minutes", "number of minutes", " for {} minutes| during {} minutes", whole(5, 180)),
    _idea("people guests", "number of people", " for {} people| with {} people", whole(2, 90)),
    _idea("price cost", "price in dollars", " for {} dollars| at a price of {}", decimal(2, 900)),
    _idea("weight", "weight in kilograms", " with a weight of {}| weighing {} kilograms", decimal(2, 400)),
    _idea("height", "height in meters", " with a height of {}| at height {}", decimal(2, 90)),
    _idea("percent", "share in percent", " by {} percent| to {} percent", whole(5, 95)),
    _idea("count quantity", "how many of them", " with a count of {}| in quantity {}", whole(2, 400)),
    _idea("parts pieces", "names of the parts", " with the parts {}| using the parts {}", several(POOLS["word"], 2, 3)),
    _idea("members", "names of the members", " with members {}", several(POOLS["person"], 2, 2)),
    _idea(
        "colors",
        "colors to use",
        " in the colors {}",
        several(Pool("color", lambda rng: rng.choice(wordlists.COLORS)), 2, 3),
    ),
    _idea("sizes", "sizes to make", " in sizes {}", several(whole(2, 400), 2, 3)),
)
GENERIC = (
    ("name", POOLS["title"]),
    ("name", POOLS["word"]),
    ("code", POOLS["code"]),
    ("number", whole(2, 9999)),
    ("value", decimal(2, 900)),
    ("date", POOLS["date"]),
)


def forbidden_words() -> set[str]:
    """Words of the unseen tools' names; no twin may bear one: "stadium", "seat", ..."""
    common = {"find", "set", "count", "log", "open", "write", "schedule", "time"}
    words = {word for name in UNSEEN for word in name.split("_")}
    return (words | {"archive", "trains"}) - common


def _plural(word: str) -> bool:
    return word.endswith("s") and not word.endswith("ss")


def _vocabulary() -> tuple[list[str], list[str]]:
    banned = forbidden_words()
    banned |= {word.rstrip("s") for word in banned} | set(UNCOUNTED)
    nouns = [*EXTRA_NOUNS, *wordlists.TOPICS, *wordlists.PRODUCTS, *(word.lower() for word in wordlists.THINGS)]
    keep = [word for word in dict.fromkeys(nouns) if word not in banned and not _plural(word)]
    return [verb for verb in VERBS if verb not in banned], keep


def a_or_an(noun: str) -> str:
    """The article of a noun: `a_or_an("oven")` is "an"."""
    return "an" if noun[0] in "aeio" else "a"


def _pseudo(rng: random.Random) -> str:
    return "".join(rng.choice(wordlists.SYLLABLES) for _ in range(rng.choice((2, 3))))


def _param(rng: random.Random, noun: str, nouns: list[str], taken: set[str]) -> tuple[Param, str] | None:
    """A random argument and its cue with a slot, or None when the name is taken."""
    required = rng.random() < 0.8
    kind = rng.random()
    if kind < 0.5:
        idea = rng.choice(IDEAS)
        name, text, cue, pool = rng.choice(idea.names), idea.description, rng.choice(idea.cues), idea.pool
        schema = dict(pool.schema)
    elif kind < 0.8:
        name = _pseudo(rng) if rng.random() < 0.3 else rng.choice(nouns)
        what, pool = rng.choice(GENERIC)
        text, schema = f"{what} of the {name}", dict(pool.schema)
        cue = rng.choice((f" with {name} {{}}", f" with the {name} {{}}", f" for {name} {{}}"))
    elif kind < 0.92:
        name, pool = rng.choice(nouns), None
        values = list(rng.choice(SCALES)) if rng.random() < 0.5 else rng.sample(wordlists.COLORS, 3)
        text, schema = f"kind of {name}", {"type": "string", "enum": values}
        cue = rng.choice((f" with {{}} {name}", f" with a {{}} {name}", f" in the {{}} {name}"))
    else:
        name, pool, required = rng.choice(nouns), None, False
        text, schema, cue = f"with {name} or not", {"type": "boolean"}, ""
    if name in taken or name == noun:
        return None
    slot = f" {{{name}?with {name}|without {name}}}" if not cue else cue.replace("{}", f"{{{name}}}")
    return Param(name, text, schema, required, pool), slot


def _params(rng: random.Random, noun: str, nouns: list[str], count: int) -> tuple[list[Param], list[str]]:
    params: list[Param] = []
    cues: list[str] = []
    while len(params) < count:
        made = _param(rng, noun, nouns, {param.name for param in params})
        if made is not None and _distinct(made[0], params):
            params.append(made[0])
            cues.append(made[1])
    return params, cues


def _distinct(param: Param, others: list[Param]) -> bool:
    """Two arguments with one and the same description can't be told apart."""
    return all(param.description != other.description for other in others)


def _named(rng: random.Random, first: str, second: str) -> str:
    return rng.choice((f"{first}_{second}",) * 5 + (first + second.capitalize(), f"{second}_{first}"))


def _tail(cues: list[str]) -> str:
    return "".join(f"<{cue}>" for cue in cues)


def _action(rng: random.Random, verbs: list[str], nouns: list[str]) -> ToolSpec:
    """A twin that does something: "polish the lantern with grade 7"."""
    verb, noun = rng.choice(verbs), rng.choice(nouns)
    params, cues = _params(rng, noun, nouns, rng.choice((1, 2, 2, 3)))
    target, tail = f"(the |a |my ){noun}", _tail(cues)
    if rng.random() < 0.4:
        pool = rng.choice((POOLS["code"], POOLS["title"], POOLS["word"], whole(10, 9999)))
        text = rng.choice((f"name of the {noun}", f"{noun} to {verb}", f"code of the {noun}"))
        params.insert(0, Param(noun, text, dict(pool.schema), True, pool))
        target = f"(the |){noun} {{{noun}}}"
    elif not any(param.required for param in params):
        params[0] = replace(params[0], required=True)
    sentence = rng.choice(
        (f"I (want|need|have) to {verb} {target}{tail}.", f"(Someone|Somebody) should {verb} {target}{tail}.")
    )
    frames = (f"{verb} {target}{tail}", f"(help me |){verb} {target}{tail}", sentence)
    article = rng.choice((a_or_an(noun), "the"))
    description = rng.choice(("{} {} {}", "Tool to {} {} {}", "{} {} {} for the user")).format(verb, article, noun)
    description = description[:1].upper() + description[1:]
    return ToolSpec(
        _named(rng, verb, noun),
        "twin",
        description,
        tuple(params),
        tuple(map(Frame.parse, frames)),
        f"The {noun} is done.",
        noun=noun,
    )


def _lookup(rng: random.Random, nouns: list[str]) -> ToolSpec:
    """A twin that finds something out: "find the owner of lantern KX-482"."""
    noun, attribute = rng.choice(nouns), rng.choice(tuple(ATTRIBUTES))
    pool = rng.choice((POOLS["code"], POOLS["title"], POOLS["person"], POOLS["city"], whole(10, 9999)))
    params, cues = _params(rng, noun, nouns, rng.choice((0, 0, 1)))
    params = [replace(param, required=False) for param in params if param.name != attribute]
    cues = cues[: len(params)]
    target = rng.choice((f"(the |){noun} {{{noun}}}", f"{noun} {{{noun}}}"))
    first = Param(
        noun,
        rng.choice((f"name of the {noun}", f"the {noun} to look up", f"which {noun}")),
        dict(pool.schema),
        True,
        pool,
    )
    tail = _tail(cues)
    frames = (
        f"(find|get|show me|tell me|look up) the {attribute} of {target}{tail}",
        f"(What is|Do you know) the {attribute} of {target}{tail}?",
        f"(find out|look up|check) which {attribute} {target} has{tail}",
    )
    verb = rng.choice(("get", "find", "show", "fetch", "read"))
    name = rng.choice((f"{verb}_{noun}_{attribute}", f"{noun}_{attribute}", f"{verb}_{attribute}_of_{noun}"))
    description = f"{verb.capitalize()} the {attribute} of {a_or_an(noun)} {noun}"
    answer = f"The {attribute} is {{{attribute}}}."
    return ToolSpec(
        name,
        "twin",
        description,
        (first, *params),
        tuple(map(Frame.parse, frames)),
        answer,
        returns={attribute: ATTRIBUTES[attribute]},
        noun=noun,
    )


def twins(count: int, seed: int = 0) -> list[ToolSpec]:
    """So many made-up tools with distinct names: `twins(2, seed=0)`."""
    verbs, nouns = _vocabulary()
    rng = random.Random(f"twins:{seed}")
    made: dict[str, ToolSpec] = {}
    while len(made) < count:
        spec = _action(rng, verbs, nouns) if rng.random() < 0.7 else _lookup(rng, nouns)
        if spec.name not in TOOLS:
            made.setdefault(spec.name, spec)
    return list(made.values())


def twin_links(specs: list[ToolSpec], seed: int = 0, count: int = 300) -> list[Link]:
    """Links between made-up tools: what a look-up finds is an argument of an action, "... for that keeper as owner"."""
    rng = random.Random(f"links:{seed}")
    firsts = [spec for spec in specs if spec.returns]
    seconds = [spec for spec in specs if not spec.returns]
    links: list[Link] = []
    for first in rng.choices(firsts, k=20 * count):
        second = rng.choice(seconds)
        (attribute, kind), *_ = first.returns.items()
        fitting = [param.name for param in second.params if _takes(second, param, LINKED.get(kind, ""))]
        if fitting and len(links) < count:
            name = rng.choice(fitting)
            links.append(Link(first.name, attribute, second.name, name, f"that {attribute}", role=name))
    return links


def _takes(spec: ToolSpec, param: Param, kind: str) -> bool:
    """Whether a found value of the kind can stand for the argument: its cue must end with it ("for owner {owner}")."""
    fits = param.pool is not None and param.pool.kind.split()[0] == kind and param.name != spec.noun
    return fits and all(f"{{{param.name}}}>" in frame.text for frame in spec.frames)
