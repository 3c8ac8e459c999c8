"""A step of training, measured: seconds by part, tokens, utilisation and memory (`throughput.py`).

    trained = Trained(model, torch.bfloat16)
    step = trained.step(Reading("tries", "flex_attention", "FlexAttention", TriePacker(4096)), groups)
    step.parts       # {"packing": 0.004, "moving": 0.001, "forward": 0.31, "backward": 0.64, "optimizer": 0.05}
    step.figures     # of telemetry.Meter: tokens_per_second, read_per_second, utilisation, ...

All ways of reading share the model, its adapters and its optimizer, so that they can be timed in turns and nothing is
loaded twice.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from xlam_lib.train.loop.telemetry import Meter, counts_of
from xlam_lib.train.packing.grouping import Row
from xlam_lib.train.packing.packers import TriePacker
from xlam_lib.train.packing.trie_model import read_tries

LR = 1e-5
TOP = 10  # operators that a profile names
HOST = "packing"  # the part that isn't the device's


@dataclass(frozen=True)
class Reading:
    """A way of reading samples: `Reading("apart", "varlen", "varlen_attn", SeparatePacker(4096))`."""

    name: str
    attention: str  # as transformers names it
    kernel: str  # in words
    packer: TriePacker


@dataclass(frozen=True)
class Step:
    """What a step took and did; bytes in `memory`, `peak` of a GPU only. `counts` are telemetry's, of all its rows."""

    seconds: float
    parts: dict[str, float]
    figures: dict[str, Any]
    loss: float  # the mean of a label
    rows: int  # that were read one after another
    row: int  # tokens of the longest
    labelled: int  # labels of the row that has most
    counts: dict[str, int]
    memory: dict[str, int]


class Clock:
    """Seconds of named parts, by events of a GPU, which does its work later than it is called, or by the wall clock."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.spans: list[tuple[str, Any, Any]] = []

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """What happens inside belongs to this part."""
        start = self._now(name)
        yield
        self.spans.append((name, start, self._now(name)))

    def _now(self, name: str) -> Any:
        if self.device.type != "cuda" or name == HOST:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def seconds(self) -> dict[str, float]:
        """The sum of each part, once the device is done (`synchronize`)."""
        found: dict[str, float] = {}
        for name, start, end in self.spans:
            taken = end - start if isinstance(start, float) else start.elapsed_time(end) / 1000
            found[name] = found.get(name, 0.0) + taken
        return found


class Trained:
    """A model with its optimizer; weights and adapters as they come, computing in `dtype`."""

    def __init__(self, model: Any, dtype: torch.dtype, peak: float = 0.0) -> None:
        self.model, self.dtype = model, dtype
        self.base = model.get_base_model() if hasattr(model, "peft_config") else model
        read_tries(model)
        model.train()
        self.meter = Meter(model, dtype)
        self.meter.peak = peak or self.meter.peak
        self.device = self.meter.device
        self.weights = [p for p in model.parameters() if p.requires_grad]
        self.optimizer = self._optimizer()

    def step(self, reading: Reading, groups: Sequence[Sequence[Row]], update: bool = True) -> Step:
        """Pack, forward, backward, and AdamW if `update`."""
        if self.base.config._attn_implementation != reading.attention:
            self.base.set_attn_implementation(reading.attention)
        clock, total = Clock(self.device), torch.zeros((), device=self.device)
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        self._wait()
        self.meter.skip()
        started = time.perf_counter()
        with clock.part(HOST):
            packed = reading.packer.pack(groups)
        for made in packed.batches:
            with clock.part("moving"):
                batch = {key: value.to(self.device) for key, value in made.items()}
                weights = batch.pop("weights")[:, 1:]
            with (
                clock.part("forward"),
                torch.autocast(self.device.type, torch.bfloat16, enabled=self.dtype == torch.bfloat16),
            ):
                loss = -(self.model(**batch).log_probs * weights).sum() / packed.weight
            with clock.part("backward"):
                loss.backward()
            total += loss.detach()
        gradients = _size(p.grad for p in self.weights)
        with clock.part("optimizer"):
            if update:
                torch.nn.utils.clip_grad_norm_(self.weights, 1.0)
                self.optimizer.step()
            self.optimizer.zero_grad()
        self._wait()
        seconds = time.perf_counter() - started
        self.meter.lap()
        found = [{name: int(count) for name, count in counts_of(made).items()} for made in packed.batches]
        counts = {name: sum(one[name] for one in found) for name in found[0]} | {"tokens": packed.tokens}
        self.meter.count({}, **counts)
        return Step(
            seconds=seconds,
            parts=clock.seconds(),
            figures=self.meter.entry(),
            loss=total.item(),
            rows=len(packed.batches),
            row=max(one["read"] for one in found),
            labelled=max(one["trained"] for one in found),
            counts=counts,
            memory=self._memory(gradients),
        )

    def profiled(self, reading: Reading, groups: Sequence[Sequence[Row]]) -> list[dict[str, Any]]:
        """The operators of a step that take most of its time, kernels on a GPU: [{"operator", "seconds", "share"}]."""
        kinds = [ProfilerActivity.CPU, *[ProfilerActivity.CUDA] * (self.device.type == "cuda")]
        with profile(activities=kinds) as made:
            self.step(reading, groups)
        device = DeviceType.CUDA if self.device.type == "cuda" else DeviceType.CPU
        own = "self_device_time_total" if device == DeviceType.CUDA else "self_cpu_time_total"
        found = [(getattr(one, own) / 1e6, one.key) for one in made.key_averages() if one.device_type == device]
        total = sum(seconds for seconds, _ in found)
        return [
            {"operator": name, "seconds": round(seconds, 5), "share": round(seconds / total, 4)}
            for seconds, name in sorted(found, reverse=True)[:TOP]
        ]

    def release(self) -> None:
        """Give back what a step that ran out of memory has left behind; a half-made optimizer state with it."""
        self.optimizer.zero_grad()
        self.optimizer = self._optimizer()
        release()

    def _optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.weights, lr=LR, fused=True)

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def _memory(self, gradients: int) -> dict[str, int]:
        """Bytes of what stays, and of all that was held at once, which only a GPU counts."""
        states = (value for state in self.optimizer.state.values() for value in state.values())
        found = {"weights": _size(self.model.parameters()), "gradients": gradients, "optimizer": _size(states)}
        if self.device.type == "cuda":
            found["peak"] = torch.cuda.max_memory_allocated(self.device)
        return found


def release() -> None:
    """Give back to a GPU what nothing holds any more."""
    if torch.cuda.is_available():
        gc.collect()
        torch.cuda.empty_cache()


def _size(values: Any) -> int:
    return sum(value.numel() * value.element_size() for value in values if isinstance(value, torch.Tensor))
