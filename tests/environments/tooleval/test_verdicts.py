"""The rule's failures one by one, votes as recorded, and judges that are asked as ToolEval asks."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judge_server import JudgeServer

from xlam_lib.agents.base import InfrastructureError
from xlam_lib.endpoint import Endpoint
from xlam_lib.environments.tooleval.answers import Called, converted, record
from xlam_lib.environments.tooleval.verdicts import (
    EXCUSES,
    EndpointJudge,
    invented,
    judged,
    majority,
    read_status,
    recorded_votes,
    solve_rate,
    states,
    verdict,
    votes,
)

WORKED = Called("f", "{}", '{"error": "", "response": {"celsius": 4}}')
CUT_OFF = Called("f", "{}", '{"error": "", "response": "' + "x" * 1000 + "...")
FAILED = Called("f", "{}", '{"error": "Message error...", "response": ""}')
INVENTED = Called("g", "{}", '{"error": "No such function name: g", "response": ""}')


def finish(answer="It is 4 degrees.", kind="give_answer"):
    return Called("Finish", json.dumps({"return_type": kind, "final_answer": answer}))


def made(*calls):
    final = calls[-1].arguments if calls and calls[-1].name == "Finish" else ""
    tools = [{"name": "f"}, {"name": "Finish"}]
    return record("How warm is it?", tools, [("tool", call.message) for call in calls], "test", final)


@pytest.mark.parametrize(
    ("calls", "failure"),
    [
        ((WORKED, finish()), ""),
        ((CUT_OFF, finish()), ""),
        ((FAILED, INVENTED, WORKED, finish()), ""),
        ((), "bad_format"),
        ((WORKED,), "max_steps"),
        ((FAILED, WORKED, WORKED, WORKED), "loop"),
        ((WORKED, FAILED, WORKED, WORKED), "loop"),
        ((INVENTED, FAILED), "wrong_argument"),
        ((INVENTED,), "wrong_function"),
        ((WORKED, finish("", "give_up_and_restart")), "gave_up"),
        ((WORKED, finish("", "other")), "bad_format"),
        ((WORKED, Called("Finish", "{")), "bad_format"),
        ((WORKED, Called("Finish", '{"return_type": "give_answer", "final_answer": "It is "4" degrees')), ""),
        ((WORKED, finish(" \n")), "gave_up"),
        ((WORKED, finish("Unfortunately it is 4 degrees.")), "gave_up"),
        ((WORKED, finish("I'm SORRY: 4 degrees.")), "gave_up"),
        ((finish(),), "wrong_answer"),
        ((FAILED, finish()), "wrong_argument"),
        ((INVENTED, finish()), "wrong_function"),
        ((WORKED, finish("It is 5 degrees.")), "wrong_answer"),
        ((finish(), WORKED), "max_steps"),
    ],
)
def test_the_rule(calls, failure):
    found = verdict(made(*calls), facts=("4",))
    assert (found.failure, found.passed) == (failure, not failure)
    assert verdict(made(WORKED, finish("It is fine."))).passed  # where no facts are known


@pytest.mark.parametrize(
    ("text", "fact", "stated"),
    [
        ("It is 1,250.50 kroner.", "1250.5", True),
        ("4 degrees", "4", True),
        ("14 degrees, 0.4 m, 4.5 m", "4", False),
        ("-4 degrees", "4", False),
        ("minus 4 degrees", "-4", True),
        ("a low of −4", "-4", True),
        ("2-4 degrees", "4", True),
        ("Light   SNOW falls", "light snow", True),
        ("lightsnow", "light snow", False),
        ("at 07:20.", "07:20", True),
        ("at 107:20", "07:20", False),
        ("call +47 21 55", "+47 21 55", True),
        ("", "4", False),
        ("9" * 500, "4", False),
    ],
)
def test_facts_are_whole_words_or_numbers(text, fact, stated):
    assert states(text, fact) is stated


@settings(max_examples=30, deadline=None)
@given(st.text(max_size=20), st.text(max_size=20), st.floats(-1e9, 1e9).map(lambda value: f"{value:.2f}"))
def test_a_fact_between_spaces_is_stated(before, after, fact):
    assert states(f"{before} x; {fact} {after}", fact)


def test_functions_that_were_invented():
    assert invented(made(WORKED, INVENTED, finish())) == ["g"]


def test_recorded_answers_by_rule(real_data):
    """Of ToolBench's 72 conversions, those without an answer are unsolved without asking a judge."""
    asked, counts = [], {}

    def judge(query, answer, steps, number):
        asked.append(answer)
        return "Solved"

    hallucinated = 0
    for path in real_data.glob("tooleval_default/*/*.json"):
        for one in json.loads(path.read_text()).values():
            status = judged(one, judge)
            counts[status] = counts.get(status, 0) + 1
            hallucinated += bool(invented(one))
    assert counts == {"Unsolved": 33, "Solved": 39} and len(asked) == 39
    assert hallucinated == 5


