"""`superhero doctor`: a table of what is here and what is missing."""

from __future__ import annotations

import json
from dataclasses import asdict

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from superhero.config import from_env
from superhero.ops.doctor import Report, State, examine

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

    Exit status 0 when the pipeline could run with what is here, 1 when it could not.
    """
    report = examine(from_env())
    if as_json:
        click.echo(json.dumps(asdict(report), indent=2))
    else:
        _print(report, Console())
    raise SystemExit(0 if report.can_run else 1)


def _print(report: Report, console: Console) -> None:
    checks = Table("", "what", "found", "what to do", title="services", title_justify="left")
    for check in report.checks:
        checks.add_row(_MARKS[check.state], escape(check.name), escape(check.found), escape(check.advice))
    console.print(checks)
    settings = Table("variable or field", "value", title="settings in force", title_justify="left")
    for name, value in report.settings.items():
        settings.add_row(name, escape(value))
    console.print(settings)
    verdict = (
        "[green]The pipeline can run here.[/]" if report.can_run else "[red]The pipeline cannot run here.[/]"
    )
    console.print(verdict)
