"""The runner's decisions: what runs, what is kept and why, what is reported when it is wrong. No kernels here."""

import errno
import json
import random
import re

import pytest

from xlam_lib import files, run
from xlam_lib.batch import execute
from xlam_lib.bench.report import builder
from xlam_lib.bench.report.scorecard import ScorecardError


@pytest.fixture
def go(folder, in_process, capsys):
    """Run the experiment; returns (exit status, notebooks that ran, what was printed)."""

    def call(*more):
        in_process.clear()
        status = run.main(folder.arguments(*more))
        captured = capsys.readouterr()
        return status, list(in_process), captured.out + captured.err

    return call


def manifest(folder):
    return json.loads((folder.out / "manifest.json").read_text())


def total(n):
    """What the second fixture notebook adds up: n numbers of the first, with seed 0."""
    return float(sum(random.Random(i).randint(0, 9) for i in range(n)))


BOTH = ["01_numbers", "02_sum"]


def test_a_run_leaves_notebooks_figures_and_a_manifest(go, folder):
    status, ran, output = go()
    assert (status, ran) == (0, BOTH)
    assert "01_numbers: first run (1/2, 6 cells)" in output
    data = manifest(folder)
    assert [s["notebook"] for s in data["steps"]] == BOTH
    assert data["environment"]["packages"]["papermill"] and data["environment"]["cpu_count"] >= 1
    assert set(data["git"]) == {"revision", "dirty"}
    first = data["steps"][0]
    assert first["metrics"] == {"n": 4, "largest": 6.0}
    assert first["parameters"]["n"] == 4 and first["seed"] == 0 and first["seconds"] >= 0
    assert set(first["files"]) == {"01_numbers.ipynb", "01_numbers/metrics.json", "data/numbers.json"}
    assert data["seconds"] == pytest.approx(sum(s["seconds"] for s in data["steps"]), abs=0.06)
    assert not [p for p in folder.out.rglob("*") if ".part" in p.name]


def test_what_is_unchanged_is_kept(go):
    go()
    status, ran, output = go()
    assert (status, ran) == (0, [])
    assert output.count(" kept from ") == 2 and "library changed" not in output


def test_changed_parameters_run_that_notebook_and_those_after_it(go, folder):
    go()
    folder.put("02_sum", "wait: 0\nseed: 5\n")
    assert go()[1] == ["02_sum"]
    folder.put("01_numbers", "n: 5\n")
    status, ran, output = go()
    assert ran == BOTH
    assert "its parameters changed: n" in output and "01_numbers ran anew" in output
    assert manifest(folder)["steps"][1]["metrics"] == {"sum": total(5)}


def test_changed_code_runs_anew_and_changed_prose_does_not(go, folder):
    go()
    notebook = folder.path / "02_sum.ipynb"
    notebook.write_text(notebook.read_text().replace("Adds numbers", "Adds the numbers"))
    assert go()[1] == []
    notebook.write_text(notebook.read_text().replace("sum {sum(numbers):.1f}", "sum {sum(numbers):.2f}"))
    status, ran, output = go()
    assert ran == ["02_sum"] and "its code changed" in output


@pytest.mark.parametrize("harm", ["remove", "truncate"])
def test_a_lost_or_truncated_file_is_made_again(go, folder, harm):
    go()
    victim = folder.out / "data" / "numbers.json"
    victim.unlink() if harm == "remove" else victim.write_text("[")
    status, ran, output = go()
    assert (status, ran) == (0, BOTH)
    assert "data/numbers.json is missing or not as it was left" in output


