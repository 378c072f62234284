"""How `superhero verify` shows what it found: tables that fit the screen, sentences that claim no more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from rich.console import Console
from rich.markup import escape

from superhero.commands.verdict_tables import datasets, key_table, records
from superhero.ops.depths import Waiting
from superhero.ops.held import KeyVerdict
from superhero.ops.verify import Line, Verdict
from superhero.plural import counted
from superhero.transport.topology import UNROUTED_NAME

_MOST_EXAMPLES = 20


@dataclass(frozen=True, slots=True)
class Finding:
    """All that was found out.

    verdict       by record ids; None for a sink that only a key can verify
    held          by answer key; None without one
    waiting       what waits on the broker; None if it was not asked
    broker_named  whether the user said where the broker is
    nothing       a sentence, where there are no records at all
    grew          whether rows came while it was read; None where that cannot be told
    unpromised    producers of which nobody said how much they emitted
    letters       letters in quarantine; None if nobody looked
    anonymous     of those, how many show no record ids
    """

    verdict: Verdict | None = None
    held: KeyVerdict | None = None
    waiting: Waiting | None = None
    broker_named: bool = False
    nothing: str = ""
    grew: bool | None = None
    unpromised: int = 0
    letters: int | None = None
    anonymous: int = 0

    @property
    def clean(self) -> bool:
        """Whether nothing is lost or doubled, nothing waits and all is accounted for."""
        if self.waits or self.broker_silent:
            return False
        return all(each.clean for each in (self.verdict, self.held) if each is not None)

    @property
    def broker_silent(self) -> bool:
        """Whether the broker that the user named did not answer: what waits there cannot be told."""
        return self.broker_named and self.waiting is not None and bool(self.waiting.error)

    @property
    def waits(self) -> bool:
        """Whether anything is known to be on its way: on the broker, or in a producer's spool."""
        return self.spooled > 0 or (self.waiting is not None and bool(self.waiting.queues))

    @property
    def spooled(self) -> int:
        """How many records producers still keep in their spools."""
        if self.verdict is not None:
            return self.verdict.total().spooled
        return self.held.spooled if self.held is not None else 0

    @property
    def perhaps_waiting(self) -> int:
        """How many of the records called lost may be in messages that wait on the broker.

        Nobody can look into those without taking them from the workers.
        """
        queues = self.waiting.queues if self.waiting is not None else {}
        lines = self.verdict.producers if self.verdict is not None and queues else []
        return sum(line.lost for line in lines if _may_wait(line, queues))


def _may_wait(line: Line, queues: Mapping[str, int]) -> bool:
    # Of a producer of which nothing arrived nobody knows the channel.
    channels = {name for name in line.channel.split(", ") if name}
    return not channels or UNROUTED_NAME in queues or not channels.isdisjoint(queues)


def in_json(found: Finding) -> dict[str, Any]:
    """Return a finding JSON-ready: the total, per channel and producer, games, attacks, files, broker."""
    told: dict[str, Any] = {}
    if found.verdict is not None:
        told = {
            "total": _sum(found.verdict.total()),
            "channels": [_sum(line) for line in found.verdict.channels()],
            **asdict(found.verdict),
            "perhaps_waiting": found.perhaps_waiting,
            "rows_came": found.grew,
        }
    if found.held is not None:
        told["key"] = asdict(found.held)
    if found.nothing:
        told["nothing"] = found.nothing
    if found.letters is not None:
        told["letters"] = {"all": found.letters, "without_record_ids": found.anonymous}
    told["waiting"] = dict(found.waiting.queues) if found.waiting and not found.waiting.error else None
    return {"clean": found.clean, **told}


def _sum(line: Line) -> dict[str, Any]:
    facts = asdict(line)
    del facts["producer"]  # they are many, and `producers` says how many
    return facts


def show(found: Finding, console: Console, *, by_producer: bool = False) -> None:
    """Print a finding."""
    if found.nothing:
        console.print(f"[red]{escape(found.nothing)}[/]", highlight=False, soft_wrap=True)
    if found.held is not None:
        console.print(key_table(found.held))
        for text in _of_key(found.held, waits=found.waits):
            console.print(text, highlight=False, soft_wrap=True)
    if found.verdict is not None:
        sure = not found.perhaps_waiting
        for table in records(found.verdict, console, by_producer=by_producer, sure_of_lost=sure):
            console.print(table)
        for table in datasets(found.verdict, console):
            console.print(table)
        for text in _complaints(found.verdict):
            console.print(f"  {text}", highlight=False, soft_wrap=True)
    for text in _sentences(found):
        console.print(text, highlight=False, soft_wrap=True)


def _of_key(held: KeyVerdict, *, waits: bool) -> Iterator[str]:
    if held.clean:
        yield "[green]As the answer key says.[/]"
        return
    yield "[red]Not as the key says.[/]"
    if held.missing:
        not_in = "is not in RECORDS" if held.missing == 1 else "are not in RECORDS"
        why = ": see below for what still waits" if waits else ""
        yield f"  {counted(held.missing, 'record')} of the key's run {not_in}{why}."
    if held.foreign:
        of_games = f", {counted(held.foreign_games, 'whole game')} among them," if held.foreign_games else ""
        yield (
            f"  The sink holds {counted(held.foreign, 'record')}{of_games} that the key does not know: "
            "another run wrote to it, and a key is of one. Give each run a sink of its own (OUTPUT_DIR, "
            "SINKS), and point verify at this run's: superhero verify SINK --expect KEY"
        )


