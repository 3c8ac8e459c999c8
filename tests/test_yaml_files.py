"""YAML of strangers: each attack ends in one clear error, at once and in little memory."""

import datetime
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xlam_lib.batch.settings import PlanError
from xlam_lib.batch.settings import read_yaml as read_experiment
from xlam_lib.data.apigen.apis import ApigenError
from xlam_lib.data.apigen.openapi import read_openapi
from xlam_lib.settings import from_command_line, planned
from xlam_lib.settings.yaml_files import BYTES, DEPTH, YamlError, parse_yaml, read_yaml
from xlam_lib.train.supervised.settings import SftSettings


def bomb(opening: str, merged: str = "") -> str:
    lines = [f"l0: &l0 {opening.format('1')}"]
    lines += [f"l{n}: &l{n} {opening.format(', '.join([f'*l{n - 1}'] * 10))}" for n in range(1, 12)]
    return "\n".join(lines) + f"\nseed: {merged}*l11\n"


ATTACKS = {
    "aliases of lists": (bomb("[{}]"), "more than 200,000 values"),
    "aliases of mappings": ("a0: &a0 {k: 1}\n" + "".join(
        f"a{n}: &a{n} {{{', '.join(f'k{i}: *a{n - 1}' for i in range(10))}}}\n" for n in range(1, 12)
    ), "more than 200,000 values"),
    "merged aliases": ("a0: &a0 {k: 1}\n" + "".join(
        f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}\n" for n in range(1, 12)
    ), "more than 200,000 values"),
    "a list in itself": ("seed: &a [*a]", "what it is part of"),
    "a mapping in itself": ("seed: &a {b: *a}", "what it is part of"),
    "deep lists": ("seed: " + "[" * 100_000, f"nested more than {DEPTH} deep"),
    "deep mappings": ("seed: " + "{a: " * 50_000, f"nested more than {DEPTH} deep"),
    "deep dashes": ("seed:\n  " + "- " * 50_000, f"nested more than {DEPTH} deep"),
    "a day that isn't": ("seed: 2024-13-45", "'2024-13-45' can't be read (month must be in 1..12"),
    "a time that isn't": ("seed: 2024-01-01 25:00:00", "can't be read (hour must be in 0..23"),
    "a zone that isn't": ("seed: 2024-01-01T00:00:00+99:99", "can't be read"),
    "a long number": ("seed: " + "9" * 5000, "can't be read (Exceeds the limit"),
    "a number longer than floats": ("seed: " + "9" * 400, "has more digits than can be calculated with"),
    "a long hexadecimal number": ("seed: 0x" + "f" * 9000, "has more digits than can be calculated with"),
    "a long number of base 60": ("seed: 1" + ":11" * 300, "has more digits than can be calculated with"),
    "a long fraction of base 60": ("seed: 1" + ":11" * 300 + ".5", "can't be read"),
    "a tag that doesn't fit": ("seed: !!int ''", "can't be read"),
    "a number that isn't": ("seed: !!bool maybe", "can't be read"),
    "no date": ("seed: !!timestamp soon", "can't be read"),
    "a mapping that isn't": ("seed: !!map [1]", "expected a mapping node"),
    "an object": ("seed: !!python/object/apply:os.system ['true']", "could not determine a constructor"),
    "a key twice": ("seed: 1\nseed: 2", "seed is given twice"),
    "a list as key": ("? [1]\n: 2", "unhashable key"),
    "a control character": ("seed: \x07", "not allowed"),
    "too long": ("# " + "x" * BYTES, f"more than {BYTES:,} bytes"),
    "two documents": ("seed: 1\n---\nseed: 2", "but found another document"),
}  # fmt: skip


@pytest.fixture(params=ATTACKS.values(), ids=ATTACKS)
def attack(request, tmp_path):
    path = tmp_path / "02_sft.yaml"
    path.write_text(request.param[0])
    return path, request.param[1]


def in_time(work, *given):
    began = time.process_time()
    try:
        return work(*given)
    finally:
        assert time.process_time() - began < 2


def test_an_experiment(attack):
    path, words = attack
    with pytest.raises(PlanError) as raised:
        in_time(read_experiment, path)
    message = str(raised.value)
    assert words in message and "02_sft.yaml" in message
    assert len(message) < 500 and "\n" not in message


def test_a_recipe(attack, capsys):
    path, words = attack
    with pytest.raises(SystemExit) as raised:
        in_time(from_command_line, SftSettings, [str(path)], "a.command", "a test")
    assert raised.value.code == 2
    assert words in capsys.readouterr().err.splitlines()[-1]
    with pytest.raises(YamlError):
        planned(SftSettings, path)


@pytest.mark.parametrize("name", [name for name in ATTACKS if "day" not in name and name[:4] not in ("a ti", "a zo")])
def test_an_api_description(name, tmp_path):
    path = tmp_path / "api.yaml"
    path.write_text(ATTACKS[name][0] if name != "too long" else "[" * 100_000)
    with pytest.raises(ApigenError):
        in_time(read_openapi, path)


def test_dates_of_an_api_description_are_text():
    assert parse_yaml("since: 2024-13-45", dates=False) == {"since": "2024-13-45"}
    assert parse_yaml("since: 2024-12-24") == {"since": datetime.date(2024, 12, 24)}


def test_what_people_write_is_read(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("\ufeffbase: &b {lr: 0.001}\nother: {<<: *b, seed: 1}\nboth: [*b, *b]\n", "utf-8")
    assert read_yaml(path) == {
        "base": {"lr": 0.001}, "other": {"lr": 0.001, "seed": 1}, "both": [{"lr": 0.001}, {"lr": 0.001}],
    }  # fmt: skip
    path.write_bytes(b"a: \xff")
    with pytest.raises(YamlError, match="no text in UTF-8"):
        read_yaml(path)


@given(st.text(alphabet="ab:-[]{}&*!<?|>#'\" \n0129.x,%@", max_size=60))
def test_any_text_is_read_or_refused(text):
    try:
        parse_yaml(text)
    except YamlError as error:
        assert str(error).startswith("text")


@pytest.mark.parametrize("value", ["1e999", "-.inf", ".nan", "[1, 2]", "'x'", "1" * 300])
def test_a_number_that_does_not_fit_a_setting(value, tmp_path, capsys):
    path = tmp_path / "recipe.yaml"
    path.write_text(f"base: b\ndata: d\nout: o\nlr: {value}\n")
    if value.startswith("111"):
        path.write_text(f"base: b\ndata: d\nout: o\nseed: {value}\n")
    with pytest.raises(SystemExit):
        from_command_line(SftSettings, [str(path)], "a.command", "a test")
    last = capsys.readouterr().err.splitlines()[-1]
    assert ("lr is " in last or "seed is 11" in last) and len(last) < 300