def test_a_later_notebook_may_change_and_remove_earlier_files(go, folder):
    notebook = folder.path / "02_sum.ipynb"
    changed = 'numbers_file = out / \\"data\\" / \\"numbers.json\\"\\nnumbers_file.write_text(\\"[1]\\")'
    notebook.write_text(notebook.read_text().replace('print(f\\"sum {sum(numbers):.1f}\\")', changed))
    assert go()[1] == BOTH
    assert go()[1] == []
    (folder.out / "data" / "numbers.json").write_text("[1, 2]")
    assert go()[1] == ["02_sum"]
    notebook.write_text(notebook.read_text().replace('numbers_file.write_text(\\"[1]\\")', "numbers_file.unlink()"))
    assert go()[1] == ["02_sum"]
    assert go()[1] == []


def test_only_and_force(go):
    assert go("--only", "01")[1] == ["01_numbers"]
    assert go()[1] == ["02_sum"]
    assert go("--force", "--only", "01_numbers")[1] == ["01_numbers"]
    assert go()[1] == ["02_sum"]
    assert go("--force")[1] == BOTH


def test_list_shows_reasons_and_runs_nothing(go, folder):
    status, ran, output = go("--list")
    assert (status, ran) == (0, []) and not folder.out.exists()
    assert "01_numbers  runs: first run" in output and "n = 4" in output
    go()
    folder.put("01_numbers", "n: 5\n")
    output = go("--list")[2]
    assert "01_numbers  runs: its parameters changed: n" in output and "02_sum  runs: 01_numbers ran anew" in output


def test_a_wrong_parameter_runs_nothing_at_all(go, folder):
    folder.put("02_sum", "wiat: 1\n")
    status, ran, output = go()
    assert (status, ran) == (2, []) and not folder.out.exists()
    assert "error: " in output and "unknown parameter 'wiat'; did you mean 'wait'?" in output


def test_a_failure_names_cell_line_error_and_partial_and_is_run_again(go, folder):
    folder.put("02_sum", "fail: true\n")
    status, ran, output = go()
    assert (status, ran) == (1, BOTH)
    assert "02_sum failed in In [3]: out = folder(out_dir)" in output
    assert "ConnectionError: port 8000 is in use" in output and "02_sum.partial.ipynb" in output
    assert not (folder.out / "02_sum.ipynb").exists()
    entry = manifest(folder)["steps"][1]
    assert entry["status"] == "failed" and entry["error"]["cell"] == 3
    status, ran, output = go()
    assert (status, ran) == (1, ["02_sum"]) and "it failed last time" in output
    folder.put("02_sum", "fail: false\n")
    assert go()[:2] == (0, ["02_sum"])


def test_a_notebook_without_figures_is_not_done(go, folder):
    go()
    folder.put("02_sum", "silent: true\n")
    status, ran, output = go()
    assert status == 1 and "02_sum ended without figures; its last cell must call record(" in output
    assert manifest(folder)["steps"][1]["status"] == "failed"


def test_an_interrupted_step_is_run_again(go, folder, monkeypatch):
    working = execute.execute

    def interrupted(*arguments, **options):
        if arguments[0].stem == "02_sum":
            raise KeyboardInterrupt
        working(*arguments, **options)

    monkeypatch.setattr(execute, "execute", interrupted)
    status, ran, output = go()
    assert (status, ran) == (130, ["01_numbers"]) and "the same command goes on from here" in output
    monkeypatch.setattr(execute, "execute", working)
    status, ran, output = go()
    assert (status, ran) == (0, ["02_sum"]) and "it was interrupted" in output


def test_a_full_disk_is_one_clear_error_and_a_rerun_goes_on(go, monkeypatch):
    working = execute.execute

    def full(notebook, output, *arguments, **options):
        if notebook.stem == "02_sum":
            raise OSError(errno.ENOSPC, "No space left on device", str(output))
        working(notebook, output, *arguments, **options)

    monkeypatch.setattr(execute, "execute", full)
    status, ran, output = go()
    assert status == 1 and output.count("error:") == 1 and "No space left on device (" in output
    monkeypatch.setattr(execute, "execute", working)
    assert go()[:2] == (0, ["02_sum"])


