"""WebShop sessions of people: the pages that a person opened one after the other, and the score (notebook 01).

Raw record (a file is one session, a line one page; shortened):

    {"page": "index", "url": "http://.../20220427_1_15", "goal": {"asin": "B0...", "instruction_text": "i need ..."}}
    {"page": "search_results", "url": ".../search_results/20220427_1_15/...", "goal": {...},
     "content": {"keywords": ["teen", "girl", "pink"], "search_result_asins": ["B098K1FSYS", ...], "page": 1}}
    {"page": "item_page", "url": "...", "goal": {...}, "content": {"asin": "B0868KF3ZB", "options": {"size": "8"}, ...}}
    {"page": "done", "url": "...", "goal": {...}, "content": {...}, "reward": 0.75, "reward_info": {"r_type": 1.0, ...}}

Decisions, from looking at the records:
- Lines are taken together by the session that their address names.
- What was done follows from two pages in a row: new keywords are a `search`, everything else a `click` on the words
  that WebShop shows ("Next >", a product number, an option, "Description", "< Prev", "Back to Search", "Buy Now").
- A page that no click leads to (the browser's history, an edited address) is a call of `visit`, declared only there.
- The same page twice in a row is a reload: nothing was done. `extra["reloads"]` says how often.
- The user's message is the instruction. The result of each call is the page as logged, less the goal, which stays the
  same: it stands in `extra["goal"]`, so `native` gives each line back. Lines that are written in another way than
  usual (the goal as a Python literal beside others) are kept whole in `extra["raw_lines"]`.
- The reward is that of the last page; success is 1. A session without it was given up or is cut off: unknown.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

from xlam_lib.data.accounting import Drop
from xlam_lib.data.formats.actions import Action, Grammar
from xlam_lib.data.formats.base import SourceInfo, as_reward, need
from xlam_lib.data.formats.environments import WEBSHOP, task_name
from xlam_lib.data.quality.findings import Policy
from xlam_lib.trajectory import Outcome, Step, Task, ToolCall, Trajectory

SOURCE = SourceInfo(
    name="webshop_human_trajs",
    license="MIT",
    url="https://github.com/princeton-nlp/WebShop",
    files=("all_trajs/*.jsonl",),
    text_files=("*.jsonl",),
    policy=Policy(composed=("element",)),  # the log holds the product, not the words on the page's buttons
    fields=("lines",),
    samples={"20220427_1_12.jsonl": None, "20220427_1_15.jsonl": None, "20220427_1_7.jsonl": None},
)
VISIT = Action("visit[{url}]", "visit", "Open a page by its address, e.g. from the history.", {"url": "its address"})
GRAMMAR = Grammar((*WEBSHOP.actions, VISIT))
SESSION = re.compile(r"/(?:search_results|item_page|item_sub_page|done)/([^/]+)|^/([^/]+)/?$")
PAGES = ("index", "search_results", "item_page", "item_sub_page", "done")
Call = tuple[str, dict[str, str]]


def split(text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Sessions of a file: {"lines": ['{"page": "index", ...}', ...]}, the lines as they stand there."""
    session, start, lines = "", 0, []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        name = _session(line) or session
        if lines and name != session:
            yield start, {"lines": lines}
            lines = []
        start = start if lines else number
        session = name
        lines.append(line.rstrip("\r"))
    if lines:
        yield start, {"lines": lines}


def convert(record: dict[str, Any], where: str) -> list[Trajectory]:
    """One session -> one trajectory."""
    lines = need(record, "lines", list)
    events = [_event(line) for line in lines]
    if not events:
        raise Drop("a session without pages")
    goal = _goal(events[0].get("goal"))
    instruction = need(goal, "instruction_text", str).strip()
    if not instruction:
        raise Drop("empty instruction")
    steps = [Step("user", instruction)]
    reloads: dict[str, int] = {}
    for before, event in zip(events, events[1:], strict=False):
        if event == before:
            key = str(len(steps) - 1)
            reloads[key] = reloads.get(key, 0) + 1
            continue
        name, arguments = _done(before, event)
        call = ToolCall(name, arguments, f"call_{len(steps) // 2}")
        steps.append(Step("assistant", tool_calls=(call,)))
        steps.append(Step("tool", _shown(event), tool_call_id=call.id, name=name))
    if len(steps) == 1:
        raise Drop("a session in which nothing was done: no trajectory to convert", instruction[:80])
    session = _session(lines[0]) or "session"
    extra = {"goal": events[0]["goal"], "first_page": _shown(events[0]), "reloads": reloads}
    tools = GRAMMAR if any(step.name == VISIT.name for step in steps) else WEBSHOP
    t = Trajectory(
        trajectory_id=f"{SOURCE.name}/{session}",
        source=SOURCE.source(session),
        task=Task(task_id=task_name("webshop", instruction)),
        tools=tools.tools(),
        steps=tuple(steps),
        outcome=_outcome(events[-1]),
        tags=("multi_step", "webshop", "human"),
        extra={key: value for key, value in extra.items() if value},
    )
    differing = {str(n): line for n, (line, made) in enumerate(zip(lines, native(t), strict=True)) if line != made}
    t.extra.update({"raw_lines": differing} if differing else {})
    return [t]


