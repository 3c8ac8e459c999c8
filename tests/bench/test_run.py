"""The runner of benchmarks on a toy: figures, files, interruption, broken surroundings, many at once, a cluster."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import toy_benchmark
from toy_benchmark import Toy, guess

from xlam_lib.agents.architectures import Function, agents
from xlam_lib.agents.architectures.language import Answer
from xlam_lib.bench import cluster
from xlam_lib.bench.episodes import Metered, figures, planned, play
from xlam_lib.bench.plan import maker, plan_of
from xlam_lib.bench.run import main, run_benchmarks
from xlam_lib.bench.settings import BenchSettings
from xlam_lib.endpoint import ServerUnreachableError
from xlam_lib.errors import XlamError
from xlam_lib.journal import JournalError
from xlam_lib.trajectory import read_jsonl

TOY = "toy_benchmark:Toy"


def settings(out, **given):
    return BenchSettings(**{"tasks": (TOY,), "out": str(out), "function": "toy_benchmark:guess", **given})


def react(function):
    def make(task, item, environment, seed, usage):
        return agents()["react"](Metered(Function(function), usage), environment)

    return {"react": make}


def test_a_run_and_its_files(tmp_path):
    out = tmp_path / "run"
    found = run_benchmarks(settings(out, agents=("react", "oracle", "random"), trials=2))["toy"]
    assert found["react"]["success"]["mean"] == pytest.approx(11 / 12) and found["react"]["n"] == 24
    assert found["react"]["success"]["low"] < 11 / 12 < found["react"]["success"]["high"]
    assert found["react"]["failures"] == {"wrong_answer": 2} and found["react"]["requests"] == pytest.approx(
        28 / 24, abs=1e-3
    )
    assert found["react"]["pass_hat"] == {"1": pytest.approx(11 / 12), "2": pytest.approx(11 / 12)}
    assert found["oracle"]["reward"]["mean"] == 1.0 and found["random"]["reward"]["mean"] < 0.9
    assert json.loads((out / "metrics.json").read_text())["toy"] == found
    transcripts = list(read_jsonl(out / "trajectories.jsonl"))
    assert len(transcripts) == 72 == len({one.trajectory_id for one in transcripts})
    assert not [warning for one in transcripts for warning in one.validate("error")]
    assert transcripts[0].steps[1].reasoning == "easy." and transcripts[0].outcome.success
    assert transcripts[0].task.instruction == "Guess the number." and transcripts[0].task.task_id == "toy/n0"
    page = (out / "report.html").read_text()
    for part in ("Reward 1 for the number.", "It is a toy.", "xLAM-v0.1-r", "toy_benchmark:guess (measured here)"):
        assert part in page
    assert page.count("<details") >= 3 + 6 * 3 and "guess(n=7)" in page


def test_the_same_run_twice_plays_nothing_and_says_the_same(tmp_path, monkeypatch):
    first = run_benchmarks(settings(tmp_path / "a"))
    before = (tmp_path / "a" / "episodes.jsonl").read_bytes()
    monkeypatch.setattr(toy_benchmark, "guess", None)  # whoever asks again, fails
    assert run_benchmarks(settings(tmp_path / "a")) == first
    assert (tmp_path / "a" / "episodes.jsonl").read_bytes() == before


def test_another_models_episodes_are_not_taken_for_ones_own(tmp_path):
    run_benchmarks(settings(tmp_path))
    with pytest.raises(JournalError, match="toy/react/n0/0"):
        run_benchmarks(settings(tmp_path, native=True))


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_a_run_that_is_killed_goes_on_and_plays_nothing_twice(tmp_path):
    arguments = ["--tasks", TOY, "--out", str(tmp_path / "run"), "--function", "toy_benchmark:counted"]
    arguments += ["--agents", "zs", "act", "--concurrency", "1", "--trials", "3"]
    support = Path(toy_benchmark.__file__).parent
    path = os.pathsep.join([str(support), str(support.parent.parent)])
    environment = {**os.environ, "PYTHONPATH": path, "TOY_LOG": str(tmp_path / "log")}
    episodes = tmp_path / "run" / "episodes.jsonl"
    child = subprocess.Popen([sys.executable, "-m", "xlam_lib.bench.run", *arguments], env=environment)
    end = time.monotonic() + 120
    while not (episodes.exists() and episodes.read_bytes().count(b"\n") > 10):
        assert child.poll() is None and time.monotonic() < end
        time.sleep(0.005)
    child.send_signal(signal.SIGKILL)
    child.wait()
    kept = episodes.read_bytes()
    assert kept.count(b"\n") < 72
    with open(episodes, "ab") as file:  # as if it had been killed within a line
        file.write(b'{"id": "toy/ac')
    done = subprocess.run([sys.executable, "-m", "xlam_lib.bench.run", *arguments], env=environment, check=False)
    assert done.returncode == 0
    lines = [json.loads(line) for line in episodes.read_text().splitlines()]
    assert len(lines) == 72 == len({line["id"] for line in lines}) and episodes.read_bytes().startswith(kept)
    asked = (tmp_path / "log").read_text().count("\n")
    perfect = 66 + 6 * 3  # one request for what is right, three for each of the six that are wrong
    assert perfect <= asked <= perfect + 3  # at most the episode that was under way is asked anew


def test_what_the_surroundings_broke_is_no_wrong_answer_and_is_played_again(tmp_path):
    broken = {"n3", "n4"}

    def answer(messages):
        number = messages[-1]["content"].rpartition("It is ")[2].partition(".")[0]
        return Answer(error="connection: refused") if f"n{number}" in broken else guess(messages)

    path = tmp_path / "episodes.jsonl"
    found = play(planned(Toy(), react(answer)), path=path)
    assert [episode.item for episode in found if episode.error] == ["n3", "n4"]
    entry = figures(found)["react"]
    assert entry["n"] == 10 and entry["broken_off"] == 2 and entry["success"]["mean"] == pytest.approx(9 / 10)
    broken.clear()
    entry = figures(play(planned(Toy(), react(answer)), path=path))["react"]
    assert entry["n"] == 12 and entry["broken_off"] == 0 and path.read_text().count("\n") == 14


def test_an_environment_is_closed_however_its_episode_ends():
    closed = []

    class Held(Toy):
        def environment(self, item):
            made = super().environment(item)
            made.close = lambda: closed.append(item.id)
            return made

    def answer(messages):
        if "It is 2." in messages[-1]["content"]:
            raise ZeroDivisionError
        return Answer(error="connection: refused") if "It is 1." in messages[-1]["content"] else guess(messages)

    with pytest.raises(ZeroDivisionError):
        play(planned(Held(count=3), react(answer)), concurrency=1)
    assert closed == ["n0", "n1", "n2"]


def test_another_training_into_the_served_folder_is_another_model(tmp_path):
    model = tmp_path / "model"
    model.mkdir()
    given = settings(tmp_path, agents=("oracle",), function="", serve=str(model), items=1)
    asked = []
    for text in ("{}", '{"a": 1}'):
        (model / "config.json").write_text(text)
        asked += [one.asked for one in plan_of(given)]
    assert len(set(asked)) == 2


def test_a_server_that_is_gone_ends_the_run(tmp_path):
    asked = []

    def gone(messages):
        asked.append(1)
        return Answer(error="connection: refused")

    with pytest.raises(ServerUnreachableError, match=r"8 episodes in a row .*refused.*run again"):
        play(planned(Toy(count=100), react(gone)), path=tmp_path / "episodes.jsonl", concurrency=2)
    assert len(asked) < 20


def test_a_prompt_that_is_too_long_is_a_failure_with_a_name():
    def answer(messages):
        return (
            Answer(error="status 400: maximum context length is 8 tokens")
            if "It is 2." in str(messages)
            else guess(messages)
        )

    entry = figures(play(planned(Toy(), react(answer))))["react"]
    assert entry["failures"] == {"too_long": 1, "wrong_answer": 1} and entry["broken_off"] == 0


def test_a_defect_is_raised_and_what_is_finished_is_kept(tmp_path):
    def defect(messages):
        if "It is 5." in messages[-1]["content"]:
            raise ZeroDivisionError
        return guess(messages)

    with pytest.raises(ZeroDivisionError):
        play(planned(Toy(), react(defect)), path=tmp_path / "episodes.jsonl", concurrency=1)
    assert (tmp_path / "episodes.jsonl").read_text().count("\n") == 5


def test_many_at_once_are_faster_and_score_the_same():
    plan = planned(Toy(count=24), react(toy_benchmark.slow))
    taken, scores = {}, {}
    for concurrency in (1, 32):
        began = time.monotonic()
        scores[concurrency] = figures(play(plan, concurrency=concurrency))["react"]["reward"]
        taken[concurrency] = time.monotonic() - began
    assert scores[1] == scores[32] and taken[1] > 5 * taken[32]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"tasks": ("webshopp",)}, "no benchmark is called 'webshopp'"),
        ({"tasks": ("toy_benchmark:Nothing",)}, "can't be found"),
        ({"agents": ("raect",)}, "no agent is called 'raect'"),
        ({"function": ""}, "name one model"),
        ({"serve": "tiny"}, "name one model"),
        ({"function": "", "base_url": "http://127.0.0.1:1/v1"}, "name one model"),
        ({"data": ("webshop=x",)}, "isn't among the tasks"),
        ({"ray": "auto", "function": "", "serve": "tiny"}, "give base_url"),
    ],
)
def test_what_names_nothing_is_refused(tmp_path, given, message):
    with pytest.raises(XlamError, match=message):
        run_benchmarks(settings(tmp_path, **given))


def test_the_command_reads_a_file_and_refuses_what_it_does_not_know(tmp_path, capsys):
    config = tmp_path / "toy.yaml"
    config.write_text(f"tasks: [{TOY}]\nout: {tmp_path}/run\nagents: [oracle]\nitems: 3\n")
    assert main([str(config)]) == 0
    assert (tmp_path / "run" / "episodes.jsonl").read_text().count("\n") == 3
    config.write_text("tasks: [toy]\nout: x\nagent: [oracle]\n")
    with pytest.raises(SystemExit):
        main([str(config)])
    assert "unknown setting 'agent'" in capsys.readouterr().err


def test_a_part_of_a_run_as_a_cluster_plays_it(tmp_path):
    given = settings(tmp_path, agents=("react",))
    ids = [one.id for one in plan_of(given, Function(guess))][:5]
    assert [(episode.id, episode.row["success"]) for episode in cluster.play_part(given, ids)] == [
        (one, True) for one in ids
    ]


def test_on_a_cluster(tmp_path):
    pytest.importorskip("ray", reason="ray is not among the locked packages")
    found = run_benchmarks(settings(tmp_path, ray="local"))["toy"]["react"]
    assert found["n"] == 12 and found["success"]["mean"] == pytest.approx(11 / 12)


def test_without_ray_the_error_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(cluster.ClusterError, match="pip install ray"):
        run_benchmarks(settings(tmp_path, ray="auto"))


def test_a_seed_is_sent_only_where_answers_are_drawn(tmp_path):
    usage, (item, *_) = object(), Toy().items()
    make = maker("zs", settings(tmp_path), Function(guess))
    assert make(Toy(), item, Toy().environment(item), 3, usage).options == {}
    make = maker("zs", settings(tmp_path, temperature=0.7), Function(guess))
    assert make(Toy(), item, Toy().environment(item), 3, usage).options == {"seed": 3}
