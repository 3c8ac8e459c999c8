"""The process behind `sandbox.py`: it loads functions, and forks a confined process of its own for each single call.

    python -m xlam_lib.data.apigen.sandbox.sandbox_child   # a request a line on standard input, answers on output

A call therefore never meets what an earlier call left behind (changed globals, used-up time, open files), and whatever
happens to its process is one error in one answer. The module of a function is loaded once, here, already behind fences:
it may start processes, which end with this one, and use more memory than a call. What it brings along, calls may use.
"""

from __future__ import annotations

import asyncio
import fcntl
import functools
import importlib
import importlib.util
import inspect
import json
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, BinaryIO

from xlam_lib.data.apigen.sandbox.confine import Fences, Limits, held_by
from xlam_lib.processes import tie_to_parent

if TYPE_CHECKING:
    from pydantic import TypeAdapter

LOADING = 4  # times the memory of a call, for the data of this process
FREE = 16  # a number of a file that no pipe of a confined process gets


@functools.cache
def load(module: str, name: str, path: str, source: str) -> Callable[..., Any]:
    """The function of that name: of a text of Python, of a file, else of a module that can be imported."""
    if source:
        space: dict[str, Any] = {"__name__": "sandboxed"}
        exec(compile(source, f"<source of {name}>", "exec"), space)
        found: Any = space[name]
    else:
        found = _module(module, path)
        for part in name.split("."):
            found = getattr(found, part)
    return takes_json(found)


def takes_json(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, which makes dates, enums and dataclasses of JSON values, as its type hints say."""
    from pydantic import ConfigDict, validate_call
    from pydantic.errors import PydanticUndefinedAnnotation, PydanticUserError

    try:
        return validate_call(config=ConfigDict(arbitrary_types_allowed=True))(function)
    except (PydanticUserError, PydanticUndefinedAnnotation, NameError, TypeError):
        return function  # its hints can't be read: the JSON values go in as they are


@functools.cache
def _module(module: str, path: str) -> Any:
    if not path:
        return importlib.import_module(module)
    spec = importlib.util.spec_from_file_location("sandboxed_file", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no file of Python")
    made = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = made
    spec.loader.exec_module(made)
    return made


def called(function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    """The result as plain JSON values."""
    result = function(**arguments)
    if inspect.isawaitable(result):

        async def wait() -> Any:
            return await result

        result = asyncio.run(wait())
    return _plain().dump_python(result, mode="json")


@functools.cache
def _plain() -> TypeAdapter[Any]:
    from pydantic import ConfigDict, TypeAdapter

    return TypeAdapter(Any, config=ConfigDict(ser_json_inf_nan="constants"))


def _described(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {str(error)[:2000]}"
    except Exception:  # an error that can't even say what it is
        return f"{type(error).__name__}: "


def enter(limits: Limits, fences: Fences, *pipes: int) -> None:
    """Confines this process, which was just forked: these pipes become 3, 4, ..., and nothing else stays open."""
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    aside = [fcntl.fcntl(pipe, fcntl.F_DUPFD, FREE) for pipe in pipes]  # past those that they become
    for place, pipe in enumerate(aside, start=3):
        os.dup2(pipe, place)
    tie_to_parent(signal.SIGKILL)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    fences.around_call(limits)
    os.closerange(3 + len(pipes), most)


def _in_child(call: Callable[[], Any], limits: Limits, fences: Fences, answers: int) -> None:
    """Runs in the forked process and never returns."""
    status = 1
    try:
        enter(limits, fences, answers)
        try:
            answer = json.dumps({"result": call()}, allow_nan=False)
        except BaseException as error:  # also SystemExit: a tool that ends its process has failed
            answer = json.dumps({"error": _described(error)})
        data = memoryview(answer.encode() + b"\n")
        while data:
            data = data[os.write(3, data) :]
        status = 0
    finally:
        os._exit(status)


def run_one(call: Callable[[], Any], limits: Limits, fences: Fences) -> bytes:
    """One call in a process of its own: a line with {"result": ...} or {"error": "TimeoutError: ..."}.

    What the call's process says is no more than passed on, for the line may hold anything.
    """
    mine, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(mine)
        _in_child(call, limits, fences, theirs)
    os.close(theirs)
    end = time.monotonic() + limits.seconds
    text, fault = _read(mine, limits, end)
    os.close(mine)
    status = None if fault else _ended(child, end)
    if status is None:
        end_child(child)
        return _error(fault or f"TimeoutError: no end within {limits.seconds:g} s")
    if text.find(b"\n") + 1 == len(text) > 0:
        return text
    return _error("ProcessError: the function wrote into the answer" if b"\n" in text else death(status, limits))


def _error(text: str) -> bytes:
    return json.dumps({"error": text}).encode() + b"\n"


def _read(pipe: int, limits: Limits, end: float) -> tuple[bytes, str]:
    """(all that came, "") or what went wrong."""
    pieces: list[bytes] = []
    size = 0
    while True:
        ready = select.select([pipe], [], [], max(0.0, end - time.monotonic()))[0]
        if not ready:
            return b"", f"TimeoutError: no answer within {limits.seconds:g} s"
        piece = os.read(pipe, 65536)
        if not piece:
            return b"".join(pieces), ""
        pieces.append(piece)
        size += len(piece)
        if size > limits.answer_bytes + 1000:
            return b"", f"OutputError: the answer is longer than {limits.answer_bytes} bytes"


def _ended(child: int, end: float) -> int | None:
    """The exit status, or None when the process goes on although its answer is closed."""
    while True:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return status
        if time.monotonic() > end:
            return None
        time.sleep(0.001)


def end_child(child: int) -> int:
    """Kills a forked process with its group, and gives its status."""
    for kill in (os.killpg, os.kill):
        try:
            kill(child, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue
    return os.waitpid(child, 0)[1]


def death(status: int, limits: Limits) -> str:
    """Why a process ended that should not have: "TimeoutError: more than 3 s of processor time"."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number in (signal.SIGXCPU, signal.SIGKILL):
            return f"TimeoutError: more than {limits.cpu_seconds:g} s of processor time"
        return f"ProcessError: its process died of {signal.Signals(number).name}"
    return f"ProcessError: its process ended with status {os.waitstatus_to_exitcode(status)} and no answer"


def begin() -> tuple[BinaryIO, BinaryIO, Limits, Fences]:
    """Requests, answers, limits and fences of this process, which is confined as one that starts others."""
    sys.dont_write_bytecode = True
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1):  # what a module prints while it is loaded is no answer
        os.dup2(nothing, stream)
    greeting = json.loads(requests.readline())
    limits = Limits(**greeting["limits"])
    sys.path[:] = greeting["path"]
    fences = Fences([*greeting["path"], *greeting["folders"]], loading=True)
    memory = LOADING * limits.memory_mb * 1024**2
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    say(answers, json.dumps(held_by(fences.names)).encode() + b"\n")
    return requests, answers, limits, fences


def say(answers: BinaryIO, line: bytes) -> None:
    """Writes an answer."""
    answers.write(line)
    answers.flush()


def main() -> None:
    """Serves requests from standard input until it closes."""
    requests, answers, limits, fences = begin()
    _plain()  # here once, instead of in each call
    for line in requests:
        request = json.loads(line)
        try:
            function = load(*request["function"])
        except BaseException as error:
            say(answers, _error(f"LoadError: {_described(error)}"))
        else:
            say(answers, run_one(functools.partial(called, function, request["arguments"]), limits, fences))


if __name__ == "__main__":
    main()
