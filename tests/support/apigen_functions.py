"""Functions that behave, and functions that don't. Helper of test_apigen_sandbox and test_apigen_apis."""

from __future__ import annotations

import asyncio
import ctypes
import dataclasses
import datetime
import enum
import os
import socket
import subprocess
import sys
import threading
import time
from typing import Annotated, Literal

from pydantic import Field

COUNT = 0


class Unit(enum.Enum):
    C = "celsius"
    F = "fahrenheit"


@dataclasses.dataclass
class Place:
    city: str
    title: str = ""


def weather(city: str, unit: Literal["C", "F"] = "C", days: Annotated[int, Field(ge=1, le=7)] = 1) -> dict:
    """Get the weather forecast of a city.

    Args:
        city: name of the city
        unit (str): unit of the temperature,
            Celsius or Fahrenheit
        days: number of days

    Returns:
        dict: the forecast
    """
    return {"city": city, "degrees": 4 if unit == "C" else 39, "days": days}


def convert_money(amount: float, source: str, target: str) -> float:
    """Convert an amount of money from one currency to another.

    :param amount: amount to convert
    :param str source: currency it is in
    :param target: currency wanted
    """
    return round(amount * (1 + len(source) / 10 + len(target) / 100), 2)


def next_day(day: datetime.date) -> datetime.date:
    """Tell the day after a date.

    Parameters
    ----------
    day : date
        the date before
    """
    return day + datetime.timedelta(days=1)


def count_letters(text: str, ignore_case: bool = True, more: dict[str, int] | None = None) -> dict:
    """Count the letters of a text."""
    letters = text.lower() if ignore_case else text
    return {letter: letters.count(letter) for letter in sorted(set(letters)) if letter.isalpha()} | (more or {})


def find_place(place: Place, unit: Unit = Unit.C, where=None, limit=5) -> list[Place]:
    """Find places like one given."""
    assert isinstance(place, Place) and isinstance(unit, Unit)
    return [dataclasses.replace(place, title=f"{unit.value} {n}") for n in range(min(limit, 2))]


async def slowly(number: int) -> int:
    """Double a number in a while."""
    await asyncio.sleep(0.01)
    return 2 * number


def _threaded() -> list[int]:
    found: list[int] = []
    thread = threading.Thread(target=found.append, args=(1,))
    thread.start()
    thread.join()
    return found


def _everyday() -> list:
    """What functions that people bring do: none of it needs a right of its own."""
    import contextlib
    import csv
    import datetime
    import decimal
    import io
    import json
    import random
    import re
    import sqlite3
    import tomllib
    import zoneinfo
    from pathlib import Path

    import numpy

    base = sqlite3.connect(":memory:")
    base.execute("create table t (a)")
    base.executemany("insert into t values (?)", [(n,) for n in range(3)])
    day = datetime.datetime(2026, 12, 31, 20, tzinfo=zoneinfo.ZoneInfo("UTC"))
    with open(os.devnull, "w") as nothing, contextlib.redirect_stdout(nothing):
        print("unheard")
    return [
        base.execute("select sum(a) from t").fetchone()[0],
        str(decimal.Decimal("1.1").quantize(decimal.Decimal("0.01"))),
        re.sub("a+", "b", "aaa"),
        int(numpy.arange(4).sum()),
        day.astimezone(zoneinfo.ZoneInfo("Asia/Tokyo")).isoformat(),
        next(csv.reader(io.StringIO("x,1"))),
        tomllib.loads("a = 2")["a"],
        len(json.loads("[1, 2, 3, 4]")),
        os.environ.get("HOME", ""),
        asyncio.run(asyncio.sleep(0, 1)),
        0 <= random.random() < 1 and "_everyday" in Path(__file__).read_text(),
    ]


def _nested() -> list:
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    return deep


def _nested_answer() -> None:
    os.write(3, b'{"result": ' + b"[" * 40_000 + b"]" * 40_000 + b"}\n")
    os._exit(0)


def _forged_answer() -> None:
    os.write(3, b'{"result": 1, "network": "none"}\n')
    os._exit(0)


def _endless_number() -> None:
    os.write(3, b'{"result": ' + b"9" * 50_000 + b"}\n")
    os._exit(0)


def _counted() -> int:
    global COUNT
    COUNT += 1
    return COUNT


def _chatty() -> int:
    print('{"result": "printed"}\n' * 10_000)
    os.write(1, b"more\n")
    return 7


def _environment() -> dict:
    return dict(os.environ)


def _no_end() -> None:
    while True:
        pass


def _no_end_that_holds_on() -> None:
    while True:
        try:
            time.sleep(60)
        except BaseException:
            continue


def _asleep() -> None:
    time.sleep(60)


def _much_memory() -> int:
    return len(bytearray(8 * 1024**3))


def _deep(number: int = 0) -> int:
    return _deep(number + 1) + 1


def _huge() -> str:
    return "x" * 5_000_000


def _writes_into_the_answer() -> None:
    os.write(3, b"nonsense\n" * 3)


def _fills_the_answer() -> None:
    while True:
        os.write(3, b"x" * 65536)


def _closes_and_sleeps() -> None:
    os.close(3)
    time.sleep(60)


def _crash() -> None:
    ctypes.string_at(0)


def _exit() -> None:
    sys.exit(3)


def _hard_exit() -> None:
    os._exit(0)


def _fork_bomb() -> None:
    while True:
        os.fork()


def _kill_parent() -> None:
    os.kill(os.getppid(), 9)


def _subprocess() -> str:
    return subprocess.run(["true"], check=True).args[0]


def _connect() -> str:
    return str(socket.create_connection(("127.0.0.1", 9), timeout=1))


def _look_up() -> str:
    return str(socket.getaddrinfo("localhost", 80))


def _raw(name: str) -> list[int]:
    """A system call past Python: what it returns, and the error."""
    library = ctypes.CDLL(None, use_errno=True)
    arguments = {"socket": (2, 1, 0), "fork": (), "kill": (os.getppid(), 0)}[name]
    return [getattr(library, name)(*arguments), ctypes.get_errno()]


def _write_file(path: str) -> None:
    with open(path, "w") as file:
        file.write("x")


def _remove_file(path: str) -> None:
    os.remove(path)


def _not_json() -> object:
    return object()


def _nan() -> float:
    return float("nan")


def _bad_error() -> None:
    class Odd(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    raise Odd


def _positional(a: int, /) -> int:
    """Has an argument that can't be named."""
    return a


def _starred(*numbers: int) -> int:
    """Has arguments that can't be named."""
    return sum(numbers)


def _open_ended(name: str, **more: int) -> dict:
    """Takes whatever it is given."""
    return {"name": name, **more}


def _unreadable(thing: NoSuchType) -> int:  # noqa: F821
    """Has a hint that names nothing."""
    return 1
