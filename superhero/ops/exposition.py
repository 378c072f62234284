"""The whole pipeline as Prometheus metrics, from its vitals.

From the pulse, and not by prometheus_client's multiprocess mode: that keeps a file per process which must be
wiped before each start, knows no collectors, and counts what a process did, so that a batch delivered twice
counts twice and what a killed child did between its write and its last update is gone. The pulse is counted
by record ids, in one place, for every worker of every machine; so one endpoint shows what `verify` finds.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from superhero.errors import StoreError
from superhero.ops.lag import MORE
from superhero.ops.vitals import Vitals
from superhero.pulse.account import LAG_MS

Look = Mapping[str, Any]


class PipelineCollector(Collector):
    """Looks at the pipeline whenever Prometheus asks, one scrape at a time."""

    def __init__(self, vitals: Vitals) -> None:
        self._vitals = vitals
        self._lock = threading.Lock()

    def collect(self) -> Iterable[Metric]:
        """Return the metrics as they are now; only that Redis is away, when it is."""
        with self._lock:
            try:
                look = self._vitals.look()
            except StoreError:
                look = None
        up = GaugeMetricFamily(
            "superhero_redis_up", "Whether Redis answers, 0 or 1.", float(look is not None)
        )
        return [up] if look is None else [up, *pipeline_metrics(look)]

    def describe(self) -> Iterable[Metric]:
        """Return nothing, so that registering does not look."""
        return []


def pipeline_metrics(look: Look) -> Iterator[Metric]:
    """Yield a look's figures."""
    records, totals, games, broker = look["records"], look["totals"], look["games"], look["broker"]
    yield GaugeMetricFamily("superhero_broker_up", "Whether the broker answers, 0 or 1.", broker["reachable"])
    yield _counter("records_in", "Records logged.", records["in"])
    yield _counter("records_out", "Different records written.", records["out"])
    yield _counter(
        "records_again", "Records delivered again, and written once all the same.", records["again"]
    )
    yield _gauge(
        "records_waiting", "Records logged and neither written nor in quarantine.", records["waiting"]
    )
    yield _gauge("records_lost", "Records that are nowhere any more.", records["lost"])
    yield _gauge("records_duplicated", "Rows beyond the first of a record.", records["duplicated"])
    yield _counter("records_quarantined", "Records put into quarantine.", totals.get("quarantined", 0))
    yield _gauge("quarantine_messages", "Messages that stand in quarantine.", look["quarantine"])
    yield _counter("batches", "Batches that workers were done with.", totals.get("batches", 0))
    yield _lag(totals)
    yield _counter("games_completed", "Games that ended with a winner.", games["completed"])
    yield _gauge("games_open", "Games that have begun to fill, or are fought.", games["running"])
    yield _gauge("workers", "Workers that have a pulse.", len(look["workers"]))
    yield from _of_each(
        look["queues"],
        ["channel"],
        {
            "queue_messages": ("depth", "Messages that wait in a channel's queue."),
            "queue_consumers": ("consumers", "Consumers of a channel's queue."),
        },
    )
    yield from _of_each(
        look["workers"],
        ["name"],
        {
            "worker_records_written_total": ("written", "Records that a worker was the first to write."),
            "worker_batches_in_hand": ("in_hand", "Batches that a worker has not acknowledged."),
            "worker_children": ("children", "Processes of a worker that do the work."),
        },
    )
    yield from _of_each(
        look["producers"],
        ["kind", "name", "process"],
        {
            "producer_records_dropped_total": ("dropped", "Records that a producer had no room for."),
            "producer_records_waiting": ("waiting", "Records that a producer holds unconfirmed."),
            "producer_bytes_waiting": ("waiting_bytes", "How much memory or disk those take."),
            "producer_oldest_seconds": ("oldest_age_s", "Seconds since the oldest of those was logged."),
            "producer_connected": ("connected", "Whether a producer is connected to the broker, 0 or 1."),
            "producer_blocked": ("blocked", "Whether the broker asked a producer for a pause, 0 or 1."),
        },
    )


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(f"superhero_{name}", text, value)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"superhero_{name}", text, value)


def _of_each(
    rows: Sequence[Look], labels: Sequence[str], metrics: Mapping[str, tuple[str, str]]
) -> Iterator[Metric]:
    for name, (field, text) in metrics.items():
        # A worker is labelled by "worker", as "name" alone says nothing beside other series.
        shown = ["worker"] if labels == ["name"] else labels
        kind = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
        metric = kind(f"superhero_{name}", text, labels=shown)
        for row in rows:
            metric.add_metric([str(row[label]) for label in labels], float(row[field]))
        yield metric


def _lag(totals: Mapping[str, int]) -> Metric:
    """Return the histogram; of the records of a batch each counts with the lag of its oldest."""
    below, buckets = 0, list[tuple[str, float]]()
    for bound in LAG_MS:
        below += totals.get(f"lag:{bound}", 0)
        buckets.append((str(bound / 1000), below))
    buckets.append(("+Inf", below + totals.get(f"lag:{MORE}", 0)))
    return HistogramMetricFamily(
        "superhero_record_lag_seconds",
        "From the log call until the record was written.",
        buckets,
        sum_value=totals.get("lag_sum_ms", 0) / 1000,
    )
