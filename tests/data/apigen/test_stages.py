"""Sampler, generators and the three stages, with a real HTTP server that speaks the OpenAI API for the models."""

import json
import re
from collections import Counter

import judge_server
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xlam_lib.data.apigen.apis import Api, Library
from xlam_lib.data.apigen.checker import Both, ModelChecker, RuleChecker, Sample, read_verdict
from xlam_lib.data.apigen.generate import NO_TOOL
from xlam_lib.data.apigen.generator import ModelGenerator, Task, TemplateGenerator
from xlam_lib.data.apigen.sampler import KINDS, Plan, Sampler
from xlam_lib.data.apigen.stages import Failed, Pipeline, execute, parse
from xlam_lib.endpoint import Endpoint, RequestRefusedError
from xlam_lib.trajectory import Tool

JudgeServer = judge_server.JudgeServer


class Answers:
    def answer(self, arguments):
        if arguments.get("city") == "Nowhere":
            return {"error": "LookupError: no such city"}
        return {"result": {} if arguments.get("city") == "Empty" else {"values": sorted(map(str, arguments.values()))}}


def api(name: str, description: str, group: str = "g", **arguments: str) -> Api:
    properties = {key: {"type": kind, "description": f"the {key}"} for key, kind in arguments.items()}
    parameters = {"type": "object", "properties": properties, "required": list(properties)}
    return Api(Tool(name, description, parameters), group, Answers())


LIBRARY = Library(
    [
        api("get_weather", "Get the weather of a city", city="string"),
        api("convert_money", "Convert money to another currency", amount="number", currency="string"),
        api("play_song", "Play a song", "music", title="string"),
        api("list_songs", "List all songs", "music"),
    ]
)
PLAN = Plan(0, "simple", ("get_weather",), ("get_weather", "play_song"))
OSLO = {"query": "What is the weather in Oslo?", "tool_calls": [{"name": "get_weather", "arguments": {"city": "Oslo"}}]}


def text(**change) -> str:
    return json.dumps(OSLO | change)


def call(name: str = "get_weather", **arguments) -> dict:
    return {"name": name, "arguments": arguments}


# The sampler


@given(seed=st.integers(0, 50), size=st.integers(1, 4), number=st.integers(0, 500))
@settings(max_examples=150, deadline=None)
def test_plans_keep_their_promises_and_depend_on_seed_and_number_alone(seed, size, number):
    library = Library(list(LIBRARY)[:size])
    plan = Sampler(library, seed).plan(number)
    assert plan == Sampler(library, seed).plans(1, start=number)[0]
    assert len(set(plan.offered)) == len(plan.offered) and set(plan.expected) <= set(plan.offered) <= set(
        library.by_name
    )
    assert plan.offered
    if plan.kind == "irrelevant":
        assert not plan.expected and plan.absent and plan.absent not in plan.offered
    else:
        assert not plan.absent and len(plan.expected) in {"simple": (1,), "multiple": (1,)}.get(plan.kind, (1, 2, 3))
    if plan.kind == "parallel":
        assert len(set(plan.expected)) == 1
    if plan.kind == "parallel_multiple":
        assert len(set(plan.expected)) == len(plan.expected) >= 2
    if plan.kind == "simple":
        assert len(plan.offered) == 1


@given(seed=st.integers(0, 50), size=st.integers(1, 4), number=st.integers(0, 500), questions=st.integers(2, 9))
@settings(max_examples=150, deadline=None)
def test_questions_that_share_a_list_offer_the_same_functions(seed, size, number, questions):
    library = Library(list(LIBRARY)[:size])
    sampler = Sampler(library, seed, questions_per_list=questions)
    plan, first = sampler.plan(number), number // questions * questions
    assert plan.number == number and plan == Sampler(library, seed, questions_per_list=questions).plan(number)
    assert {one.offered for one in sampler.plans(questions, start=first)} == {plan.offered}
    assert set(plan.expected) <= set(plan.offered) and (plan.absent in library.by_name) is (plan.kind == "irrelevant")
    assert plan.absent not in plan.offered and len(plan.offered) >= min(2, size)
    assert (len(plan.offered) == 1) is (size == 1)
    assert len(set(plan.expected)) >= {"parallel_multiple": 2, "irrelevant": 0}.get(plan.kind, 1)
    assert plan.kind != "simple" or size == 1


