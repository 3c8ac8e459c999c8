"""An encyclopedia on this machine, and the page of it that an agent has open (notebook 05).

Titles are found whatever their case. What isn't found is answered, as Wikipedia's search would, with up to five titles
that are alike. Titles are compared by the groups of three letters of their words, as PostgreSQL's pg_trgm does, so that
both a word in common and a slip of spelling count, and rare groups count for more.

    corpus = Corpus(read_articles("articles.jsonl"))
    corpus.find("velde river")                        # Article("Velde River", ("The Velde River is ...", ...))
    corpus.find("Velde")                              # ("Velde River", "Velde otter", ...)
    page = Page()
    page.show("Velde River", corpus.find("Velde River"))        # "The Velde River is the longest river of ..."
    page.lookup("reserve")                            # "(Result 1 / 2) Since 1994 the upper valley has been a ..."

What a page says follows wikienv.py of ReAct (https://github.com/ysymyth/ReAct). Only sentences are cut as the corpus
has them: there they are cut at each full stop, and get a second one.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from xlam_lib.data.reading import Raw, read_records
from xlam_lib.errors import XlamError

SHOWN = 5  # first sentences of an article, and similar titles
LONGEST = 255  # characters of a title that are looked at: no title of Wikipedia has more bytes
ALIKE = 0.3  # of the letter groups of the shorter of two titles: as many they must share
WORD = re.compile(r"\w+")


class HotpotError(XlamError, ValueError):
    """Questions or articles that can't be read, or don't belong together; the message says where and why."""


@dataclass(frozen=True)
class Article:
    """A page of the encyclopedia: `Article("Oslo", ("Oslo is the capital of Norway.",))`."""

    title: str
    sentences: tuple[str, ...]


class Wiki(Protocol):
    """Where agents search: a `Corpus`, or `Wikipedia` itself."""

    def find(self, entity: str) -> Article | tuple[str, ...] | Awaitable[Article | tuple[str, ...]]:
        """The article of this title, or else similar titles, the best first."""


class Corpus:
    """Articles by title: `Corpus([Article("Oslo", ("Oslo is the capital of Norway.",))]).find("oslo")`."""

    def __init__(self, articles: Iterable[Article]) -> None:
        self.articles: dict[str, Article] = {}
        for article in articles:
            if self.articles.setdefault(article.title, article) != article:
                raise HotpotError(f"two different articles are called {article.title!r}; each needs a title of its own")
        self._folded: dict[str, str] = {}
        for title in self.articles:
            self._folded.setdefault(_fold(title), title)

    def find(self, entity: str) -> Article | tuple[str, ...]:
        """The article of this title (the very title first, then in any case), or else similar titles."""
        title = entity if entity in self.articles else self._folded.get(_fold(entity))
        return self.articles[title] if title is not None else self.similar(entity)

    def similar(self, entity: str, count: int = SHOWN) -> tuple[str, ...]:
        """At most so many titles that are alike, the best first: `similar("Veld Rivr")` -> ("Velde River", ...)."""
        titles_with, size = self._letters
        groups, shared, weights = _letter_groups(entity), Counter[str](), Counter[str]()
        for group in sorted(groups):
            titles = titles_with.get(group, ())
            shared.update(titles)
            weights.update(dict.fromkeys(titles, 1 / max(1, len(titles))))
        alike = [title for title in weights if shared[title] >= ALIKE * min(len(groups), size[title])]
        return tuple(sorted(alike, key=lambda title: (-weights[title], len(title), title))[:count])

    @cached_property
    def _letters(self) -> tuple[dict[str, list[str]], dict[str, int]]:
        """The titles that have a group of letters, and how many groups a title has."""
        titles_with, size = defaultdict(list), {}
        for title in self.articles:
            groups = _letter_groups(title)
            size[title] = len(groups)
            for group in groups:
                titles_with[group].append(title)
        return titles_with, size


def _letter_groups(title: str) -> set[str]:
    """Three letters each, a word's beginning and end among them: "Oslo" -> {"  o", " os", "osl", "slo", "lo "}."""
    words = (f"  {word} " for word in WORD.findall(_fold(title)))
    return {word[at : at + 3] for word in words for at in range(len(word) - 2)}


def _fold(title: str) -> str:
    return " ".join(title[:LONGEST].replace("_", " ").casefold().split())


@dataclass
class Page:
    """The page that an agent has open, and where its look-ups are; the example is at the top of this module."""

    article: Article | None = None
    keyword: str | None = None
    results: list[str] = field(default_factory=list)
    given: int = 0  # of the results

    def show(self, entity: str, found: Article | tuple[str, ...]) -> str:
        """What a search answers; an article is open from then on, while after similar titles the last one still is."""
        if not isinstance(found, Article):
            return f"Could not find {entity[:LONGEST]}. Similar: {list(found)}."
        self.article, self.keyword = found, None
        return " ".join(filter(None, found.sentences[:SHOWN]))

    def lookup(self, keyword: str) -> str:
        """The next sentence with these words: "(Result 1 / 2) ...", then "No more results."."""
        if keyword != self.keyword:
            sentences = self.article.sentences if self.article else ()
            self.results = [sentence for sentence in sentences if keyword.lower() in sentence.lower()]
            self.keyword, self.given = keyword, 0
        if self.given >= len(self.results):
            return "No more results."
        self.given += 1
        return f"(Result {self.given} / {len(self.results)}) {self.results[self.given - 1]}"


def read_articles(path: str | Path) -> list[Article]:
    """The articles of a file of JSON Lines, or a JSON list, e.g. {"title": "Oslo", "sentences": ["Oslo is ...", ...]}.

    HotpotQA's own dumps of Wikipedia, which call the sentences "text", are read, too, once they are unpacked.
    """
    return [_article(record.value, record.where) for record in whole_records(path)]


def _article(value: dict[str, Any], where: str) -> Article:
    title, sentences = value.get("title"), value.get("sentences", value.get("text"))
    if not isinstance(title, str) or not title.strip():
        raise HotpotError(f"{where}: an article needs a title, found {str(title)[:60]!r}")
    return article_of(title, sentences, where)


def article_of(title: str, sentences: Any, where: str) -> Article:
    """An article of a list of sentences, which may bring their own spaces: `article_of("A", ["A is.", " B."], "")`."""
    if not isinstance(sentences, list) or not all(isinstance(sentence, str) for sentence in sentences):
        raise HotpotError(f"{where}: {title!r}: expected a list of sentences, found {str(sentences)[:60]!r}")
    return Article(title, tuple(sentence.strip() for sentence in sentences))  # empty ones stay, for they are counted


def whole_records(path: str | Path) -> Iterable[Raw]:
    """The records of a file; one that can't be read is an error, for a benchmark has all its questions."""
    for record in read_records(path):
        if not isinstance(record, Raw):
            raise HotpotError(f"a record can't be read: {record}")
        yield record
