"""Wikipedia itself to search in, over the HTTP interface that MediaWiki offers (notebook 05, only where asked for).

No test and no notebook goes there by itself, for answers change with the encyclopedia; a run of one's own can:

    with httpx.Client(headers={"User-Agent": "my-benchmark/1.0 (me@example.org)"}, timeout=30) as client:
        game = HotpotQA(read_questions("hotpot_dev_v1_simplified.json"), Wikipedia(client))

Wikimedia asks for such a name of every client. ReAct reads the search page's HTML instead; here the plain text of the
article (`prop=extracts`) is taken, with redirects followed, and the same rules applied: lines of one or two words are
headings, sentences end at a full stop and a space, and a page of meanings counts as not found.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any

import httpx

from xlam_lib.agents.base import InfrastructureError
from xlam_lib.environments.hotpotqa.articles import LONGEST, SHOWN, WORD, Article

API = "https://en.wikipedia.org/w/api.php"
NEVER_IN_A_TITLE = re.compile(r"[\x00-\x1f\ud800-\udfff#<>\[\]{}|]")  # to MediaWiki "|" would be a list of titles
PAGE = {"prop": "extracts|pageprops", "explaintext": "1", "exsectionformat": "plain", "ppprop": "disambiguation"}
SEARCH = {"list": "search", "srlimit": str(SHOWN), "srinfo": "", "srprop": ""}


class Wikipedia:
    """Searches a MediaWiki with a client of yours: `Wikipedia(client)`, or `Wikipedia(client, "https://.../api.php")`.

    It may be used by many episodes at once; each request waits in a thread.
    """

    def __init__(self, client: httpx.Client, url: str = API) -> None:
        self.client, self.url = client, url

    async def find(self, entity: str) -> Article | tuple[str, ...]:
        """The article of this title, or the titles that Wikipedia's own search finds; one or two requests, or three."""
        return await asyncio.to_thread(self._find, entity)

    def _find(self, entity: str) -> Article | tuple[str, ...]:
        title = " ".join(NEVER_IN_A_TITLE.sub(" ", entity[:LONGEST]).split())
        if not title:
            return ()
        if (article := self._article(title)) is not None:
            return article
        words = " ".join(WORD.findall(title))  # "insource:/x/" would be a command to the search
        titles = tuple(hit["title"] for hit in self._query(SEARCH | {"srsearch": words}, "search")) if words else ()
        if titles and titles[0] != title and titles[0].casefold() == title.casefold():
            return self._article(titles[0]) or titles
        return titles

    def _article(self, title: str) -> Article | None:
        """The article, None where there is none, or only a page of meanings."""
        for page in self._query(PAGE | {"titles": title, "redirects": "1"}, "pages"):
            if page.get("extract") and "pageprops" not in page:
                return Article(page["title"], sentences_of(page["extract"]))
        return None

    def _query(self, parameters: dict[str, str], part: str) -> list[dict[str, Any]]:
        asked = {"action": "query", "format": "json", "formatversion": "2", **parameters}
        try:
            response = self.client.get(self.url, params=asked)
            response.raise_for_status()
            body = response.json()
            return [] if "interwiki" in body["query"] else body["query"][part]  # "fr:Oslo" is another wiki's
        except KeyError as error:
            raise InfrastructureError(f"{self.url}: no {part}, but {str(body)[:200]}") from error
        except (httpx.HTTPError, ValueError, TypeError) as error:
            raise InfrastructureError(f"{self.url}: no {part}: {type(error).__name__} {error}") from error


def sentences_of(text: str) -> tuple[str, ...]:
    """The sentences of a plain text, without headings: "Oslo is old. It is big.\\nName\\n" -> two sentences."""
    found: list[str] = []
    for line in text.split("\n"):
        if len(line.split()) > 2:
            *pieces, last = line.strip().split(". ")
            found += [f"{piece.strip()}." for piece in pieces if piece.strip()] + [last.strip()]
    return tuple(found)
