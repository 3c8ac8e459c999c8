"""The shop's search: BM25 over title, description, first feature and options, as the original indexes them.

The original asks Lucene through pyserini (k1 0.9, b 0.4, its English analyzer: stop words, Porter's stemmer); here it
is the library bm25s with Lucene's formula and the same constants, bm25s's English stop words, and in place of the
stemmer Harman's rules for plurals ("loafers" finds "loafer", "running" doesn't find "run"). So the same query may rank
products in another order than Lucene does. Equal scores stand in the order of the catalogue. Used by `environment.py`
(notebook 05). Example:

    engine = SearchEngine(embedded().products)
    engine.search("teal fleece throw")[0].title      # "Harwick Fleece Throw Blanket for Couch, ..."
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any

from xlam_lib.environments.webshop.catalogue import Product, embedded

RESULTS = 50  # at most, as in the original (engine/engine.py)
K1, B = 0.9, 0.4  # pyserini's defaults
LONGEST = 2_000  # characters of a query that are read: more words than any goal has
WORD = re.compile(r"[^\W_]+")


class SearchEngine:
    """An index of all products; `search` gives the best of them, the same ones each time."""

    def __init__(self, products: Mapping[str, Product]) -> None:
        import bm25s  # it loads numba, a second that those who only want the types shouldn't wait

        self.products = tuple(products.values())
        self._stopwords = frozenset(bm25s.stopwords.STOPWORDS_EN)
        self._index = bm25s.BM25(k1=K1, b=B, method="lucene")
        self._index.index([self._words(document(product)) for product in self.products], show_progress=False)
        self._search = lru_cache(maxsize=1024)(self._ranked)

    def search(self, query: str) -> tuple[Product, ...]:
        """At most 50 products that share a word with the query, best first: `engine.search("teal throw")`."""
        return self._search(query[:LONGEST])

    def _ranked(self, query: str) -> tuple[Product, ...]:
        words = [word for word in self._words(query) if word in self._index.vocab_dict]
        if not words:
            return ()
        scores: Any = self._index.get_scores(words)
        best = (-scores).argsort(kind="stable")[:RESULTS]
        return tuple(self.products[place] for place in best if scores[place] > 0)

    def _words(self, text: str) -> list[str]:
        words = (word for word in WORD.findall(text.lower()) if word not in self._stopwords)
        return [singular(word) for word in words]


def document(product: Product) -> str:
    """What of a product is searched: "harwick fleece throw blanket ... color: teal, ivory, and size: 50 x 60"."""
    options = ", and ".join(f"{name}: {', '.join(values)}" for name, values in product.options.items())
    return " ".join((product.title, product.description, *product.bullet_points[:1], options)).lower()


def singular(word: str) -> str:
    """A word without its plural ending (Harman 1991, "How effective is suffixing?"): "berries" -> "berry"."""
    if word.endswith("ies") and not word.endswith(("eies", "aies")):
        return word[:-3] + "y"
    if word.endswith("es") and not word.endswith(("aes", "ees", "oes")):
        return word[:-1]
    if word.endswith("s") and not word.endswith(("us", "ss")) and len(word) > 1:
        return word[:-1]
    return word


@cache
def embedded_engine() -> SearchEngine:
    """The search engine of the embedded catalogue, made once."""
    return SearchEngine(embedded().products)
