"""Nothing is passed over in silence: every string of a raw record is in what became of it, or declared as left out.

Over the samples of every source, and over all real records where XLAM_REAL_DATA names them.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lost_text import Rules, haystack, pieces_lost, strings
from source_checks import NOT_THERE

from xlam_lib.data.accounting import Accounting, Drop
from xlam_lib.data.convert import converted, converter, raw_records
from xlam_lib.data.fields import UNKNOWN
from xlam_lib.data.formats import SourceInfo
from xlam_lib.data.golden import samples_dir
from xlam_lib.data.inputs import find_input, paired_file_of
from xlam_lib.data.reading import Raw, matches, read_records
from xlam_lib.data.sources import SOURCES, load_source, native
from xlam_lib.errors import TrajectoryError

LAYERS = sorted(name for name, source in SOURCES.items() if hasattr(source, "unpack") or source.SOURCE.paired_file)
TEXTS = sorted(name for name, source in SOURCES.items() if source.SOURCE.text_files)


def lost(name: str, folder: Path) -> Iterator[tuple[str, str, str]]:
    """(place, path, piece) of all strings of the records of a folder that are lost without a word."""
    source = SOURCES[name]
    convert, rules = converter(source), Rules(source.SOURCE)
    for file in find_input(source, folder).files:
        for raw in raw_records(source, file):
            try:
                made = converted(convert, raw) if isinstance(raw, Raw) else []
            except (Drop, TrajectoryError):  # lost with a reason
                continue
            if made:
                kept = [value for t in made for value in (t.to_dict(), native(t))]
                yield from ((raw.where, *found) for found in rules.lost(raw.value, kept))


@pytest.mark.parametrize("name", SOURCES)
def test_every_string_of_the_samples_is_kept(name: str) -> None:
    assert list(lost(name, samples_dir(name) / "raw")) == []


@pytest.mark.parametrize("name", sorted(SOURCES.keys() - NOT_THERE))
def test_every_string_of_all_real_records_is_kept(real_data: Path, name: str) -> None:
    assert list(lost(name, real_data / name))[:20] == []


@pytest.mark.parametrize("name", SOURCES)
def test_every_source_declares_its_fields_and_why_it_leaves_some_out(name: str) -> None:
    info = SOURCES[name].SOURCE
    assert info.fields
    assert all(len(why.split()) > 1 for why in (*info.left_out.values(), *info.layout.values()))


@pytest.mark.parametrize("name", SOURCES)
def test_no_field_of_the_samples_is_unknown(name: str) -> None:
    books = Accounting(name)
    list(load_source(name, samples_dir(name) / "raw", books))
    found = {kind.removeprefix(UNKNOWN).strip("'") for kind in books.warnings if kind.startswith(UNKNOWN)}
    assert found <= {"origin", "score_chosen", "score_rejected"}  # which the samples have to show what becomes of such


@pytest.mark.parametrize("name", LAYERS)
def test_taking_objects_apart_and_joining_them_loses_no_string(real_data: Path, name: str) -> None:
    source = SOURCES[name]
    folder = real_data / name if (real_data / name).is_dir() else samples_dir(name) / "raw"
    for file in find_input(source, folder).files:
        if matches(file, source.SOURCE.text_files):
            continue
        paired = paired_file_of(source, file)
        whole = {text for one in filter(None, (file, paired)) for raw in read_records(one) for text in _all(raw)}
        assert whole <= {text for raw in raw_records(source, file) for text in _all(raw)}, file


def _all(raw: Any) -> set[str]:
    return {text for _, text in strings(raw.value)} if isinstance(raw, Raw) else set()


@pytest.mark.parametrize("name", TEXTS)
def test_splitting_a_text_loses_none_of_it(real_data: Path, name: str) -> None:
    source = SOURCES[name]
    folder = real_data / name if (real_data / name).is_dir() else samples_dir(name) / "raw"
    layout = Rules(source.SOURCE).layout
    for file in find_input(source, folder).files:
        if matches(file, source.SOURCE.text_files):
            words = haystack(raw.value for raw in raw_records(source, file) if isinstance(raw, Raw))
            assert pieces_lost(file.read_text(encoding="utf-8"), words, layout) == [], file


RULES = Rules(
    SourceInfo(
        *("demo", "CC0-1.0", "https://example.org", ("*.json",)),
        left_out={"meta.vector": "numbers", "tools[].**.type": "a type"},
        layout={r"^(Thought|Action):": "labels"},
    )
)


@pytest.mark.parametrize(
    ("raw", "made", "lost"),
    [
        ({"a": "It  rains\nin Oslo."}, "it? It rains in Oslo. Much.", []),
        ({"a": "It rains in Oslo."}, "It rains.", [("a", "It rains in Oslo")]),
        ({"a": '{"city": "Oslo", "at": ["noon"]}'}, {"city": "Oslo", "x": "noon"}, []),
        ({"a": '{"city": "Oslo", "at": ["noon"]}'}, {"city": "Oslo"}, [("a.at[]", "noon")]),
        ({"a": "Thought: I look it up.\nAction: search[Oslo]"}, ["I look it up.", {"search": "Oslo"}], []),
        ({"a": "Thought: I look it up.\nAction: search[Oslo in Norway]"}, ["I look it up."], [("a", "Oslo in Norway")]),
        ({"a": "caf\\u00e9 au lait"}, "café au lait", []),
        ({"meta": {"vector": "one", "b": "two"}}, "", [("meta.b", "two")]),
        ({"tools": [{"type": "x1", "p": {"n": {"type": "x2"}, "types": "x3"}}]}, "", [("tools[].p.types", "x3")]),
        ({"a": "yes"}, {"yes": 1}, []),  # a string that became a key
        ({"a": 1, "b": None, "c": [], "d": "--"}, "", []),
    ],
)
def test_the_measure(raw: dict, made: Any, lost: list) -> None:
    assert RULES.lost(raw, [made]) == lost


def test_the_measure_sees_what_a_converter_passes_over() -> None:
    source = SOURCES["reflexion_hotpotqa"]
    file = next(iter(find_input(source, samples_dir("reflexion_hotpotqa") / "raw").files))
    raw = next(iter(raw_records(source, file)))
    assert isinstance(raw, Raw)
    (t,) = source.convert(raw.value, raw.where)
    whole, rules = t.to_dict(), Rules(source.SOURCE)
    assert rules.lost(raw.value, [whole, native(t)]) == []
    without_results = {**whole, "steps": [step for step in whole["steps"] if step["role"] != "tool"]}
    assert rules.lost(raw.value, [without_results, native(t)]) != []
