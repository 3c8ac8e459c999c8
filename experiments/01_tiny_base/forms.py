"""Documents in which described forms are filled in from notes: the hardest and most useful part of the corpus.

A document lists one to four forms (a label, what it is for, its blanks) and then several notes, each followed by the
forms it fills. Labels, blanks, layout and key names are drawn anew for every document, so that a model has to read
them. Used by ``corpus.py``; ``python forms.py`` prints a few.
"""

import json
from dataclasses import dataclass
from random import Random

import vocabulary as v

Segment = tuple[str, bool]  # text, and whether it follows from what stands before it


@dataclass(frozen=True)
class Blank:
    """One blank of a form: ``cues`` are the ways a note mentions its value."""

    name: str
    about: str
    kind: str
    cues: tuple[str, ...]
    draw: object  # Random -> value
    options: tuple[str, ...] = ()
    optional: bool = False


CONCEPTS = (  # kind, names, cues, value
    (
        "place",
        "city place town location area region where".split(),
        ("in {v}", "near {v}", "around {v}", "at {v}", "for {v}"),
        v.place,
    ),
    (
        "place",
        "origin source from_city from start departure start_place".split(),
        ("from {v}", "starting from {v}", "leaving {v}"),
        v.place,
    ),
    (
        "place",
        "destination target to_city to end arrival goal_place".split(),
        ("to {v}", "towards {v}", "going to {v}"),
        v.place,
    ),
    (
        "person",
        "person guest owner client recipient member name user".split(),
        ("for {v}", "by {v}", "with {v}", "named {v}", "to {v}"),
        v.person,
    ),
    (
        "date",
        "date day when due_date start_date".split(),
        ("on {v}", "for {v}", "dated {v}", "by {v}", "from {v}"),
        v.date,
    ),
    ("date", "end_date until last_day".split(), ("until {v}", "to {v}", "through {v}"), v.date),
    ("time", "time hour clock start_time".split(), ("at {v}", "for {v}", "from {v}"), v.clock),
    (
        "title",
        "title name subject topic label item product".split(),
        ("called {v}", "titled {v}", "named {v}", "'{v}'", "{v}", '"{v}"'),
        v.title,
    ),
    ("code", "code id reference number order_id".split(), ("{v}", "with {w} {v}", "number {v}", "{w} {v}"), v.code),
    ("email", "email address contact recipient".split(), ("to {v}", "at {v}", "{v}"), v.email),
    (
        "text",
        "text message note content body comment".split(),
        ("saying {v}", "that says '{v}'", "with the {w} '{v}'", "'{v}'", "{w}: {v}"),
        v.phrase,
    ),
    (
        "words",
        "query keyword term search_text phrase".split(),
        ("about {v}", "for {v}", "'{v}'", "on {v}", "mentioning {v}"),
        lambda r: v.phrase(r, 1, 3),
    ),
)
OPEN_CUES = (
    "with {w} {v}",
    "{w} {v}",
    "whose {w} is {v}",
    "{w} set to {v}",
    "with {v} as {w}",
    "{v} as the {w}",
    "using {w} {v}",
    "and {w} {v}",
)
COUNT_CUES = ("{v} {w}", "with {v} {w}", "for {v} {w}", "of {v} {w}", *OPEN_CUES)
JSON_TYPES = {"integer": "integer", "number": "number", "boolean": "boolean", "list": "array"}
ABOUTS = (
    "{w}",
    "The {w}",
    "{w} to use",
    "Name of the {w}",
    "{w} of the {n}",
    "Which {w}",
    "The {n}'s {w}",
    "{w} for the {n}",
)


def words(name: str) -> str:
    """``"start_time"`` -> ``"start time"``."""
    return name.replace("_", " ").strip()


