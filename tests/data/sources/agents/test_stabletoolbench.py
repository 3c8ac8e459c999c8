"""StableToolBench: the same run raw and converted tells the same story."""

import json
from pathlib import Path

from source_checks import calls, elements, load, reason, turns_that_come_back

from xlam_lib.data.sources.agents.stabletoolbench import native


def test_samples() -> None:
    trajectories, _ = load("stabletoolbench")
    assert {t.trajectory_id for t in trajectories} == {
        "stabletoolbench/G1_instruction/588_CoT@1",
        "stabletoolbench/model_predictions_converted/virtual_chatgpt_cot/1073",
        "stabletoolbench/model_predictions_converted/virtual_chatgpt_dfs/1073",
    }
    assert all(t.source.name == "stabletoolbench" for t in trajectories)


def test_drops() -> None:
    judged = {"query_id": "1", "query": "x", "is_solved": {"0": "AnswerStatus.Solved"}}
    assert reason("stabletoolbench", judged) == "a judgement of an answer: no trajectory to convert"
    asked = {"api_list": [], "query": "x", "query_id": 3}
    assert reason("stabletoolbench", asked) == "a query without an answer: no trajectory to convert"
    assert reason("stabletoolbench", {"query": "x"}) == "no 'answer_generation'"


def test_every_real_record(real_data: Path) -> None:
    folder = real_data / "stabletoolbench"
    trajectories, accounting = load("stabletoolbench", folder)
    queries = sum(len(elements(path)) for path in (folder / "test_instruction").iterdir())
    assert accounting.dropped == {
        "a judgement of an answer: no trajectory to convert": 4,
        "a query without an answer: no trajectory to convert": queries,
    }
    assert accounting.records_converted == 8
    assert turns_that_come_back(trajectories) == 34


def test_raw_and_converted_runs_call_the_same(real_data: Path) -> None:
    trajectories, _ = load("stabletoolbench", real_data / "stabletoolbench")
    by_id = {t.source.raw_id: t for t in trajectories}
    for number in ("588", "1073"):
        for raw, method in ((f"{number}_CoT@1", "cot"), (f"{number}_DFS_woFilter_w2", "dfs")):
            raw_run = by_id[f"G1_instruction/{raw}"]
            converted = by_id[f"model_predictions_converted/virtual_chatgpt_{method}/{number}"]
            if "failed_search" not in raw_run.tags:
                assert calls(raw_run) == calls(converted)


def test_native_texts(real_data: Path) -> None:
    folder = real_data / "stabletoolbench"
    by_id = {t.source.raw_id: t for t in load("stabletoolbench", folder / "model_predictions_converted")[0]}
    for path in (folder / "model_predictions_converted").iterdir():
        for number, answer in json.loads(path.read_text(encoding="utf-8")).items():
            texts, nodes = [], answer["answer"]["answer_details"]
            while nodes:
                message = nodes[-1]["message"]
                if nodes[-1]["role"] == "tool":
                    texts.append(f"{{'name': {message['name']!r}, 'arguments': {message['arguments']!r}")
                nodes = nodes[-1]["next"]
            assert native(by_id[f"model_predictions_converted/{path.stem}/{number}"]) == texts
