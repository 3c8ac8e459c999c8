"""How WebShop compares words: fuzzy equality of attributes and options, colours, and the nouns of a title.

The original (Yao et al. 2022, engine/goal.py and engine/normalize.py) takes `token_set_ratio` of thefuzz 0.19, which
computes on the standard library's `difflib`, as here, and the nouns of a title from spaCy's tagger. spaCy is no
package of ours: `title_nouns` takes every word that is no function word, number or measure. `reward.py` says what that
changes, and takes another function in its place. Used by `reward.py` (notebook 05). Example:

    token_set_ratio("essential oil", "essential oils")        # 96
    title_nouns("Power Cord for JBL Bar 2.1")                 # ["power", "cord", "jbl", "bar"]
"""

from __future__ import annotations

import re
from difflib import SequenceMatcher

SIMILAR = 85  # what is above counts as the same (engine/goal.py)

# The colours of engine/normalize.py, in its order: the first that occurs stands for the whole text.
COLORS = tuple(
    "alabaster apricot aqua ash asphalt azure banana beige black blue blush bordeaux bronze brown burgundy camel camo "
    "caramel champagne charcoal cheetah chestnut chocolate christmas coffee cognac copper coral cranberry cream "
    "crystal dark denim eggplant elephant espresso fuchsia gold granite grape graphite grass gray green grey heather "
    "indigo ivory ivy khaki lavender lemon leopard light lilac lime magenta maroon mauve merlot midnight mint mocha "
    "multicolor mushroom mustard natural navy nude olive orange peach pewter pink plum purple rainbow red rose royal "
    "rust sand sapphire seashell silver skull slate steel stone stonewash sunflower tan taupe teal tiger turquoise "
    "violet walnut wheat white wine yellow".split()
)
NO_NOUNS = frozenset(
    "a an the this that these those all any each every no some our your my his her its their and or nor but if as at "
    "by for from in into of off on onto out over per than to under up via with without between after before through "
    "while when who which is are was be been being has have can will you we they it not only very more most less so "
    "also too just both".split()
)


def token_set_ratio(one: str, two: str) -> int:
    """Likeness from 0 to 100 of what two texts have in common and what they have besides, whatever the order.

    100 where the words of one are all in the other: `token_set_ratio("XL grey", "grey")` -> 100. Both are short texts
    of a catalogue or a goal, never a model's: the time grows with the product of their lengths.
    """
    first, second = _tokens(one), _tokens(two)
    if not first or not second:
        return 0
    shared = " ".join(sorted(first & second))
    with_first = f"{shared} {' '.join(sorted(first - second))}".strip()
    with_second = f"{shared} {' '.join(sorted(second - first))}".strip()
    return max(_ratio(shared, with_first), _ratio(shared, with_second), _ratio(with_first, with_second))


def similar(one: str, two: str) -> bool:
    """Whether the reward takes them for the same: `similar("essential oil", "essential oils")` -> True."""
    return token_set_ratio(one, two) > SIMILAR


def normalize_color(text: str) -> str:
    """The first colour that occurs in a text, also inside a word, else the text: "z2-pink" -> "pink"."""
    return next((color for color in COLORS if color in text), text)


def title_nouns(title: str) -> list[str]:
    """The words of a title, lower case and in order, less function words, numbers and measures: see the module."""
    words = re.findall(r"[^\W_]+(?:[-'][^\W_]+)*", title.lower())
    return [word for word in words if word not in NO_NOUNS and not word[0].isdigit() and len(word) > 1]


def _tokens(text: str) -> set[str]:
    """Words of the ASCII part of a text: "Lämp, 2-pack" -> {"lmp", "2", "pack"}, as thefuzz does."""
    ascii_only = text.encode("ascii", "ignore").decode()
    return set(re.sub(r"\W", " ", ascii_only).lower().split())


def _ratio(one: str, two: str) -> int:
    if one == two:
        return 100 if one else 0
    return round(100 * SequenceMatcher(None, one, two).ratio()) if one and two else 0
