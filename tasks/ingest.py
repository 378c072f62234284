"""The task that every record comes in: `superhero.ingest(channel, [envelope, ...])`.

Acknowledged only when every record of the batch is in the sink or in quarantine, and every step after the
write was done. Whatever stops it before that leaves the message to be delivered again, and writing again
what is written already changes nothing.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

from celery import Task, current_app, shared_task
from celery.exceptions import Reject
from kombu import Exchange, Queue

from sinks.base import Sink, Write, takes_iterators
from superhero.errors import BrokerUnavailable
from superhero.transport.confirmed import RawMessage
from superhero.transport.dead_letters import Reason, sentence
from superhero.transport.envelope import INGEST_TASK
from superhero.transport.topology import EXCHANGE, EXCHANGE_NAME, UNROUTED_QUEUE, channel_queue
from tasks import attempts, pulse, quarantine, resources, shutdown, tracing
from tasks.batches import Bad, Batch, Passage, Record, singly, sort_out, task_message, writes_of
from tasks.blame import BlamedError
from tasks.bodies import list_of
from tasks.registry import REGISTRY, Registry
from tasks.retries import (
    RABBITMQ_ACK_TIMEOUT_S,
    Interrupted,
    OutOfPatience,
    is_transient,
    patience_s,
    persist,
)

STEP_PATIENCE_S = 1.0
"""How long a child waits for a step: its records are written, and those of others wait behind it."""

log = logging.getLogger(__name__)


@shared_task(  # type: ignore[untyped-decorator]  # Celery has no types
    bind=True,
    name=INGEST_TASK,
    Request="tasks.request:IngestRequest",
    Strategy="tasks.request:strategy",
)
def ingest(self: Task, channel: str, envelopes: Sequence[object] | bytes) -> None:
    """Write a batch of records of one channel; bytes are not parsed yet, see tasks/bodies.py."""
    task_id, headers = self.request.id, self.request.headers or {}
    if isinstance(envelopes, bytes):
        envelopes = list_of(envelopes)
    try:
        with (
            shutdown.sheltered(),
            attempts.counted(task_id, headers) as earlier,
            tracing.delivery(channel, envelopes, headers, earlier),
        ):
            Delivery(channel, envelopes, task_id, earlier, self.request.hostname or "").work()
    except (Interrupted, OutOfPatience, BrokerUnavailable) as stopped:
        log.warning("task %s goes back to its queue: %s", task_id, stopped)
        raise Reject(sentence(stopped), requeue=True) from stopped


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery of one batch to a worker; `earlier` deliveries of it did not end."""

    channel: str
    envelopes: Sequence[object]
    task_id: str
    earlier: int
    worker: str = ""

    def work(self) -> None:
        """Do all there is to do; what returns may be acknowledged.

        Raise Interrupted, OutOfPatience or BrokerUnavailable when the message must go back to its queue.
        """
        if self.earlier >= attempts.SPLIT_AFTER and len(self.envelopes) > 1:
            self._take_apart()
        elif resources.broker_is_redis() and self.earlier > attempts.GIVE_UP_AFTER:
            error = f"begun {self.earlier} times, and its worker died each time"
            bad = [Bad(raw, Reason.KILLS_WORKERS, error) for raw in self.envelopes]
            self._condemn(bad)
            pulse.note(self.worker, Passage(REGISTRY, bad))
        else:
            self._ingest()

    def _ingest(self) -> None:
        try:
            passage = self._written()
            self._condemn(passage.bad)
        except OutOfPatience as error:
            self._give_back(self.envelopes, error)
            return
        self._take_steps(passage.with_steps)
        pulse.note(self.worker, passage)

    def _written(self) -> Passage:
        """Write all records and return what became of them."""
        passages: list[Passage] = []

        def write() -> None:
            with tracing.write(len(self.envelopes)):
                passages[:] = [write_all(resources.sink(), REGISTRY, self.envelopes)]

        self._persist(write, _patience_s())
        return passages[0]

    def _take_steps(self, records: Sequence[Record]) -> None:
        """Do what comes after the write; a record whose step must wait too long goes back alone."""
        if not records:
            return
        left = deque(records)
        failed: list[Bad] = []

        def take() -> None:
            while left:
                try:
                    for step in REGISTRY.steps(left[0].envelope):
                        step()
                except BlamedError as blamed:
                    if blamed.__cause__ is not None and is_transient(blamed.__cause__):
                        raise blamed.__cause__ from None
                    failed.append(Bad(left[0].raw, Reason.STEP_FAILED, str(blamed), blamed))
                left.popleft()

        try:
            self._persist(take, min(STEP_PATIENCE_S, _patience_s()))
        except OutOfPatience as error:
            self._give_back([record.raw for record in left], error)
        self._condemn(failed)

    def _persist(self, action: Callable[[], None], patience_s: float) -> None:
        persist(action, patience_s, shutdown.wait, self._on_wait)

    def _on_wait(self, error: BaseException, seconds: float) -> None:
        log.warning("task %s waits %.1f s and tries again: %s", self.task_id, seconds, error)

    def _condemn(self, bad: Sequence[Bad]) -> None:
        quarantine.put_records(self.channel, self.task_id, bad)

    def _take_apart(self) -> None:
        log.warning(
            "task %s was delivered %d times and not ended: its %d records go on one by one",
            self.task_id,
            self.earlier,
            len(self.envelopes),
        )
        for message in singly(self.channel, self.task_id, self.envelopes):
            self._send(message)

    def _give_back(self, raws: Sequence[object], why: OutOfPatience) -> None:
        """Send records anew, so that a long outage does not use up the deliveries a message has."""
        if resources.broker_is_redis() and raws is self.envelopes:
            raise why  # there, going back is free and one atomic step
        log.warning("task %s: %d records go back to their queue: %s", self.task_id, len(raws), why)
        if raws is self.envelopes:
            self._send(task_message(self.channel, self.task_id, raws))
            return
        for message in singly(self.channel, self.task_id, raws):
            self._send(message)

    def _send(self, message: RawMessage) -> None:
        # On RabbitMQ the channel's queue is there, or the message came as unrouted and may do so again.
        declare: list[Exchange | Queue] = [EXCHANGE, UNROUTED_QUEUE]
        if resources.broker_is_redis():
            declare.append(channel_queue(self.channel))
        resources.sender().send(message, EXCHANGE_NAME, self.channel, declare=declare)


