"""Trajectories varied while they are read: as often as asked, the same for everybody, undone exactly, labels intact."""

import json
import subprocess
import sys
from collections import Counter
from dataclasses import fields, replace
from itertools import pairwise

import pytest
from floor_strategies import trajectories as random_trajectories
from hypothesis import given
from hypothesis import strategies as st
from train_demo import BOOK, STYLE, TOOLS, WEATHER, trajectory

from xlam_lib.chat_template import model_prompt
from xlam_lib.codec import answer_of, history_steps, prompts_of
from xlam_lib.data.augment.augmentation import KINDS, Augmentation, undone
from xlam_lib.data.augment.distractors import LOOK_ALIKE, ToolPool, likeness
from xlam_lib.data.augment.layouts import read, read_answer, turns_of, variant_of
from xlam_lib.data.augment.masking import REFUSALS, unmask
from xlam_lib.data.golden import samples_dir
from xlam_lib.data.sources import SOURCES, load_source
from xlam_lib.errors import MixtureError
from xlam_lib.models.tokens import IGNORED
from xlam_lib.settings import from_command_line
from xlam_lib.train.mixture.data_objects import TrajectoryData
from xlam_lib.train.mixture.grouped import rows_of
from xlam_lib.train.mixture.interleave import interleave_data
from xlam_lib.train.supervised import sft, sft_lite
from xlam_lib.trajectory import Source, Step, Tool, ToolCall, Trajectory, write_jsonl

MANY = [trajectory(number) for number in range(1000)]
OTHERS = ToolPool(Tool(f"play_{name}", f"Plays {name}") for name in ("chess", "go", "cards", "dice", "jazz", "rock"))
ALL = Augmentation(**dict.fromkeys(KINDS, 1.0))
SOME = Augmentation(distractors=0.3, shuffled=0.3, irrelevant=0.2, masked=0.5, variants=0.5, seed=3)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.05, 0.5, 1.0])
def test_as_many_are_varied_as_asked(kind, share):
    counts, bound = Counter(), 5 * (share * (1 - share) / len(MANY)) ** 0.5
    changed = [Augmentation(**{kind: share}, seed=1)(one, OTHERS, counts) for one in MANY]
    tried = counts[kind] + sum(count for what, count in counts.items() if what.startswith(f"not {kind}: "))
    assert counts["trajectories"] == len(MANY) and abs(tried / len(MANY) - share) <= bound
    assert sum(a is not b for a, b in zip(MANY, changed, strict=True)) == counts[kind] > 0
    jokes = sum(one.tags == ("irrelevant",) for one in MANY)  # nothing is called there
    if share == 1.0 and kind in ("distractors", "irrelevant"):
        assert counts[kind] == len(MANY) - jokes
    elif share == 1.0:
        assert counts[kind] == len(MANY)


def test_the_kinds_are_drawn_apart():
    counts = [Counter(), Counter()]
    alone, beside = Augmentation(masked=0.5, seed=3), SOME
    for one in MANY:
        masked = [augmentation(one, OTHERS, t) for augmentation, t in zip((alone, beside), counts, strict=True)]
        assert ("masked" in masked[0].extra) == ("masked" in masked[1].extra)
    both = sum("masked" in (made := SOME(one)).extra and variant_of(made) is not None for one in MANY)
    assert abs(both / len(MANY) - 0.25) < 0.05
    other = replace(alone, seed=4)
    assert any(("masked" in alone(one).extra) != ("masked" in other(one).extra) for one in MANY[:50])


def test_without_shares_nothing_is_touched():
    counts = Counter()
    assert Augmentation()(MANY[0], counts=counts) is MANY[0] and +counts == Counter()
    assert turns_of(MANY[3], STYLE) == prompts_of(MANY[3], STYLE)


BYTES = """
import sys, hashlib
sys.path.insert(0, "tests/support")
from train_demo import STYLE, TOOLS, trajectory
from xlam_lib.data.augment.distractors import ToolPool
from xlam_lib.data.augment.layouts import turns_of
from xlam_lib.data.augment.augmentation import Augmentation
from xlam_lib.trajectory import Tool
pool = ToolPool([*TOOLS, *(Tool(f"get_{name}", f"Gets the {name} of a city") for name in ("mayor", "size", "age"))])
some = Augmentation(distractors=0.5, shuffled=0.5, irrelevant=0.2, masked=0.5, variants=0.5, seed=3)
numbers = range(100) if sys.argv[1] == "up" else range(99, -1, -1)
made = {number: turns_of(some(trajectory(number), pool), STYLE) for number in numbers}
print(hashlib.sha256(repr(sorted(made.items())).encode()).hexdigest())
"""


def test_the_same_bytes_in_any_process_and_any_order():
    """Sets of words are hashed differently in each process; that must not show."""
    found = {
        subprocess.run(
            [sys.executable, "-c", BYTES, way], env={"PYTHONHASHSEED": seed}, capture_output=True, check=True, text=True
        ).stdout
        for way, seed in (("up", "0"), ("down", "1"), ("up", "2"))
    }
    assert len(found) == 1


