"""The display: plain lines in a pipe, signs of life in long cells, one moving line on a terminal."""

import io
import time

from rich.console import Console

from xlam_lib.batch import progress


def play(display):
    display.notebook("02_sft: first run", "2/5", cells=2)
    display.cell("rows = load(path)")
    display.printed("step 1\nstep 2 loss 0.5\n")
    time.sleep(0.12)
    display.cell_done()
    display.cell_done()
    display.cell("record(x)")
    display.notebook_done("done")


def test_plain_prints_a_line_a_cell_and_signs_of_life(capsys, monkeypatch):
    monkeypatch.setattr(progress, "SIGN_OF_LIFE", 0.05)
    play(progress.Plain())
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "02_sft: first run (2/5, 2 cells)"
    assert "step 2 loss 0.5" in lines[1]
    cells = [line for line in lines if "/2  " in line]
    assert len(cells) == 2 and cells[0].endswith("rows = load(path)") and lines[-1].startswith("  done in ")


def test_a_terminal_gets_the_same_lines_in_the_end():
    display = progress.Terminal()
    display.console = Console(file=io.StringIO(), force_terminal=True, width=60, highlight=False)
    play(display)
    text = display.console.file.getvalue()
    assert "02_sft: first run (2/5, 2 cells)" in text and "rows = load(path)  step 2 loss 0.5" in text
    kept = text.replace("\x1b[2K", "\n").splitlines()
    assert sum(line.endswith(" s  rows = load(path)") for line in kept) == 1 and kept[-1].startswith("  done in")


def test_markup_in_cells_is_shown_as_it_is():
    display = progress.Terminal()
    display.console = Console(file=io.StringIO(), force_terminal=True, width=60, highlight=False)
    display.say("x[/bold] [red]")
    assert "x[/bold] [red]" in display.console.file.getvalue()
