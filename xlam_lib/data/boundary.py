"""One record never stops a run: the boundary around what is done with a record, and its time limit (notebook 01).

    with time_limit(10):                   # around a loop over records
        done = attempt(work, record)       # what work(record) gives, or the Loss that its failure means

Whatever a record provokes costs that record, under a true reason and with its place; what isn't of its making (a full
disk, Ctrl-C, books that don't balance) ends the run as ever. Every step of the pipeline, the converters' functions that
readers call, and `load_source` go through here.
"""

from __future__ import annotations

import atexit
import logging
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import get_ident
from typing import Any, Protocol, TypeVar

from xlam_lib.data.accounting import UNFORESEEN, AccountingError, Drop, Loss
from xlam_lib.errors import TrajectoryError

log = logging.getLogger(__name__)
SECONDS = 10.0  # of processor time for one record in one step
TICK = 0.5  # seconds between two looks at the clock
TOO_SLOW = "takes longer than the time limit of a record"
REASONS: dict[type[Exception], str] = {
    RecursionError: "nested too deeply",
    MemoryError: "takes more memory than there is",
    ArithmeticError: "a number too large to be calculated with",
}
NOT_OF_THE_RECORD = (OSError, AccountingError)  # of the machine, or of the library
TRACEBACKS = 20  # places of which the log shows one; a thousand records may fail at the same
_shown: set[tuple[str, int | None]] = set()


class Placed(Protocol):
    """What lies at a place: a `Raw`, or what became of it."""

    file: str
    line: int


Record = TypeVar("Record", bound=Placed)
Made = TypeVar("Made")


class TooSlow(BaseException):
    """A record has used up its time; no Exception, so that nobody on the way takes it for a fault that he knows."""


def attempt(work: Callable[[Record], Made], record: Record) -> Made | Loss:
    """What `work` makes of a record, or its Loss: `attempt(convert, raw)`.

    Within `time_limit`, work that takes longer is broken off.
    """
    watch = _watch if _watch.thread == get_ident() else _nobody
    try:
        watch.since, watch.open = None, True
        if not watch.wound:
            watch.wind()
        try:
            return work(record)
        finally:
            watch.open = False
    except (Drop, TrajectoryError) as error:
        return loss_of(record, error)
    except TooSlow:
        watch.open = False  # it may have come in the moment before
        return Loss("dropped", record.file, record.line, TOO_SLOW, f"more than {_watch.seconds:g} s of processor time")
    except NOT_OF_THE_RECORD:
        raise
    except Exception as error:
        return loss_of(record, drop_of(error, f"{record.file}:{record.line}"))


def drop_of(error: Exception, where: str) -> Drop:
    """The Drop of a record that provoked an error: `drop_of(RecursionError(), "a.jsonl:1").reason`.

    An error that nobody foresaw is logged with its traceback, once for each place in the code.
    """
    try:
        said = f"{type(error).__name__}: {error}"[:500]
    except Exception:  # an error that can't even say what it is
        said = type(error).__name__
    for kind, reason in REASONS.items():
        if isinstance(error, kind):
            return Drop(reason, said)
    frame = next(iter(traceback.extract_tb(error.__traceback__, limit=-1)), None)
    place = (frame.filename, frame.lineno) if frame else (said, None)
    if place not in _shown and len(_shown) < TRACEBACKS:
        _shown.add(place)
        log.warning("%s: %s; please report it", where, UNFORESEEN, exc_info=error)
    return Drop(UNFORESEEN, said)


def loss_of(record: Placed, error: Drop | TrajectoryError) -> Loss:
    """The loss that an error of the conversion means: `loss_of(raw, Drop("empty query")).reason` -> "empty query"."""
    if isinstance(error, Drop):
        return Loss("dropped", record.file, record.line, error.reason, error.detail)
    return Loss("dropped", record.file, record.line, _reason(error), str(error))


def _reason(error: TrajectoryError) -> str:
    from jsonschema import SchemaError  # takes seconds to import, and validate has done so by now

    bad_schema = isinstance(error.__cause__, SchemaError)
    return "tool schema is not JSON Schema" if bad_schema else "fails validation"


@contextmanager
def time_limit(seconds: float = SECONDS) -> Iterator[None]:
    """Within it, `attempt` breaks off work that takes more processor time: `with time_limit(5): ...`.

    Only in the main thread, since only there Python lets a signal be answered; in others there is no limit. Of several
    at a time the first one's counts. The signal's former handler and timer come back at the end.
    """
    entered = _watch.enter(seconds)
    try:
        yield
    finally:
        if entered:
            _watch.leave()


class _Watch:
    """One timer for many records, which a signal reads: a record costs no call of the system.

    The timer rings once and is wound up by the next record, so that it is silent while others than us are at work. It
    goes by the clock on the wall, since one that goes by processor time makes Linux count that time in steps of
    milliseconds for the whole process; what a record has used is asked when it rings.
    """

    def __init__(self) -> None:
        self.users, self.thread, self.seconds = 0, 0, SECONDS
        self.wound = self.open = False
        self.since: float | None = None  # processor time when it first rang within the record
        self.before: tuple[Any, tuple[float, float]] = (signal.SIG_DFL, (0.0, 0.0))

    def enter(self, seconds: float) -> bool:
        if threading.current_thread() is not threading.main_thread():
            return False
        if not self.users:
            self.seconds, self.thread = seconds, get_ident()
            timer = signal.setitimer(signal.ITIMER_REAL, 0)
            self.before = signal.signal(signal.SIGALRM, self._ring), timer
            signal.siginterrupt(signal.SIGALRM, False)
            atexit.register(self._restore)  # it must not ring when Python has put its handlers away
        self.users += 1
        return True

    def leave(self) -> None:
        self.users -= 1
        if not self.users:
            self._restore()

    def _restore(self) -> None:
        atexit.unregister(self._restore)
        self.thread, self.wound, self.open = 0, False, False
        handler, timer = self.before
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler or signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, *timer)

    def wind(self) -> None:
        self.wound = True
        signal.setitimer(signal.ITIMER_REAL, min(TICK, self.seconds))

    def _ring(self, *_: Any) -> None:
        self.wound = False
        if self.open:
            self.wind()
            now = time.thread_time()
            if self.since is None:
                self.since = now
            elif now - self.since >= self.seconds:
                raise TooSlow


_watch, _nobody = _Watch(), _Watch()
_nobody.wound = True  # it never rings
