"""Hostile functions, with and without ctypes: no file changed, no signal, no memory or environment of others read."""

import contextlib
import fcntl
import importlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import textwrap

import pytest
from support import SUPPORT

from xlam_lib.data.apigen.sandbox.line_child import LineChild
from xlam_lib.data.apigen.sandbox.sandbox import Limits, Reference, Sandbox, reference

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the fences are Linux's")
sys.path.insert(0, str(SUPPORT))
hostile_functions = importlib.import_module("hostile_functions")
sys.path.remove(str(SUPPORT))
ATTACKS = hostile_functions.PYTHON | hostile_functions.NATIVE
SECRET = "only-others-know-this"
VICTIM = textwrap.dedent("""
    import ctypes, json, os, resource, sys
    text = ctypes.create_string_buffer(os.environ["CANARY"].encode())
    print(ctypes.addressof(text), flush=True)
    for line in sys.stdin:
        own = [text.value.decode(), resource.getrlimit(resource.RLIMIT_NOFILE), sorted(os.sched_getaffinity(0))]
        print(json.dumps([*own, os.getpriority(os.PRIO_PROCESS, 0)]), flush=True)
""")
ALONE = textwrap.dedent(f"""
    import json, sys
    sys.path.insert(0, {str(SUPPORT)!r})
    import hostile_functions
    from xlam_lib.data.apigen.sandbox import confine, kernel
    CHANGES
    fences = confine.Fences(sys.path)
    sys.stdin.readline()
    print(json.dumps(confine.held_by(fences.names)), flush=True)
    fences.around_call(confine.Limits(cpu_seconds=60), hook=False)
    for line in sys.stdin:
        print(json.dumps(hostile_functions.run(*json.loads(line))), flush=True)
""")
SAME_USER = "confine.become_nobody = lambda places: False"
STAGES = {  # how the attacks are held, as changes to a process that is confined like BFCL's checker
    "call": None,
    "loading": None,
    "same user": SAME_USER,
    "no Landlock": f"{SAME_USER}; kernel.abi_version = lambda: 0",
    "no seccomp": f"{SAME_USER}; kernel.supported = lambda: False",
    "another user": "kernel.supported = lambda: False; kernel.abi_version = lambda: 0",
}


class Alone(LineChild):
    def __init__(self, changes):
        super().__init__("none")
        self._command = [sys.executable, "-c", ALONE.replace("CHANGES", changes)]

    def greeting(self):
        return {}

    def greeted(self, answer):
        self.held_by = answer

    def attack(self, name, *where):
        return self.ask([name, *where], 20.0)


class Boxed(Sandbox):
    """Attacks within a call, or in the text of a module while it is loaded."""

    def attack(self, name, folder, victim, loading=False):
        if not loading:
            return self.run(reference(hostile_functions.run), {"name": name, "folder": folder, "victim": victim})
        source = f"import hostile_functions\nFOUND = hostile_functions.run({name!r}, {folder!r}, {victim})\n"
        return self.run(Reference("", "told", source=source + "def told(): return FOUND"), {})


@pytest.fixture(scope="module")
def stages():
    with pytest.MonkeyPatch.context() as patch, contextlib.ExitStack() as stack:
        patch.syspath_prepend(SUPPORT)
        made = {}

        def of(stage):
            if stage not in made:
                changes = STAGES[stage]
                made[stage] = stack.enter_context(Boxed(Limits(seconds=5.0)) if changes is None else Alone(changes))
                made[stage].attack("read_secret", "/nowhere", 1)
            return made[stage]

        yield of


@pytest.fixture(scope="module")
def victim():
    environment = {"CANARY": SECRET, "PATH": os.environ["PATH"]}
    command = [sys.executable, "-c", VICTIM]
    with subprocess.Popen(command, env=environment, stdin=-1, stdout=-1, text=True, start_new_session=True) as process:
        process.address = int(process.stdout.readline())
        yield process
        process.kill()


@pytest.fixture(scope="module")
def canaries(victim):
    """A folder that anybody may write to, so that permissions of files alone hold nothing."""
    folder = tempfile.mkdtemp(suffix=f"_{victim.address}")
    os.chmod(folder, 0o777)
    os.mkdir(f"{folder}/closed")
    for name, text in (("kept", "here"), ("secret", SECRET), (f"closed/{SECRET}", "")):
        with open(f"{folder}/{name}", "w") as file:
            file.write(text)
        os.chmod(f"{folder}/{name}", 0o666)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"{folder}/listening")
        os.chmod(f"{folder}/listening", 0o777)
        listening.setblocking(False)
        yield folder, listening
    shutil.rmtree(folder)


def state(canaries, victim):
    """All that an attack could have changed."""
    folder, listening = canaries
    found = {}
    for name in sorted(os.listdir(folder)):
        stat = os.lstat(f"{folder}/{name}")
        found[name] = (stat.st_mode, stat.st_uid, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_nlink)
    with open(f"{folder}/kept") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        found["text"] = file.read()
    with contextlib.suppress(BlockingIOError):
        found["received"] = listening.recv(100)
    assert victim.poll() is None, "the victim was stopped"
    victim.stdin.write("\n")
    victim.stdin.flush()
    found["victim"] = json.loads(victim.stdout.readline())
    return found | {"shared": sorted(os.listdir("/dev/shm"))}


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_reaches_nothing(stages, canaries, victim, name, stage):
    box, what = stages(stage), ATTACKS[name][0]
    if not box.held_by[what]:
        pytest.skip(f"reported: nothing here holds {what}")
    before = state(canaries, victim)
    said = box.attack(name, canaries[0], victim.pid, *[True] * (stage == "loading"))
    assert state(canaries, victim) == before, said
    assert SECRET not in str(said)
    if what == "network" and name == "network":
        assert str(said).count("-1") == 3
