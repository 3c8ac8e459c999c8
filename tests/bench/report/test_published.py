"""The published tables: complete, labelled, and number for number what the documents of the seeds say."""

import json
import re

import pytest

from xlam_lib.bench.report import published

BENCHMARKS = [
    "webshop_bolaa",
    "hotpotqa_bolaa",
    "webshop_agentlite",
    "hotpotqa_agentlite",
    "toolbench",
    "mint",
    "tool_query",
]


def test_all_tables_are_there_with_their_origin():
    found = published.tables()
    assert [table.key for table in found] == [*BENCHMARKS, "model_family"]
    for table in found:
        assert table.origin and table.rows
        assert published.LABEL in table.caption
        assert all(len(cells) == len(table.columns) for cells in table.rows.values())
    assert "SalesforceAIResearch/xLAM" in published.provenance()["benchmarks"]


def test_numbers_are_within_their_scale():
    for table in published.tables()[:-1]:
        top = 100 if "%" in table.metric else 1
        for cells in table.rows.values():
            assert all(cell is None or 0 <= cell <= top for cell in cells)


def test_text_names_missing_numbers_and_the_label():
    lines = published.text(published.table("mint")).splitlines()
    assert lines[0].endswith("(published, not measured here)")
    assert lines[3].split() == ["GPT-4-0613", "-", "-", "-", "-", "69.45"]
    assert len({len(line) for line in lines[1:]}) == 1


def test_ours_stand_beside_under_another_label():
    columns, rows = ("seen", "unseen"), {"SFT": (0.87, None)}
    ours = published.PublishedTable("ours", "Held-out", "exact", columns, rows, "", label=published.MEASURED)
    assert published.text(ours).splitlines()[0] == "Held-out: exact (measured here)"
    assert "published" not in published.text(ours) and "0.87" in published.html(ours)


def test_html_is_escaped_and_marks_the_best():
    page = published.html(published.table("toolbench"))
    assert "Unseen Insts &amp; Same Set" in page and published.LABEL in page
    assert "<b>0.5462</b>" in page and page.count("<b>") == 3
    assert published.best(published.table("toolbench"), "Unseen Tools & Seen Cat") == {"xLAM-v0.1-r"}


def test_family_shows_sizes_and_gguf():
    family = published.table("model_family")
    assert len(family.rows) == 6
    assert family.shown("xLAM-1b-fc-r")[0::4] == ["1.35B", "yes"]
    assert published.table("toolbench").shown("TooLlama V2") == ["0.4385", "0.430", "0.435"]


def test_an_unknown_table_names_the_known_ones():
    with pytest.raises(published.PublishedError, match="no published table 'bfcl'; there are webshop_bolaa"):
        published.table("bfcl")


def test_a_row_with_other_columns_is_refused():
    with pytest.raises(published.PublishedError, match="row 'm' has the columns"):
        list(published._rows("t", {"columns": ["a"], "rows": [{"model": "m", "b": 1}]}))


@pytest.fixture(scope="module")
def documents(real_data):
    """The documents of the seeds, which lie beside the real records."""
    folder = real_data.parent / "seeds"
    if not folder.is_dir():
        pytest.skip(f"no folder seeds beside {real_data}: the documents to compare with are not there")
    return folder


def pattern(model, cells):
    """The row as the seeds print it: cells may be glued together, and trailing zeros may stand or not."""
    numbers = ["-" if cell is None else re.escape(f"{cell:g}") + r"(?:\.0)?0*" for cell in cells]
    return re.compile(re.escape(model) + r"\s*" + r"\s*".join(numbers) + r"(?!\d)")


@pytest.mark.parametrize("key", BENCHMARKS)
def test_every_number_stands_in_the_document(key, documents):
    document = next(documents.glob("000_*.txt")).read_text("utf-8")
    table = published.table(key)
    for model, cells in table.rows.items():
        assert pattern(model, cells).search(document), f"{key}: no row {model} {cells} in the document"


def test_the_family_stands_in_the_document(documents):
    document = next(documents.glob("002_*.txt")).read_text("utf-8")
    rows = dict(re.findall(r"^(xLAM-\S+) \| (.+?)\s*$", document, flags=re.M))
    assert set(rows) == set(published.table("model_family").rows)
    for model, (size, context, released, _, gguf) in published.table("model_family").rows.items():
        cells = [cell.strip() for cell in rows[model].split("|")]
        year, month, day = map(int, released.split("-"))
        assert cells[:3] == [size, context, f"{year}年{month}月{day}日"]
        assert (cells[5] != "--") is gguf


def test_the_copy_equals_the_seed_file(documents):
    seed = json.loads((documents / "published_results.json").read_text("utf-8"))
    ours = {key: value for key, value in published._load().items() if key != "provenance"}
    assert ours == seed
