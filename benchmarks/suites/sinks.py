"""A run of the generator into each sink, and each sink verified against the run's answer key."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.databases import Server, bucket, mariadb, postgresql
from benchmarks.figures import Cell, Figures, Plot, Table, Target
from benchmarks.stage import Stage
from benchmarks.suites.to_disk import program
from superhero.errors import ServiceError
from superhero.ops.processes import superhero_argv
from superhero.ops.usage import cpu_of_all_s
from superhero.transport.flight import Limits

GAMES = 30_000
"""About a million rows in all datasets."""

DUPLICATED = "0.02"
"""Share of the records that come twice, so that it shows that a sink keeps one."""

_TIMEOUT_S = 1800.0

_FOLDERS: Mapping[str, str] = {
    "JSON Lines": "json:{}",
    "Parquet": "parquet:{}",
    "Delta Lake": "delta:{}",
    "SQLite": "sqlite:///{}/superhero.db",
}
_SERVERS: Mapping[str, Callable[[Stage], Server | None]] = {
    "PostgreSQL": postgresql,
    "MariaDB": mariadb,
    "Parquet in S3 (moto)": bucket,
}
_ASKED: Mapping[str, Sequence[str]] = {
    "records by event": ("query", "select event, count(*) from RECORDS group by 1"),
    "games won by hero": (
        "query",
        "select superhero_id, count(*) from GAME_META join GAME_PODIUM using (game_token, user_token) "
        "where rank = 1 group by 1",
    ),
    "leaderboard": ("leaderboard",),
}


@dataclass(frozen=True, slots=True)
class Run:
    """The records of a run in a file, its answer key, and how many rows a sink has of it then."""

    records: Path
    key: Path
    rows: int


@dataclass(frozen=True, slots=True)
class Filled:
    """What one sink took to write and to verify; `server_s` is its server's processor time for writing."""

    sink: str
    write_s: float
    cpu_s: float
    server_s: float
    verify_s: float
    verify_cpu_s: float
    peak_bytes: int


def run(stage: Stage) -> Figures:
    """Simulate once; fill and verify one sink after the other, each in processes of their own."""
    simulated = _simulated(stage, stage.amount(GAMES, 200))
    found, left_out = [], []
    for name, url in _FOLDERS.items():
        folder = stage.fresh_folder("sink")
        found.append(_filled(stage, simulated, name, url.format(folder), None))
        if name == "JSON Lines":
            asked = _asked_before_and_after(stage, url.format(folder), simulated.key)
        shutil.rmtree(folder)  # the next one has the disk to itself
    for name, start in _SERVERS.items():
        server = start(stage)
        if server is None:
            left_out.append(name)
            continue
        found.append(_filled(stage, simulated, name, server.url, server))
        server.process.stop()
    figures = _figures(simulated.rows, found, left_out)
    return Figures([*figures.tables, asked], figures.plots, figures.targets)


def _simulated(stage: Stage, games: int) -> Run:
    folder = stage.fresh_folder("run")
    records, key = folder / "records.jsonl", folder / "expected.json"
    options = ("--games", str(games), "--seed", "7", "--duplicated", DUPLICATED, "--answer-key", str(key))
    stage.run("simulate", superhero_argv("simulate", *options, "--to", str(records), "--json"))
    datasets = json.loads(key.read_text(encoding="utf-8"))["datasets"]
    return Run(records, key, sum(each["rows"] for each in datasets.values()))


def _filled(stage: Stage, simulated: Run, name: str, url: str, server: Server | None) -> Filled:
    before_s = cpu_of_all_s(server.process.pid) if server else 0.0
    said = stage.run("fill", program("fill_sink", str(simulated.records)), _TIMEOUT_S, BENCH_SINK=url)
    server_s = cpu_of_all_s(server.process.pid) - before_s if server else 0.0
    verified = _timed(stage, url, "verify", "--expect", str(simulated.key), "--offline")
    return Filled(
        name,
        said["seconds"],
        said["cpu_s"],
        server_s,
        verified["seconds"],
        verified["cpu_s"],
        int(verified["peak_bytes"]),
    )


def _asked_before_and_after(stage: Stage, url: str, key: Path) -> Table:
    """Ask a sink of JSON Lines as it was written, and again once its small files are merged."""
    asked = dict(list(_ASKED.items())[: stage.amount(len(_ASKED), 1)])
    before = {name: _timed(stage, url, *command) for name, command in asked.items()}
    compacted = _timed(stage, url, "compact", "--grace", "0")
    after = {name: _timed(stage, url, *command) for name, command in asked.items()}
    _timed(stage, url, "verify", "--expect", str(key), "--offline")
    games = json.loads(key.read_text(encoding="utf-8"))["games"]
    return Table(
        "query",
        "Asking JSON Lines",
        ("", "as written, s", "processor, s", "compacted, s", "processor, s"),
        [
            [name, *(each[figure] for each in (before[name], after[name]) for figure in ("seconds", "cpu_s"))]
            for name in asked
        ],
        [
            f"{games:,} games, {2 * games:,} files of theirs and a few large ones. `superhero compact` took "
            f"{compacted['cpu_s']:.1f} s of processor time; afterwards all is as the answer key says."
        ],
    )


def _timed(stage: Stage, url: str, *command: str) -> Mapping[str, float]:
    """Run a command of superhero's on a sink. Raise ServiceError if it fails."""
    said: Mapping[str, float] = stage.run(command[0], program("timed", *command), _TIMEOUT_S, SINKS=url)
    if said["status"] != 0:
        raise ServiceError(f"{' '.join(command)} ended with {said['status']:.0f}")
    return said


def _figures(rows: int, found: list[Filled], left_out: list[str]) -> Figures:
    notes = [
        "One writer, the worker's own code, every write safe when it returns; tasks of "
        f"{Limits.batch_records:,} records, of which 2 % come twice. Verify: `superhero verify --expect`; "
        "the memory is all of its process.",
        "Each sink holds what the answer key says: the rows, and a checksum of every dataset.",
    ]
    if left_out:
        notes.append(f"Not installed, and left out: {', '.join(left_out)}.")
    columns = ("", "rows", "rows/s", "µs", "µs of its server", "verify, rows/s", "µs", "peak MB")
    slowest = min(found, key=lambda each: rows / each.verify_s)
    most = max(found, key=lambda each: each.peak_bytes)
    return Figures(
        tables=[Table("sinks", "Rows into each sink", columns, [_row(rows, each) for each in found], notes)],
        plots=[
            Plot(
                "sinks",
                "Rows into each sink, one writer",
                "bars",
                "rows per second",
                {each.sink: rows / each.write_s for each in found},
            )
        ],
        targets=[
            Target(
                "verify any sink against its key",
                "bounded memory",
                f"{most.peak_bytes / 1e6:,.0f} MB at most, {rows / slowest.verify_s:,.0f} rows/s at least",
                most.peak_bytes < 400e6,
            )
        ],
    )


def _row(rows: int, each: Filled) -> list[Cell]:
    return [
        each.sink,
        rows,
        rows / each.write_s,
        1e6 * each.cpu_s / rows,
        1e6 * each.server_s / rows if each.server_s else None,
        rows / each.verify_s,
        1e6 * each.verify_cpu_s / rows,
        each.peak_bytes / 1e6,
    ]