def _complaints(verdict: Verdict) -> Iterator[str]:
    examples = [line.examples for line in verdict.producers if line.examples]
    for each in examples[:_MOST_EXAMPLES]:
        yield f"[red]look at[/] {escape(', '.join(each))}"
    if len(examples) > _MOST_EXAMPLES:
        more = counted(len(examples) - _MOST_EXAMPLES, "producer")
        yield f"[red]and[/] at {more} more: --json has them all"
    for path in verdict.torn:
        yield f"[red]torn[/] the last line of {escape(path)} has no end"
    for path, lines in verdict.unreadable.items():
        yield f"[red]unreadable[/] {counted(lines, 'line')} of {escape(path)}"


def _sentences(found: Finding) -> Iterator[str]:
    if found.verdict is not None:
        yield _judgement(found, found.verdict)
        yield from _of_growth(found, found.verdict)
        yield from _of_not_promised(found.verdict)
        yield from _of_quarantine(found, found.verdict)
    if found.spooled:
        yield (
            f"[red]{counted(found.spooled, 'record')} in the spool, not confirmed by the broker: not all is "
            "in yet.[/] A producer that lives sends them; what a dead one left, the next with that SPOOL_DIR."
        )
    if found.waiting is None:
        return
    for queue, count in found.waiting.queues.items():
        waits = "waits" if count == 1 else "wait"
        yield f"[red]{counted(count, 'message')} still {waits} in {escape(queue)}: not all is in yet.[/]"
    why = escape(found.waiting.error)
    if found.broker_silent:
        yield (
            f"[red]The broker at BROKER_URL did not answer: {why.rstrip('.')}.[/] Whether "
            "messages still wait there cannot be told: correct BROKER_URL or start that broker and verify "
            "again, or use --offline, which does not ask."
        )
    elif found.waiting.error:
        yield f"No broker said whether messages still wait: {why}"


def _judgement(found: Finding, verdict: Verdict) -> str:
    perhaps = found.perhaps_waiting
    if perhaps and _only_lost(verdict, perhaps):
        return (
            f"[yellow]{counted(perhaps, 'record')} may be lost, or in the messages that wait:[/] let the "
            "workers take those in, and verify again."
        )
    if found.grew and _only_ahead(verdict):
        return "[yellow]Nothing of what was read is lost or doubled.[/]"
    if not verdict.clean:
        return "[red]Something was lost or doubled, or cannot be accounted for.[/]"
    if not found.unpromised:
        return "[green]Nothing was lost, nothing stands twice.[/]"
    whose = (
        "" if found.unpromised == len(verdict.producers) else f" of {counted(found.unpromised, 'producer')}"
    )
    how = "without --expect" if not whose else "for --expect does not name them"
    return (
        "[green]No gap among what arrived, nothing stands twice;[/] "
        f"what may be missing at the end{whose} cannot be told{' ' if not whose else ', '}{how}."
    )


def _only_lost(verdict: Verdict, count: int) -> bool:
    """Tell whether nothing is wrong with a sink but that so many records are not there."""
    lines = verdict.producers
    but_for_lost = all(replace(line, lost=0).clean for line in lines) and verdict.total().lost == count
    return but_for_lost and replace(verdict, producers=[]).clean


def _only_ahead(verdict: Verdict) -> bool:
    """Tell whether a sink is not clean only by what was written after its records were read."""
    games, attacks = verdict.games, verdict.attacks
    wrong = (games.lost, games.duplicated, games.wrong, attacks.lost, attacks.duplicated)
    lines_are_clean = all(line.clean for line in verdict.producers)
    return lines_are_clean and not any(wrong) and not verdict.unreadable and not verdict.clean


def _of_growth(found: Finding, verdict: Verdict) -> Iterator[str]:
    again = "stop the workers, or let them finish, and verify again."
    if found.grew and not (verdict.clean and (found.held is None or found.held.clean)):
        yield f"Rows came while it was read, which are not accounted for: {again}"
    elif found.grew is None and _only_ahead(verdict):
        yield f"Perhaps rows came while it was read: {again}"


def _of_not_promised(verdict: Verdict) -> Iterator[str]:
    lines = [line for line in verdict.producers if line.not_promised]
    count = sum(line.not_promised for line in lines)
    if count:
        were, them = ("was", "it") if count == 1 else ("were", "them")
        whose = "their producer" if count > 1 else "its producer"
        yield (
            f"{counted(count, 'record')} {were} logged and never confirmed, and did not arrive: "
            f"{whose if len(lines) == 1 else 'their producers'} did not promise {them}."
        )


def _of_quarantine(found: Finding, verdict: Verdict) -> Iterator[str]:
    count = verdict.total().quarantined
    if count:
        yield f"[yellow]{counted(count, 'record')} in quarantine:[/] see `superhero quarantine list`"
    if found.anonymous:
        yield (
            f"[yellow]{counted(found.anonymous, 'letter')} in quarantine without a record id,[/] so nothing "
            "tells what was in it: see `superhero quarantine list`"
        )
    if verdict.total().lost and found.letters is None:
        yield "What is missing may be in quarantine: --quarantine looks there."
