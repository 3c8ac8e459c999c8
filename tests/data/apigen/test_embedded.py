"""The embedded data as a whole: deterministic, disjoint, checked, accounted for; and the checks themselves."""

import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace

import pytest

from xlam_lib.data.apigen import TOOLS, UNSEEN, build_embedded, embedded
from xlam_lib.data.apigen.checks import (
    calls_of,
    check_execution,
    check_format,
    check_meaning,
    check_split,
    overlap,
    stems,
)
from xlam_lib.data.apigen.embedded import FILES, MIX, deal
from xlam_lib.data.apigen.generate import NO_TOOL, Rejected
from xlam_lib.trajectory import Outcome, Source, Step, Tool, ToolCall, Trajectory, read_jsonl

SIZES = {"n_train": 400, "n_test_seen": 100, "n_test_unseen": 100}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return build_embedded(tmp_path_factory.mktemp("embedded") / "data", seed=0, **SIZES)


@pytest.fixture(scope="module")
def data(built):
    return {split: list(read_jsonl(built[split])) for split in FILES}


def values_of(trajectories) -> set[str]:
    """All open-class argument values, as text."""
    found = set()
    for trajectory in trajectories:
        tools = {tool.name: tool.parameters["properties"] for tool in trajectory.tools}
        for call in calls_of(trajectory):
            for name, value in call.arguments.items():
                if "enum" not in tools[call.name][name] and not isinstance(value, bool):
                    found |= {str(item).casefold() for item in (value if isinstance(value, list) else [value])}
    return found


def test_sizes_and_mixture(data):
    assert {split: len(rows) for split, rows in data.items()} == {"train": 400, "test_seen": 100, "test_unseen": 100}
    for split in ("test_seen", "test_unseen"):
        kinds = Counter(row.tags[0] for row in data[split])
        assert all(abs(kinds[kind] / 100 - share) < 0.02 for kind, share in MIX.items())
    twins = sum("twin" in row.tags for row in data["train"])
    assert 100 < twins < 250
    assert len({row.trajectory_id for rows in data.values() for row in rows}) == 600


def test_every_sample_is_valid_and_marked_as_checked(data):
    for rows in data.values():
        for row in rows:
            assert row.validate() == []
            assert row.outcome.checks == {"format": True, "execution": True, "semantic": True}


def test_unseen_tools_never_occur_in_training(data):
    for split in ("train", "test_seen"):
        assert not {tool.name for row in data[split] for tool in row.tools} & set(UNSEEN)
    called = {call.name for row in data["test_unseen"] for call in calls_of(row)}
    assert called <= set(UNSEEN) and len(called) >= 12
    seen = {call.name for row in data["test_seen"] for call in calls_of(row)}
    assert seen <= set(TOOLS) - set(UNSEEN)


def test_descriptions_of_unseen_tools_never_occur_in_training(data):
    texts = {TOOLS[name].description for name in UNSEEN}
    assert not texts & {tool.description for row in data["train"] for tool in row.tools}


def test_values_of_tests_never_occur_in_training(data):
    train = values_of(data["train"])
    for split in ("test_seen", "test_unseen"):
        values = values_of(data[split])
        assert len(values) > 100 and not values & train


def test_single_queries_are_short_and_lists_are_small(data):
    rows = data["test_seen"] + data["test_unseen"]
    lengths = [len(row.steps[0].content.split()) for row in rows if row.tags[0] == "single"]
    assert 6 <= sum(lengths) / len(lengths) <= 20
    assert 2.0 <= sum(len(row.tools) for row in rows) / len(rows) <= 3.0
    assert all(1 <= len(row.tools) <= 4 for row in rows)


def test_multi_step_uses_a_result_and_multi_turn_speaks_twice(data):
    for rows in data.values():
        for row in rows:
            roles = [step.role for step in row.steps]
            if row.tags[0] == "multi_step":
                assert roles == ["user", "assistant", "tool", "assistant", "tool", "assistant"]
            if row.tags[0] == "multi_turn":
                assert roles.count("user") == 2
            if row.tags[0] == "irrelevant":
                assert row.steps[-1].content == NO_TOOL


def test_same_seed_same_bytes_in_another_process(built, tmp_path):
    code = "import sys; from xlam_lib.data.apigen import build_embedded; build_embedded(sys.argv[1], 0, 400, 100, 100)"
    environment = {**os.environ, "PYTHONHASHSEED": "77"}
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "data")], check=True, env=environment)
    for name in (*FILES, "accounting"):
        assert (tmp_path / "data" / built[name].name).read_bytes() == built[name].read_bytes()


def test_another_seed_gives_other_samples(built, tmp_path):
    other = build_embedded(tmp_path / "data", seed=1, n_train=40, n_test_seen=10, n_test_unseen=10)
    first = {row.steps[0].content for row in read_jsonl(built["train"])}
    assert not first & {row.steps[0].content for row in read_jsonl(other["train"])}


def test_accounting_adds_up(built):
    accounting = json.loads(built["accounting"].read_text())
    for split, size in zip(FILES, SIZES.values(), strict=True):
        count = accounting["files"][split]
        assert count["accepted"] == sum(count["accepted_by_kind"].values()) == size
        assert count["rejected"] == sum(count["rejected_by_reason"].values()) > 0
        assert count["candidates"] == count["accepted"] + count["rejected"]


def test_embedded_reuses_a_build_and_replaces_one_made_otherwise(built):
    folder = built["train"].parent
    stamp = built["train"].stat().st_mtime_ns
    assert embedded(folder) == built and embedded(folder, seed=0, n_train=400) == built
    assert built["train"].stat().st_mtime_ns == stamp


