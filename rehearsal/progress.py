"""What a person sees while tools are built."""

import contextlib
import time
from collections.abc import Generator

from rich import progress as bars
from rich.console import Console

QUIET_SECONDS = 15.0


class Progress:
    """One task's progress: a bar on a terminal, a line now and then in a log.

    Counts packages once it knows how many to expect; says at any time what is being worked on.
    """

    def __init__(self, console: Console, bar: bars.Progress, title: str) -> None:
        self._console = console
        self._bar = bar
        self._task = bar.add_task(title, total=None, now="")
        self._begun = self._spoke = time.monotonic()

    def now(self, what: str) -> None:
        """Say what is being worked on."""
        self._bar.update(self._task, now=what)
        self._speak(what)

    def expect(self, packages: int) -> None:
        """How many packages are to be compiled."""
        self._bar.update(self._task, total=packages, completed=0)

    def compiled(self, package: str) -> None:
        """One package more is being compiled. When all are, the programs are linked, which takes a while too."""
        self._bar.advance(self._task)
        task = self._bar.tasks[self._task]
        done = task.total is not None and task.completed >= task.total
        self.now(f"{package}, then linking" if done else package)

    def _speak(self, what: str) -> None:
        if self._console.is_terminal or time.monotonic() - self._spoke < QUIET_SECONDS:
            return
        self._spoke = time.monotonic()
        task = self._bar.tasks[self._task]
        counted = f"{task.completed:.0f}/{task.total:.0f} packages, " if task.total else ""
        self._console.print(
            f"  {self._spoke - self._begun:.0f} s: {counted}{what}", highlight=False, markup=False
        )


@contextlib.contextmanager
def build_progress(console: Console, title: str) -> Generator[Progress]:
    """Show the progress of one build; on a terminal the display is gone when the build is."""
    if not console.is_terminal:
        console.print(title, highlight=False, markup=False)
    bar = bars.Progress(
        bars.TextColumn("{task.description}\n  [dim]{task.fields[now]}"),
        bars.BarColumn(bar_width=24),
        bars.MofNCompleteColumn(),
        bars.TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with bar:
        yield Progress(console, bar, title)
