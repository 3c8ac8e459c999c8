"""The command that measures throughput, whole but small and on a CPU: what it tells is what was calculated."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModelForCausalLM

from xlam_lib.errors import TrainingError
from xlam_lib.models.family import family, shrunk
from xlam_lib.perf import synthetic, throughput_rows, throughput_run, throughput_step
from xlam_lib.perf.throughput import main
from xlam_lib.perf.throughput_rows import Trial, as_line, compared, median_step
from xlam_lib.perf.throughput_run import model_of, readings, run
from xlam_lib.perf.throughput_settings import SMALL, Settings
from xlam_lib.perf.throughput_step import Clock, Trained
from xlam_lib.train.packing import padding_free
from xlam_lib.train.packing.attention import use_causal_blocks
from xlam_lib.train.packing.packers import SeparatePacker, TriePacker
from xlam_lib.train.packing.trie import common
from xlam_lib.train.packing.trie_model import TrieRow, read
from xlam_lib.train.planning.memory import Layout

CPU = torch.device("cpu")
SHAPE = synthetic.TrajectoryShape(prefix=60, own=20, turn=10, tail=5, answer=4, steps=(2, 4))
ARGS = Settings(models=("tiny",), lengths=(256,), batch=2, rounds=1, warmup=0, precision="float32", scale=0.05)
COMMAND = "--models tiny --lengths 256 --scale 0.05 --batch 2 --rounds 1 --warmup 0 --precision float32".split()


def trained(way="full", **other):
    return Trained(model_of(replace(ARGS, **other), "tiny", way, CPU), torch.float32)


def ways(length=256):
    return readings(ARGS, CPU, length, 64)


def test_the_whole_command(tmp_path, capsys):
    assert main([*COMMAND, "--gradient-checkpointing", "--out", str(tmp_path)]) == 0
    rows = json.loads((tmp_path / "throughput.json").read_text("utf-8"))
    names = ("way", "data", "reading")
    assert [tuple(row[name] for name in names) for row in rows] == [
        (way, data, reading)
        for way in ("lora", "full")
        for data in ("trajectories", "single")
        for reading in ("tries", "apart")
    ]
    for tries, apart in zip(rows[::2], rows[1::2], strict=True):
        assert tries["tokens"] == apart["tokens"] == apart["nodes"]
        assert tries["loss"] == pytest.approx(apart["loss"], rel=1e-5), "the same weights, the same samples"
        if tries["data"] == "single":
            assert tries["operations"] == apart["operations"] and tries["nodes"] == tries["tokens"]
        else:
            assert tries["nodes"] < 0.6 * tries["tokens"]
        assert tries["times_as_fast"] == pytest.approx(apart["seconds"] / tries["seconds"], rel=0.2)
    for row in rows:
        assert sum(row["parts"].values()) == pytest.approx(row["seconds"], abs=0.01)
        assert row["parts"][row["largest"]] == max(row["parts"].values())
        assert row["hardware_utilisation"] > row["utilisation"] > 0
        assert row["tokens_per_second"] == pytest.approx(row["tokens"] / row["seconds"], rel=0.1)
        assert sum(row["work"].values()) == pytest.approx(1, abs=1e-3)
        assert "padding-free" not in row["kernel"] and row["device"].startswith("CPU")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(rows) and "times as fast as apart" in lines[0] and "utilisation" in lines[0]
    assert "MiB of what stays (" in lines[0] and ", most of it " in lines[0]


def test_a_profile_names_operators():
    made = trained("lora")
    way, groups = ways(64)[0], synthetic.single(64, 1, 4096, 0)
    top = made.profiled(way, groups)
    assert len(top) == 10 and top == sorted(top, key=lambda one: -one["seconds"])
    assert any("mm" in one["operator"] for one in top) and 0.3 < sum(one["share"] for one in top) <= 1


@pytest.mark.parametrize("way", ["lora", "full"])
@pytest.mark.parametrize("precision", ["bfloat16", "float32"])
def test_what_stays_in_memory_is_what_the_plan_expects(way, precision):
    made = Trained(model_of(replace(ARGS, precision=precision), "tiny", way, CPU), getattr(torch, precision))
    reading, layout = ways(64)[0], Layout(1, weights=precision, compute=precision, dense_mask=False)
    found = throughput_rows.memory_of(made, reading, made.step(reading, synthetic.single(64, 1, 4096, 0)), layout)
    for part in ("weights", "gradients", "optimizer"):
        assert found["memory_gib"][part] == pytest.approx(found["planned_gib"][part], rel=0.02, abs=2e-4), part
    assert found["planned_gib"]["read"] > 0 and "read" not in found["memory_gib"], "only a GPU counts it"


def test_a_gpu_s_peak_is_reported_by_part():
    made, layout = trained(), Layout(1, weights="float32", compute="float32", dense_mask=False)
    way, groups = ways()[0], synthetic.single(256, 1, 4096, 0)
    step = made.step(way, groups)
    stays = sum(step.memory.values())
    found = throughput_rows.memory_of(made, way, replace(step, memory=step.memory | {"peak": stays + 2**30}), layout)
    assert found["memory_gib"]["read"] == 1 and found["memory_gib"]["together"] == pytest.approx(
        1 + stays / 2**30, abs=1e-3
    )
    row = throughput_rows.figures(made, step, step) | found
    assert "1.01 GiB (" in as_line(row) and "stays" not in as_line(row)
    flex = replace(way, attention=padding_free.FLEX)
    wider = throughput_rows.memory_of(made, flex, step, layout)
    assert wider["planned_gib"]["read"] > 2 * found["planned_gib"]["read"], "FlexAttention fills rows up to 1,024"


def test_operations_are_those_that_torch_counts():
    """Rows of 200 tokens, one block: all pairs are computed, telemetry counts those that may be seen."""
    made, way, length = trained(), ways(200)[1], 200
    groups = synthetic.single(length, 2, 4096, 0)
    with FlopCounterMode(display=False) as counter:
        step = made.step(way, groups)
    assert step.counts["pairs"] == length * (length + 1) and step.rows == 2
    flops = made.meter.flops
    norms = 6 * 2 * length * sum(values.numel() for values in made.weights if values.ndim == 1)  # of no product
    computed = {"pairs": 2 * length**2, "skipped_pairs": step.counts["skipped"] * length}
    ours = flops.work({**step.counts, **computed}) - norms
    assert ours == pytest.approx(counter.get_total_flops(), rel=1e-9)
    row = throughput_rows.figures(made, step, step)
    assert row["operations"] == flops.work(step.counts) < flops.work({**step.counts, "skipped": 0, "skipped_pairs": 0})


@pytest.mark.parametrize("broken", ["tries", "apart"])
def test_a_way_that_runs_out_of_memory_is_a_row(tmp_path, monkeypatch, capsys, broken):
    whole, free, released = Trained.step, Trained.release, []

    def step(self, reading, groups, update=True):
        if reading.name == broken and update:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nMore")
        return whole(self, reading, groups, update)

    monkeypatch.setattr(Trained, "step", step)
    monkeypatch.setattr(Trained, "release", lambda self: released.append(free(self)))
    assert main([*COMMAND, "--ways", "lora", "--data", "single", "--out", str(tmp_path)]) == 0
    assert len(released) == 1, "what the step left is given back, and it isn't tried again"
    rows = {row["reading"]: row for row in json.loads((tmp_path / "throughput.json").read_text("utf-8"))}
    assert rows.pop(broken)["failed"] == "out of memory: CUDA out of memory. Tried to allocate 2.00 GiB."
    (other,) = rows.values()
    assert other["seconds"] > 0 and "times_as_fast" not in other
    assert "out of memory: CUDA" in capsys.readouterr().out


def test_a_model_that_finds_no_room_is_a_row_and_the_next_one_goes_on(monkeypatch):
    def full(args, name, way, device):
        if way == "full":
            raise torch.OutOfMemoryError("no room")
        return model_of(args, name, way, device)

    monkeypatch.setattr(throughput_run, "model_of", full)
    rows = list(run(replace(ARGS, ways=("full", "lora"), data=("single",))))
    assert [row.get("failed") for row in rows] == ["out of memory: no room", None, None]
    assert as_line(rows[0]) == "tiny full: out of memory: no room"


def test_any_other_error_ends_the_run(monkeypatch):
    def step(*_, **__):
        raise RuntimeError("CUDA error: an illegal memory access")

    monkeypatch.setattr(Trained, "step", step)
    with pytest.raises(RuntimeError, match="illegal"):
        main([*COMMAND, "--ways", "lora", "--data", "single"])


def test_after_memory_ran_out_nothing_of_that_step_is_left():
    made, groups = trained(), synthetic.single(64, 1, 4096, 0)
    made.step(ways()[0], groups)
    assert made.optimizer.state
    made.weights[0].grad = torch.ones_like(made.weights[0])
    made.release()
    assert not made.optimizer.state and made.weights[0].grad is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], SMALL),
        (["--models", "tiny", "--lengths", "512"], "a smaller --scale"),
        (["--models", "gpt"], "'gpt' is unknown; known are xLAM-7b-r"),
        ([*COMMAND, "--ways", "qlora"], "'qlora' is unknown; known are lora, full"),
    ],
)
def test_what_can_t_be_run_is_one_line(given, message, capsys):
    assert main(given) == 2
    error = capsys.readouterr().err
    assert message in error and error.startswith("error: ") and error.count("\n") == 1


def test_a_number_out_of_range_is_an_error_of_the_command_line(capsys):
    with pytest.raises(SystemExit):
        main([*COMMAND, "--rounds", "0"])
    assert "--rounds is 0: expected at least 1" in capsys.readouterr().err.splitlines()[-1]


def test_only_a_cpu_refuses_large_models():
    throughput_run.check_device(Settings(), torch.device("cuda"))
    with pytest.raises(TrainingError, match="no GPU here, and xLAM-1b-fc-r has 1.35 billion"):
        throughput_run.check_device(Settings(), CPU)


def test_declared_trajectories_share_what_they_declare():
    groups = synthetic.trajectories(SHAPE, 6, 1000, seed=1)
    assert groups == synthetic.trajectories(SHAPE, 6, 1000, seed=1) != synthetic.trajectories(SHAPE, 6, 1000, seed=2)
    assert {len(group) for group in groups} <= {2, 3, 4} and len({len(group) for group in groups}) > 1
    for group in groups:
        assert [len(row["input_ids"]) for row in group] == [89 + 10 * number for number in range(len(group))]
        assert all(sum(label >= 0 for label in row["labels"]) == 4 for row in group)
        ids = [np.array(row["input_ids"]) for row in group]
        assert [common(a, b) for a, b in zip(ids, ids[1:], strict=False)] == [
            80 + 10 * number for number in range(len(group) - 1)
        ]
    starts = [np.array(group[0]["input_ids"]) for group in groups]
    assert {common(a, b) for a, b in zip(starts, starts[1:], strict=False)} == {60}
    assert SHAPE.longest == 119 and SHAPE.scaled(0.5).prefix == 30


def test_alfworld_is_declared_as_it_is(real_data):
    """Tokens of the samples over nodes of their tries, which is what counts, within a tenth of the records'."""
    args = replace(ARGS, lengths=(8192,), batch=24, scale=1.0)
    found = []
    for real in ("", str(real_data)):
        groups = throughput_run.groups_of(replace(args, real=real), "trajectories", 8192, 4096)
        packed = [TriePacker(8192).pack(groups[at : at + 8]) for at in range(0, 24, 8)]
        found.append(sum(one.tokens for one in packed) / sum(one.read for one in packed))
    assert found[0] == pytest.approx(found[1], rel=0.1)


