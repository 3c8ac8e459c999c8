"""Conversions equal those that StableToolBench and ToolBench recorded, step for step."""

import json

import pytest

from xlam_lib.data.sources.agents import stabletoolbench, toolbench
from xlam_lib.environments.tooleval.answers import (
    CUT,
    Called,
    calls_of,
    converted,
    names_called,
    of_trajectory,
    path_of,
    record,
    shown_steps,
)
from xlam_lib.environments.tooleval.apis import ToolEvalError

METHODS = {"virtual_chatgpt_cot": "CoT@1", "virtual_chatgpt_dfs": "DFS_woFilter_w2"}


def read(path):
    return json.loads(path.read_text())


@pytest.mark.parametrize("model", METHODS)
def test_raw_runs_convert_to_the_recorded_form(real_data, model):
    folder, method = real_data / "stabletoolbench", METHODS[model]
    recorded = read(folder / f"model_predictions_converted/{model}.json")
    assert len(recorded) == 2
    for number, expected in recorded.items():
        run = read(folder / f"answer/{model}/G1_instruction/{number}_{method}.json")
        assert converted(run, method) == expected


@pytest.mark.parametrize("model", METHODS)
def test_steps_are_shown_as_beside_the_recorded_verdicts(real_data, model):
    folder = real_data / "stabletoolbench"
    recorded = read(folder / f"model_predictions_converted/{model}.json")
    verdicts = read(folder / f"pass_rate_results/{model}.json")
    assert recorded.keys() == verdicts.keys()
    for number, verdict in verdicts.items():
        assert shown_steps(recorded[number]) == (verdict["answer_steps"], verdict["final_step"])
        assert [tool["name"] for tool in recorded[number]["available_tools"]] == verdict["tool_names"]


def test_toolbenchs_own_conversions_cut_to_100_characters(real_data):
    """Its raw runs aren't public: what of each of 72 conversions follows from its own whole fields."""
    seen = finished = 0
    for path in sorted(real_data.glob("tooleval_default/*/*.json")):
        for expected in read(path).values():
            answer, nodes = expected["answer"], path_of(expected)
            ending = [("tool", Called("Finish", answer["final_answer"]).message)] if answer["final_answer"] else []
            middle = nodes[2 : len(nodes) - len(ending)]
            ours = record(expected["query"], [], [*middle, *ending], answer["method"], answer["final_answer"], CUT)
            assert ours["answer"] == answer
            assert bool(ending) == ("'name': 'Finish'" in shown_steps(expected)[1])
            seen, finished = seen + 1, finished + bool(ending)
    assert (seen, finished) == (72, 46)


def test_all_raw_runs_of_toolbench_convert(real_data):
    """Each accepted path has as many calls as its messages, `Finish` last; failed searches keep their last branch."""
    runs = [*real_data.glob("toolbench/answer/*/*.json"), *real_data.glob("toolbench/toolllama_answers/**/*.json")]
    accepted = 0
    for path in runs:
        run = read(path)
        answer, ours = run["answer_generation"], converted(run, "DFS_woFilter_w2")
        names = names_called(ours)
        if answer["valid_data"]:
            accepted += 1
            messages = answer["train_messages"][-1]
            assert names == [one["function_call"]["name"] for one in messages if "function_call" in one]
            assert names[-1] == "Finish" and calls_of(ours)[-1].arguments == answer["final_answer"]
        assert len(path_of(ours)) == ours["answer"]["total_steps"]
    assert (len(runs), accepted) == (11, 10)


def test_episodes_of_ours_convert_to_the_same_calls(real_data):
    """The trajectory that is read from a run has the calls and responses that its conversion has."""
    folder = real_data / "stabletoolbench/answer"
    runs = [(path, stabletoolbench, METHODS[path.parts[-3]]) for path in sorted(folder.glob("*/*/*.json"))]
    runs += [(path, toolbench, "DFS_woFilter_w2") for path in sorted(real_data.glob("toolbench/answer/G[12]*/*.json"))]
    assert len(runs) == 9
    for path, source, method in runs:
        (trajectory,) = source.convert(read(path), str(path))
        ours, recorded = calls_of(of_trajectory(trajectory)), calls_of(converted(read(path), method))
        assert [(one.name, one.read(), one.response) for one in ours] == [
            (one.name, one.read(), one.response) for one in recorded
        ]


def test_calls_of_openai_messages():
    def call(name, number):
        return {"id": f"c{number}", "type": "function", "function": {"name": name, "arguments": "{}"}}

    messages = [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "u"},
        {"role": "assistant", "content": None, "tool_calls": [call("f", 0), call("g", 1)]},
        {"role": "tool", "tool_call_id": "c1", "content": "G"},
        {"role": "tool", "tool_call_id": "c0", "content": "F"},
        {"role": "assistant", "content": "So.", "tool_calls": None},
        {"role": "assistant", "content": None, "tool_calls": [call("Finish", 2)]},
    ]
    run = {"answer_generation": {"valid_data": True, "query": "u", "function": [], "final_answer": "{}"}}
    run["answer_generation"]["train_messages"] = [messages]
    assert path_of(converted(run, "CoT@1"))[2:] == [
        ("tool", Called("f", "{}", "F").message),
        ("tool", Called("g", "{}", "G").message),
        ("assistant", "So."),
        ("tool", Called("Finish", "{}").message),
    ]


@pytest.mark.parametrize("run", [{}, {"answer_generation": {}}, {"answer_generation": {"valid_data": True}}, []])
def test_what_is_no_run_is_said(run):
    with pytest.raises(ToolEvalError, match="expected an answer file"):
        converted(run, "CoT@1")