def undoes(t: Trajectory, made: Trajectory) -> None:
    """It comes back, from a file too, and what its prompts say is what the trajectory behind them says."""
    assert undone(made) == undone(Trajectory.from_dict(json.loads(json.dumps(made.to_dict())))) == t
    variant = variant_of(made)
    for step, prompt, completion in turns_of(made, STYLE) if variant else ():
        parsed = read(prompt, variant)
        assert (parsed.query, parsed.history) == history_steps(made.steps[:step])
        assert [tool.name for tool in parsed.tools] == [tool.name for tool in made.tools]
        assert read_answer(completion, variant.answers) == answer_of(made.steps[step])


@given(random_trajectories(), st.integers(0, 99), st.sampled_from([1.0, 0.5]))
def test_every_change_is_undone(t, seed, share):
    undoes(t, Augmentation(**dict.fromkeys(KINDS, share), seed=seed)(t, OTHERS))


@pytest.mark.parametrize("source", sorted(SOURCES))
def test_samples_of_all_sources_come_back(source):
    found = list(load_source(source, samples_dir(source) / "raw"))
    for number, t in enumerate(found):
        for augmentation in (ALL, replace(ALL, irrelevant=0.0, seed=number)):
            made = augmentation(t, augmentation.pool(found))
            made.validate("warning")
            undoes(t, made)


def test_a_masked_trajectory_without_its_tool_refuses():
    made = ALL(MANY[0], OTHERS)
    assert made.steps[-1].content in REFUSALS and not any(step.tool_calls for step in made.steps)
    names = {tool.name for tool in unmask(made).tools}
    assert "book_room" not in names and names > {"get_weather", "add"} and len(names) == 2 + 4
    assert not {tool.name for tool in made.tools} & names


def test_distractors_never_fit_as_well():
    twins = [Tool("fetchWeather", "Tool to fetch the weather of a city"), Tool("now", "The time"), *TOOLS]
    counts = Counter()
    for number in range(100):
        t = replace(trajectory(number, "parallel"), tools=(replace(WEATHER, description="Get the weather of a city"),))
        made = Augmentation(distractors=1.0)(t, ToolPool(twins), counts)
        assert {tool.name for tool in made.tools} == {"get_weather", "now", "add", "book_room"}
        assert all(likeness(tool, t.tools[0]) < LOOK_ALIKE for tool in made.tools if tool.name != "get_weather")
    assert counts["distractors"] == 100


def test_nothing_stands_in_for_a_tool_that_went():
    """Beside a refusal, tools that are a little like the missing one come no more often than any others."""
    near, count = Tool("forecast", "Weather of a city in the coming week by the hour"), Counter()
    pool = ToolPool([near, *OTHERS.tools])
    for t in MANY[1:500:5]:  # two calls of get_weather
        for irrelevant in (0.0, 1.0):
            made = Augmentation(distractors=1.0, irrelevant=irrelevant)(t, pool)
            count[irrelevant] += near in made.tools
    assert count[0.0] == 100 and abs(count[1.0] / 100 - 4 / 7) < 0.25


def bare(*steps: Step, tools: tuple[Tool, ...] = (), **more: object) -> Trajectory:
    return Trajectory("t", Source("demo", "CC0-1.0"), tools=tools, steps=(Step("user", "Hi"), *steps), **more)


CALL = Step("assistant", tool_calls=(ToolCall("book_room", {}, "a"),))


@pytest.mark.parametrize(
    ("kind", "t", "why"),
    [
        ("irrelevant", bare(Step("assistant", "Hello"), tools=TOOLS), "nothing is called"),
        ("distractors", bare(Step("assistant", "Hello"), tools=TOOLS), "nothing is called, so that one of them might"),
        ("distractors", bare(CALL, tools=TOOLS, extra={"tools before distractors": []}), "it has distractors already"),
        ("distractors", bare(CALL, tools=(BOOK, BOOK)), "two of its tools have one name"),
        ("shuffled", bare(CALL, tools=(BOOK,)), "it has no two tools"),
        ("shuffled", bare(CALL, tools=(BOOK, BOOK)), "two of its tools have one name"),
        ("masked", bare(CALL), "it has no tools"),
        ("masked", bare(CALL, tools=(BOOK, BOOK)), "two of its tools have one name"),
        ("masked", bare(CALL, tools=TOOLS, extra={"masked": {}}), "it is masked already"),
        ("variants", Augmentation(variants=1.0)(bare(CALL)), "it names a layout already"),
    ],
)
def test_what_cannot_be_varied_stays_and_is_counted(kind, t, why):
    counts = Counter()
    assert Augmentation(**{kind: 1.0})(t, OTHERS, counts) is t
    ((reason, count),) = (+counts - Counter(trajectories=1)).items()
    assert reason.startswith(f"not {kind}: {why}") and count == 1
    if kind == "distractors":
        counts.clear()
        assert Augmentation(distractors=1.0)(bare(CALL, tools=(BOOK,)), counts=counts).tools == (BOOK,)
        assert counts["not distractors: its source has no other tools"] == 1