def test_samples_apart_fill_rows_and_share_nothing():
    groups = synthetic.trajectories(SHAPE, 4, 1000, seed=0)
    packed, merged = SeparatePacker(300).pack(groups), TriePacker(300).pack(groups)
    rows = [row for group in groups for row in group]
    assert packed.read == packed.tokens == merged.tokens == sum(len(row["input_ids"]) for row in rows)
    assert packed.weight == merged.weight == 4 * len(rows) and merged.read < packed.read / 2
    assert all(batch["trie_tokens"].shape[1] <= 300 for batch in packed.batches)
    assert all(len(batch["trie_starts"]) == len(batch["trie_node"]) for batch in packed.batches)


@pytest.mark.parametrize(("name", "grouped"), [("xLAM-1b-fc-r", False), ("xLAM-2-3b-fc-r", True)])
def test_torch_s_flash_attention_is_given_where_samples_begin(monkeypatch, name, grouped):
    """The kernel itself needs a GPU: in its place a plain one that reads what it is given."""
    calls_of_kernel = []

    def kernel(query, key, value, starts, starts_k, longest, longest_k, scale, window_size, enable_gqa):
        calls_of_kernel.append((starts.tolist(), longest, enable_gqa))
        assert starts.dtype == torch.int32 and window_size == (-1, 0) and query.shape[0] == starts[-1]
        parts = zip(starts.tolist(), starts.tolist()[1:], strict=False)
        outs = [
            torch.nn.functional.scaled_dot_product_attention(
                *(one[a:b].transpose(0, 1) for one in (query, key, value)), is_causal=True, scale=scale,
                enable_gqa=enable_gqa,
            ).transpose(0, 1)
            for a, b in parts
        ]  # fmt: skip
        return torch.cat(outs)

    monkeypatch.setattr(padding_free, "varlen_attn", kernel)
    padding_free.register()
    model = AutoModelForCausalLM.from_config(shrunk(family()[name].architecture, 64))
    use_causal_blocks(model)
    samples = [[1, 2, 3, 4], [1, 2, 5], [7] * 9]
    row = TrieRow.of([[one] for one in samples]).tensors()
    expected = read(model.base_model, row)
    model.set_attn_implementation(padding_free.VARLEN)
    torch.testing.assert_close(read(model.base_model, row), expected, rtol=1e-4, atol=1e-5)
    assert calls_of_kernel[0] == ([0, 4, 7, 16], 9, grouped)
    with pytest.raises(ValueError, match="2 samples in 1 tries"):
        read(model.base_model, TrieRow.of([samples[:2]]).tensors())


