"""One record never stops a run: what it provokes is its loss, and what takes too long is broken off."""

import errno
import logging
import re
import signal
import threading
import time

import pytest

from xlam_lib.data import boundary
from xlam_lib.data.accounting import UNFORESEEN, AccountingError, Drop, Loss
from xlam_lib.data.boundary import TOO_SLOW, attempt, time_limit
from xlam_lib.data.streams import Raw
from xlam_lib.errors import TrajectoryError

RAW = Raw({"id": 1}, "rows.jsonl", 7)


def raising(error: BaseException):
    def work(raw: Raw) -> None:
        raise error

    return work


def for_ever(raw: Raw) -> None:
    while True:
        pass


def test_what_work_gives_is_given() -> None:
    assert attempt(lambda raw: raw.value["id"], RAW) == 1


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Drop("empty query", "found nothing"), "empty query"),
        (TrajectoryError("no user step"), "fails validation"),
        (RecursionError("too deep"), "nested too deeply"),
        (MemoryError(), "takes more memory than there is"),
        (OverflowError("int too large"), "a number too large to be calculated with"),
        (ZeroDivisionError(), "a number too large to be calculated with"),
        (KeyError("nested"), UNFORESEEN),
        (re.error("bad pattern"), UNFORESEEN),
        (StopIteration(), UNFORESEEN),
        (UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates"), UNFORESEEN),
    ],
)
def test_what_a_record_provokes_is_its_loss(error: Exception, reason: str) -> None:
    loss = attempt(raising(error), RAW)
    assert isinstance(loss, Loss)
    assert (loss.kind, loss.where, loss.reason) == ("dropped", "rows.jsonl:7", reason)


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "the disk is full"), KeyboardInterrupt(), SystemExit(1), AccountingError("books")]
)
def test_what_is_not_of_its_making_ends_the_run(error: BaseException) -> None:
    with pytest.raises(type(error)):
        attempt(raising(error), RAW)


def test_an_error_that_cannot_say_what_it_is() -> None:
    class Mute(ValueError):
        def __str__(self) -> str:
            raise RecursionError

    assert attempt(raising(Mute()), RAW).detail == "Mute"


def test_a_thousand_alike_are_logged_once(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boundary, "_shown", set())
    for _ in range(1000):
        attempt(lambda raw: raw.value["nested"], RAW)
    assert caplog.text.count("Traceback") == 1 and "rows.jsonl:7" in caplog.text
    for number in range(100):  # each from a place of its own
        attempt(eval(f"{chr(10) * number}lambda raw: raw.value['nested']"), RAW)
    assert caplog.text.count("Traceback") == boundary.TRACEBACKS


@pytest.mark.parametrize("work", [for_ever, lambda raw: re.match(r"(a|a)*$", "a" * 60 + "b")], ids=["loop", "pattern"])
def test_what_takes_too_long_is_lost_and_the_next_is_not(work) -> None:
    start = time.process_time()
    with time_limit(0.2):
        lost = attempt(work, RAW)
        assert attempt(lambda raw: 1, RAW) == 1
        again = attempt(work, RAW)
    assert (lost.reason, again.reason) == (TOO_SLOW, TOO_SLOW)
    assert time.process_time() - start < 5


def test_time_between_records_is_nobodys() -> None:
    with time_limit(0.3):
        for _ in range(3):
            assert attempt(lambda raw: 1, RAW) == 1
            end = time.process_time() + 0.5
            while time.process_time() < end:
                pass


def test_no_record_swallows_its_end() -> None:
    def work(raw: Raw) -> None:
        while True:
            try:
                for_ever(raw)
            except Exception:
                continue

    with time_limit(0.2):
        assert attempt(work, RAW).reason == TOO_SLOW


def test_the_former_handler_and_timer_come_back() -> None:
    rung = []
    before = signal.signal(signal.SIGALRM, lambda *_: rung.append(1))
    try:
        signal.setitimer(signal.ITIMER_REAL, 500)
        with time_limit(5):
            attempt(lambda raw: 1, RAW)
            with time_limit(1):
                attempt(lambda raw: 1, RAW)
            assert signal.getsignal(signal.SIGALRM) == boundary._watch._ring
        assert 300 < signal.getitimer(signal.ITIMER_REAL)[0] <= 500.1
        signal.raise_signal(signal.SIGALRM)
        assert rung == [1]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_other_clocks_go_on_as_they_were() -> None:
    with time_limit(5):
        attempt(lambda raw: 1, RAW)
        start, seen = time.process_time(), set()
        while len(seen) < 20:
            seen.add(time.process_time() - start)
    assert max(seen) < 0.05  # not in steps of milliseconds


def test_in_another_thread_there_is_no_limit_and_no_harm() -> None:
    found = []

    def other() -> None:
        with time_limit(0.01):
            found.append(attempt(lambda raw: sum(range(3_000_000)), RAW))

    with time_limit(5):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert found == [sum(range(3_000_000))]


def test_readers_log_nothing_for_true_reasons(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    attempt(raising(RecursionError()), RAW)
    assert caplog.text == ""
