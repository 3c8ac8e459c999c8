"""Atomic writing: whole or not at all, whatever happens in between."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from xlam_lib import files


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def test_write_text_keeps_line_ends_and_makes_parents(tmp_path):
    path = files.write_text(tmp_path / "a" / "b.txt", "é\r\n\n")
    assert path.read_bytes() == "é\r\n\n".encode()
    assert names(tmp_path / "a") == ["b.txt"]


def test_a_failing_block_leaves_the_old_file(tmp_path):
    path = files.write_text(tmp_path / "a.txt", "old")
    with pytest.raises(RuntimeError), files.writing(path) as file:
        file.write("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_write_json_refuses_nan_and_names_the_place(tmp_path):
    with pytest.raises(ValueError, match=r"m\.json: loss\[1\] is nan"):
        files.write_json(tmp_path / "m.json", {"loss": [1.0, float("nan")]})
    with pytest.raises(TypeError, match=r"a is a set"):
        files.write_json(tmp_path / "m.json", {"a": {1}})
    with pytest.raises(TypeError, match="key 1"):
        files.write_json(tmp_path / "m.json", {1: 2})
    assert names(tmp_path) == []


def test_write_json_takes_numpy_and_paths(tmp_path):
    numpy = pytest.importorskip("numpy")
    value = {"a": numpy.float32(0.5), "b": numpy.arange(2), "c": numpy.bool_(True), "d": tmp_path, "é": None}
    path = files.write_json(tmp_path / "m.json", value)
    assert json.loads(path.read_text("utf-8")) == {"a": 0.5, "b": [0, 1], "c": True, "d": str(tmp_path), "é": None}
    assert "é" in path.read_text("utf-8")


def test_complete_dir_appears_whole_and_replaces(tmp_path):
    target = tmp_path / "model"
    assert not files.is_complete(target)
    with files.complete_dir(target, {"steps": 1}) as folder:
        (folder / "sub").mkdir()
        (folder / "sub" / "old").write_text("1")
        assert not target.exists()
    assert files.is_complete(target)
    assert json.loads((target / files.MARKER).read_text()) == {"steps": 1}
    with files.complete_dir(target) as folder:
        (folder / "new").write_text("2")
    assert names(target) == [files.MARKER, "new"]
    assert names(tmp_path) == ["model"]


def test_complete_dir_that_fails_changes_nothing(tmp_path):
    target = tmp_path / "model"
    with files.complete_dir(target) as folder:
        (folder / "a").write_text("1")
    with pytest.raises(KeyError), files.complete_dir(target) as folder:
        (folder / "b").write_text("2")
        raise KeyError("x")
    assert names(target) == [files.MARKER, "a"]
    assert names(tmp_path) == ["model"]


def test_a_failed_rename_puts_the_old_folder_back(tmp_path, monkeypatch):
    target = tmp_path / "model"
    with files.complete_dir(target) as folder:
        (folder / "a").write_text("1")
    replace, calls = os.replace, []

    def second_rename_fails(source, to):
        calls.append(source)
        if len(calls) == 3:  # marker of the new folder, old folder aside, new folder in
            raise OSError(errno.EIO, "input/output error")
        replace(source, to)

    monkeypatch.setattr(files.os, "replace", second_rename_fails)
    with pytest.raises(OSError, match="input/output"), files.complete_dir(target) as folder:
        (folder / "b").write_text("2")
    assert names(target) == [files.MARKER, "a"]
    assert names(tmp_path) == ["model"]


def test_a_full_disk_is_one_clear_error(tmp_path):
    refused = pytest.raises(OSError, match=r"disk is full: .*model was not written")
    with refused as caught, files.complete_dir(tmp_path / "model"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.errno == errno.ENOSPC
    assert names(tmp_path) == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_really_full_device(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_new", lambda path, flags: os.open("/dev/full", os.O_WRONLY))
    with pytest.raises(OSError, match="disk is full"):
        files.write_text(tmp_path / "a.txt", "x" * 100)
    assert names(tmp_path) == []


KILLED = """
import sys, time
from xlam_lib import files
with files.complete_dir(sys.argv[1]) as folder:
    (folder / "a").write_text("1")
    print("ready", flush=True)
    time.sleep(60)
