"""ToolAlpaca's judge: verdicts are read from its words, and the published labels add up to the published figures."""

import json

import pytest

from xlam_lib.bench.base import TaskError
from xlam_lib.bench.tasks.toolalpaca import Verdict, read_judged, summary, verdict_of


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("It fits.\n\n## Results\nProcess Correctness: Yes\nFinal Response Correctness: No", Verdict("Yes", "No")),
        ("## Results \nProcess Correctness: Uncertain \nFinal Response Correctness: Yes", Verdict("Uncertain", "Yes")),
        ("Process Correctness: No\n## Results\nProcess Correctness: Yes\nFinal Response Correctness: Yes",
         Verdict("Yes", "Yes")),
        ("", Verdict()),
    ],
)  # fmt: skip
def test_a_verdict_is_read(text, verdict):
    assert verdict_of(text) == verdict


@pytest.mark.parametrize(
    "text", ["Process Correctness: Yes", "Process Correctness: Maybe\nFinal Response Correctness: No"]
)
def test_half_a_verdict_is_none(text):
    with pytest.raises(TaskError, match="expected two of Yes, No, Uncertain"):
        verdict_of(text)


def test_what_is_unjudged_or_uncertain_is_wrong():
    found = summary([Verdict("Yes", "Yes"), Verdict("Yes", "No"), Verdict("Uncertain", "Yes"), Verdict()])
    assert found == {"n": 4, "unjudged": 1, "process": 0.5, "response": 0.5, "overall": 0.25}
    with pytest.raises(TaskError, match="no verdict"):
        summary([])


def test_files_of_another_kind_are_refused(tmp_path):
    path = tmp_path / "x.json"
    path.write_text("[1]")
    with pytest.raises(TaskError, match="expected an object of APIs"):
        read_judged(path)
    path.write_text('{"API": ["Yes"]}')
    with pytest.raises(TaskError, match="no object with the labels"):
        read_judged(path)


def test_the_published_figures_come_out(real_data):
    table = real_data / "toolalpaca" / "eval_labels_7b.json"
    found = summary(read_judged(table))
    assert found == {"n": 100, "unjudged": 1, "process": 0.63, "response": 0.68, "overall": 0.6}
    published = json.loads(table.read_text())["statistics"]
    assert (found["n"], found["unjudged"]) == (published["num"], published["error_num"])
    assert [100 * found[key] for key in ("process", "response", "overall")] == pytest.approx(
        [published["process"]["Yes"], published["response"]["Yes"], published["both"]]
    )


def test_the_judges_words_give_the_recorded_labels(real_data):
    path = real_data / "toolalpaca" / "eval_outputs_ToolAlpaca7b.json"
    cases = [case for name, cases in json.loads(path.read_text()).items() if name != "statistics" for case in cases]
    verdicts = read_judged(path)
    assert len(cases) == len(verdicts) == 32
    assert [verdict_of(case["output"]) for case in cases] == verdicts