def native(t: Trajectory) -> list[str]:
    """The lines of the session, as they were logged."""
    made = []
    for index, step in enumerate(t.steps):
        if step.role != "assistant":
            page = json.loads(step.content if step.role == "tool" else t.extra["first_page"])
            line = json.dumps({"page": page.pop("page"), "url": page.pop("url"), "goal": t.extra["goal"], **page})
            made += [line] * (1 + t.extra.get("reloads", {}).get(str(index), 0))
    raw: dict[str, str] = t.extra.get("raw_lines", {})
    return [raw.get(str(number), line) for number, line in enumerate(made)]


def _session(line: str) -> str:
    """The session that a line's address names, or "": "20220427_1_15"."""
    found = re.search(r'"url": ?"([^"]*)"', line)
    named = SESSION.search(_path(found[1])) if found else None
    return (named[1] or named[2]) if named else ""


def _path(url: str) -> str:
    """The part of an address behind the host; "" if it is none."""
    try:
        return urlsplit(url).path
    except ValueError:
        return ""


def _event(line: Any) -> dict[str, Any]:
    if not isinstance(line, str):
        raise Drop("a line of the session is not text", f"found {type(line).__name__}")
    try:
        event = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise Drop("a line of the session is not JSON", f"{error}: {line[:80]!r}") from error
    if not isinstance(event, dict) or event.get("page") not in PAGES or not isinstance(event.get("url"), str):
        raise Drop("a line of the session is no page", line[:80])
    return event


def _goal(goal: Any) -> dict[str, Any]:
    """The goal, which some lines have as a Python literal in text."""
    value = _literal(goal)
    if not isinstance(value, dict):
        raise Drop("'goal' is not an object", f"found {str(goal)[:80]!r}")
    return value


def _literal(value: Any) -> Any:
    """What a Python literal in text stands for; anything else as it is."""
    if not isinstance(value, str) or len(value) > 100_000:
        return value
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
        return value


def _shown(event: dict[str, Any]) -> str:
    """The page as the result of a call: everything but the goal."""
    return json.dumps({key: value for key, value in event.items() if key != "goal"})


def _done(before: dict[str, Any], after: dict[str, Any]) -> Call:
    """What leads from one page to the next."""
    label = _clicked(before, after)
    if label is not None:
        return "click", {"element": label}
    keywords = _keywords(after)
    if before["page"] == "index" and after["page"] == "search_results" and keywords:
        return "search", {"keywords": keywords}
    return "visit", {"url": after["url"]}


def _clicked(before: dict[str, Any], after: dict[str, Any]) -> str | None:
    """The words that were clicked, or None."""
    pages = before["page"], after["page"]
    one, two = _content(before), _content(after)
    if pages[1] == "index" and pages[0] != "done":
        return "Back to Search"
    if pages == ("item_page", "done") and one.get("asin") == two.get("asin"):
        return "Buy Now"
    if pages == ("search_results", "search_results") and _keywords(before) == _keywords(after):
        return {1: "Next >", -1: "< Prev"}.get(_number(two) - _number(one))
    if pages == ("search_results", "item_page") and isinstance(two.get("asin"), str) and not two.get("options"):
        listed = one.get("search_result_asins")
        return two["asin"] if not isinstance(listed, list) or two["asin"] in listed else None
    if pages == ("item_page", "search_results"):
        return "< Prev" if _keywords(before) == _keywords(after) else None
    if one.get("asin") != two.get("asin"):
        return None
    if pages == ("item_page", "item_sub_page"):
        parts = unquote(_path(after["url"])).split("/{")[0].rstrip("/").split("/")
        return parts[-1] or None
    if pages == ("item_sub_page", "item_page"):
        return "< Prev"
    return _option(one, two) if pages == ("item_page", "item_page") else None


def _option(one: dict[str, Any], two: dict[str, Any]) -> str | None:
    """The one option that was chosen between two states of a product's page."""
    old, new = (_literal(content.get("options")) for content in (one, two))
    if not isinstance(old, dict) or not isinstance(new, dict) or set(old) - set(new):
        return None
    changed = [value for key, value in new.items() if old.get(key) != value]
    return changed[0] if len(changed) == 1 and isinstance(changed[0], str) else None


def _content(event: dict[str, Any]) -> dict[str, Any]:
    content = event.get("content")
    return content if isinstance(content, dict) else {}


def _keywords(event: dict[str, Any]) -> str:
    words = _literal(_content(event).get("keywords"))
    return " ".join(word for word in words if isinstance(word, str)) if isinstance(words, list) else str(words or "")


def _number(content: dict[str, Any]) -> int:
    """The number of a page of results, which is text on some pages."""
    number = content.get("page")
    return int(number) if str(number).isdecimal() and len(str(number)) < 9 else 0


def _outcome(last: dict[str, Any]) -> Outcome:
    reward = as_reward(last.get("reward"))
    if last["page"] != "done" or reward is None:
        return Outcome()
    info = last.get("reward_info")
    ending = "success" if reward == 1 else "failure"
    return Outcome(reward == 1, reward, ending, checks=info if isinstance(info, dict) else {})