def test_the_kernel_is_chosen_by_what_is_there(monkeypatch):
    cuda = torch.device("cuda")
    monkeypatch.setattr(padding_free, "is_flash_attn_2_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))
    assert padding_free.choose(cuda) == "varlen" and padding_free.choose(CPU) == "causal_blocks"
    monkeypatch.setattr(padding_free, "is_flash_attn_2_available", lambda: True)
    assert padding_free.choose(cuda) == "flash_attention_2"
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (7, 5))
    assert padding_free.choose(cuda) == "flex_attention"
    tries, apart = readings(replace(ARGS, attention="varlen"), cuda, 4096, 64)
    assert (tries.attention, apart.attention) == ("flex_attention", "varlen")
    assert tries.kernel == "FlexAttention with a mask of tries" and "varlen_attn" in apart.kernel


def test_the_parts_of_a_step_on_a_gpu_are_times_between_events(monkeypatch):
    class Event:
        now = 0.0

        def __init__(self, enable_timing):
            assert enable_timing

        def record(self):
            Event.now += 250.0  # milliseconds
            self.at = Event.now

        def elapsed_time(self, end):
            return end.at - self.at

    monkeypatch.setattr(torch.cuda, "Event", Event)
    clock = Clock(torch.device("cuda"))
    for _ in range(2):
        with clock.part("forward"):
            pass
        with clock.part("packing"):
            pass
    assert clock.seconds()["forward"] == 0.5 and clock.seconds()["packing"] < 0.1