def write_all(sink: Sink, registry: Registry, raws: Sequence[object]) -> Passage:
    """Write what becomes of these envelopes in one go; return what became of each.

    What is transient comes out as it is, with nothing decided.
    """
    passage = Passage(registry)
    writes = passage.writes(raws)
    try:
        if takes_iterators(sink):
            sink.write(cast("Sequence[Write]", writes))
        else:
            sink.write(list(writes))
    except Exception as error:
        if is_transient(error):
            raise
        return _write_apart(sink, registry, raws)
    if len(passage.ids) + len(passage.bad) != len(raws):
        raise RuntimeError(f"{type(sink).__name__} did not go through all writes that it was given")
    return passage


def _write_apart(sink: Sink, registry: Registry, raws: Sequence[object]) -> Passage:
    """Do as `write_all` where some of it can never be written."""
    batch = sort_out(registry, raws)
    refused = write_isolating(sink, registry, batch.good)
    refused_raws = {id(each.raw) for each in refused}
    written = [record for record in batch.good if id(record.raw) not in refused_raws]
    passage = Passage(registry)
    passage.note(Batch(written, [*batch.bad, *refused]))
    return passage


def write_isolating(sink: Sink, registry: Registry, records: Sequence[Record]) -> list[Bad]:
    """Write all records in one go; if that can never succeed, halve until only the culprits are left.

    Return the culprits. What is transient comes out as it is, with nothing decided.
    """
    try:
        sink.write(writes_of(registry, records))
    except (
        Exception
    ) as error:  # whatever a driver raises that is not known to pass is held against the record
        if is_transient(error):
            raise
        if len(records) == 1:
            return [Bad(records[0].raw, Reason.SINK_REFUSED, sentence(error))]
        middle = len(records) // 2
        halves = (records[:middle], records[middle:])
        return [bad for half in halves for bad in write_isolating(sink, registry, half)]
    return []


def _patience_s() -> float:
    conf = current_app.conf
    if resources.broker_is_redis():
        # There the prefetch is one for all queues.
        return patience_s(
            conf.broker_transport_options["visibility_timeout"], conf.worker_prefetch_multiplier
        )
    held = conf.worker_prefetch_multiplier * len(conf.task_queues)
    return patience_s(RABBITMQ_ACK_TIMEOUT_S, held)