def blank(rng: Random, noun: str) -> Blank:
    """One random blank; half of them well-known concepts, half an arbitrary word with a value of any kind."""
    optional, draw = rng.random() < 0.3, rng.random()
    name = rng.choice((v.word, v.word, v.word, lambda r: f"{v.word(r)}_{v.word(r)}", v.pseudo))(rng)
    options: tuple[str, ...] = ()
    if draw < 0.5:
        kind, names, cues, value = rng.choice(CONCEPTS)
        name = rng.choice(names) if rng.random() < 0.8 else f"{v.word(rng)}_{rng.choice(names)}"
    elif draw < 0.66:
        kind, cues, value = "integer", COUNT_CUES, v.integer
    elif draw < 0.74:
        kind, cues, value = "number", COUNT_CUES, v.decimal
    elif draw < 0.82:
        options = tuple(dict.fromkeys(v.word(rng) for _ in range(rng.randint(2, 4))))
        kind, cues, value = (
            "choice",
            ("{v}", "in {v}", "{v} {w}", "in {v} {w}", *OPEN_CUES),
            lambda r: r.choice(options),
        )
    elif draw < 0.87:
        kind, cues, value = "boolean", ("{b} {w}",), lambda r: r.random() < 0.5
    elif draw < 0.93:
        item = rng.choice((v.word, v.title, v.person, v.integer, v.decimal))
        kind, cues, value = (
            "list",
            ("{v}", "{w} {v}", "with {w} {v}", "of {v}"),
            lambda r: [item(r) for _ in range(r.randint(2, 4))],
        )
    else:
        kind, cues, value = "string", OPEN_CUES, rng.choice((v.word, v.title, v.person, v.place, v.code))
    about = rng.choice(ABOUTS).format(w=words(name), n=noun)
    return Blank(name, about[0].upper() + about[1:], kind, cues, value, options, optional)


def spoken(value: object) -> str:
    """A value as a sentence says it: ``["a", "b", "c"]`` -> ``"a, b and c"``."""
    if isinstance(value, list):
        return ", ".join(map(str, value[:-1])) + f" and {value[-1]}"
    return str(value)


def cue(rng: Random, b: Blank, value: object) -> str:
    verb = rng.choice(("with", "include", "with")) if value is True else rng.choice(("without", "no"))
    return rng.choice(b.cues).format(v=spoken(value), w=words(b.name), b=verb)


@dataclass(frozen=True)
class Form:
    label: str
    verb: str
    noun: str
    about: str
    blanks: tuple[Blank, ...]

    def fill(self, rng: Random) -> tuple[str, dict]:
        """A clause that mentions some values, and the values by blank in the order of the form."""
        article = rng.choice(("the", "a", "my", "", "that", "some"))
        head = rng.choice((f"{self.verb} {article} {self.noun}", f"{self.verb} {self.noun}", f"{self.noun}"))
        tail, values = self.mention(rng)
        return " ".join(f"{head} {tail}".split()), values

    def mention(self, rng: Random) -> tuple[str, dict]:
        """The end of such a clause: values with their cues but not what is to be done."""
        used = [b for b in self.blanks if not b.optional or rng.random() < 0.5]
        values = {b.name: b.draw(rng) for b in used}
        parts = [cue(rng, b, values[b.name]) for b in used]
        if rng.random() < 0.5:
            rng.shuffle(parts)
        glue = rng.choice((" ", " ", " ", ", ", " and "))
        tail = (
            glue.join(parts)
            if glue != " and "
            else " ".join(parts[:-1] + ["and " * (len(parts) > 1) + p for p in parts[-1:]])
        )
        return tail, values


def form(rng: Random) -> Form:
    verb, noun = rng.choice(v.VERBS), rng.choice(v.NOUNS) if rng.random() < 0.8 else v.pseudo(rng)
    draw = rng.random()
    label = (
        f"{verb}_{noun}"
        if draw < 0.55
        else v.identifier(rng)
        if draw < 0.75
        else f"{noun}_{v.word(rng)}"
        if draw < 0.85
        else v.pseudo(rng, 1, 3)
    )
    extra = rng.choice(
        ("", "", f" {v.phrase(rng, 1, 3)}", f" by {v.word(rng)}", f" for a {v.word(rng)}", f" and its {v.word(rng)}")
    )
    about = (
        rng.choice(
            (
                f"{verb} a {noun}",
                f"{verb} the {noun}",
                f"{verb} {noun}",
                f"{verb} one {noun}",
                f"to {verb} the {rng.choice(v.ADJECTIVES)} {noun}",
            )
        )
        + extra
    )
    found = {}
    for _ in range(rng.choice((1, 1, 2, 2, 2, 3, 3, 4))):
        b = blank(rng, noun)
        found.setdefault(b.name, b)
    return Form(label, verb, noun, about[0].upper() + about[1:], tuple(found.values()))


