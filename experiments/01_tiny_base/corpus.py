"""The generic pretraining corpus of the tiny base model: documents made of fresh random content.

Kinds: plain sentences, repeats, copying, key-value and record look-up, choosing among described items, extracting
fields from a sentence, lists, and filling forms (``forms.py``). It holds neither the chat format of the project nor
any tool of the embedded data (a test checks both). Same seed, same documents.
``python corpus.py`` prints one document of each kind.
"""

import json
from pydoc_data.topics import topics
from random import Random

import forms
import vocabulary as v
from forms import Segment

VALUES = (
    v.word,
    v.word,
    v.title,
    v.person,
    v.person,
    v.place,
    v.place,
    v.code,
    v.date,
    v.clock,
    v.integer,
    v.decimal,
    v.email,
    v.phrase,
)


def value(rng: Random) -> object:
    return rng.choice(VALUES)(rng)


def repeats(rng: Random) -> list[Segment]:
    """A random sequence said two or three times."""
    draw = rng.choice((v.word, v.pseudo, v.code, v.person, v.place, v.title, lambda r: str(r.randint(0, 999))))
    line = rng.choice((" ", ", ", "; ")).join(str(draw(rng)) for _ in range(rng.randint(3, 12)))
    return [(line + "\n", False)] + [(line + "\n", True)] * rng.randint(1, 3)


def copying(rng: Random) -> list[Segment]:
    """Quoted values of a sentence written out again, alone and as JSON strings."""
    out: list[Segment] = []
    for _ in range(rng.randint(2, 6)):
        x = str(value(rng))
        before, after = v.phrase(rng), v.phrase(rng)
        mark = rng.choice(("'{}'", "[{}]", "<{}>", "*{}*"))
        out += [
            (f"{before} {mark.format(x)} {after}\n", False),
            (json.dumps(x) if rng.random() < 0.7 else x, True),
            ("\n", True),
        ]
    return out


def key_values(rng: Random) -> list[Segment]:
    """Pairs, then several look-ups by key (and sometimes by value)."""
    pairs = {rng.choice((v.word, v.identifier, v.pseudo, v.person))(rng): value(rng) for _ in range(rng.randint(2, 8))}
    style = rng.choice(("json", "json", "lines", "inline"))
    if style == "json":
        listing = json.dumps(pairs) + "\n"
    else:
        listing = (rng.choice(("\n", "; ")) if style == "lines" else ", ").join(
            f"{k}: {x}" for k, x in pairs.items()
        ) + "\n"
    out: list[Segment] = [(listing, False)]
    ask = rng.choice(("{}? ", "{} -> ", "The {} is ", "What is the {}? "))
    for _ in range(rng.randint(2, 6)):
        key = rng.choice(list(pairs))
        out += [
            (ask.format(key), False),
            (json.dumps(pairs[key]) if style == "json" else str(pairs[key]), True),
            ("\n", True),
        ]
    return out


def records(rng: Random) -> list[Segment]:
    """A JSON list of records with the same keys, then questions that name one record and one key."""
    keys = list({v.word(rng) for _ in range(rng.randint(2, 4))})
    keys.sort()
    names = list(
        dict.fromkeys(str(rng.choice((v.person, v.place, v.title, v.code))(rng)) for _ in range(rng.randint(2, 4)))
    )
    label = rng.choice(("name", "id", "label", "title"))
    kinds = {k: rng.choice(VALUES) for k in keys}
    rows = {n: {label: n} | {k: kinds[k](rng) for k in keys} for n in names}
    out: list[Segment] = [(json.dumps(list(rows.values())) + "\n", False)]
    ask = rng.choice(("{k} of {n}: ", "What is the {k} of {n}? ", "{n}, {k}: ", "The {k} of {n} is "))
    for _ in range(rng.randint(2, 5)):
        n, k = rng.choice(names), rng.choice(keys)
        out += [(ask.format(k=k, n=n), False), (json.dumps(rows[n][k]), True), ("\n", True)]
    return out


