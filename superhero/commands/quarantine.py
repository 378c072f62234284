"""`superhero quarantine`: what could not be processed, why, and what to do about it."""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from operator import itemgetter
from pathlib import Path
from typing import Any

import click

from superhero.commands.letter_tables import UNITS_S, print_letter, print_list, row
from superhero.commands.progress import progress
from superhero.config import from_env
from superhero.ops.letters import restore, save
from superhero.ops.printing import stdout_console
from superhero.ops.quarantine import DeadLetter, Selection, count, look, purge, replay
from superhero.plural import counted
from superhero.transport.dead_letters import Reason

_NAMED = 10
"""How many ids an error names where several begin alike."""


def _seconds(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    if value is None:
        return None
    match = re.fullmatch(r"(\d{1,9})([smhd])", value)
    if match is None:
        raise click.BadParameter(f"{value!r} is no age; write 30s, 15m, 2h or 7d", ctx, param)
    return float(int(match[1]) * UNITS_S[match[2]])


def _id(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    # Every id begins with nothing: `purge "$id"` with a variable that is not set would be `purge --all`.
    if value is not None and not value.strip():
        raise click.BadParameter(f"{value!r} is no letter's id; `list` shows them", ctx, param)
    return value


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
            found.append((dead.letter.time, _summary(dead) if as_json else row(dead, selection.now)))
    # What an earlier look put back RabbitMQ may hand out in another order.
    shown = [each for _, each in sorted(found, key=itemgetter(0))]
    if as_json:
        for summary in shown:
            click.echo(json.dumps(summary))
    elif shown:
        print_list(shown, stdout_console())
    else:
        click.echo(_nothing(selection, there))


@command.command()
@click.argument("letter_id", metavar="ID", callback=_id)
@click.option(
    "--json", "as_json", is_flag=True, help="Print JSON, with the whole body, uncompressed, in base64."
)
def show(letter_id: str, as_json: bool) -> None:
    """Show a letter whole. ID is what `list` shows, or a beginning of it that no other letter's id has."""
    dead = _the_one(from_env().broker_url, letter_id)
    if dead is None:
        raise click.ClickException(
            f"no letter's id begins with {letter_id!r}; `superhero quarantine list` has them"
        )
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
        print_letter(dead, stdout_console())


@command.command("replay")
@click.argument("letter_id", metavar="[ID]", required=False, callback=_id)
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
    ID may be the beginning of an id. Exit status 1 when none has that ID, channel or reason, or several
    letters' ids begin so.
    """
    selection = _chosen(letter_id, channel, reason, older_than, everything)
    url = from_env().broker_url
    selection = _whole(url, selection)
    with progress("replaying", total=count(url), unit="letters") as shown:
        done = replay(url, selection, shown.add)
    if as_json:
        click.echo(json.dumps({"replayed": done.replayed, "kept": done.kept}))
    else:
        click.echo(f"{done.replayed:,} replayed")
    if not (done.replayed or done.kept):
        _complain(url, selection)
    if done.kept and not as_json:
        click.echo(f"kept, for they name no channel to go to: {', '.join(done.kept)}")


@command.command("purge")
@click.argument("letter_id", metavar="[ID]", required=False, callback=_id)
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
    """Throw letters away.

    ID may be the beginning of an id. Exit status 1 when none has that ID, channel or reason, or several
    letters' ids begin so.
    """
    url, selection = from_env().broker_url, _chosen(letter_id, channel, reason, older_than, everything)
    selection = _whole(url, selection)
    if not yes and (meant := sum(1 for _ in look(url, selection))):
        letters = f"{counted(meant, 'letter')}, {_described(selection)}"
        click.confirm(f"{letters}: what is purged is gone for ever. Purge?", abort=True)
    with progress("purging", total=count(url), unit="letters") as shown:
        purged = purge(url, selection, shown.add)
    click.echo(json.dumps({"purged": purged}) if as_json else f"{purged:,} purged")
    if not purged:
        _complain(url, selection)


@command.command("save")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@_selecting
def save_letters(file: Path, channel: str | None, reason: str | None, older_than: float | None) -> None:
    """Write letters whole into FILE, JSON Lines that only you can read; they stay in quarantine."""
    selection = Selection(channel=channel, reason=reason, older_than_s=older_than)
    click.echo(f"{counted(save(from_env().broker_url, file, selection), 'letter')} in {file}")


@command.command("restore")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def restore_letters(file: Path) -> None:
    """Put the letters that `save` wrote back into quarantine, but for those that are there already."""
    put_back, there = restore(from_env().broker_url, file)
    click.echo(
        f"{put_back:,} put back into quarantine, {there:,} {'was' if there == 1 else 'were'} there already"
    )


def _chosen(
    letter_id: str | None, channel: str | None, reason: str | None, older_than: float | None, everything: bool
) -> Selection:
    if not everything and (letter_id, channel, reason, older_than) == (None, None, None, None):
        raise click.UsageError("say which: an ID, --channel, --reason, --older-than, or --all")
    return Selection(id=letter_id, channel=channel, reason=reason, older_than_s=older_than)


def _the_one(url: str, beginning: str) -> DeadLetter | None:
    """Return the letter whose id begins so, None if there is none. Refuse where several could be meant."""
    found: DeadLetter | None = None
    ids: set[str] = set()
    for dead in look(url, Selection(id=beginning)):
        found = found or dead
        ids.add(dead.id)  # equal letters have one id, and what is done to one is done to all
    if len(ids) > 1:
        named = ", ".join(sorted(ids)[:_NAMED]) + (f" and {len(ids) - _NAMED:,} more" * (len(ids) > _NAMED))
        raise click.ClickException(f"{len(ids):,} ids begin with {beginning!r}, write more of one: {named}")
    return found


def _whole(url: str, selection: Selection) -> Selection:
    """Return the selection with the whole id of the one letter that is meant, where an id is named."""
    dead = None if selection.id is None else _the_one(url, selection.id)
    return selection if dead is None else replace(selection, id=dead.id)


def _described(selection: Selection) -> str:
    """Say by what letters are chosen."""
    older = None if selection.older_than_s is None else f"{selection.older_than_s:,.0f} s"
    named = {
        "id": selection.id,
        "channel": selection.channel,
        "reason": selection.reason,
        "older than": older,
    }
    return ", ".join(f"{by} {value}" for by, value in named.items() if value is not None) or "all there are"


def _complain(url: str, selection: Selection) -> None:
    """End with what there is, where something was named and is not there; none so old may be expected."""
    named = replace(selection, older_than_s=None)
    if named != Selection(now=selection.now) and not any(look(url, named)):
        there = Counter(dead.letter.reason for dead in look(url, Selection()))
        raise click.ClickException(_nothing(selection, there))


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


def _nothing(selection: Selection, there: Counter[str]) -> str:
    """Say why no letter is found: there is none, or none that is meant."""
    if not there:
        return "nothing in quarantine"
    reasons = ", ".join(f"{reason} ({count})" for reason, count in sorted(there.items()))
    text = f"no letter matches; {there.total()} in quarantine, for: {reasons}"
    known = {*Reason, *there}
    if selection.reason is None or selection.reason in known:
        return text
    return f"{text}\n{selection.reason!r} is no reason; there are {', '.join(sorted(known))}"