def test_shared_lists_ask_for_functions_equally_often_too():
    plans = Sampler(LIBRARY, seed=3, kinds={"multiple": 1, "parallel": 1}, questions_per_list=8).plans(2000)
    assert set(Counter(plan.expected[0] for plan in plans).values()) == {500}
    assert len({plan.offered for plan in plans}) > 10
    with pytest.raises(ValueError, match="questions_per_list of 1 or more"):
        Sampler(LIBRARY, questions_per_list=0)


def test_every_function_is_expected_equally_often_and_kinds_come_in_their_shares():
    plans = Sampler(LIBRARY, seed=3).plans(2000)
    firsts = Counter(plan.expected[0] if plan.expected else plan.absent for plan in plans)
    assert set(firsts.values()) == {500}
    kinds = Counter(plan.kind for plan in plans)
    assert all(abs(kinds[kind] / 2000 - share) < 0.04 for kind, share in KINDS.items())
    assert len({plan.style for plan in plans}) > 3
    assert plans != Sampler(LIBRARY, seed=4).plans(2000)


def test_examples_are_of_other_functions():
    examples = [{"query": "a", "tool_calls": [call()]}, {"query": "b", "tool_calls": [call("play_song")]}]
    for plan in Sampler(LIBRARY, examples=examples, examples_each=1).plans(100):
        about = {*plan.expected, plan.absent}
        assert not about & {one["name"] for shown in plan.examples for one in shown["tool_calls"]}
        assert len(plan.examples) <= 1


def test_a_sampler_that_could_draw_nothing_says_so():
    with pytest.raises(ValueError, match="kind 'single' is unknown"):
        Sampler(LIBRARY, kinds={"single": 1})
    with pytest.raises(ValueError, match="no kind is left"):
        Sampler(Library(list(LIBRARY)[:1]), kinds={"irrelevant": 1})
    with pytest.raises(ValueError, match="needs a function"):
        Sampler(Library([]))


# Format, execution, meaning


def test_a_good_text_passes():
    assert parse(text(), PLAN, LIBRARY) == (OSLO["query"], OSLO["tool_calls"])
    assert parse(f"```json\n{text()}\n```", PLAN, LIBRARY)[0] == OSLO["query"]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ("Sure! " + text(), "no JSON"),
        (text()[:-3], "no JSON"),
        ("[" * 100_000, "too long"),
        ("[" * 5_000, "no JSON"),
        ('{"query": "a", "tool_calls": [NaN]}', "no JSON"),
        ("[]", "no JSON object"),
        (json.dumps({"query": "a"}), "other keys"),
        (text(query=" "), "no query"),
        (text(query=3), "no query"),
        (text(tool_calls={}), "calls are no list"),
        (text(tool_calls=["get_weather"]), "a call of another shape"),
        (text(tool_calls=[call() | {"id": 1}]), "a call of another shape"),
        (text(tool_calls=[call("convert_money", amount=1, currency="a")]), "function not offered"),
        (text(tool_calls=[{"name": ["get_weather"], "arguments": {}}]), "function not offered"),
        (text(tool_calls=[{"name": "get_weather", "arguments": []}]), "arguments are no object"),
        (text(tool_calls=[call(city=3)]), "arguments against the schema"),
        (text(tool_calls=[call(city="Oslo", day="x")]), "arguments against the schema"),
        (text(tool_calls=[]), "other calls than planned"),
        (text(tool_calls=[call(city="Oslo"), call(city="Rome")]), "other calls than planned"),
    ],
)
def test_the_format_stage_refuses(answer, kind):
    with pytest.raises(Failed) as failed:
        parse(answer, PLAN, LIBRARY)
    assert (failed.value.stage, failed.value.kind) == ("format", kind)


KEYS = st.sampled_from(["query", "tool_calls", "name", "arguments"])
NESTED = st.recursive(
    st.none() | st.text(max_size=5), lambda x: st.lists(x, max_size=3) | st.dictionaries(KEYS, x, max_size=3)
)


@given(st.text(max_size=80) | NESTED.map(json.dumps))
@settings(max_examples=150, deadline=None)
def test_no_text_breaks_the_format_stage(answer):
    with pytest.raises(Failed):
        parse(answer, PLAN, LIBRARY)


def test_the_execution_stage_refuses_errors_and_empty_results():
    with LIBRARY.runner() as runner:
        assert execute([call(city="Oslo")], runner) == [{"values": ["Oslo"]}]
        with pytest.raises(Failed, match=r"execution check: LookupError \(get_weather: LookupError: no such city\)"):
            execute([call(city="Nowhere")], runner)
        with pytest.raises(Failed, match="empty result"):
            execute([call(city="Empty")], runner)


