"""The report: one file without outside parts, whole or with its gaps named, never broken by what a run left."""

import re
from html.parser import HTMLParser

import pytest
from fake_run import NOTEBOOKS, build, metrics, put

from xlam_lib.bench import page
from xlam_lib.bench.report import builder, published, scorecard
from xlam_lib.bench.report.__main__ import main
from xlam_lib.bench.report.scorecard import ScorecardError

VOID = {"meta", "img", "br", "link"}


class Balance(HTMLParser):
    """Fails on tags that don't close in order; collects links, images and text."""

    def __init__(self):
        super().__init__()
        self.open, self.links, self.sources, self.ids, self.words = [], [], [], [], []

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.links += [found["href"]] if "href" in found else []
        self.sources += [found["src"]] if "src" in found else []
        self.ids += [found["id"]] if "id" in found else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data):
        self.words.append(data)


def parsed(text):
    found = Balance()
    found.feed(text)
    assert found.open == []
    return found


def test_the_page_is_whole_and_needs_nothing_from_outside(tmp_path):
    target = builder.write(build(tmp_path))
    assert target == tmp_path / "report.html"
    found = parsed(target.read_text("utf-8"))
    assert len(found.sources) >= 4 and all(source.startswith("data:image/png;base64,") for source in found.sources)
    assert [link for link in found.links if not link.startswith("#")] == [f"{name}.ipynb" for name in NOTEBOOKS]
    assert {link[1:] for link in found.links if link.startswith("#")} == set(found.ids)
    assert not re.search(r"https?://|<script|url\(", target.read_text("utf-8"))
    words = " ".join(found.words)
    assert "The whole road, small & quick" in words and "20 of 20 figures reach their aim." in words
    assert "2 cores without a GPU, revision 01234567." in words
    assert words.count(published.LABEL) >= 8
    assert "prompts are longer than the model reads and were not asked" in words
    assert "live_simple_106-63-0" in words


def test_the_scorecard_lies_beside_it(tmp_path):
    builder.write(build(tmp_path))
    card = scorecard.read(tmp_path)
    assert card["sft"]["unseen_exact"] == 0.523
    assert builder.text(tmp_path) == scorecard.text(card)


def test_same_run_same_bytes(tmp_path):
    build(tmp_path)
    assert builder.html(tmp_path) == builder.html(tmp_path)


def test_gaps_are_named_in_the_page_and_then_raised(tmp_path):
    build(tmp_path, **{"05_benchmarking": None, "02_sft": {"sft": metrics()["02_sft"]["sft"]}})
    (tmp_path / "sft" / "log.jsonl").unlink()
    (tmp_path / "dpo" / "log.jsonl").write_text('{"step": 1, "loss": 0.6}\n')
    with pytest.raises(ScorecardError, match="base.seen_exact"):
        builder.write(tmp_path)
    words = " ".join(parsed((tmp_path / "report.html").read_text("utf-8")).words)
    assert "base.seen_exact (written by 02_sft)" in words
    assert "looked for bfcl.counts in metrics.json of 05_benchmarking" in words
    assert "looked for the training log of sft" in words and "rewards/margins" in words
    assert scorecard.read(tmp_path)["missing"]
    assert str(tmp_path) not in words


def test_an_empty_folder_gives_a_page_of_gaps(tmp_path):
    builder.write(tmp_path, strict=False)
    words = " ".join(parsed((tmp_path / "report.html").read_text("utf-8")).words)
    assert "There is no manifest beside these figures" in words and words.count("Nothing to show") >= 5


def test_text_from_a_run_is_never_markup(tmp_path):
    build(tmp_path)
    put(
        tmp_path / "manifest.json",
        {
            "title": "<script>alert(1)</script>",
            "steps": [{"notebook": "a'><b>", "seconds": 1.0, "parameters": {"<i>": '"&'}}],
        },
    )
    text = builder.html(tmp_path)
    parsed(text)
    assert "<script" not in text and "<i>" not in text and "&lt;script&gt;" in text


def test_the_command_line(tmp_path, capsys):
    assert main([str(build(tmp_path))]) == 0
    assert "report: " in capsys.readouterr().out
    (tmp_path / "04_serving" / "metrics.json").unlink()
    assert main([str(tmp_path)]) == 1
    (tmp_path / "04_serving" / "metrics.json").write_text("{")
    assert main([str(tmp_path)]) == 2
    assert "not JSON" in capsys.readouterr().err


def test_blocks_escape_cells_but_keep_their_own_marks():
    html = page.table(["a<b"], [["x&y"], [page.tag("aim", "ok>")]], numbers=(0,))
    assert "a&lt;b" in html and "x&amp;y" in html and '<span class="tag aim">ok&gt;</span>' in html
    assert page.link("a b.ipynb", "a") == '<a href="a%20b.ipynb">a</a>'
