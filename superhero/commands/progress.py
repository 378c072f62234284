"""Show how far a long command has come: with rate and remaining time on a terminal, not at all elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text

BYTES = "bytes"


class Shown:
    """What a long command tells while it is at it. Cheap to call often."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    def add(self, done: int = 1) -> None:
        """So much more is done."""
        self._progress.advance(self._task, done)

    def to(self, done: int, total: int | None = None) -> None:
        """So much is done, of so much."""
        self._progress.update(self._task, total=total, completed=done)  # a total of None changes nothing

    def say(self, what: str) -> None:
        """Say what is being done."""
        self._progress.update(self._task, description=what)


class _Rate(ProgressColumn):
    """How much is done in a second, in the unit of the task."""

    def render(self, task: Task) -> Text:
        """Return the rate; nothing before there is one."""
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.{0 if speed >= 10 else 1}f} {task.fields['unit']}/s")


@contextmanager
def progress(what: str, total: int | None = None, unit: str = "") -> Iterator[Shown]:
    """Show on stderr within how far it is, if that is a terminal; it is gone afterwards.

    Without a unit there is no rate, without a total no remaining time, without both only how long it takes.
    """
    console = Console(stderr=True)
    counted: list[ProgressColumn] = [DownloadColumn(), TransferSpeedColumn()]
    if unit != BYTES:
        counted = [MofNCompleteColumn(), _Rate()] if unit else [MofNCompleteColumn()] if total else []
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        *([BarColumn(), *counted] if counted else []),
        TimeElapsedColumn(),
        *([TimeRemainingColumn()] if counted else []),
    )
    with Progress(
        *columns,
        console=console,
        transient=True,
        redirect_stdout=False,  # it may be a file
        redirect_stderr=False,
        disable=not console.is_terminal,
    ) as bar:
        yield Shown(bar, bar.add_task(what, total=total, unit=unit))
