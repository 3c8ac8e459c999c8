import json
from collections import Counter
from itertools import count, islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xlam_lib.errors import MixtureError
from xlam_lib.seeds import DeviceSeed
from xlam_lib.train.mixture.loader import Loader
from xlam_lib.train.mixture.mixture import Mixture
from xlam_lib.train.mixture.readers import CHUNK


class Stream:
    """Can be iterated again and again, but has neither length nor random access."""

    def __init__(self, samples):
        self.samples = samples

    def __iter__(self):
        return iter(self.samples)


@st.composite
def cases(draw):
    """(sources, shares, stop, number of devices): sequences and streams, each device can have a sample of each."""
    world = draw(st.sampled_from([1, 2, 4]))
    sizes = draw(st.lists(st.integers(world, 60), min_size=1, max_size=5))
    sources = {}
    for number, size in enumerate(sizes):
        samples = [f"{number}/{i}" for i in range(size)]
        sources[f"s{number}"] = Stream(samples) if draw(st.booleans()) else samples
    shares = None
    if draw(st.booleans()):
        weights = draw(st.lists(st.integers(1, 20), min_size=len(sizes), max_size=len(sizes)))
        shares = [weight / sum(weights) for weight in weights]
    return sources, shares, draw(st.sampled_from(["all", 100])), world


def devices(case, seed=0, epoch=0):
    sources, shares, stop, world = case
    mixtures = [Mixture(sources, shares, seed=DeviceSeed(seed, rank, world), stop=stop) for rank in range(world)]
    for mixture in mixtures:
        mixture.set_epoch(epoch)
    return mixtures


def assert_disjoint(parts):
    assert sum(len(set(part)) for part in parts) == len(set().union(*parts))


@settings(max_examples=60, deadline=None)
@given(cases(), st.integers(0, 9))
def test_parts_are_disjoint_complete_counted_and_reproducible(case, seed):
    mixtures = devices(case, seed, epoch=seed)
    parts = [list(mixture) for mixture in mixtures]
    assert_disjoint(parts)
    assert [len(part) for part in parts] == mixtures[0].lengths == [len(mixture) for mixture in mixtures]
    assert max(mixtures[0].lengths) - min(mixtures[0].lengths) <= 1
    drawn = Counter(sample for part in parts for sample in part)
    for row, samples in zip(mixtures[0].table(), case[0].values(), strict=True):
        counts = [drawn[sample] for sample in samples]
        assert row["samples"] == len(counts) and row["draws"] == sum(counts)
        assert row["passes"] < 1 or min(counts) >= 1
    if case[2] == "all":
        assert set(drawn) == {sample for samples in case[0].values() for sample in samples}
        assert case[1] or set(drawn.values()) == {1}
    assert parts == [list(mixture) for mixture in devices(case, seed, epoch=seed)]
    assert len({mixture.fingerprint for mixture in mixtures}) == 1


@settings(max_examples=40, deadline=None)
@given(cases(), st.data())
def test_a_resumed_mixture_goes_on_with_the_very_next_sample(case, data):
    rank = data.draw(st.integers(0, case[3] - 1))
    whole = list(devices(case, seed=5, epoch=2)[rank])
    place = data.draw(st.integers(0, len(whole)))
    mixture = devices(case, seed=5, epoch=2)[rank]
    running = iter(mixture)
    assert list(islice(running, place)) == whole[:place]
    resumed = devices(case, seed=5)[rank]
    resumed.load_state_dict(mixture.state_dict())
    assert list(resumed) == whole[place:]
    assert list(resumed) == whole, "the loaded place holds once"