def test_a_layout_can_write_calls_of_tools_that_are_not_there():
    t = bare(Step("assistant", tool_calls=(ToolCall("no-python", {}, "a"),)))
    answers = {variant_of(Augmentation(variants=1.0, seed=seed)(t)).answers for seed in range(60)}
    assert len(answers) == 5 and "python" not in answers


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan")])
def test_a_share_is_a_share(share):
    with pytest.raises(MixtureError, match="masked is .*: expected a share of trajectories, from 0 to 1"):
        Augmentation(masked=share)


@pytest.mark.parametrize("kind", [sft.SftSettings, sft_lite.LiteSettings])
def test_the_settings_of_a_run_set_it(kind):
    shares = [part for name in KINDS for part in (f"--{name}", "0.25")]
    given = from_command_line(kind, ["--base", "b", "--data", "d", "--out", "o", "--seed", "5", *shares], "x", "X.")
    assert Augmentation.of(given) == Augmentation(0.25, 0.25, 0.25, 0.25, 0.25, seed=5)
    assert Augmentation.of(kind("b", ("d",), "o")) == Augmentation()
    assert {field.name for field in fields(Augmentation)} == {*KINDS, "seed"}


class Letters:
    """One token a character: what is trained can be read off the ids."""

    eos_token = "\n"

    def __call__(self, texts, **_):
        return {"input_ids": [list(map(ord, text)) for text in texts]}


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("some") / "train.jsonl"
    write_jsonl(path, [replace(one, split=("test", "val", "")[min(2, i % 10)]) for i, one in enumerate(MANY[:200])])
    return path


def test_labels_train_only_the_answer(file):
    rows, left_out, counts = rows_of(file, Letters(), STYLE, 10**6, ("<", ">"), SOME, "some")
    assert left_out == {"of another split": 40} and counts["trajectories"] == 160
    assert all(counts[kind] > 10 for kind in KINDS if kind != "distractors")
    assert counts["not distractors: its source has no other tools"] > 10
    by_id = {}
    for one in MANY[:200]:
        made = SOME(one, ToolPool(TOOLS))
        by_id |= {(made.trajectory_id, step): (prompt, answer) for step, prompt, answer in turns_of(made, STYLE)}
    for row in rows:
        prompt, answer = by_id[row.trajectory_id, row.step]
        assert bytes_of(row.input_ids[: row.prompt_length]) == model_prompt(prompt, "<", ">")
        trained = [label for label in row.labels if label != IGNORED]
        assert bytes_of(trained) == answer + "\n" and row.labels[-len(trained) :] == trained and row.source == "some"


def bytes_of(ids) -> str:
    return "".join(map(chr, ids))


def test_a_data_object_gives_the_rows_of_sft(file):
    data = TrajectoryData(Letters(), file, STYLE, wrapper=("<", ">"), augmentation=SOME)
    train, evaluation = interleave_data([data], seed=3)
    rows, _, counts = rows_of(file, Letters(), STYLE, 10**6, ("<", ">"), SOME)
    assert sorted(row["input_ids"] for row in train) == sorted(list(row.input_ids) for row in rows)
    assert train.augmented == {data.name: dict(counts)} and counts["irrelevant"] > 0
    plain = interleave_data([TrajectoryData(Letters(), file, STYLE, wrapper=("<", ">"))], seed=3)
    assert list(evaluation) == list(plain[1]), "what is measured on stays as it is"
    assert plain[0].augmented == {} and len(plain[0]) > len(train), "turns behind a refusal go"


def test_tools_held_out_are_no_distractors(tmp_path):
    secret = Tool("launch_rocket", "Launch a rocket")
    path = tmp_path / "train.jsonl"
    held_out = replace(trajectory(0), split="test", tools=(*TOOLS, secret))
    plain = [replace(trajectory(i, "single"), tools=(BOOK,)) for i in range(1, 20)]
    more = [replace(trajectory(i, "parallel"), tools=(WEATHER,)) for i in range(20, 30)]
    write_jsonl(path, [held_out, *plain, *more])
    rows, _, counts = rows_of(path, Letters(), STYLE, 10**6, augmentation=Augmentation(distractors=1.0))
    texts = [bytes_of(row.input_ids) for row in rows]
    assert counts["distractors"] == 29 and all("book_room" in text and "get_weather" in text for text in texts)
    assert not any("launch_rocket" in text for text in texts)
    objects = TrajectoryData(Letters(), path, STYLE, augmentation=Augmentation(distractors=1.0))
    assert sorted(bytes_of(row["input_ids"]) for row in interleave_data([objects])[0]) == sorted(texts)


def test_turns_of_a_trajectory_still_begin_alike(file):
    """One layout and one set of names for all turns, or a trie would have nothing to share."""
    rows, _, _ = rows_of(file, Letters(), STYLE, 10**6, augmentation=replace(ALL, irrelevant=0.0))
    pairs = [(a, b) for a, b in pairwise(rows) if a.trajectory_id == b.trajectory_id]
    shared = sorted(
        next(i for i, (x, y) in enumerate(zip(a.input_ids, b.input_ids, strict=False)) if x != y) / a.prompt_length
        for a, b in pairs
    )
    assert len(shared) > 20 and shared[len(shared) // 2] > 0.9
