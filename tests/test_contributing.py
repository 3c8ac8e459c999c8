"""CONTRIBUTING.md is true: every file that it names exists, and every example on it runs."""

import json
import re
import types

import pytest
import yaml
from fake_run import build, metrics
from train_demo import STYLE

from xlam_lib.paths import root

PAGE = (root() / "CONTRIBUTING.md").read_text()
EXAMPLES = dict(re.findall(r"<!-- example: (\w+) -->\n```\w+\n(.*?)```", PAGE, re.S))


def module(name: str) -> types.ModuleType:
    """The example as a module of that name."""
    made = types.ModuleType(name)
    exec(compile(EXAMPLES[name], f"CONTRIBUTING.md: {name}", "exec"), made.__dict__)
    return made


def test_every_addition_has_its_example():
    assert set(EXAMPLES) == {"source", "loss", "engine", "agent", "benchmark", "played", "recipe"}


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`((?:xlam_lib|tests|experiments)/[\w/.<>]+)`", PAGE))))
def test_a_file_that_the_page_names_exists(name):
    pattern = re.sub(r"<\w+>", "*", name.rstrip("/"))
    assert list(root().glob(pattern)), f"{name}: neither a file nor a place for one"


def test_the_source(tmp_path, monkeypatch):
    from xlam_lib.data.accounting import Accounting
    from xlam_lib.data.sources import SOURCES, load_source

    monkeypatch.setitem(SOURCES, "fruit_prices", module("source"))
    rows = [{"id": 1, "ask": "Price of figs?", "fruit": "figs"}, {"id": 2, "ask": "Price?", "fruit": ""}]
    (tmp_path / "raw.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    books = Accounting("fruit_prices")
    (trajectory,) = load_source("fruit_prices", tmp_path, books)
    assert trajectory.validate() == [] and trajectory.steps[1].tool_calls[0].arguments == {"fruit": "figs"}
    assert (books.records_in, books.records_converted, dict(books.dropped)) == (2, 1, {"no fruit to ask for": 1})


def test_the_loss(base, data, tmp_path):
    from xlam_lib.compat import TrajectoryData, init_device_seed, interleave_data
    from xlam_lib.models import load_tokenizer
    from xlam_lib.train.sft import SftSettings

    given = {"epochs": 0.5, "lr": 2e-2, "precision": "float32", "batch_size": 8, "log_every": 1}
    args = SftSettings(base=str(base), data=(), out=str(tmp_path / "out"), **given)
    rows, _ = interleave_data([TrajectoryData(load_tokenizer(base), data, STYLE)], seed=init_device_seed(seed=1))
    trainer = module("loss").FocalTrainer(args, rows)
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert len(losses) >= 5 and losses[-1] < losses[0]


def test_the_engine():
    engine = module("engine").EchoServer("echo-1")
    assert not engine.capabilities.tools
    with engine:
        assert engine.base_url.startswith("http://127.0.0.1:")
        assert [model.id for model in engine.openai().models.list()] == ["echo-1"]
        engine.check()


def test_the_agent_and_the_environment():
    trajectory = module("agent").trajectory
    assert trajectory.validate() == [] and trajectory.outcome.success and trajectory.outcome.reward == 1.0


def test_the_benchmark(tmp_path, monkeypatch):
    from xlam_lib.bench import evaluate
    from xlam_lib.bench.report import builder, scorecard
    from xlam_lib.bench.tasks import tasks

    task = module("benchmark").TASK
    monkeypatch.setitem(tasks(), "sums", task)
    result = evaluate.offline(task(), lambda prompts: ["3", "8"])
    recorded = metrics()["05_benchmarking"] | {"sums": task().summary(result)}
    builder.write(build(tmp_path, **{"05_benchmarking": recorded}))
    assert "sums that are right" in scorecard.text(scorecard.read(tmp_path))


def test_the_recipe(tmp_path, capsys):
    from xlam_lib.train.plan import main

    path = tmp_path / "mine.yaml"
    path.write_text(EXAMPLES["recipe"])
    assert main([str(path)]) == 0
    assert "fits" in capsys.readouterr().out.lower()
    assert set(yaml.safe_load(EXAMPLES["recipe"])) >= {"base", "data", "out", "plan"}


def test_the_benchmark_that_is_played():
    from xlam_lib.agents import RandomAgent
    from xlam_lib.bench.episodes import figures, planned, play

    makers = {
        "oracle": lambda task, item, environment, seed, usage: task.expert(item),
        "random": lambda task, item, environment, seed, usage: RandomAgent(environment, seed),
    }
    found = figures(play(planned(module("played").Guessing(), makers)))
    assert found["oracle"]["success"]["mean"] == 1.0 and found["random"]["success"]["mean"] < 0.5
    assert found["random"]["failures"].keys() == {"max_steps"}
