"""API-Bank's dialogues, one a file, and its plans."""

import re
from pathlib import Path

import pytest
from source_checks import calls, load, reason, turns_that_come_back

from xlam_lib.data.sources.calls.api_bank import convert, native, split
from xlam_lib.data.sources.catalogs.api_bank_tools import TOOLS


def test_a_dialogue() -> None:
    t = next(t for t in load("api_bank")[0] if "AddAgenda" in t.trajectory_id)
    assert [step.role for step in t.steps][:6] == ["user", "assistant", "user", "assistant", "user", "assistant"]
    assert (t.steps[5].content, t.steps[5].tool_calls[0].name) == ("Thank you.", "GetUserToken")
    assert t.steps[6].content == '{"token": "o8i7u6y5t4r3e2w1q0"}'
    assert [tool.name for tool in t.tools] == ["AddAgenda", "AddAlarm", "GetUserToken"]
    assert t.tools[0] == TOOLS["AddAgenda"] and "inferred_tools" not in t.extra


def test_only_the_search_for_tools_and_what_it_found() -> None:
    t = next(t for t in load("api_bank")[0] if "BookHotel" in t.trajectory_id)
    assert [tool.name for tool in t.tools] == ["ToolSearcher", "BookHotel"]
    assert dict(calls(t))["BookHotel"]["room_count"] == "1"
    assert t.validate("warning")[0].endswith("'1' is not of type 'integer'") or t.validate("warning")


def test_a_plan_is_one_turn_of_calls() -> None:
    plans = [t for t in load("api_bank")[0] if "plan" in t.tags]
    assert [len(t.steps) for t in plans] == [2, 2]
    hospital = next(t for t in plans if "Hospital" in t.trajectory_id)
    assert native(hospital)[-1].startswith("AddAgenda(token=a9s8d7f6g5h4j3k2l1, content=")
    assert calls(hospital)[-1][1]["token"] == "a9s8d7f6g5h4j3k2l1"
    assert "Doctor name: Dr. Zhang" in hospital.steps[0].content


def turn(role: str, **fields: object) -> dict:
    return {"role": role, **fields}


USER_TURN = turn("User", text="Hi")
CALLED = turn("API", api_name="GetToday", param_dict={}, result={"output": None, "exception": "no day"})


def test_an_exception_is_an_error_and_an_unknown_api_is_inferred() -> None:
    strange = turn("API", api_name="Sing", param_dict={"song": "x"}, result="la")
    (t,) = convert({"turns": [USER_TURN, CALLED, strange]}, "/data/Sing-level-1-1.jsonl:1")
    assert (t.steps[2].content, t.steps[2].is_error, t.steps[4].content) == ("no day", True, "la")
    assert t.extra["inferred_tools"] == ["Sing"]
    assert native(t) == [
        '"api_name": "GetToday", "param_dict": {}',
        '"api_name": "Sing", "param_dict": {"song": "x"}',
    ]


@pytest.mark.parametrize(
    ("record", "why"),
    [
        ({"turns": []}, "a dialogue without its beginning"),
        ({"turns": [turn("AI", text="Hello"), USER_TURN]}, "a dialogue without its beginning"),
        ({"turns": [USER_TURN, turn("Narrator", text="x")]}, "turn of an unknown role"),
        ({"turns": [USER_TURN, turn("API", api_name="GetToday")]}, "no 'param_dict'"),
        ({"plan": "Scene: x"}, "a plan without calls"),
        ({"plan": "First Utterance: x\nAPI Calls:\ncall it"}, "a call that can't be read"),
        ({"QueryStock": ["The stock code cannot be empty."]}, "a table of error texts: no trajectory to convert"),
        ({"id": 1, "messages": []}, "a record of an unknown kind"),
    ],
)
def test_drops(record: dict, why: str) -> None:
    assert reason("api_bank", record) == why


def test_a_line_that_is_cut_loses_the_dialogue() -> None:
    ((line, record),) = split('{"role": "User", "text": "Hi"}\n{"role": "AI", "te')
    assert (line, reason("api_bank", record)) == (1, "turn of an unknown role")


def test_every_real_dialogue(real_data: Path) -> None:
    folder = real_data / "api_bank"
    trajectories, accounting = load("api_bank", folder)
    files = [p for p in folder.rglob("*") if p.suffix in (".jsonl", ".txt")]
    assert accounting.records_in == len(files) + 1  # and the table of error texts
    assert accounting.dropped == {
        "a dialogue without its beginning": 1,  # SearchEngine-level-1-1.jsonl is empty
        "a table of error texts: no trajectory to convert": 1,
    }
    assert turns_that_come_back(trajectories) > 400
    by_id = {t.source.raw_id.rpartition("/")[2]: t for t in trajectories}
    for path in files:
        text = path.read_text(encoding="utf-8")
        if not text.strip():
            continue
        t = by_id[path.stem]
        if path.suffix == ".txt":
            assert native(t) == re.findall(r"^\w+\(.*\)$", text.partition("API Call")[2], re.MULTILINE)
            continue
        assert native(t) == re.findall(r'"api_name": "\w+", "param_dict": \{.*?\}(?=, "result": )', text)
        spoken_turns = re.findall(r'^\{"role": "(?:User|AI)"', text, re.MULTILINE)
        assert sum(bool(step.content) for step in t.steps if step.role in ("user", "assistant")) == len(spoken_turns)