def sample(query: str, *calls: dict, results=None, offered=("get_weather", "play_song"), absent="") -> Sample:
    plan = Plan(0, "simple", tuple(one["name"] for one in calls), offered, absent)
    return Sample(plan, query, list(calls), results or [{"ok": 1} for _ in calls])


@pytest.mark.parametrize(
    ("one", "kind"),
    [
        (sample("What is the weather in Oslo?", call(city="Oslo")), ""),
        (sample("What is the weather in Oslo?", call(city="Rome")), "value not in the query"),
        (sample("The weather in Oslo, twice", call(city="Oslo"), call(city="Oslo")), "the same call twice"),
        (sample("Weather in Oslo?", call(city="Oslo"), results=[{"error": "gone"}]), "the result reports a failure"),
        (sample("Weather in Oslo?", call(city="Oslo"), results=["Error: gone"]), "the result reports a failure"),
        (sample("Play the song Oslo", call(city="Oslo")), "another function fits better"),
        (sample("Convert 3 EUR to USD", absent="convert_money"), ""),
        (sample("Play me a song about the weather", absent="convert_money"), "an offered function may fit"),
    ],
)
def test_the_rules_judge(one, kind):
    assert RuleChecker(LIBRARY).check([one])[0][0] == kind


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ('{"thought": "fine", "pass": true}', ("", "")),
        ('Well: {"thought": "wrong city", "pass": false}', ("does not serve the query", "wrong city")),
        ('{"pass": "yes"}', "no verdict"),
        ("pass", "no verdict"),
        ("{" * 5000, "no verdict"),
    ],
)
def test_verdicts_are_read_or_are_none(answer, verdict):
    found = read_verdict(answer)
    assert found == verdict or found[0] == verdict


# The whole pipeline


def test_templates_make_checked_samples_and_all_is_accounted_for():
    notes = []
    with LIBRARY.runner() as runner:
        pipeline = Pipeline(
            LIBRARY, TemplateGenerator(LIBRARY), RuleChecker(LIBRARY), runner, attempts=4, note=notes.append
        )
        made = list(pipeline.run(Sampler(LIBRARY, seed=1).plans(150)))
    counts = pipeline.tally.to_dict()
    assert [plan.number for plan, _ in made] == list(range(150))
    assert counts["plans"] == 150 == counts["accepted"] + counts["given_up"]
    assert counts["texts"] == counts["accepted"] + counts["failed"] and counts["failed"] == len(notes)
    assert counts["accepted"] == sum(trajectory is not None for _, trajectory in made) > 120
    assert counts["accepted"] == sum(counts["accepted_by_kind"].values()) == sum(counts["accepted_by_attempt"].values())
    for plan, trajectory in made:
        if trajectory is None:
            continue
        assert trajectory.validate() == [] and trajectory.tags[0] == plan.kind
        assert [tool.name for tool in trajectory.tools] == list(plan.offered)
        assert [one.name for step in trajectory.steps for one in step.tool_calls] == list(plan.expected)
        if plan.kind == "irrelevant":
            assert trajectory.steps[-1].content == NO_TOOL
    queries = [trajectory.steps[0].content for _, trajectory in made if trajectory]
    assert len(set(queries)) == len(queries)


def test_the_embedded_tools_are_asked_for_in_their_own_words():
    library = Library(api for api in Library.embedded() if api.name in ("add_numbers", "check_prime", "find_vet"))
    with library.runner() as runner:
        pipeline = Pipeline(library, TemplateGenerator(library), RuleChecker(library), runner, attempts=6)
        made = [one for _, one in pipeline.run(Sampler(library, seed=0, kinds={"simple": 1}).plans(9)) if one]
    assert len(made) >= 7 and not any(re.search("add_numbers|check_prime", one.steps[0].content) for one in made)
    assert all(one.steps[2].role == "tool" and not one.steps[2].is_error for one in made)


def endpoint(url: str, **options) -> Endpoint:
    return Endpoint(url, "M", **{"longest_pause": 0.02, "timeout": 5.0, "concurrency": 3} | options)


def generate(reply, plans, attempts=3, checker=None, **options):
    with JudgeServer(reply, pause=0.01) as server, endpoint(server.url, **options) as model, LIBRARY.runner() as runner:
        check = checker(model) if checker else RuleChecker(LIBRARY)
        pipeline = Pipeline(LIBRARY, ModelGenerator(LIBRARY, model), check, runner, attempts)
        return [one for _, one in pipeline.run(plans)], pipeline.tally.to_dict(), server, model


def same(number: int) -> Plan:
    return Plan(number, "simple", ("get_weather",), ("get_weather",))


