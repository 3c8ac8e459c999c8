"""Sessions of people: pages in a row become searches and clicks, and every line comes back."""

import json
from pathlib import Path

import pytest

from xlam_lib.codec import parse_answer, prompts_of, same_calls
from xlam_lib.data.accounting import Accounting, Drop
from xlam_lib.data.sources import load_source
from xlam_lib.data.sources.agents.webshop_human_trajs import convert, native, split
from xlam_lib.trajectory import Trajectory

GOAL = {"asin": "B1", "instruction_text": "i need a red lamp", "price_upper": 30.0}
HOST = "http://shop:3000"


def page(kind: str, url: str, content: dict | None = None, **more: object) -> dict:
    return {"page": kind, "url": HOST + url, "goal": GOAL, **({"content": content} if content else {}), **more}


INDEX = page("index", "/s1")


def results(number: int = 1, words: tuple[str, ...] = ("red", "lamp")) -> dict:
    listed = {"keywords": list(words), "search_result_asins": ["B1", "B2"], "page": number}
    return page("search_results", f"/search_results/s1/{'%20'.join(words)}/{number}", listed)


def item(asin: str = "B1", **options: str) -> dict:
    content = {"keywords": "['red', 'lamp']", "page": "1", "asin": asin, "options": options}
    return page("item_page", f"/item_page/s1/{asin}/red/1/{options}", content)


SUB = page("item_sub_page", "/item_sub_page/s1/B1/red/1/Features/%7B%7D", {"asin": "B1", "options": {}})
DONE = page("done", "/done/s1/B1/%7B%7D", {"asin": "B1", "options": {}}, reward=1.0, reward_info={"r_type": 1.0})


def one(*events: dict) -> Trajectory:
    lines = [json.dumps(event) for event in events]
    (t,) = convert({"lines": lines}, "/data/s1.jsonl:1")
    t.validate()
    assert native(t) == lines
    return t


def done(t: Trajectory) -> list[str]:
    return [next(iter(call.arguments.values())) for step in t.steps for call in step.tool_calls]


def test_a_session():
    t = one(INDEX, results(), item(), SUB, item(), item(color="red"), DONE)
    assert done(t) == ["red lamp", "B1", "Features", "< Prev", "red", "Buy Now"]
    assert [call.name for step in t.steps for call in step.tool_calls] == ["search"] + ["click"] * 5
    assert (t.trajectory_id, t.steps[0].content) == ("webshop_human_trajs/s1", "i need a red lamp")
    assert (t.outcome.success, t.outcome.reward, t.outcome.checks) == (True, 1.0, {"r_type": 1.0})
    assert [tool.name for tool in t.tools] == ["search", "click"]
    assert "goal" not in json.loads(t.steps[2].content)


@pytest.mark.parametrize(
    ("before", "after", "what"),
    [
        (results(1), results(2), "Next >"),
        (results(2), results(1), "< Prev"),
        (item(), results(), "< Prev"),
        (results(), INDEX, "Back to Search"),
        (item(), INDEX, "Back to Search"),
        (item(size="8"), item(size="8", color="red"), "red"),
        (item(size="8"), item(size="9"), "9"),
        (results(), results(1, ("blue",)), HOST + "/search_results/s1/blue/1"),
        (results(1), results(4), HOST + "/search_results/s1/red%20lamp/4"),
        (results(), item("B7"), HOST + "/item_page/s1/B7/red/1/{}"),
        (item("B1"), item("B2"), HOST + "/item_page/s1/B2/red/1/{}"),
        (item(size="8"), item(), HOST + "/item_page/s1/B1/red/1/{}"),
        (DONE, INDEX, HOST + "/s1"),
    ],
)
def test_what_leads_from_page_to_page(before: dict, after: dict, what: str):
    t = one(before, after)
    assert done(t) == [what]
    assert [tool.name for tool in t.tools][2:] == (["visit"] if what.startswith("http") else [])


def test_reloads_and_other_ways_to_write_come_back():
    t = one(INDEX, INDEX, results(), results(), results(), item())
    assert (done(t), t.extra["reloads"]) == (["red lamp", "B1"], {"0": 1, "2": 2})
    t = one({**INDEX, "goal": repr(GOAL)}, results())
    assert t.steps[0].content == "i need a red lamp" and list(t.extra["raw_lines"]) == ["1"]
    lines = ['{"page":"index","goal":{"instruction_text":"é"},"url":"http://h/s"}', json.dumps(results())]
    (t,) = convert({"lines": lines}, "x:1")
    assert native(t) == lines
    assert one(INDEX, results()).outcome.success is None


def test_a_file_may_hold_several_sessions():
    other = json.dumps(INDEX).replace("/s1", "/s2")
    text = "\n".join([json.dumps(INDEX), json.dumps(results()), "", other, other]) + "\n"
    assert [(line, len(record["lines"])) for line, record in split(text)] == [(1, 2), (4, 2)]


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([], "a session without pages"),
        ([json.dumps(INDEX)], "a session in which nothing was done: no trajectory to convert"),
        ([json.dumps(INDEX)[:50]], "a line of the session is not JSON"),
        (['{"page": "home", "url": ""}'], "a line of the session is no page"),
        ([3], "a line of the session is not text"),
        ([json.dumps({**INDEX, "goal": "a lamp"})], "'goal' is not an object"),
        ([json.dumps({**INDEX, "goal": {"instruction_text": ""}})], "empty instruction"),
        ([json.dumps({**INDEX, "goal": {}})], "no 'instruction_text'"),
    ],
)
def test_drops(lines: list, reason: str):
    with pytest.raises(Drop) as drop:
        convert({"lines": lines}, "/data/s1.jsonl:1")
    assert drop.value.reason == reason


def test_real_sessions(real_data: Path):
    path = real_data / "webshop_human_trajs"
    accounting = Accounting("webshop_human_trajs")
    trajectories = list(load_source("webshop_human_trajs", path, accounting))
    files = sorted(path.glob("*.jsonl"))
    assert accounting.dropped == {} and accounting.records_in == len(files) == len(trajectories)
    for t, file in zip(trajectories, files, strict=True):
        lines = file.read_text(encoding="utf-8").splitlines()
        assert native(t) == lines and "raw_lines" not in t.extra
        assert t.outcome.reward == json.loads(lines[-1])["reward"]
        assert "visit" not in [tool.name for tool in t.tools]
        assert len(t.steps) == 1 + 2 * (len(lines) - 1 - sum(t.extra.get("reloads", {}).values()))
        for index, _, completion in prompts_of(t):
            assert same_calls(parse_answer(completion, t.tools).answer.calls, t.steps[index].tool_calls)