def test_the_rule_is_toolbenchs_on_its_raw_runs(real_data):
    """Its pass_rate.py passes a run with some finished candidate whose answer has no word of an excuse."""
    paths = [
        path
        for pattern in ("toolbench/answer/*/*", "toolbench/toolllama_answers/**/*", "stabletoolbench/answer/*/*/*")
        for path in real_data.glob(f"{pattern}.json")
    ]
    passed = 0
    for path in paths:
        run = json.loads(path.read_text())
        ended = [candidate[-1]["description"].lower() for candidate in run["compare_candidates"]]
        theirs = any(not any(excuse in text for excuse in EXCUSES) for text in ended)
        assert verdict(converted(run, "any")).passed == theirs, path
        passed += theirs
    assert (len(paths), passed) == (15, 9)


def test_votes_are_counted_as_recorded(real_data):
    """The verdicts of StableToolBench: three votes each, and all agree."""
    expected = {"virtual_chatgpt_cot": ({"588": "Unsolved", "1073": "Solved"}, 0.5)}
    expected |= {"virtual_chatgpt_dfs": ({"588": "Solved", "1073": "Solved"}, 1.0)}
    for model, (statuses, rate) in expected.items():
        raw = json.loads((real_data / f"stabletoolbench/pass_rate_results/{model}.json").read_text())
        counted = {number: recorded_votes(one["is_solved"]) for number, one in raw.items()}
        assert {number: list(found) for number, found in counted.items()} == dict.fromkeys(raw, [0, 1, 2])
        assert {number: majority(found) for number, found in counted.items()} == statuses
        assert solve_rate(list(counted.values())) == (rate, 0.0)


@pytest.mark.parametrize("model", ["virtual_chatgpt_cot", "virtual_chatgpt_dfs"])
def test_what_was_settled_without_a_judge_is_as_recorded(real_data, model):
    """A judge who finds all solved disagrees with no recorded verdict: the unsolved one has no `Finish`.

    The rule agrees with three of the four; the fourth answer excuses itself for one of four things that were asked
    ("Unfortunately, I don't have information about his referees"), which the recorded judge let pass.
    """
    folder = real_data / "stabletoolbench"
    answers = json.loads((folder / f"model_predictions_converted/{model}.json").read_text())
    recorded = json.loads((folder / f"pass_rate_results/{model}.json").read_text())
    for number, one in answers.items():
        found = votes(one, lambda *_: "Solved")
        assert found == recorded_votes(recorded[number]["is_solved"])
        excused = (model, number) == ("virtual_chatgpt_dfs", "588")
        assert verdict(one).passed == (majority(found) == "Solved" and not excused)
        assert (verdict(one).failure == "gave_up") == excused


def test_majorities_and_rates():
    assert majority({}) == majority({0: "Solved", 1: "Unsolved"}) == "Unsure"
    assert majority({0: "Solved", 1: "Unsolved", 2: "Unsolved"}) == "Unsolved"
    mean, deviation = solve_rate([{0: "Solved", 1: "Unsure"}, {0: "Solved", 1: "Unsolved", 2: "Solved"}])
    assert mean == pytest.approx((1 + 0.25 + 0.5) / 3) and deviation == pytest.approx(0.3118, abs=1e-4)
    assert solve_rate([]) == (0.0, 0.0)


def test_a_judge_is_asked_with_the_answer_then_with_all_steps():
    def speak(body, number):
        shown = body["messages"][1]["content"]
        status = "Solved" if '"celsius": 4' in shown.replace("\\", "") else "Unsure"
        return 200, json.dumps({"reason": "It says so.", "answer_status": status})

    with JudgeServer(speak) as server, Endpoint(server.url, "m", concurrency=1) as endpoint:
        assert votes(made(WORKED, finish()), EndpointJudge(endpoint), times=2) == {0: "Solved", 1: "Solved"}
        assert [body["seed"] for body in server.asked] == [0, 0, 1, 1]
        assert votes(made(WORKED, finish("", "give_up_and_restart")), EndpointJudge(endpoint), 1) == {0: "Unsolved"}
        assert len(server.asked) == 4
    with (
        Endpoint("http://127.0.0.1:9/v1", "m", attempts=1) as endpoint,
        pytest.raises(InfrastructureError, match="judge"),
    ):
        judged(made(WORKED, finish()), EndpointJudge(endpoint))


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ('{"answer_status": "Solved"}', "Solved"),
        ('I first thought {"answer_status": "Solved"}, but {"reason": "", "answer_status":"Unsolved"}', "Unsolved"),
        ("It is solved.", "Unsure"),
        ('{"answer_status": "Great"}', "Unsure"),
        ("", "Unsure"),
    ],
)
def test_verdicts_of_replies(text, status):
    assert read_status(text) == status
