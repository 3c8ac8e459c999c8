"""Texts of strangers in pages: shown as they are, whoever makes HTML of the Markdown."""

import html
import json
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from nbconvert.filters.markdown import markdown2html

from xlam_lib import plots
from xlam_lib.data import report
from xlam_lib.data.accounting import Accounting, Loss, markdown
from xlam_lib.data.quality.findings import RULES, Finding, findings_table
from xlam_lib.markdown import Markup, code, escaped, table
from xlam_lib.models import card
from xlam_lib.trajectory import Source, Step, Tool, ToolCall, Trajectory

ATTACKS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "a | b\n| c | <b>",
    "`|<script>alert(1)</script>`",
    "\\|<script>",
    "[x](javascript:alert(1))",
    "![x](javascript:alert(1))",
    "</td></tr></table><script>alert(1)</script>",
    "<!-- ",
    "&lt;script&gt;",
    "<javascript:alert(1)>",
    "\u2028<script>\u2029\x85<script>",
]
ALLOWED = re.compile(r"</?(table|thead|tbody|tr|th|td|strong|em|p|h1|h2|code|del)( style=\"[\w:; -]*\")?/?>")


def tags(page: str) -> set[str]:
    """All tags of a page that headings and a table of texts don't need."""
    page = re.sub(r'<h\d id="[\w-]*">([\w -]*)<a class="anchor-link" href="#[\w-]*">&#182;</a></h\d>', r"\1", page)
    return {found for found in re.findall(r"<[^>]*>?", page) if not ALLOWED.fullmatch(found)}


def shown(page: str) -> str:
    return html.unescape(re.sub(r"<[^>]*>", " ", page))


@pytest.mark.parametrize("text", ATTACKS)
def test_a_cell_shows_its_text(text):
    page = markdown2html(table(["a", "b"], [[text, 1], [2, text]]))
    assert not tags(page) and page.count("<td") == 4
    assert shown(page).count(" ".join(text.splitlines())) == 2


@given(st.text(alphabet="ab<>&|`\\[]()!*_~$\n\"'#:-", max_size=30))
@example("](")
def test_any_cell_is_one_cell_without_tags(text):
    page = markdown2html(table(["a"], [[text]]))
    assert not tags(page) - {"<del>", "</del>"} and page.count("<td") == 1


@given(st.text(alphabet="ab<>&`\\[]()", min_size=1, max_size=20))
def test_code_is_code(text):
    page = markdown2html(f"x {code(text)} y")
    assert not tags(page) and html.unescape(re.search("<code>(.*)</code>", page)[1]).strip() == text.strip()


def test_what_is_markdown_already_stays():
    assert table(["a"], [[Markup("**all**")], ["x|y"], ["**x**"]]).splitlines()[2:] == [
        "| **all** |", "| x\\|y |", "| **x** |",
    ]  # fmt: skip
    assert escaped('["train.jsonl"]') == '["train.jsonl"]'


def trajectory(text: str) -> Trajectory:
    steps = (Step("user", text), Step("assistant", text, tool_calls=(ToolCall("f", {text: text}, "call_0"),)))
    return Trajectory(f"demo/{text}", Source(text, text, text), tools=(Tool(text, text, {}),), steps=steps)


@pytest.mark.parametrize("text", ATTACKS)
def test_the_pages_of_a_conversion(text):
    books = Accounting(text)
    books.lose(Loss("dropped", text, 1, text, text))
    rule = next(iter(RULES))
    finding = Finding(text, 0, rule, "error", text)
    for made in (
        markdown([books]),
        findings_table([finding], 1),
        report.profile_table(report.profile([trajectory(text)])),
    ):
        assert not tags(markdown2html(made)), made


@pytest.mark.parametrize("text", ATTACKS)
def test_a_model_card(text, tmp_path):
    data = [{"source": text, "license": text, "url": text, "trajectories": 3}]
    origin, run = {"base": text, "data": data}, {"lr": 1.0, text: text, "base_digest": text, "lora_rank": 2}
    held_out = {text: {"n": 1, "accuracy": 1.0, "margin": 0.1}}
    made = card.text(origin, run, {text: text}, held_out, {text: {text: 0.5}})
    body = made.split("---\n", 2)[2]
    assert not tags(markdown2html(body))
    for name, found in {card.ORIGIN: origin, card.RUN: run, "COMPLETE": {text: text}, card.HELD_OUT: held_out}.items():
        (tmp_path / name).write_text(json.dumps(found))
    assert not tags(markdown2html(card.write(tmp_path).read_text().split("---\n", 2)[2]))


@pytest.mark.parametrize("text", ["$\\frac{$", "$x$ $", "\\", "$" * 9, "a_$^b", "<script>"])
def test_the_names_in_a_figure_are_names(text):
    chart = plots.mixture({text: 1.0, "b": 2.0}, title=text, unit=text)
    assert chart.png(dpi=30).startswith(b"\x89PNG")
