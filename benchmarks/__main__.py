"""`python -m benchmarks`: run everything side by side, print tables, write JSON and pictures."""

from __future__ import annotations

import importlib
import sys
import time
from contextlib import ExitStack, nullcontext
from functools import partial
from pathlib import Path

import click
from rich.console import Console

from benchmarks.figures import Figures
from benchmarks.publish import draw, fill_in, write_json
from benchmarks.report import print_figures, print_targets
from benchmarks.stage import Stage, open_stage
from superhero.commands.progress import progress
from superhero.reports.machine import machine

SUITES = (
    "log_call",
    "to_disk",
    "peers",
    "latency",
    "simulator",
    "arena",
    "simulate",
    "backlog",
    "loss_window",
    "workers",
    "verifying",
    "sinks",
)
_WIDTH = 160  # of a log
_HERE = Path(__file__).parent
_DOCS = _HERE.parent / "docs"


@click.command()
@click.option("--small", is_flag=True, help="Seconds instead of minutes: shows that benchmarks work.")
@click.option("--only", multiple=True, type=click.Choice(SUITES), help="Run these; may be repeated.")
@click.option("--without-peers", is_flag=True, help="Leave the peers out, though they are installed.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("var/bench"),
    show_default=True,
    help="Folder for results.json; later runs add to it.",
)
@click.option("--publish", is_flag=True, help="Put tables and pictures into docs/, and results.json here.")
def main(small: bool, only: tuple[str, ...], without_peers: bool, out: Path, publish: bool) -> None:
    """Run the benchmarks, all or some, print tables and write them as JSON.

    Exit status 0 when they ran, whatever they found: speed is no test.
    """
    if small and publish:
        raise click.UsageError("--small measures nothing that could be published; leave one of the two out")
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    began_on = machine()
    found: dict[str, Figures] = {}
    with ExitStack() as stages:
        # A vhost for each, so that none finds another's messages; where only seconds count, one for all.
        opened = partial(open_stage, small=small, with_peers=not without_peers)
        shared = stages.enter_context(opened()) if small else None
        names = only or SUITES
        for number, name in enumerate(names, start=1):
            began = time.monotonic()
            with (
                progress(f"{name}, {number} of {len(names)}"),
                nullcontext(shared) if shared is not None else opened() as stage,
            ):
                found[name] = _run(name, stage)
            console.rule(f"{name}, {time.monotonic() - began:.0f} s")
            print_figures(console, found[name])
    if small:
        console.print("A small run shows that they work, and measures nothing.")
    else:
        print_targets(console, found)
    results = (_HERE if publish else out) / "results.json"
    write_json(results, found, began_on)
    console.print(f"Results: {results.resolve()}", soft_wrap=True, highlight=False)
    if publish:
        fill_in(_DOCS / "performance.md", results)
        draw(results, _DOCS / "performance")


def _run(name: str, stage: Stage) -> Figures:
    suite = importlib.import_module(f"benchmarks.suites.{name}")
    try:
        figures: Figures = suite.run(stage)
    finally:
        stage.processes.stop()
    return figures


if __name__ == "__main__":
    main()