def test_a_grid_runs_each_point_in_its_own_folder(go, folder):
    folder.put("01_numbers", "grid: {n: [2, 3]}\n")
    status, ran, output = go()
    assert (status, ran) == (0, BOTH * 2) and "run 2/2: n = 3" in output
    sums = [json.loads((folder.out / f"n={n}" / "02_sum" / "metrics.json").read_text())["sum"] for n in (2, 3)]
    assert sums == [total(2), total(3)]
    folder.put("01_numbers", "grid: {n: [2, 3, 4]}\n")
    assert go()[1] == BOTH
    assert json.loads((folder.out / "n=4" / "manifest.json").read_text())["grid"] == {"n": 4}


def test_a_moved_run_is_still_kept(go, folder, tmp_path):
    go()
    folder.out = folder.out.rename(tmp_path / "moved")
    assert go()[:2] == (0, [])


def test_a_manifest_with_the_former_name_of_a_key_is_read_and_that_is_logged(go, folder, caplog):
    go()
    file = folder.out / "manifest.json"
    file.write_text(file.read_text().replace('"earlier_steps"', '"upstream"'))
    assert go()[:2] == (0, []) and "upstream is now called earlier_steps" in caplog.text
    assert "upstream" not in file.read_text()


def test_a_changed_library_is_mentioned(go, monkeypatch):
    go()
    monkeypatch.setattr(run.paths, "library_sha256", lambda folder: "other")
    status, ran, output = go()
    assert ran == [] and output.count("the library changed since, --force runs it anew") == 2


def test_a_folder_of_something_else_is_not_written_to(go, folder):
    folder.out.mkdir()
    (folder.out / "thesis.tex").write_text("")
    status, ran, output = go()
    assert (status, ran) == (2, []) and "holds files but no manifest.json" in output


def test_a_broken_manifest_says_what_to_do(go, folder):
    go()
    (folder.out / "manifest.json").write_text("{")
    status, ran, output = go()
    assert (status, ran) == (2, []) and re.search(r"manifest\.json: not JSON .*; remove it to run everything", output)


def test_a_second_run_of_the_same_folder_waits_its_turn(go, folder):
    with files.only_writer(folder.out):
        status, ran, output = go()
    assert (status, ran) == (2, []) and "is being written by process" in output


@pytest.fixture
def reports(monkeypatch):
    """A stand-in for the report, which knows other figures than those of the fixtures; returns what was written."""
    written = []
    monkeypatch.setattr(builder, "write", lambda out: written.append(out))
    monkeypatch.setattr(builder, "text", lambda out: "scores of " + out.name)
    return written


def test_a_report_is_written_where_the_experiment_asks(go, folder, reports):
    assert go()[0] == 0 and reports == []
    folder.put("experiment", "report: true\n")
    status, ran, output = go()
    assert (status, ran, reports) == (0, [], [folder.out])
    assert "scores of out" in output and re.search(r"report: .*out/report\.html", output)


def test_a_report_waits_for_all_notebooks(go, folder, reports):
    folder.put("experiment", "report: true\n")
    assert go("--only", "01")[0] == 0 and reports == []
    assert go("--only", "02")[0] == 0 and reports == [folder.out]


def test_missing_figures_fail_the_run_after_the_report(go, folder, reports, monkeypatch):
    def incomplete(out):
        raise ScorecardError("no figure for dpo.preference_accuracy")

    monkeypatch.setattr(builder, "write", incomplete)
    folder.put("experiment", "report: true\n")
    status, _, output = go()
    assert status == 1 and "scores of out" in output and "error: no figure for dpo.preference_accuracy" in output


def test_a_notebook_that_left_the_experiment_leaves_the_manifest(go, folder):
    go()
    (folder.path / "02_sum.yaml").unlink()
    status, ran, output = go()
    assert (status, ran) == (0, []) and "02_sum is no longer part of the experiment" in output
    assert [s["notebook"] for s in manifest(folder)["steps"]] == ["01_numbers"]