@dataclass(frozen=True)
class Layout:
    """How a document writes its forms and the filled ones."""

    label: str
    about: str
    blanks: str
    kind: str
    filled: str
    style: str  # "json", "lines" or "call"
    plain: bool  # kinds as JSON types ("string") rather than as concepts ("place")
    required: bool  # say which blanks must be filled

    @classmethod
    def draw(cls, rng: Random) -> "Layout":
        return cls(
            rng.choice(("form", "name", "item", "label", "id", "card")),
            rng.choice(("about", "description", "for", "note", "purpose")),
            rng.choice(("blanks", "fields", "properties", "parts", "entries")),
            rng.choice(("kind", "type", "is", "type")),
            rng.choice(("values", "filled", "with", "entries", "fields")),
            rng.choice(("json", "json", "json", "json", "lines", "call")),
            rng.random() < 0.6,
            rng.random() < 0.5,
        )

    def describe(self, f: Form) -> str:
        if self.style == "lines":
            return f"- {f.label}: {f.about} (" + "; ".join(f"{b.name}: {b.about}, {b.kind}" for b in f.blanks) + ")\n"
        parts = {}
        for b in f.blanks:
            parts[b.name] = {self.kind: JSON_TYPES.get(b.kind, "string") if self.plain else b.kind, self.about: b.about}
            if b.options:
                parts[b.name]["options"] = list(b.options)
            if self.required:
                parts[b.name]["required"] = not b.optional
        return json.dumps({self.label: f.label, self.about: f.about, self.blanks: parts})

    def listing(self, forms: list[Form]) -> str:
        texts = [self.describe(f) for f in forms]
        return "".join(texts) if self.style == "lines" else "[" + ", ".join(texts) + "]\n"

    def answer(self, filled: list[tuple[Form, dict]]) -> str:
        if self.style == "call":
            return (
                "; ".join(
                    f"{f.label}(" + ", ".join(f"{k}={json.dumps(x)}" for k, x in d.items()) + ")" for f, d in filled
                )
                or "nothing"
            )
        return json.dumps([{self.label: f.label, self.filled: d} for f, d in filled])


OPENINGS = (
    "please {c}",
    "{c}",
    "i want to {c}",
    "can you {c}?",
    "could you please {c}?",
    "we need to {c}",
    "i would like to {c}",
    "{c} please",
    "hello, {c}",
    "let us {c}",
    "kindly {c}",
    "{c} for me",
)


def note(rng: Random, forms: list[Form], others: list[Form]) -> tuple[str, list[tuple[Form, dict]]]:
    """A note and the forms it fills: one of the list, two or three (one form twice, as likely as not), or none."""
    draw = rng.random()
    if draw < 0.12:
        return sentence(rng, rng.choice(others).fill(rng)[0]), []
    first = rng.choice(forms)
    count = 1 if draw < 0.6 else 2 if draw < 0.94 else 3
    chosen = [first] + [first if rng.random() < 0.4 else rng.choice(forms) for _ in range(count - 1)]
    if count == 2 and chosen[1] is first and rng.random() < 0.5:
        done = [first.fill(rng), first.mention(rng)]
    else:
        done = [f.fill(rng) for f in chosen]
    clauses, filled = [c for c, _ in done], [(f, d) for f, (_, d) in zip(chosen, done, strict=True)]
    if count > 1 and clauses[-1].startswith((first.verb, first.noun)) and rng.random() < 0.35:
        return " ".join(sentence(rng, clause) for clause in clauses), filled
    return sentence(
        rng, rng.choice((" and ", " and also ", ", then ", "; ", " and ", " and then ")).join(clauses)
    ), filled


def sentence(rng: Random, clause: str) -> str:
    """A request, with a capital letter and a full stop: "add a lamp" -> "Please add a lamp."."""
    text = rng.choice(OPENINGS).format(c=clause)
    text = text[0].upper() + text[1:]
    return text if text[-1] == "?" else text + rng.choice((".", ".", "", "!"))


def document(rng: Random, most: int = 4, notes: int = 4) -> list[Segment]:
    """Forms, then notes with their filled forms; answers are the segments marked True."""
    layout = Layout.draw(rng)
    forms = list({f.label: f for f in (form(rng) for _ in range(rng.randint(1, most)))}.values())
    others = [form(rng) for _ in range(2)]
    ask, reply = rng.choice((("Note: ", "\n"), ("", "\n"), ("> ", "\n= "), ("Request: ", "\nFilled: "), ("", " -> ")))
    out: list[Segment] = [(layout.listing(forms), False)]
    for _ in range(rng.randint(1, notes)):
        text, filled = note(rng, forms, others)
        out += [(ask + text + reply, False), (layout.answer(filled), True), ("\n", True)]
    return out


if __name__ == "__main__":
    for seed in range(6):
        print("".join(t for t, _ in document(Random(seed))))
