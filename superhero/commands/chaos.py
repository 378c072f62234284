"""`superhero chaos`: break the pipeline in every way it must bear, and count what came of every record."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from superhero.chaos.faults import FAULTS
from superhero.chaos.faults.fault import Fault
from superhero.chaos.lanes import Load
from superhero.chaos.report import as_dict, show
from superhero.chaos.rig import Rig
from superhero.chaos.schedule import by_chance, each_once
from superhero.chaos.verdict import Verdict, judge
from superhero.commands.folders import a_folder, made
from superhero.commands.progress import progress

_EVERY = "all"


@click.command(
    epilog="\b\nFaults:\n"
    + "\n".join(f"  {fault.name:<22} {fault.summary}" for fault in FAULTS.values())
    + "\n\n\b\nExamples:\n  superhero chaos broker-kill poison\n  superhero chaos all --records 1000\n"
    "  superhero chaos all --minutes 30 --seed 7"
)
@click.argument("names", nargs=-1, required=True, metavar="FAULT...|all")
@click.option("--records", default=500, show_default=True, type=click.IntRange(1), help="Records per fault.")
@click.option(
    "--rate", default=100.0, show_default=True, type=click.FloatRange(1, 5000), help="Records per second."
)
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1, 32), help="Worker processes.")
@click.option(
    "--children", default=1, show_default=True, type=click.IntRange(1, 32), help="Pool processes of each."
)
@click.option(
    "--minutes", type=click.FloatRange(min=0, min_open=True), help="Draw faults by chance for so long."
)
@click.option(
    "--hold",
    default=1.0,
    show_default=True,
    type=click.FloatRange(0, 100),
    help="How long faults stay, times the usual.",
)
@click.option("--seed", default=7, show_default=True, type=int, help="What texts and chance come from.")
@click.option("--vanilla/--no-vanilla", default=True, show_default=True, help="Run plain Celery beside it.")
@click.option("--sql", metavar="URL", help="A PostgreSQL or MariaDB of this machine to be a second sink.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where data and logs go. [default: var/chaos/<time>]",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of the table.")
def command(
    names: tuple[str, ...],
    records: int,
    rate: float,
    workers: int,
    children: int,
    minutes: float | None,
    hold: float,
    seed: int,
    vanilla: bool,
    sql: str | None,
    folder: Path | None,
    as_json: bool,
) -> None:
    """Run the whole pipeline while faults are thrown at it, and count what came of every record.

    On a RabbitMQ node (or three), a Redis and workers of the run's own; nothing else is touched. Each FAULT
    is thrown once, or with --minutes they are drawn by chance, two at once now and then. Plain Celery gets
    the same records and the same faults beside it.

    Exit status 0 only when every fault could be brought about and was got over, and no record is lost,
    doubled or in quarantine without reason; 1 otherwise.
    """
    faults = _chosen(names, with_sql=sql is not None)
    folder = made(folder or a_folder("chaos"))
    load = Load(rate, workers, children, seed)
    verdicts = []
    with progress("starting") as shown:
        for clustered in (False, True):
            part = [fault for fault in faults if fault.clustered == clustered]
            if not part:
                continue
            place = folder / ("cluster" if clustered else "node")
            rig = Rig(place, load, plain=vanilla, clustered=clustered, sql_url=sql, say=shown.say)
            with rig:
                if minutes is None:
                    windows = each_once(rig, part, records, hold, seed, shown.say)
                else:
                    share = minutes * len(part) / len(faults)
                    windows = by_chance(rig, part, share, hold, seed, shown.say)
                verdicts.append(judge(rig, windows, shown.say))
    verdict = _both(verdicts)
    if as_json:
        click.echo(json.dumps(as_dict(verdict), indent=2))
    else:
        show(verdict, folder)
    raise SystemExit(0 if verdict.clean else 1)


def _chosen(names: Sequence[str], *, with_sql: bool) -> list[Fault]:
    if _EVERY in names:
        left_out = [fault.name for fault in FAULTS.values() if fault.needs_sql and not with_sql]
        if left_out:
            click.echo(f"left out, as there is no --sql: {', '.join(left_out)}", err=True)
        return [fault for fault in FAULTS.values() if fault.name not in left_out]
    unknown = [name for name in names if name not in FAULTS]
    if unknown:
        raise click.BadParameter(f"no fault is called {', '.join(unknown)}; see `superhero chaos --help`")
    if not with_sql and any(FAULTS[name].needs_sql for name in names):
        raise click.BadParameter("this fault needs a database: --sql postgresql://...")
    return [FAULTS[name] for name in names]


def _both(verdicts: Sequence[Verdict]) -> Verdict:
    return Verdict(
        rows=tuple(row for verdict in verdicts for row in verdict.rows),
        in_flight=sum(verdict.in_flight for verdict in verdicts),
        refused_plain=sum(verdict.refused_plain for verdict in verdicts),
        by_record_id=tuple(each for verdict in verdicts for each in verdict.by_record_id),
        not_in_sql=_sum_of(verdict.not_in_sql for verdict in verdicts),
    )


def _sum_of(counts: Iterable[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
