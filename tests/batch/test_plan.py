"""The plan: everything an experiment's folder can get wrong is reported at once, before anything runs."""

import pytest

from xlam_lib import paths
from xlam_lib.batch import plan
from xlam_lib.batch.plan import PlanError


def fault(folder):
    with pytest.raises(PlanError) as caught:
        plan.load(folder.path, folder.out)
    return str(caught.value)


def test_notebooks_run_in_the_order_of_their_names_with_all_parameters(folder):
    experiment = plan.load(folder.path, folder.out)
    (run,) = experiment.runs
    assert [s.name for s in run.steps] == ["01_numbers", "02_sum"]
    assert run.out == folder.out and run.values == {}
    assert run.steps[0].parameters == {
        "out_dir": str(folder.out),
        "seed": 0,
        "n": 4,
        "scale": 1.0,
        "words": ["a"],
    }


def test_the_default_folder_is_named_after_the_experiment(folder):
    experiment = plan.load(folder.path)
    assert experiment.out == paths.runs_dir() / "tiny"
    assert experiment.runs[0].steps[0].parameters["out_dir"] == "runs/tiny"


def test_settings_give_order_title_seed_and_what_counts_as_stuck(folder):
    folder.put("experiment", "title: Tiny\nseed: 7\norder: [02_sum, 01_numbers]\nstalled_after: 60\n")
    experiment = plan.load(folder.path, folder.out)
    steps = experiment.runs[0].steps
    assert experiment.title == "Tiny" and not experiment.report
    found = [(s.name, s.parameters["seed"], s.stalled_after) for s in steps]
    assert found == [("02_sum", 7, 60.0), ("01_numbers", 7, 60.0)]


def test_all_faults_of_all_notebooks_are_reported_at_once(folder):
    folder.put("01_numbers", "n: 4.5\nsede: 1\n")
    folder.put("02_sum", 'wait: 1e-3\nfail: "false"\n')
    message = fault(folder)
    assert "01_numbers.yaml: n is the number 4.5: expected int" in message
    assert "01_numbers.yaml: unknown parameter 'sede'; did you mean 'seed'?" in message
    assert "02_sum.yaml: wait is the string '1e-3': expected float" in message and "write 1.0e-3" in message
    assert "02_sum.yaml: fail is the string 'false': expected bool. Write true or false without quotes" in message


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("03_missing", "", "no notebook 03_missing.ipynb"),
        ("02_sum", "wait: 1\nwait: 2\n", "02_sum.yaml:2: not valid YAML: wait is given twice"),
        ("02_sum", "wait: [1\n", "02_sum.yaml:2: not valid YAML"),
        ("02_sum", "- wait\n", "expected `name: value` lines, found a list"),
        ("02_sum", "out_dir: here\n", "out_dir is set by the runner; choose the folder by --out"),
        ("experiment", "tilte: x\n", "unknown parameter 'tilte'; did you mean 'title'?"),
        ("experiment", "order: [02_sum]\n", "not in order: 01_numbers; without YAML: none"),
        ("experiment", "stalled_after: -1\n", "stalled_after is below 0; give seconds, or 0 for no limit"),
        ("experiment", "grid: {n: [1]}\n", "only seed is common to all notebooks"),
        ("01_numbers", "grid: {n: 3}\n", "expected parameters with lists of values"),
        ("01_numbers", "grid: {n: []}\n", "expected parameters with lists of values"),
        ("01_numbers", "n: 1\ngrid: {n: [1, 2]}\n", "n also stands outside the grid"),
        ("01_numbers", "grid: {n: [1, 1]}\n", "two points of the grid would write the same folder"),
        ("01_numbers", "grid: {m: [1, 2]}\n", "unknown parameter 'm'"),
    ],
)
def test_a_fault_names_the_file(folder, name, text, message):
    folder.put(name, text)
    assert message in fault(folder)


def test_a_notebook_without_the_common_parameters_is_refused(folder):
    notebook = folder.path / "02_sum.ipynb"
    notebook.write_text(notebook.read_text().replace("seed: int = 0  # not used", "sed: int = 0  # not used"))
    assert "the parameters cell lacks seed" in fault(folder)


def test_missing_and_empty_folders(folder, tmp_path):
    with pytest.raises(PlanError, match="no such folder; experiments here"):
        plan.load(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(PlanError, match="no YAML of a notebook's parameters"):
        plan.load(tmp_path / "empty")
    (tmp_path / "empty" / "02_sft.yml").write_text("")
    with pytest.raises(PlanError, match=r"02_sft\.yml would not be read"):
        plan.load(tmp_path / "empty")


def test_a_grid_is_one_run_for_each_combination(folder):
    folder.put("01_numbers", "grid:\n  scale: [1, 0.5]\n  words: [[a, b c], [d]]\n")
    folder.put("experiment", "grid: {seed: [0, 1]}\n")
    runs = plan.load(folder.path, folder.out).runs
    assert len(runs) == 8
    assert runs[0].out == folder.out / "seed=0,scale=1,words=a-b-c"
    assert runs[-1].values == {"seed": 1, "scale": 0.5, "words": ["d"]}
    assert [s.parameters["seed"] for s in runs[-1].steps] == [1, 1]
    assert runs[-1].steps[0].parameters["out_dir"] == str(runs[-1].out)


def test_the_same_name_in_two_grids_gets_the_notebooks_name(folder):
    folder.put("01_numbers", "grid: {seed: [1, 2]}\n")
    folder.put("02_sum", "grid: {seed: [3]}\n")
    run = plan.load(folder.path, folder.out).runs[1]
    assert run.out.name == "01_numbers.seed=2,02_sum.seed=3"
    assert [s.parameters["seed"] for s in run.steps] == [2, 3]


def test_long_grid_names_stay_short_and_distinct(folder):
    long = "x" * 120
    folder.put("01_numbers", f"grid:\n  words: [[{long}a], [{long}b]]\n")
    names = [run.out.name for run in plan.load(folder.path, folder.out).runs]
    assert len(set(names)) == 2 and max(map(len, names)) <= 100


def test_only_takes_names_and_unambiguous_beginnings(folder):
    experiment = plan.load(folder.path, folder.out)
    assert plan.select(experiment, []) == {"01_numbers", "02_sum"}
    assert plan.select(experiment, ["02"]) == {"02_sum"}
    with pytest.raises(PlanError, match="--only 0: 2 notebooks match"):
        plan.select(experiment, ["0"])
    with pytest.raises(PlanError, match="did you mean '02_sum'"):
        plan.select(experiment, ["02_sun"])


def test_prose_and_outputs_do_not_count_as_code(folder):
    notebook = folder.path / "01_numbers.ipynb"
    before = plan.source_sha256(notebook)
    notebook.write_text(notebook.read_text().replace("Makes numbers", "Makes some numbers"))
    assert plan.source_sha256(notebook) == before
    notebook.write_text(notebook.read_text().replace("randint(0, 9)", "randint(0, 8)"))
    assert plan.source_sha256(notebook) != before
