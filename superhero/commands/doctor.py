"""`superhero doctor`: a table of what is here and what is missing."""

from __future__ import annotations

import json
from dataclasses import asdict

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from superhero.config import from_env
from superhero.ops.checks import State
from superhero.ops.doctor import Report, examine
from superhero.ops.printing import stdout_console

_MARKS: dict[State, str] = {
    "ok": "[green]ok[/]",
    "warning": "[yellow]look[/]",
    "missing": "[red]missing[/]",
}


@click.command(
    epilog="\b\nExamples:\n  superhero doctor\n  BROKER_URL=amqp://me:secret@host// superhero doctor --json"
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def command(as_json: bool) -> None:
    """Say which service is reachable, with which version and settings, and how to get what is missing.

    Exit status 0 when the pipeline can run with these settings, 1 when it cannot, be it that
    `superhero demo` could; 2, with every bad variable named, when they cannot even be read.
    """
    report = examine(from_env())
    if as_json:
        click.echo(json.dumps(asdict(report), indent=2))
    else:
        _print(report, stdout_console())
    raise SystemExit(0 if report.can_run else 1)


def _print(report: Report, console: Console) -> None:
    checks = _table("services", "", "what", "found", "what to do")
    for check in report.checks:
        checks.add_row(_MARKS[check.state], escape(check.name), escape(check.found), escape(check.advice))
    console.print(checks)
    settings = _table("settings in force", "variable", "value")
    for name, value in report.settings.items():
        settings.add_row(name, escape(value))
    console.print(settings)
    console.print(_verdict(report), soft_wrap=True)


def _table(title: str, *headers: str) -> Table:
    """Return a table that cuts nothing, as its cells are there to be copied."""
    table = Table(title=title, title_justify="left")
    for header in headers:
        table.add_column(header, overflow="fold")
    return table


def _verdict(report: Report) -> str:
    if report.can_run:
        return "[green]The pipeline can run with these settings.[/]"
    why = ", ".join(report.in_the_way)
    if report.demo_can_run:
        return (
            f"[red]The pipeline cannot run with these settings[/]: see above for {why}. `superhero demo` "
            "can, for it writes to a folder of its own."
        )
    if report.embedded_can_run:
        return f"[yellow]Only `superhero demo --embedded` can run here[/]: see above for {why}."
    return f"[red]The pipeline cannot run here[/]: see above for {why}."
