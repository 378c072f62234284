"""The database of a SQL sink is away, then back. Other sinks get the same batches meanwhile."""

from __future__ import annotations

from superhero.chaos.faults.fault import FLOW, SINK, WORKERS, Fault
from superhero.chaos.faults.network import on_link
from superhero.chaos.proxy import Link

FAULTS = (
    Fault(
        "sql-sink-down",
        "the database of an SQL sink is away, then back (needs --sql)",
        frozenset({SINK, WORKERS, FLOW}),
        on_link("worker-sql", Link.cut, "connections reset"),
        hold_s=4.0,
        needs_sql=True,
    ),
)
