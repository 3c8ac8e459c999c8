"""The names of the original pages: all there, light to import, and true of what notebook 01 says about them."""

import re
import subprocess
import sys
from collections import Counter

import pytest
from train_demo import STYLE

from xlam_lib import compat
from xlam_lib.models import checkpoint
from xlam_lib.paths import root

NAMES = """interleave_data init_device_seed DataCollatorForPromptAnswer SFTFoundationTrainer SFTFoundationTrainerLite
prepare_accelerator xLAMConfig xLAMChatCompletion""".split()


@pytest.mark.parametrize("name", NAMES)
def test_a_name_of_the_pages_is_the_one_of_its_room(name):
    found = getattr(compat, name)
    assert found.__name__ == name and found.__module__.startswith(compat.PLACES[name].rpartition(".")[0])
    assert name in dir(compat) and name in compat.__doc__


def test_a_name_that_is_not_there():
    with pytest.raises(AttributeError, match="no name 'train_everything'; it has DataCollator"):
        compat.train_everything  # noqa: B018


def test_importing_it_loads_nothing_heavy():
    code = "import sys, xlam_lib.compat; print(sorted({'torch', 'trl', 'openai', 'transformers'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_the_readme_has_the_same_table():
    readme = (root() / "README.md").read_text()
    assert set(NAMES) <= set(re.findall(r"\w+", readme[readme.index("## Coming from the xLAM code") :]))


@pytest.mark.parametrize("version", ["SFTFoundationTrainer", "SFTFoundationTrainerLite"])
def test_both_trainers_train_the_shares_and_the_part_of_a_device_that_interleave_data_gives(
    version, base, data, tmp_path
):
    """What notebook 01 says: shares by source, each device its own part."""
    from xlam_lib.train.sft import SftSettings
    from xlam_lib.train.sft_lite import LiteSettings

    tokenizer = checkpoint.load_tokenizer(base)
    sources = [compat.TrajectoryData(tokenizer, data, STYLE, name=name) for name in ("one", "other")]
    given = {"base": str(base), "out": str(tmp_path / "out"), "epochs": 1.0, "precision": "float32", "batch_size": 4}
    train, _ = compat.interleave_data(
        sources, [0.25, 0.75], seed=compat.init_device_seed(seed=42), seq_length=4096, stop=24
    )
    assert Counter(name for _, name, _ in train.placed()) == {"one": 6, "other": 18}
    expected = sorted(tuple(row["input_ids"]) for row in train)
    if version == "SFTFoundationTrainer":
        trainer = compat.SFTFoundationTrainer(SftSettings(data=(), **given), train)
        found = [tuple(row["input_ids"]) for row in trainer.train_dataset]
    else:
        args = LiteSettings(data=(), **given)
        trainer = compat.SFTFoundationTrainerLite(args, compat.prepare_accelerator(args), train)
        found = [tuple(row["input_ids"]) for batch in trainer.loader for _, row in batch]
    assert sorted(found) == expected
