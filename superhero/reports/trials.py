"""The report of the published trials: how deep the queues were, how fast records went, who wrote them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from superhero.ops.timeline import Seen, rates
from superhero.ops.trials import Outcome
from superhero.plural import counted
from superhero.reports.files import Report
from superhero.reports.machine import machine, sentence
from superhero.reports.page import Cell, heading, page, paragraph, plots, table, tiles, verdict
from superhero.reports.plot import Plot

SCHEMA = "superhero.trials/1"
_SHOWN_RATES = ("published", "delivered", "acknowledged")
_STRETCHES = 60
_SHORTEST_S = 0.1
_AFTER_S = 0.3

_TOLD = {
    "one worker": "One worker ingests while bots play.",
    "many workers": "Several workers share the work; none may write a game twice.",
    "killed, back": "Every worker is killed (-9) while bots play on; workers come back later.",
    "none before": "Bots play on a broker that never saw a worker; workers come when the bots are done.",
}


def as_dict(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome, JSON-ready."""
    return {**asdict(outcome), "folder": str(outcome.folder), "clean": outcome.clean}


def trials_report(outcomes: Sequence[Outcome], command: str) -> Report:
    """Return the report of one or more trials; `command` is how to repeat it."""
    made, of = datetime.now(UTC).isoformat(timespec="seconds"), machine()
    facts = {
        "schema": SCHEMA,
        "made": made,
        "command": command,
        "machine": of,
        "clean": all(outcome.clean for outcome in outcomes),
        "outcomes": [as_dict(outcome) for outcome in outcomes],
    }
    parts = [
        verdict(good=all(outcome.clean for outcome in outcomes), text=verdict_of(outcomes)),
        *(part for note in outcomes[0].notes for part in (paragraph(note),)),
        _overview(outcomes),
        *(part for outcome in outcomes for part in section(outcome)),
    ]
    lead = "Bots fight, every log record of it becomes a task, workers write it to files. Then it is counted."
    text = page("superhero: the trials", lead, parts, f"{made} · {command} · {sentence(of)}")
    return Report(text, facts, [plot for outcome in outcomes for plot in plots_of(outcome)])


def verdict_of(outcomes: Sequence[Outcome]) -> str:
    """Return what came of everything, as a sentence."""
    tallies = [outcome.tally for outcome in outcomes]
    games, records = (sum(t.games_completed for t in tallies), sum(t.records_emitted for t in tallies))
    lost = sum(t.records_lost + t.games_lost for t in tallies)
    doubled = sum(t.records_duplicated + t.games_duplicated for t in tallies)
    quarantined = sum(outcome.dead_letters for outcome in outcomes)
    said = f"{counted(games, 'game')}, {counted(records, 'record')}: {lost:,} lost, {doubled:,} doubled"
    said += f", {quarantined:,} in quarantine"
    wrong = sum(t.contradictions for t in tallies)
    return f"{said}, {counted(wrong, 'contradiction')}" if wrong else said


def plots_of(outcome: Outcome) -> list[Plot]:
    """Return the pictures of a trial."""
    seen, name = outcome.seen, re.sub(r"[^a-z]+", "-", outcome.trial)
    drawn = [
        Plot(
            f"{name}-depth",
            f"Messages waiting on the broker: {outcome.trial}",
            "lines",
            "messages",
            {"waiting": [point for point in seen.depths if point[0] <= _end(seen) + _AFTER_S]},
            x_axis="seconds",
            marks=seen.marks,
        ),
        _rates_plot(f"{name}-rates", f"Records per second: {outcome.trial}", seen),
    ]
    if any(curve and curve[-1][1] for curve in seen.broker.values()):
        every_s = _stretch(seen)
        series = {name: rates(curve, _end(seen), every_s) for name, curve in seen.broker.items()}
        title = f"Messages per second, as RabbitMQ counts: {outcome.trial}"
        drawn.append(Plot(f"{name}-broker", title, "lines", "messages/s", series, x_axis="seconds"))
    if seen.shares:
        title = f"Who acknowledged how many records: {outcome.trial}"
        drawn.append(Plot(f"{name}-shares", title, "bars", "records", seen.shares))
    return drawn


def _rates_plot(name: str, title: str, seen: Seen) -> Plot:
    every_s = _stretch(seen)
    series = {each: rates(seen.curves[each], _end(seen), every_s) for each in _SHOWN_RATES}
    return Plot(name, title, "lines", "records/s", series, x_axis="seconds", marks=seen.marks)


def _end(seen: Seen) -> float:
    """Return when the last record was on its way, or the last thing was done to the run."""
    changes = [
        moment
        for curve in seen.curves.values()
        for (_, before), (moment, now) in pairwise(curve)
        if now != before
    ]
    return max([*changes, *(moment for moment, _ in seen.marks)], default=0.0)


def _stretch(seen: Seen) -> float:
    return max(_end(seen) / _STRETCHES, _SHORTEST_S)


def section(outcome: Outcome) -> Iterator[str]:
    """Yield one trial's part of the page."""
    tally = outcome.tally
    yield heading(outcome.trial, _TOLD.get(outcome.trial, ""))
    yield tiles(
        [
            ("games completed", f"{tally.games_completed:,}", ""),
            ("records logged", f"{tally.records_emitted:,}", ""),
            ("records lost", f"{tally.records_lost:,}", _tone(tally.records_lost)),
            ("records doubled", f"{tally.records_duplicated:,}", _tone(tally.records_duplicated)),
            ("in quarantine", f"{outcome.dead_letters:,}", _tone(outcome.dead_letters)),
            ("seconds", f"{outcome.seconds:.1f}", ""),
        ]
    )
    yield plots(plots_of(outcome))


def _overview(outcomes: Sequence[Outcome]) -> str:
    columns = (
        *("trial", "workers", "games completed", "ingested", "games lost", "games doubled"),
        *("records", "lost", "doubled", "quarantine", "deepest queue", "seconds"),
    )
    return table(columns, [("", list(_row(outcome))) for outcome in outcomes])


def _row(outcome: Outcome) -> Iterator[Cell]:
    tally = outcome.tally
    yield Cell(outcome.trial)
    yield from (Cell(f"{n:,}") for n in (outcome.workers, tally.games_completed, tally.games_ingested))
    yield from (zero(n) for n in (tally.games_lost, tally.games_duplicated))
    yield Cell(f"{tally.records_emitted:,}")
    yield from (zero(n) for n in (tally.records_lost, tally.records_duplicated, outcome.dead_letters))
    yield Cell(f"{max((depth for _, depth in outcome.seen.depths), default=0):,}")
    yield Cell(f"{outcome.seconds:.1f}")


def zero(count: int) -> Cell:
    """Return a cell of a figure that should be 0."""
    return Cell(f"{count:,}", _tone(count))


def _tone(count: int) -> str:
    return "bad" if count else "good"
