"""What plain trl learns from exported rows, with a tokenizer that carries our chat template."""

import json
from dataclasses import replace

import pytest
from train_demo import STYLE, WEATHER

from xlam_lib.chat_template import chat_template
from xlam_lib.codec import prompts_of
from xlam_lib.data.export import export
from xlam_lib.models import checkpoint
from xlam_lib.models.load import load_model
from xlam_lib.trajectory import Step, Task, ToolCall
from xlam_lib.views import to_trl_row


@pytest.fixture
def of_trl(base, tmp_path):
    """(text that is read, text that is learnt) of exported rows, prepared by trl's own trainer."""

    def prepared(trajectories, format, **settings):
        from datasets import load_dataset
        from trl import SFTConfig, SFTTrainer

        counts = export(trajectories, format, tmp_path / "rows.jsonl")
        rows = load_dataset("json", data_files=str(tmp_path / "rows.jsonl"), cache_dir=str(tmp_path), split="train")
        tokenizer = checkpoint.load_tokenizer(base)
        tokenizer.chat_template = chat_template(STYLE)
        config = SFTConfig(
            output_dir=str(tmp_path), use_cpu=True, bf16=False, max_length=None, report_to=[], **settings
        )
        trainer = SFTTrainer(load_model(base), config, train_dataset=rows, processing_class=tokenizer)
        found = []
        for row in trainer.train_dataset:
            learnt = [token for token, label in zip(row["input_ids"], row["labels"], strict=True) if label != -100]
            found.append((tokenizer.decode(row["input_ids"]), tokenizer.decode(learnt)))
        return counts, found

    return prepared


def ours(trajectories):
    """The same as our own training reads and learns it."""
    rows = [to_trl_row(*turn[1:], "<|endoftext|>") for t in trajectories for turn in prompts_of(t, STYLE)]
    return [(row["prompt"] + row["completion"], row["completion"]) for row in rows]


def with_results(trajectories):
    """Each call answered by its result, as trajectories of executed calls end; tools with and without parameters."""
    made = []
    for t in trajectories:
        call = ToolCall("get_weather", {"city": "Oslo"}, "call_9")
        more = (Step("assistant", "Once more.", tool_calls=(call,)), Step("tool", "4", tool_call_id="call_9"))
        first = replace(t.steps[1], trainable=t.trajectory_id != "demo-1")
        steps = (t.steps[0], first, *t.steps[2:], Step("user", "Again."), *more)
        made.append(replace(t, steps=steps, tools=(WEATHER, *t.tools[:2]), task=Task("Use the tools.")))
    return made


@pytest.mark.parametrize("settings", [{}, {"assistant_only_loss": True}])
def test_trl_learns_every_turn_that_we_learn(of_trl, trajectories, settings):
    given = with_results(trajectories[:5])
    counts, found = of_trl(given, "trl_chat", **settings)
    assert found == ours(given)
    assert (counts["trajectories"], counts["rows"]) == (5, len(found)) and len(found) > 9
    assert "no_last_answer" not in counts


def test_trl_learns_the_last_answer_of_a_conversation_that_ends_in_one(of_trl, trajectories):
    given = [trajectory for trajectory in trajectories[:10] if trajectory.steps[-1].role == "assistant"]
    counts, found = of_trl(given, "openai", assistant_only_loss=True)
    assert [learnt for _, learnt in found] == [ours([one])[-1][1] for one in given]
    assert "no_last_answer" not in counts


def test_rows_without_a_last_answer_are_counted_and_trl_refuses_them(of_trl, trajectories, tmp_path, caplog):
    given = [*with_results(trajectories[:3]), trajectories[0]]
    with pytest.raises(RuntimeError, match="at least one example has no assistant tokens"):
        of_trl(given, "openai", assistant_only_loss=True)
    counts = export(given, "openai", tmp_path / "rows.jsonl")
    assert (counts["rows"], counts["no_last_answer"]) == (4, {"tool": 3})
    assert "3 of 4 rows don't end in an answer (3 end in a tool message)" in caplog.text
    assert "the format trl_chat has a row for each turn to be learnt from" in caplog.text


def test_tools_are_text_that_no_table_fills_up(trajectories, tmp_path):
    export(trajectories[:2], "trl_chat", tmp_path / "rows.jsonl")
    row = json.loads((tmp_path / "rows.jsonl").read_text().splitlines()[0])
    assert [tool["function"]["name"] for tool in json.loads(row["tools"])] == [t.name for t in trajectories[0].tools]
