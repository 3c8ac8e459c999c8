"""What a run shows while it works: one line a cell and a notebook, with seconds; a moving line on a terminal.

Used by `xlam_lib.run` and `xlam_lib.batch.notebooks`. In a file or a pipe each finished cell is a line of its own, and
a cell that takes long gives a sign of life now and then, with the last line it printed. On a terminal the current cell
is a moving line, which stays when the cell is done. `Counted` is for loops within a cell: count, rate and time left.
"""

from __future__ import annotations

import sys
import threading
import time

SIGN_OF_LIFE = 30.0  # seconds
EVERY = 2.0  # seconds between two states of a line that counts


def progress() -> Plain:
    """The display that suits standard output: `Terminal` where a person looks on, `Plain` in files and pipes."""
    return Terminal() if sys.stdout.isatty() else Plain()


class Counted:
    """A line that counts, for loops that take minutes: "120 of 607 answers   4.1 a second   119 s to go".

        offline(tests, Greedy(path).answers, progress=Counted("answers"))

    The first call says what is there already. In a notebook the line is replaced as the count grows; elsewhere each
    state is a line of its own.
    """

    def __init__(self, what: str) -> None:
        self.what, self._shown, self._handle = what, 0.0, None

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if not self._shown:
            self._began, self._first = now, done
        elif done < total and now - self._shown < EVERY:
            return
        self._shown = now
        seconds, new = now - self._began, done - self._first
        rate = f"   {new / seconds:.1f} a second" if new and seconds else ""
        left = f"   {(total - done) * seconds / new:.0f} s to go" if rate and done < total else f"   {seconds:.0f} s"
        self._show(f"{done} of {total} {self.what}{rate}{left}")

    def _show(self, line: str) -> None:
        ipython = sys.modules.get("IPython")
        if ipython is None or ipython.get_ipython() is None:
            print(line, flush=True)
        elif self._handle is None:
            self._handle = ipython.display.display(_Line(line), display_id=True)
        else:
            self._handle.update(_Line(line))


class _Line:
    """A text that a notebook shows without quotes."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


class Plain:
    """Lines of text: `    3/12     0.8 s  table = accounting.table()`."""

    def __init__(self) -> None:
        self.cells = self.number = 0
        self.last = ""
        self._began = self._cell_began = time.monotonic()
        self._done = threading.Event()

    def say(self, text: str) -> None:
        """A line for itself."""
        print(text, flush=True)

    def notebook(self, name: str, place: str, cells: int) -> None:
        """A notebook begins, e.g. `notebook("02_sft", "2/5", cells=14)`."""
        self.cells, self.number, self._began = cells, 0, time.monotonic()
        self.say(f"{name} ({place}, {cells} cells)")

    def cell(self, first_line: str) -> None:
        """A code cell begins."""
        self.number, self.line, self.last, self._cell_began = self.number + 1, first_line, "", time.monotonic()
        self._done = threading.Event()
        self._open()

    def printed(self, text: str) -> None:
        """The cell printed something; its last line is shown while one waits."""
        lines = [line for line in text.replace("\r", "\n").split("\n") if line.strip()]
        if lines:
            self.last = lines[-1].strip()

    def cell_done(self) -> None:
        """The current cell ended, well or not; harmless when none runs."""
        if self.number and not self._done.is_set():
            self._done.set()
            self._close()

    def notebook_done(self, outcome: str) -> None:
        """A notebook ended, e.g. `notebook_done("done")`."""
        self.cell_done()
        self.say(f"  {outcome} in {time.monotonic() - self._began:.1f} s")

    def _open(self) -> None:
        threading.Thread(target=self._signs, args=(self._done, self._cell_began), daemon=True).start()

    def _close(self) -> None:
        self.say(self._row(self.line))

    def _signs(self, done: threading.Event, began: float) -> None:
        while not done.wait(SIGN_OF_LIFE):
            self.say(f"    …{'':>3}{time.monotonic() - began:8.1f} s  {self.last[:90] or 'still running'}")

    def _row(self, text: str) -> str:
        return f"  {self.number:>3}/{self.cells:<3}{time.monotonic() - self._cell_began:6.1f} s  {text[:80]}"


class Terminal(Plain):
    """The same on a terminal: the current cell, its seconds and its last printed line are one moving line."""

    def __init__(self) -> None:
        from rich.console import Console

        super().__init__()
        self.console = Console(highlight=False)

    def say(self, text: str) -> None:
        """A line for itself, above the moving one."""
        self.console.print(text, markup=False, soft_wrap=True)

    def _open(self) -> None:
        from rich.live import Live

        self._live = Live(self, console=self.console, refresh_per_second=4, transient=True)
        self._live.start()

    def __rich__(self):
        from rich.text import Text

        text = f"{self.line}  {self.last}".strip()
        return Text(self._row(text), no_wrap=True, overflow="ellipsis")

    def _close(self) -> None:
        self._live.stop()
        super()._close()