def choosing(rng: Random) -> list[Segment]:
    """Described items, then requests that share words with one description; the answer is the label, or none."""
    items = [forms.form(rng) for _ in range(rng.randint(2, 6))]
    others = [forms.form(rng) for _ in range(2)]
    style = rng.choice(("json", "json", "lines"))
    key, about = rng.choice(("name", "label", "id")), rng.choice(("about", "description", "for"))
    if style == "json":
        listing = json.dumps([{key: f.label, about: f.about} for f in items]) + "\n"
    else:
        listing = "".join(f"- {f.label}: {f.about}\n" for f in items)
    out: list[Segment] = [(listing, False)]
    for _ in range(rng.randint(3, 8)):
        text, filled = forms.note(rng, items, others)
        labels = [f.label for f, _ in filled]
        out += [
            (text + rng.choice((" -> ", "\n= ")), False),
            (json.dumps(labels) if style == "json" else ", ".join(labels) or "none", True),
            ("\n", True),
        ]
    return out


def extraction(rng: Random) -> list[Segment]:
    """Sentences of one make, each with its fields as JSON; the blanks are named first."""
    f = forms.form(rng)
    out: list[Segment] = [
        (f"{rng.choice(('Fields', 'Parts', 'Keys'))}: " + ", ".join(b.name for b in f.blanks) + "\n", False)
    ]
    for _ in range(rng.randint(2, 5)):
        clause, values = f.fill(rng)
        text = rng.choice(forms.OPENINGS).format(c=clause)
        out += [(text[0].upper() + text[1:] + "\n", False), (json.dumps(values), True), ("\n", True)]
    return out


def lists(rng: Random) -> list[Segment]:
    """A list, then its first, last, n-th element, its length, and the list without one element."""
    items = list(dict.fromkeys(str(rng.choice((v.word, v.person, v.place))(rng)) for _ in range(rng.randint(3, 7))))
    out: list[Segment] = [("List: " + ", ".join(items) + "\n", False)]
    for _ in range(rng.randint(2, 5)):
        i = rng.randrange(len(items))
        question, answer = rng.choice(
            (
                ("first", items[0]),
                ("last", items[-1]),
                (f"number {i + 1}", items[i]),
                (f"after {items[i]}", items[i + 1] if i + 1 < len(items) else "none"),
                (f"without {items[i]}", ", ".join(x for x in items if x != items[i])),
                ("as JSON", json.dumps(items)),
            )
        )
        out += [(f"{question}: ", False), (answer, True), ("\n", True)]
    return out


def prose(rng: Random) -> list[Segment]:
    """A passage of the Python language reference (plain English) or a few made-up sentences."""
    if rng.random() < 0.5:
        text = topics[rng.choice(sorted(topics))]
        start = rng.randrange(max(1, len(text) - 400))
        return [(" ".join(text[start : start + rng.randint(150, 400)].split()) + "\n", True)]
    made = []
    for _ in range(rng.randint(2, 5)):
        n, a, m = v.word(rng), rng.choice(v.ADJECTIVES), v.word(rng)
        frames = (
            f"the {a} {n} of {v.person(rng)} is in {v.place(rng)}",
            f"{v.person(rng)} wants to {rng.choice(v.VERBS)} the {n} with a {a} {m}",
            f"on {v.date(rng)} the {n} was {a} and the {m} cost {v.decimal(rng)}",
            f"there are {v.integer(rng)} {n} in the {a} {m}",
            f"you can {rng.choice(v.VERBS)} a {n} at {v.clock(rng)} if the {m} is {a}",
        )
        text = rng.choice(frames)
        made.append(text[0].upper() + text[1:] + ".")
    return [(" ".join(made) + "\n", True)]


EASY = {
    repeats: 4,
    copying: 4,
    key_values: 5,
    lists: 2,
    prose: 2,
    records: 2,
    choosing: 2,
    extraction: 2,
    forms.document: 2,
}
FULL = {
    repeats: 0.7,
    copying: 1.5,
    key_values: 1.5,
    lists: 0.5,
    prose: 1,
    records: 1.5,
    choosing: 3,
    extraction: 3,
    forms.document: 13,
}


def document(rng: Random, stage: float = 1.0) -> list[Segment]:
    """One document; ``stage`` moves the mixture from easy (0.0) to full (1.0)."""
    kinds = list(FULL)
    easy, full = sum(EASY.values()), sum(FULL.values())
    weights = [(1 - stage) * EASY[k] / easy + stage * FULL[k] / full for k in kinds]
    return rng.choices(kinds, weights)[0](rng)


if __name__ == "__main__":
    for kind in FULL:
        print(f"--- {kind.__module__}.{kind.__name__}\n" + "".join(t for t, _ in kind(Random(1))))
