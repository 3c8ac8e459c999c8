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


def test_a_loop_shows_count_rate_and_time_left(capsys, monkeypatch):
    now = iter([10.0, 11.0, 20.0, 30.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(now))
    count = progress.Counted("answers")
    count(100, 600)  # what an earlier run left says nothing about the rate
    count(101, 600)  # too soon
    count(150, 600)
    count(600, 600)
    assert capsys.readouterr().out.splitlines() == [
        "100 of 600 answers   0 s",
        "150 of 600 answers   5.0 a second   90 s to go",
        "600 of 600 answers   25.0 a second   20 s",
    ]