@settings(max_examples=40, deadline=None)
@given(cases(), st.integers(1, 9), st.booleans(), st.data())
def test_batches_are_the_stream_cut_up_whoever_reads_them(case, batch_size, even, data):
    """`Loader.read` is what a worker process runs; the workers take turns."""
    mixtures = devices(case, seed=1)
    rank, workers = data.draw(st.integers(0, case[3] - 1)), data.draw(st.integers(1, 3))
    loader, whole = Loader(mixtures[rank], batch_size, even=even), list(mixtures[rank])
    if even and len(whole) < max(mixtures[0].lengths):
        whole.append(whole[0])
    expected = [whole[at : at + batch_size] for at in range(0, len(whole), batch_size)]
    assert list(loader) == expected and len(loader) == len(expected)
    assert not even or len({len(Loader(mixture, batch_size, even=True)) for mixture in mixtures}) == 1
    for start in {0, min(batch_size, len(whole)), data.draw(st.integers(0, len(whole)))}:
        turns = [list(loader.read(start, worker, workers)) for worker in range(workers)]
        merged = [turns[number % workers][number // workers] for number in range(sum(map(len, turns)))]
        assert merged == [whole[at : at + batch_size] for at in range(start, len(whole), batch_size)]
    stopped = data.draw(st.integers(0, len(expected)))
    for _ in zip(range(stopped), loader, strict=False):
        pass
    state = {**loader.state_dict(), "place": min(stopped * batch_size, len(whole))}
    other = Loader(devices(case, seed=1)[rank], batch_size, even=even)
    other.load_state_dict(state)
    assert list(other) == expected[stopped:]


SHARES = {"large": 0.15, "tiny": 0.02, "small": 0.08, "huge": 0.7, "middle": 0.05}
SIZES = {"large": 30_000, "tiny": 40, "small": 700, "huge": 10**9, "middle": 5_000}


@pytest.mark.parametrize("stop", ["never", "all", 48_000])
@pytest.mark.parametrize("world", [1, 2, 4])
def test_any_10_000_samples_hold_the_sources_by_their_shares(world, stop):
    """Each share is met to within 1 % of itself, on each device, wherever one looks."""
    sources = {name: range(size) for name, size in SIZES.items()}
    for rank in range(world):
        names = list(islice(Mixture(sources, SHARES, seed=DeviceSeed(42, rank, world), stop=stop).order(), 12_000))
        for start in (0, 137, 2_000):
            drawn = Counter(names[start : start + 10_000])
            assert all(abs(drawn[name] - 10_000 * share) <= max(2, 100 * share) for name, share in SHARES.items())


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 1000), min_size=2, max_size=40), st.integers(0, 5), st.integers(0, 10**9))
def test_every_stretch_is_balanced(weights, seed, start):
    shares = [weight / sum(weights) for weight in weights]
    mixture = Mixture({f"s{i}": range(100) for i in range(len(weights))}, shares, seed=seed, stop="never")
    drawn = Counter(source for source, _ in islice(mixture._schedule().draws(start), 10_000))
    assert all(abs(drawn[i] - 10_000 * share) <= 100 for i, share in enumerate(shares))


def test_each_device_and_each_epoch_has_an_order_of_its_own():
    sources = {"a": range(1000), "b": range(1000, 1500)}
    one, two = (Mixture(sources, seed=DeviceSeed(0, rank, 2)) for rank in range(2))
    assert [x < 1000 for x in one] != [x < 1000 for x in two]
    first = list(one)
    one.set_epoch(1)
    second = list(one)
    assert first != second and set(first) != set(second), "who gets what is dealt anew each epoch"
    assert first != sorted(first) and set(list(one)[:100]) != set(range(100))


def test_a_repeated_source_is_reshuffled_and_stays_on_its_device():
    sources = {"large": range(1000), "small": range(1000, 1020)}
    parts = [list(Mixture(sources, [0.5, 0.5], seed=DeviceSeed(0, rank, 2))) for rank in range(2)]
    assert_disjoint(parts)
    for part in parts:
        small = [x for x in part if x >= 1000]
        passes = [small[at : at + 10] for at in range(0, 500, 10)]
        assert all(sorted(one) == sorted(passes[0]) for one in passes) and len(set(map(tuple, passes))) > 45


def test_adding_a_source_leaves_the_order_of_the_others():
    both = Mixture({"a": range(100), "b": range(100, 150)}, seed=3)
    assert [x for x in both if x < 100] == list(Mixture({"a": range(100)}, seed=3))


def test_stops():
    sources = {"a": range(100), "b": range(40)}

    def draws(stop):
        return [row["draws"] for row in Mixture(sources, {"b": 0.2, "a": 0.8}, stop=stop).table()]

    assert draws("all") == [160, 40] and draws("first") == [100, 25] and draws(7) == [6, 1]
    assert draws("never") == [None, None]
    endless = Mixture(sources, [0.8, 0.2], stop="never")
    assert len(list(islice(endless, 5000))) == 5000
    with pytest.raises(TypeError, match="endless"):
        len(endless)


def test_temperature():
    sources = {"a": range(900), "b": range(100)}

    def shares(temperature):
        return [row["share"] for row in Mixture(sources, temperature=temperature).table()]

    assert shares(1) == [0.9, 0.1] and shares(2) == pytest.approx([0.75, 0.25])
    assert shares(1e9) == pytest.approx([0.5, 0.5])


def test_a_stream_is_shuffled_by_chunks_and_read_again():
    mixture = Mixture({"s": Stream(range(2 * CHUNK + 10))}, [1.0], stop="never", seed=1)
    one_pass, again = (list(islice(iter(mixture), at, at + 2 * CHUNK + 10)) for at in (0, 2 * CHUNK + 10))
    assert sorted(one_pass) == sorted(again) == list(range(2 * CHUNK + 10)) and one_pass != again
    assert max(one_pass[:CHUNK]) == CHUNK - 1 and one_pass[:100] != list(range(100))


