"""The report of brokers side by side: a table, how fast and how late, and what the dead workers cost each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from superhero.brokers.bout import TRIALS, Came
from superhero.brokers.comparison import Comparison, Result
from superhero.reports.files import Report
from superhero.reports.machine import machine, sentence
from superhero.reports.page import Cell, heading, page, paragraph, plots, table, verdict
from superhero.reports.plot import Plot

SCHEMA = "superhero.brokers/1"
_KILLED = 2  # which of the trials
_NOTE = (
    "Rate, processor time and memory are of one worker given everything at once; latency is of several "
    "workers at a steady rate, from sending a record to seeing its line in a file. Processor time and "
    "memory are the producer's, the workers' and the middleman's, not the broker's own. Ours alone syncs "
    "its rows to the disk."
)


def brokers_report(found: Comparison, command: str) -> Report:
    """Return the report; `command` is how to repeat it."""
    made, of = datetime.now(UTC).isoformat(timespec="seconds"), machine()
    facts = {
        "schema": SCHEMA,
        "made": made,
        "command": command,
        "machine": of,
        "ours_clean": found.ours_clean,
        "load": asdict(found.load),
        "trials": [asdict(trial) for trial in TRIALS],
        "notes": list(found.notes),
        "brokers": [as_dict(result) for result in found.results],
    }
    drawn = plots_of(found)
    lead = (
        f"The same {found.load.records:,} records through each broker, in the same trials, with real "
        "processes: workers are killed with -9, or were never there."
    )
    parts = [
        verdict(good=found.ours_clean, text=verdict_of(found)),
        matrix(found),
        paragraph(_NOTE),
        heading("How fast, how late"),
        plots(drawn[:3]),
        heading("While all workers were dead", "Sent and written in the trial in which they are killed."),
        plots(drawn[3:]),
        heading("How each was set up"),
        settings_table(found.results),
        heading("What happened in each trial"),
        table(("trial", "what happens"), [("", [Cell(t.name), Cell(t.told, "text")]) for t in TRIALS]),
        *(paragraph(note) for note in found.notes),
    ]
    text = page("superhero: brokers side by side", lead, parts, f"{made} · {command} · {sentence(of)}")
    return Report(text, facts, drawn)


def as_dict(result: Result) -> dict[str, Any]:
    """Return a result, JSON-ready."""
    return {**asdict(result), "clean": result.clean}


def verdict_of(found: Comparison) -> str:
    """Return what came of it, as a sentence."""
    ours = [result for result in found.results if result.name == "superhero" and result.came]
    others = [result for result in found.results if result.name != "superhero" and result.came]
    unclean = sum(not result.clean for result in others)
    of_others = f"{unclean} of {len(others)} others lost or doubled some"
    if not ours:
        return of_others
    lost = sum(came.lost for came in ours[0].came)
    doubled = sum(came.duplicated for came in ours[0].came)
    said = f"superhero: {lost:,} lost, {doubled:,} doubled in {len(TRIALS)} trials"
    return f"{said}; {of_others}" if others else said


def plots_of(found: Comparison) -> list[Plot]:
    """Return the pictures: rate, latency, losses, and for each broker what it did with dead workers."""
    ran = [result for result in found.results if result.came]
    worst = {each.title: each.came[1].p99_ms for each in ran if each.came[1].p99_ms is not None}
    lost = {each.title: float(each.came[_KILLED].lost) for each in ran}
    return [
        Plot(
            "brokers-rate",
            "Rate, one worker",
            "bars",
            "records/s",
            {e.title: e.came[0].rate for e in ran},
        ),
        Plot("brokers-latency", "Latency, 99th percentile", "bars", "ms", worst),
        Plot("brokers-lost", "Lost when all workers were killed", "bars", "records", lost),
        *(_over_time(each) for each in ran),
    ]


def _over_time(result: Result) -> Plot:
    came = result.came[_KILLED]
    series = {"sent": came.sent, "written": came.written}
    title = f"{result.title}: {came.lost:,} lost, {came.duplicated:,} doubled"
    name = f"brokers-killed-{result.name}"
    return Plot(name, title, "lines", "records", series, x_axis="seconds", marks=came.marks)


def matrix(found: Comparison) -> str:
    """Return the table of brokers and trials."""
    columns = ("broker", "records/s", "p50 ms", "p99 ms", "CPU s", "peak MB")
    rows = [(result.name == "superhero", list(_cells(result))) for result in found.results]
    shown = [("ours" if ours else "", cells) for ours, cells in rows]
    return table((*columns, *(f"{trial.name}: lost / doubled" for trial in TRIALS)), shown)


def _cells(result: Result) -> Iterator[Cell]:
    yield Cell(result.title)
    if result.skipped:
        yield from (Cell("–") for _ in range(5))
        yield from (Cell("skipped") for _ in TRIALS)
        return
    first, second = result.came[0], result.came[1]
    yield Cell(f"{first.rate:,.0f}")
    yield from (Cell(millis(each)) for each in (second.p50_ms, second.p99_ms))
    yield Cell(figure(first.cpu_s))
    yield Cell("–" if first.memory_bytes is None else f"{first.memory_bytes / 1e6:,.0f}")
    yield from (Cell(shown_trial(came), tone(came)) for came in result.came)


def settings_table(results: Sequence[Result]) -> str:
    """Return what each broker is and how it was set up, or why it was skipped."""
    rows = [
        ("", [Cell(each.title), Cell(f"Skipped: {each.skipped}." if each.skipped else each.settings, "text")])
        for each in results
    ]
    return table(("broker", "settings"), rows)


def shown_trial(came: Came) -> str:
    """Return what a trial cost, in a cell."""
    return f"{came.lost:,} / {came.duplicated:,}"


def tone(came: Came) -> str:
    """Return how bad that is: lost is worse than doubled."""
    return "bad" if came.lost else "warn" if came.duplicated else "good"


def figure(value: float | None) -> str:
    """Return a figure, or a dash where there is none."""
    return "–" if value is None else f"{value:.2f}"


def millis(value: float | None) -> str:
    """Return milliseconds, with a digit behind the point where they are few."""
    return "–" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.1f}"
