"""The errors of this library: each is an `XlamError`, so that a command prints one clear line for any of them.

Used by every room and notebook. An error names where (file and line, trajectory, step), what was found, what was
expected and how to mend it; those that only one room raises are defined there. A command runs its work like this:

    return as_command(lambda: train(settings))        # 0, or 2 after the line "error: ..." on standard error
"""

from __future__ import annotations

import sys
from collections.abc import Callable


class XlamError(Exception):
    """Base of what the library raises for its users."""


class TrajectoryError(XlamError, ValueError):
    """A record that is not what it should be; the message names the trajectory, the step and the field."""


class CheckpointError(XlamError, ValueError):
    """A checkpoint that is missing, cut off, or can't be trained; the message says which folder and what to do."""


class TrainingError(XlamError, RuntimeError):
    """A run that can't start or must not go on; the message says at which step and what to do."""


class MixtureError(XlamError, ValueError):
    """Sources, probabilities or a saved state that can't make the mixture; the message says which and what to do."""


def as_command(work: Callable[[], object], status: int = 2, also: tuple[type[Exception], ...] = ()) -> int:
    """The exit status of a command: that of `work`, or `status` after one line for an error of ours or the system's.

    What `work` returns is the status if it is a number, else it is 0. `also` names other errors of what a user gave.
    Example: `as_command(lambda: 3)` -> 3. Any other exception is a defect of the library and keeps its traceback.
    """
    try:
        result = work()
        return result if isinstance(result, int) else 0
    except (XlamError, OSError, *also) as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return status
