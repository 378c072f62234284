"""`superhero quarantine`: what could not be processed, why, and what to do about it."""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from superhero.commands.progress import progress
from superhero.config import from_env
from superhero.ops.letters import restore, save
from superhero.ops.quarantine import DeadLetter, Selection, count, look, purge, replay
from superhero.transport.dead_letters import Reason

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SHOWN_BYTES = 4000
_NARROWEST = {"channel": 12, "error": 24}
_HEADS = ("id", "channel", "reason", "age", "bytes", "records", "error")


def _seconds(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    if value is None:
        return None
    match = re.fullmatch(r"(\d{1,9})([smhd])", value)
    if match is None:
        raise click.BadParameter(f"{value!r} is no age; write 30s, 15m, 2h or 7d", ctx, param)
    return float(int(match[1]) * _UNITS_S[match[2]])


def _selecting(function: Callable[..., None]) -> Callable[..., None]:
    options = (
        click.option("--channel", help="Only what came from this channel."),
        click.option("--reason", help="Only what is here for this reason, as `list` shows it."),
        click.option(
            "--older-than",
            callback=_seconds,
            metavar="AGE",
            help="Only what is here longer: 30s, 15m, 2h or 7d.",
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function


@click.group(
    epilog="\b\nExamples:\n"
    "  superhero quarantine list --channel superhero.game\n"
    "  superhero quarantine show 3f9a\n"
    "  superhero quarantine replay --reason pipeline-failed    after the workers were restarted\n"
    "  superhero quarantine purge --older-than 30d\n"
    "  superhero quarantine save letters.jsonl                 and restore: a backup"
)
def command() -> None:
    """List, show, replay, purge, save or restore what could not be processed.

    Each letter is the message as it came, body and headers, with the reason added. The broker is BROKER_URL.
    """


@command.command("list")
@_selecting
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line instead of a table.")
def list_letters(channel: str | None, reason: str | None, older_than: float | None, as_json: bool) -> None:
    """List the letters, oldest first."""
    selection = Selection(channel=channel, reason=reason, older_than_s=older_than)
    found: list[tuple[str, Any]] = []
    there: Counter[str] = Counter()
    # One look at everything: it takes every letter out of the queue, chosen or not.
    for dead in look(from_env().broker_url, Selection()):
        there[dead.letter.reason] += 1
        if selection.takes(dead):
            found.append((dead.letter.time, _summary(dead) if as_json else _row(dead, selection.now)))
    # What an earlier look put back RabbitMQ may hand out in another order.
    shown = [each for _, each in sorted(found, key=itemgetter(0))]
    if as_json:
        for summary in shown:
            click.echo(json.dumps(summary))
    elif shown:
        _print_list(shown, Console())
    else:
        click.echo(_nothing(selection, there))


@command.command()
@click.argument("letter_id", metavar="ID")
@click.option(
    "--json", "as_json", is_flag=True, help="Print JSON, with the whole body, uncompressed, in base64."
)
def show(letter_id: str, as_json: bool) -> None:
    """Show a letter whole. ID is what `list` shows, or the beginning of it."""
    for dead in look(from_env().broker_url, Selection(id=letter_id)):
        if as_json:
            whole = {
                **_summary(dead),
                "headers": dict(dead.message.headers),
                "content_type": dead.message.content_type,
                "content_encoding": dead.message.content_encoding,
                "body_base64": base64.b64encode(dead.body).decode(),
            }
            click.echo(json.dumps(whole, default=str))
        else:
            _print(dead, Console())
        return
    raise click.ClickException(
        f"no letter's id begins with {letter_id!r}; `superhero quarantine list` has them"
    )


@command.command("replay")
@click.argument("letter_id", metavar="[ID]", required=False)
@_selecting
@click.option("--all", "everything", is_flag=True, help="Everything; needed where nothing else is said.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def replay_letters(
    letter_id: str | None,
    channel: str | None,
    reason: str | None,
    older_than: float | None,
    everything: bool,
    as_json: bool,
) -> None:
    """Send letters back to their channels, to be worked on as if they came for the first time.

    After a pipeline was put right, restart the workers, then replay: a worker that runs has the old code.
    Each letter is removed once the broker confirmed it. It can be repeated: a record stands in a sink once.
    """
    selection = _chosen(letter_id, channel, reason, older_than, everything)
    url = from_env().broker_url
    with progress("replaying", total=count(url), unit="letters") as shown:
        done = replay(url, selection, shown.add)
    if as_json:
        click.echo(json.dumps({"replayed": done.replayed, "kept": done.kept}))
        return
    click.echo(f"{done.replayed} replayed")
    if done.kept:
        click.echo(f"kept, for they name no channel to go to: {', '.join(done.kept)}")


@command.command("purge")
@click.argument("letter_id", metavar="[ID]", required=False)
@_selecting
@click.option("--all", "everything", is_flag=True, help="Everything; needed where nothing else is said.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--yes", is_flag=True, help="Do not ask whether that is meant.")
def purge_letters(
    letter_id: str | None,
    channel: str | None,
    reason: str | None,
    older_than: float | None,
    everything: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Throw letters away."""
    url, selection = from_env().broker_url, _chosen(letter_id, channel, reason, older_than, everything)
    if not yes:
        click.confirm("What is purged is gone for ever. Purge?", abort=True)
    with progress("purging", total=count(url), unit="letters") as shown:
        purged = purge(url, selection, shown.add)
    click.echo(json.dumps({"purged": purged}) if as_json else f"{purged} purged")


@command.command("save")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@_selecting
def save_letters(file: Path, channel: str | None, reason: str | None, older_than: float | None) -> None:
    """Write letters whole into FILE, JSON Lines that only you can read; they stay in quarantine."""
    selection = Selection(channel=channel, reason=reason, older_than_s=older_than)
    click.echo(f"{save(from_env().broker_url, file, selection)} letters in {file}")


@command.command("restore")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def restore_letters(file: Path) -> None:
    """Put the letters that `save` wrote back into quarantine, but for those that are there already."""
    put_back, there = restore(from_env().broker_url, file)
    click.echo(f"{put_back} put back into quarantine, {there} were there already")


def _chosen(
    letter_id: str | None, channel: str | None, reason: str | None, older_than: float | None, everything: bool
) -> Selection:
    if not everything and (letter_id, channel, reason, older_than) == (None, None, None, None):
        raise click.UsageError("say which: an ID, --channel, --reason, --older-than, or --all")
    return Selection(id=letter_id, channel=channel, reason=reason, older_than_s=older_than)


def _summary(dead: DeadLetter) -> dict[str, Any]:
    return {
        "id": dead.id,
        "channel": dead.letter.channel,
        "reason": dead.letter.reason,
        "error": dead.letter.error,
        "time": dead.letter.time,
        "size_bytes": len(dead.body),
        "record_ids": dead.record_ids,
    }


def _print_list(rows: Sequence[tuple[str, ...]], console: Console) -> None:
    """Print a table, with the errors beneath where they find no room in it."""
    table = _table(_HEADS, rows)
    if _narrowest(table) > console.width:
        table = _table(_HEADS[:-1], [row[:-1] for row in rows])
    # Wider than the screen at worst: an id that is cut is of no use.
    console.width = max(console.width, _narrowest(table))
    console.print(table)
    if len(table.columns) < len(_HEADS):
        for row in rows:
            console.print(f"{row[0]}: {row[-1]}", markup=False, highlight=False, soft_wrap=True)


def _table(heads: Sequence[str], rows: Sequence[tuple[str, ...]]) -> Table:
    table = Table()
    for head, *cells in zip(heads, *rows, strict=True):
        # The id and the reason are what other commands take: they are never broken or cut.
        width = _NARROWEST.get(head) or max(map(len, (head, *cells)))
        table.add_column(head, min_width=width, overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row))
    return table


def _narrowest(table: Table) -> int:
    return sum((column.min_width or 0) + len(" │ ") for column in table.columns) + len("│")


def _nothing(selection: Selection, there: Counter[str]) -> str:
    """Say why no letter is listed: there is none, or none that is meant."""
    if not there:
        return "nothing in quarantine"
    reasons = ", ".join(f"{reason} ({count})" for reason, count in sorted(there.items()))
    text = f"no letter matches; {there.total()} in quarantine, for: {reasons}"
    known = {*Reason, *there}
    if selection.reason is None or selection.reason in known:
        return text
    return f"{text}\n{selection.reason!r} is no reason; there are {', '.join(sorted(known))}"


def _row(dead: DeadLetter, now: datetime) -> tuple[str, ...]:
    age_s = dead.age_s(now)
    return (
        dead.id,
        dead.letter.channel,
        dead.letter.reason,
        "?" if age_s is None else _age(age_s),
        str(len(dead.body)),
        str(len(dead.record_ids) or ""),
        dead.letter.error[:120],
    )


def _age(seconds: float) -> str:
    for unit in ("d", "h", "m"):
        if seconds >= _UNITS_S[unit]:
            return f"{seconds / _UNITS_S[unit]:.0f}{unit}"
    return f"{max(seconds, 0):.0f}s"


def _print(dead: DeadLetter, console: Console) -> None:
    table = Table("what", "value", title=f"letter {dead.id}", title_justify="left")
    age_s = dead.age_s(datetime.now(UTC))
    facts = {
        "channel": dead.letter.channel,
        "reason": dead.letter.reason,
        "error": dead.letter.error,
        "time": dead.letter.time + (f" ({_age(age_s)} ago)" if age_s is not None else ""),
        "records": ", ".join(dead.record_ids[:20]),
        "content type": f"{dead.message.content_type} {dead.message.content_encoding}",
        **{f"header {name}": str(value) for name, value in dead.message.headers.items()},
    }
    for name, value in facts.items():
        table.add_row(escape(name), escape(value[:_SHOWN_BYTES]))
    console.print(table)
    size = len(dead.body)
    console.print(f"body, {size} bytes" + (f", the first {_SHOWN_BYTES}:" if size > _SHOWN_BYTES else ":"))
    console.print(dead.body[:_SHOWN_BYTES].decode("utf-8", "backslashreplace"), markup=False, highlight=False)