def test_an_endless_generator_function_is_a_source():
    state = {}
    for rank in range(2):
        mixture = Mixture({"n": count}, [1.0], seed=DeviceSeed(0, rank, 2), stop="never")
        drawn = list(islice(mixture, 3000))
        assert {x % 2 for x in drawn} == {rank} and len(set(drawn)) == 3000
        state = mixture.state_dict()
    mixture.load_state_dict(state)
    assert not set(islice(mixture, 10)) & set(drawn)


def test_a_stream_that_changes_is_noticed():
    lengths = iter([5, 4])
    with pytest.raises(MixtureError, match="gave 4 samples, but 5 before"):
        list(Mixture({"s": lambda: iter(range(next(lengths)))}))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (({},), "no sources"),
        (({"a": []},), "source 'a' is empty"),
        (({"a": [1], "b": [2]}, [0.5, 0.6]), "sum to 1.1: they must sum to 1"),
        (({"a": [1], "b": [2]}, [15, 85]), "sum to 100"),
        (({"a": [1], "b": [2]}, [1.0, 0.0]), "each must be above 0"),
        (({"a": [1], "b": [2]}, [float("nan"), 1.0]), "each must be above 0"),
        (({"a": [1], "b": [2]}, [1.0]), "1 probabilities for 2 sources"),
        (({"a": [1], "b": [2]}, {"a": 0.5, "c": 0.5}), r"for \['a', 'c'\], but the sources are \['a', 'b'\]"),
        (({"a": iter([1])},), "can be read only once"),
        (({"a": 7},), "is a int"),
        (({"a": "rows.csv"},), "rows.csv is no .jsonl"),
    ],
)
def test_what_cannot_be_mixed_is_an_error(arguments, message):
    with pytest.raises(MixtureError, match=message):
        Mixture(*arguments)


def test_more_of_what_cannot_be_mixed():
    for stop in ("some", 0, -1, True):
        with pytest.raises(MixtureError, match="stop is"):
            Mixture({"a": [1]}, stop=stop)
    with pytest.raises(MixtureError, match="give one of them"):
        Mixture({"a": [1]}, [1.0], temperature=2)
    with pytest.raises(MixtureError, match="3 samples for 4 devices"):
        Mixture({"a": range(100), "b": range(3)}, [0.5, 0.5], seed=DeviceSeed(0, 0, 4))
    few = [list(Mixture({"a": range(100), "b": range(100, 103)}, seed=DeviceSeed(0, rank, 4))) for rank in range(4)]
    assert sorted(sum(few, [])) == list(range(103)), "without repeating, few samples are fine"
    with pytest.raises(TypeError, match="without random access"):
        Mixture({"a": [1]})[0]


def test_a_state_of_another_mixture_is_refused():
    def mixture(seed=0, world=2, size=100, share=0.5):
        return Mixture({"a": range(size), "b": range(50)}, [share, 1 - share], seed=DeviceSeed(seed, 0, world))

    state = mixture().state_dict()
    mixture().load_state_dict(state)
    with pytest.raises(MixtureError, match="saved with 2 devices, now there are 4"):
        mixture(world=4).load_state_dict(state)
    for other in (mixture(seed=1), mixture(size=99), mixture(share=0.4)):
        with pytest.raises(MixtureError, match="another mixture"):
            other.load_state_dict(state)


def test_a_state_is_small_json_and_serves_all_devices():
    sources = {"a": range(100), "b": range(50)}
    mixtures = [Mixture(sources, seed=DeviceSeed(0, rank, 2)) for rank in range(2)]
    wholes = [list(mixture) for mixture in mixtures]
    list(islice(iter(mixtures[0]), 30))
    state = json.loads(json.dumps(mixtures[0].state_dict()))
    for mixture, whole in zip(mixtures, wholes, strict=True):
        mixture.load_state_dict(state)
        assert list(mixture) == whole[30:]


def test_resuming_reads_nothing_of_what_lies_before():
    class Watched(list):
        read = 0

        def __getitem__(self, index):
            self.read += 1
            return super().__getitem__(index)

    rows = Watched(range(5000))
    mixture = Mixture({"a": rows}, stop="never", shares=[1.0])
    mixture.load_state_dict({**mixture.state_dict(), "place": 10**9})
    assert len(list(islice(mixture, 5))) == 5 and rows.read <= 6


def test_named_samples_and_peeking():
    mixture = Mixture({"a": range(10), "b": range(10, 15)}, seed=1)
    assert [name for name, _ in mixture.named()] == list(mixture.order())
    assert all((name == "a") == (sample < 10) for name, sample in mixture.named())
    assert next(iter(mixture)) == next(iter(mixture)), "a look at the first sample loses none"