def city_of(body: dict) -> str:
    return f"Town{json.dumps(body['seed'])}"


def weather(city: str) -> str:
    return json.dumps({"query": f"How is the weather in {city}?", "tool_calls": [call(city=city)]})


def test_a_model_writes_many_at_once_within_its_bound(monkeypatch):
    monkeypatch.setenv("MY_KEY", "k-1")
    made, counts, server, model = generate(
        lambda body, n: (200, weather(city_of(body))), [same(n) for n in range(9)], api_key_env="MY_KEY"
    )
    assert counts["accepted"] == 9 and all(one.extra == {"generator": "M", "attempts": 1} for one in made)
    assert 2 <= server.busiest <= 3 and set(server.keys) == {"Bearer k-1"}
    assert model.tokens == (900, 90)
    system = server.asked[0]["messages"][0]["content"]
    assert '"tool_calls"' in system and "exactly one call, of get_weather" in system
    assert "Get the weather of a city" in server.asked[0]["messages"][1]["content"]


BAD = {
    "format": "no JSON at all",
    "execution": weather("Nowhere"),
    "semantic": json.dumps({"query": "How is the weather in Oslo?", "tool_calls": [call(city="Rome")]}),
}


@pytest.mark.parametrize("stage", BAD)
def test_a_failure_is_fed_back_with_stage_and_reason(stage):
    made, counts, server, _ = generate(lambda body, n: (200, BAD[stage] if n == 1 else weather("Oslo")), [same(0)])
    assert counts["accepted_by_attempt"] == {"2": 1} and list(counts["failed_by_stage"]) == [stage]
    again = server.asked[1]["messages"]
    assert [message["role"] for message in again] == ["system", "user", "assistant", "user"]
    assert again[2]["content"] == BAD[stage] and f"failed the {stage} check: " in again[3]["content"]
    assert made[0].extra["attempts"] == 2


def test_attempts_run_out_and_duplicates_do_not_pass():
    made, counts, server, _ = generate(lambda body, n: (200, weather("Oslo")), [same(n) for n in range(3)], attempts=2)
    assert [one is not None for one in made] == [True, False, False]
    assert (
        counts["given_up_by_stage"] == {"duplicate": 2}
        and counts["texts"] == 5 == counts["accepted"] + counts["failed"]
    )


def test_a_model_judges_what_the_rules_let_pass():
    def reply(body, n):
        if "You check training data" in body["messages"][0]["content"]:
            return 200, json.dumps({"thought": "odd", "pass": "Town1" not in body["messages"][1]["content"]})
        return 200, weather("Town1" if n == 1 else "Oslo")

    both = lambda model: Both(RuleChecker(LIBRARY), ModelChecker(LIBRARY, model))  # noqa: E731
    made, counts, _, _ = generate(reply, [same(0)], checker=both)
    assert counts["failed_by_stage"] == {"semantic": {"does not serve the query": 1}} and made[0] is not None


def test_passing_failures_of_the_endpoint_are_tried_again():
    replies = iter([(429, {"error": "slow down"}), (500, {"error": "oops"}), (0, ""), (200, weather("Oslo"))])
    made, counts, server, _ = generate(lambda body, n: next(replies), [same(0)])
    assert (counts["texts"], counts["accepted"], len(server.asked)) == (1, 1, 4)


def test_an_endpoint_that_refuses_says_what_to_check():
    with pytest.raises(RequestRefusedError, match="refused model 'M' with status 401.*OPENAI_API_KEY"):
        generate(lambda body, n: (401, {"error": {"message": "bad key"}}), [same(0)])


def test_an_endpoint_that_is_gone_stops_the_run_and_keeps_what_there_is(monkeypatch):
    monkeypatch.setattr("xlam_lib.data.apigen.stages.WAVE", 8)
    plans = [same(n) for n in range(40)]
    made, counts, _, _ = generate(
        lambda body, n: (200, weather(city_of(body))) if n <= 8 else (500, {"error": "oops"}), plans, attempts=2
    )  # fmt: skip
    assert counts["accepted"] == 8 and counts["plans"] == 16 and "gave nothing any more" in counts["stopped"]
    assert counts["given_up_by_stage"] == {"generation": 8}


def test_guided_requests_carry_the_schema():
    with JudgeServer(lambda body, n: (200, weather("Oslo"))) as server, endpoint(server.url) as model:
        assert ModelGenerator(LIBRARY, model, guided=True).write([Task(same(0))]) == [weather("Oslo")]
    assert server.asked[0]["response_format"]["json_schema"]["schema"]["required"] == ["query", "tool_calls"]
