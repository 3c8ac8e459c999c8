"""What is benchmarked can be trained on: transcripts of every environment through the pipeline and into prompts."""

import pytest

from xlam_lib.bench.base import Task
from xlam_lib.bench.run import run_benchmarks
from xlam_lib.bench.settings import BenchSettings
from xlam_lib.bench.tasks import tasks
from xlam_lib.codec import BRIEF_STYLE, prompts_of
from xlam_lib.data.export import export
from xlam_lib.data.unify import unify
from xlam_lib.trajectory import read_jsonl

PLAYED = sorted(name for name, task in tasks().items() if task.environment is not Task.environment)
OWN = {"questions"}  # whose items are the user's


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("transcripts")
    given = BenchSettings(tuple(set(PLAYED) - OWN), str(out), agents=("oracle", "random"), items=2)
    return out, run_benchmarks(given)


def test_there_are_all_that_are_published(run):
    beside = {key for name in run[1] for key in tasks()[name].published}
    shops = {"webshop_bolaa", "webshop_agentlite", "hotpotqa_bolaa", "hotpotqa_agentlite"}
    assert beside == shops | {"toolbench", "mint", "tool_query"}


def test_the_expert_earns_all_and_chance_next_to_nothing(run):
    for name, found in run[1].items():
        assert found["oracle"]["reward"]["mean"] == found["oracle"]["success"]["mean"] == 1.0, name
        assert found["oracle"]["broken_off"] == found["random"]["broken_off"] == 0
    assert sum(found["random"]["reward"]["mean"] for found in run[1].values()) < 0.2 * len(run[1])


def test_transcripts_pass_all_checks_and_books_balance(run, tmp_path):
    transcripts = list(read_jsonl(run[0] / "trajectories.jsonl"))
    assert len(transcripts) == 4 * len(run[1])
    for transcript in transcripts:
        assert transcript.validate("error") == []
        assert transcript.task.instruction and transcript.outcome.reward is not None
    export(transcripts, "openai", tmp_path / "rows.jsonl")
    books = unify("openai_chat", tmp_path / "rows.jsonl", tmp_path / "unified")
    assert (books.records_in, books.records_converted, dict(books.dropped)) == (len(transcripts), len(transcripts), {})


def test_an_experts_transcript_has_a_prompt_for_each_action(run):
    for transcript in read_jsonl(run[0] / "trajectories.jsonl"):
        acts = [place for place, step in enumerate(transcript.steps) if step.role == "assistant"]
        rows = prompts_of(transcript, BRIEF_STYLE)
        assert [place for place, _, _ in rows] == acts
        assert all(transcript.task.instruction in prompt for _, prompt, _ in rows)