def test_ways_take_turns_and_the_median_counts(monkeypatch):
    made, order = trained(), []
    whole = Trained.step

    def step(self, reading, groups, update=True):
        order.append((reading.name, update))
        return replace(whole(self, reading, groups, update), seconds=[50.0, 40.0, 3.0, 1.0, 2.0][len(order) // 2 - 1])

    monkeypatch.setattr(Trained, "step", step)
    layout = Layout(1, weights="float32", compute="float32", dense_mask=False)
    rows = list(compared(made, ways(64), synthetic.single(64, 1, 4096, 0), Trial(rounds=3, warmup=1), layout))
    assert order == [("tries", False), ("apart", False)] + [("tries", True), ("apart", True)] * 4
    assert rows[1]["seconds"] == 2.0 and rows[1]["compile_s"] > 40


def test_the_faster_of_two_is_the_median():
    step = throughput_step.Step(1.0, {}, {}, 0.0, 1, 1, 1, {}, {})
    assert median_step([replace(step, seconds=3.0), step]).seconds == 1.0


def test_real_records_are_read(monkeypatch, tmp_path):
    """As many trajectories as a step has, of samples that fit a row; ids are those of the case's own tokenizer."""
    asked, groups = [], synthetic.trajectories(SHAPE, 2, 4096, 0)

    def samples(case, real, work):
        asked.append((case.name, case.most, case.length, str(real)))
        return None, groups

    monkeypatch.setattr(throughput_run, "samples", samples)
    args = replace(ARGS, ways=("lora",), data=("trajectories",), real="records", case="webshop")
    tries, apart = run(args)
    assert asked == [("webshop", 2, 256, "records")] and tries["source"] == apart["source"] == "webshop"
    assert apart["tokens"] == sum(len(row["input_ids"]) for group in groups for row in group)
    groups.clear()
    with pytest.raises(TrainingError, match="no trajectory of webshop has samples of at most 256"):
        list(run(args))