"""


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_a_killed_writer_leaves_nothing_that_looks_whole(tmp_path):
    target = tmp_path / "model"
    child = subprocess.Popen([sys.executable, "-c", KILLED, str(target)], stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "ready\n"
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    assert not target.exists() and len(names(tmp_path)) == 1
    with files.complete_dir(target) as folder:
        (folder / "b").write_text("2")
    assert names(tmp_path) == ["model"] and files.is_complete(target)


def test_leftovers_of_running_processes_stay(tmp_path):
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    mine = tmp_path / f".model.part-{files._host()}#{child.pid}-0"
    other = tmp_path / f".modelx.part-{files._host()}#99999999-0"
    away = tmp_path / ".model.part-elsewhere#99999999-0"
    for folder in (mine, other, away):
        folder.mkdir()
    assert files.remove_leftovers(tmp_path / "model") == []
    child.communicate(b"\n")
    time.sleep(0)
    assert files.remove_leftovers(tmp_path / "model") == [mine]
    assert names(tmp_path) == sorted([other.name, away.name])


@pytest.mark.parametrize(
    ("before", "after", "torn"),
    [(b'{"a": 1}\n{"b": 2', b'{"a": 1}\n', 7), (b'{"a": 1}\n', b'{"a": 1}\n', 0), (b'{"a"', b"", 4), (b"", b"", 0)],
)
def test_a_torn_last_line_is_cut_away(tmp_path, before, after, torn):
    path = tmp_path / "log.jsonl"
    path.write_bytes(before)
    assert files.cut_torn_line(path) == torn
    assert path.read_bytes() == after


@pytest.mark.parametrize("there", ["a file", "a folder of somebody else", "a marker of somebody else", "a link"])
def test_what_was_not_made_here_is_not_replaced(tmp_path, there):
    target, kept = tmp_path / "out", tmp_path / "kept"
    kept.mkdir()
    (kept / "thesis.txt").write_text("ten years")
    if there == "a file":
        target.write_text("ten years")
    elif there == "a link":
        files.mark_complete(kept)
        target.symlink_to(kept)
    else:
        shutil.copytree(kept, target)
        if there.startswith("a marker"):
            (target / files.MARKER).write_text("yes\n")
    before = sorted(p.read_text() for p in tmp_path.rglob("*") if p.is_file())
    with pytest.raises(files.NotOursError, match="out (exists|is a link)"), files.complete_dir(target):
        raise AssertionError("the work begins")
    assert sorted(p.read_text() for p in tmp_path.rglob("*") if p.is_file()) == before


def test_a_folder_that_came_meanwhile_is_not_replaced(tmp_path):
    with pytest.raises(files.NotOursError), files.complete_dir(tmp_path / "out") as folder:
        (folder / "model").write_text("1")
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "thesis.txt").write_text("ten years")
    assert names(tmp_path) == ["out"] and names(tmp_path / "out") == ["thesis.txt"]


def test_an_empty_folder_may_be_filled(tmp_path):
    (tmp_path / "out").mkdir()
    with files.complete_dir(tmp_path / "out") as folder:
        (folder / "model").write_text("1")
    assert names(tmp_path / "out") == [files.MARKER, "model"]


def test_temporary_files_follow_no_link(tmp_path, monkeypatch):
    kept = tmp_path / "kept.txt"
    kept.write_text("ten years")
    monkeypatch.setattr(files.secrets, "token_hex", lambda size: "0")  # as if it could be foreseen
    files._temporary(tmp_path / "a.txt").symlink_to(kept)
    with pytest.raises(FileExistsError):
        files.write_text(tmp_path / "a.txt", "new")
    assert kept.read_text() == "ten years"


def test_a_link_is_removed_and_not_what_it_leads_to(tmp_path):
    kept = tmp_path / "kept"
    kept.mkdir()
    (tmp_path / "link").symlink_to(kept)
    files.remove_tree(tmp_path / "link")
    files.remove_tree(tmp_path / "nothing")
    assert names(tmp_path) == ["kept"]
    (tmp_path / "log").symlink_to(kept / "log")
    with pytest.raises(OSError, match="log"), open(tmp_path / "log", "w", opener=files.no_link):
        raise AssertionError("it is open")
    assert names(kept) == []


def test_a_work_folder_stays_known_while_it_is_removed(tmp_path, monkeypatch):
    folder, removed = tmp_path / "work", files.remove_tree
    (folder / "shards").mkdir(parents=True)
    for name in ("plan.json", files.LOCK, "rows"):
        (folder / name).write_text("{}")

    def checked(path):
        assert files.is_work_folder(folder, "plan.json")
        removed(path)

    monkeypatch.setattr(files, "remove_tree", checked)
    files.remove_work_folder(folder, "plan.json")
    assert names(tmp_path) == []