def test_embedded_rebuilds_with_another_seed(tmp_path):
    sizes = {"n_train": 12, "n_test_seen": 5, "n_test_unseen": 5}
    before = embedded(tmp_path / "data", seed=0, **sizes)["train"].read_bytes()
    assert embedded(tmp_path / "data", seed=2, **sizes)["train"].read_bytes() != before


def test_a_build_that_fails_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("xlam_lib.data.apigen.pipeline.MAX_TRIES", 1)
    with pytest.raises(RuntimeError, match="passed the checks in 1 tries"):
        build_embedded(tmp_path / "data", n_train=300, n_test_seen=50, n_test_unseen=50)
    assert list(tmp_path.iterdir()) == []


def test_deal_keeps_the_proportions():
    import random

    assert Counter(deal(random.Random(0), 10, {"a": 0.5, "b": 0.5})) == {"a": 5, "b": 5}


def weather(city: str = "Kelford", **changes) -> Trajectory:
    tools = tuple(TOOLS[name].schema for name in ("get_weather_forecast", "get_stock_price"))
    call = ToolCall("get_weather_forecast", {"city": city, "date": "2026-03-14"}, "call_0")
    result = json.dumps(TOOLS["get_weather_forecast"].function(**call.arguments))
    steps = (
        Step(role="user", content="Show me the weather forecast for Kelford on 2026-03-14."),
        Step(role="assistant", tool_calls=(call,)),
        Step(role="tool", content=result, tool_call_id="call_0", name="get_weather_forecast"),
    )
    made = Trajectory("demo", Source("demo", "CC0-1.0"), tools=tools, steps=steps, outcome=Outcome())
    return replace(made, **changes)


def with_calls(trajectory: Trajectory, *calls: ToolCall) -> Trajectory:
    steps = list(trajectory.steps)
    steps[1] = replace(steps[1], tool_calls=calls)
    return replace(trajectory, steps=tuple(steps))


def asking(trajectory: Trajectory, text: str) -> Trajectory:
    return replace(trajectory, steps=(Step(role="user", content=text), *trajectory.steps[1:]))


def test_a_good_sample_passes_all_checks():
    good = weather()
    check_format(good)
    check_execution(good, [{"result": json.loads(good.steps[2].content)}])
    check_meaning(good, "single")


FORECAST = {"city": "Kelford", "date": "2026-03-14"}


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (ToolCall("get_weather", FORECAST), "not listed"),
        (ToolCall("get_weather_forecast", {"city": "Kelford"}), "do not fit the schema"),
        (ToolCall("get_weather_forecast", {"city": 3, "date": "2026-03-14"}), "do not fit the schema"),
        (ToolCall("get_weather_forecast", {**FORECAST, "hour": "12"}), "do not fit the schema"),
    ],
)
def test_format_check_refuses(call, reason):
    with pytest.raises(Rejected, match=reason):
        check_format(with_calls(weather(), call))


def test_execution_check_refuses_errors_and_other_results():
    with pytest.raises(Rejected, match="execution: ValueError"):
        check_execution(weather(), [{"error": "ValueError: no day"}])
    with pytest.raises(Rejected, match="another result"):
        check_execution(weather(), [{"result": {"sky": "green"}}])


def test_split_check_refuses_values_of_the_other_half():
    halves = []
    for half in ("train", "test"):
        try:
            check_split(weather(), half)
        except Rejected:
            halves.append(half)
    assert halves


@pytest.mark.parametrize(
    ("change", "kind", "reason"),
    [
        (
            lambda t: with_calls(t, ToolCall("get_weather_forecast", {**FORECAST, "city": "Oslo"})),
            "single",
            "not in the conv",
        ),
        (
            lambda t: with_calls(t, ToolCall("get_weather_forecast", {**FORECAST, "city": "Kel"})),
            "single",
            "not in the conv",
        ),
        (lambda t: with_calls(t, *[ToolCall("get_weather_forecast", FORECAST)] * 2), "parallel", "same call twice"),
        (lambda t: with_calls(t), "single", "asked but not called"),
        (lambda t: asking(t, t.steps[0].content + " And for Oslo on 2027-01-01."), "single", "asked but not called"),
        (lambda t: asking(t, "Show me Kelford on 2026-03-14."), "single", "no word of the tool"),
        (lambda t: asking(t, "Is the stock price or the forecast for Kelford up on 2026-03-14?"), "single", "fits as"),
        (lambda t: t, "parallel", "wrong number of calls"),
        (lambda t: t, "multi_step", "wrong number of calls"),
        (lambda t: replace(t, steps=(t.steps[0], Step(role="assistant", content=NO_TOOL))), "irrelevant", "may fit"),
    ],
)
def test_meaning_check_refuses(change, kind, reason):
    with pytest.raises(Rejected, match=reason):
        check_meaning(change(weather()), kind)


def test_numbers_are_grounded_as_whole_numbers():
    tool = TOOLS["check_prime"].schema
    for number, fits in ((41, True), (4, False), (1, False)):
        steps = (
            Step(role="user", content="Is 41 a prime number?"),
            Step(role="assistant", tool_calls=(ToolCall("check_prime", {"number": number}, "call_0"),)),
        )
        made = Trajectory("demo", Source("demo", "CC0-1.0"), tools=(tool,), steps=steps)
        if fits:
            check_meaning(made, "single")
        else:
            with pytest.raises(Rejected):
                check_meaning(made, "single")


def test_words_are_compared_without_their_endings():
    assert stems("Counting the calories of cities") >= {"count", "calor", "cit"}
    assert overlap("How many calories?", Tool("count_calories", "Count the calories of a food")) == 1
