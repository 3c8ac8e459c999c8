"""The seam of benchmarks: a task of a few lines is run, and its figure is in scorecard and report."""

from dataclasses import dataclass

import pytest
from fake_run import build, metrics

from xlam_lib.bench import evaluate
from xlam_lib.bench.base import Figure, Question, Result, Task, TaskError
from xlam_lib.bench.report import builder, published, scorecard
from xlam_lib.bench.report.figures import figures
from xlam_lib.bench.results import difference, save
from xlam_lib.bench.tasks import tasks
from xlam_lib.endpoint import Endpoint


@dataclass(frozen=True)
class Pair:
    id: str
    a: int
    b: int


class Sums(Task):
    name, title = "sums", "Sums of two numbers"
    metric = "Share of the answers that are the sum, in digits & nothing else."
    scores = ("right",)
    figures = (Figure("sums.right", "05_benchmarking", "sums that are right", 0.5, 0.9, required=True),)
    published = ("tool_query",)

    def items(self):
        return [Pair(f"{a}+{b}", a, b) for a in range(1, 4) for b in range(1, 3)]

    def question(self, item):
        return Question(f"{item.a} + {item.b} = ")

    def score(self, item, answer, cut_off=False):
        right = answer.strip() == str(item.a + item.b)
        return {"kind": "small", "right": right, "failure": "" if right else "cut_off" if cut_off else "wrong"}


def model(prompts):
    """Right, except that it always takes 3 for 4 and doesn't answer 2 + 1."""
    sums = [sum(int(number) for number in prompt.split(" ")[:3:2]) for prompt in prompts]
    wrong = [f" {3 if total == 4 else total}" for total in sums]
    return [None if prompt.startswith("2 + 1") else text for prompt, text in zip(prompts, wrong, strict=True)]


@pytest.fixture
def registered(monkeypatch):
    """As if tasks/sums.py held `TASK = Sums`."""
    monkeypatch.setitem(tasks(), "sums", Sums)


def test_tasks_are_found_by_themselves():
    assert {"bfcl", "heldout"} <= set(tasks())
    for name, task in tasks().items():
        assert task.name == name and task.title and task.metric and task.figures
        for key in task.published:
            assert published.table(key)


def test_a_task_is_run_and_summarised(tmp_path):
    result = evaluate.offline(Sums(), model, path=tmp_path / "answers.jsonl")
    assert [row["id"] for row in result.rows] == ["1+1", "1+2", "2+2", "3+1", "3+2"]
    assert result.unanswered == {"2+1": "no answer"}
    assert result.mean("right") == 0.6 and result.failures() == {"wrong": 2}
    assert result.by_kind() == {"small": {"n": 5, "right": 0.6}}
    summary = Sums().summary(result)
    assert (summary["n"], summary["right"], summary["unanswered"]) == (5, 0.6, 1)
    assert summary["intervals"]["right"] == result.interval("right").to_dict() == result.figures()["right"].to_dict()
    asked = []
    again = evaluate.offline(Sums(), lambda prompts: asked.extend(prompts) or ["3"], path=tmp_path / "answers.jsonl")
    assert asked == ["2 + 1 = "] and len(again.rows) == 6 and again.mean("right") == 4 / 6
    assert difference(result, again, "right").mean == 0.0
    assert save(result, tmp_path, "sums").name == "sums.summary.json"


def test_a_task_is_served(server):
    server.answer = lambda path, body: (200, model([body["prompt"].split("\n")[1]])[0] or "?")
    result = evaluate.served(Sums(), Endpoint(server.url, "m", attempts=1), raw=True)
    assert [row["id"] for row in result.rows if not row["right"]] == ["2+1", "2+2", "3+1"]
    server.answer = lambda path, body: (200, body["messages"][0]["content"])
    assert evaluate.served(Sums(), Endpoint(server.url, "m", attempts=1)).failures() == {"wrong": 6}


def test_its_figure_is_in_scorecard_and_report(tmp_path, registered):
    recorded = metrics()["05_benchmarking"] | {"sums": Sums().summary(evaluate.offline(Sums(), model))}
    page = builder.write(build(tmp_path, **{"05_benchmarking": recorded})).read_text("utf-8")
    card = scorecard.read(tmp_path)
    assert card["sums"] == {"right": 0.6}
    (check,) = [check for check in card["checks"] if check["figure"] == "sums that are right"]
    assert (check["value"], check["floor"], check["aim"], check["verdict"]) == (0.6, 0.5, 0.9, "floor")
    assert "sums that are right" in builder.text(tmp_path)
    section = page[page.index('<h2 id="sums">') : page.index('<h2 id="published">')]
    assert "Sums of two numbers</h2>" in section and "in digits &amp; nothing else." in section
    assert "60.0 %" in section and " to " in section and section.count("data:image/png;base64,") == 1
    assert published.LABEL in section and "Tool" in section
    assert '<a href="#sums">Sums of two numbers</a>' in page
    assert page.index('id="bfcl"') < page.index('id="sums"') < page.index('id="published"')


def test_a_figure_that_was_not_recorded_is_missing(tmp_path, registered):
    with pytest.raises(scorecard.ScorecardError, match=r"lacks 1 figures: sums.right \(written by 05_benchmarking\)"):
        builder.write(build(tmp_path))
    assert "missing" in (tmp_path / "report.html").read_text("utf-8")


def test_figures_are_declared_once(monkeypatch):
    class Again(Sums):
        figures = (Figure("sft.seen_exact", "05_benchmarking"),)

    monkeypatch.setitem(tasks(), "again", Again)
    with pytest.raises(TaskError, match="two figures are declared as 'sft.seen_exact'"):
        figures()


def test_a_figure_may_be_derived_from_others():
    figure = Figure("a.twice", "02_sft", "twice", derived=lambda found: 2 * found["a.once"])
    assert figure.value({"a.once": 0.2}) == 0.4
    assert Figure("a.once", "02_sft").value({}) is None


def test_items_without_a_verdict_are_left_out():
    rows = ({"id": "1", "right": True}, {"id": "2", "right": None})
    result = Result(rows, scores=("right",))
    assert (result.mean("right"), result.interval("right").n) == (1.0, 1)
    nothing = Result(rows[1:], scores=("right",))
    assert nothing.mean("right") is None and nothing.figures() == {}


def test_ids_are_unique_and_a_task_asks_or_acts():
    class Twice(Sums):
        def items(self):
            return super().items()[:1] * 2

    with pytest.raises(TaskError, match=r"task sums: two items have the id '1\+1'"):
        evaluate.offline(Twice(), model)
    with pytest.raises(TaskError, match=r"1\+1 has no environment"):
        Sums().environment(Sums().items()[0])
    with pytest.raises(TaskError, match=r"1\+1 is no single question"):
        Task.question(Sums(), Sums().items()[0])
