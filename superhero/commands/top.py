"""`superhero top`: the running pipeline at a glance, in a terminal."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event
from typing import Any

import click
from rich.console import Console
from rich.live import Live

from superhero.commands.top_screen import Screen, line
from superhero.config import from_env
from superhero.errors import StoreError
from superhero.ops.assessment import has_failed
from superhero.ops.losses import SURE_AFTER_S
from superhero.ops.our_queues import QueueNames
from superhero.ops.printing import stdout_console
from superhero.ops.vitals import Vitals
from superhero.ops.waiting import wait_until

_LOOKS_ONCE_S = SURE_AFTER_S + 1.6
_NAMES_WITHIN_S = 15.0  # rabbitmqctl on a busy machine; the management API takes milliseconds

Look = dict[str, Any]
Show = Callable[[Look | None, str], None]
"""Called with what was seen, or with None and why nothing was."""


@click.command(
    epilog="\b\nExamples:\n  superhero top\n  ssh host superhero top --once\n"
    "  superhero top --json | jq .records.lost\n  superhero top --once --json && echo nothing is lost"
)
@click.option(
    "--every",
    "every_s",
    default=1.0,
    show_default=True,
    type=click.FloatRange(0.2, 3600),
    help="Seconds between two looks.",
)
@click.option("--once", is_flag=True, help="Look for four seconds, print how things stand, and end.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: an object a look, on a line.")
def command(every_s: float, once: bool, as_json: bool) -> None:
    """Show how the pipeline runs: records in and out, queues, workers, spool, quarantine, lag, verdict.

    Any machine will do from which REDIS_URL and BROKER_URL answer. It goes on until Ctrl-C or SIGTERM;
    where the output is no terminal it prints a line a look. What each figure means: docs/monitoring.md.

    Exit status 0 when nothing was lost or doubled at the last look, 1 when something was, when messages wait
    that no worker consumes or when the broker does not answer, 2 when Redis does not.
    """
    settings, over = from_env(), Event()
    # Also queues that no worker consumes and no setting names, as far as the broker tells which there are.
    queues = QueueNames(settings)
    with queues, Vitals(settings, further=lambda: queues.names) as vitals, _until_told(over):
        last = vitals.look()  # with nothing to look at, that is an error and no picture
        if once:
            wait_until(lambda: queues.known or over.is_set(), _NAMES_WITHIN_S)
            last = _for_a_while(vitals, over)
            click.echo(json.dumps(last)) if as_json else stdout_console().print(Screen().shown(last))
        else:
            with _shown(as_json) as show:
                last = _go_on(vitals, over, every_s, last, show)
    raise SystemExit(1 if has_failed(last) else 0)


def _for_a_while(vitals: Vitals, over: Event) -> Look:
    """Return how things stand after as long as it takes to have rates, and to be sure of a loss."""
    began = time.monotonic()
    while not over.wait(_LOOKS_ONCE_S / 4) and time.monotonic() - began < _LOOKS_ONCE_S:
        vitals.look()
    return vitals.look()


def _go_on(vitals: Vitals, over: Event, every_s: float, last: Look, show: Show) -> Look:
    show(last, "")
    while not over.wait(every_s):
        try:
            last = vitals.look()
        except StoreError as error:
            show(None, str(error))
        else:
            show(last, "")
    return last


@contextmanager
def _shown(as_json: bool) -> Iterator[Show]:
    """Yield what shows a look: as JSON, on the whole screen of a terminal, or in a line."""
    console = Console()
    if as_json or not console.is_terminal:

        def show_line(look: Look | None, error: str) -> None:
            if look is None:
                click.echo(error, err=True)
            else:
                click.echo(json.dumps(look) if as_json else line(look))
            sys.stdout.flush()

        yield show_line
        return
    screen, seen = Screen(), list[Look]()
    with Live(console=console, screen=True, auto_refresh=False) as live:

        def show(look: Look | None, error: str) -> None:
            if look is not None:
                seen[:] = [look]
                screen.take_in(look)
            live.update(screen.shown(seen[0], error, height=console.height), refresh=True)

        yield show


@contextmanager
def _until_told(over: Event) -> Iterator[None]:
    """Set `over` on Ctrl-C and SIGTERM: to end is what one does with it, and no accident."""
    previous = {each: signal.signal(each, lambda *_: over.set()) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for each, handler in previous.items():
            signal.signal(each, handler)
