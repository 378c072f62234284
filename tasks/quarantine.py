"""Put into quarantine what cannot be processed: publish it to the dead letters, confirmed, and then ack."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from kombu.message import Message

from superhero.errors import BrokerUnavailable
from superhero.transport.compression import readable
from superhero.transport.confirmed import RawMessage
from superhero.transport.dead_letters import Reason, condemn
from superhero.transport.envelope import envelopes_in, is_record_id
from superhero.transport.topology import DEAD_NAME, DEAD_QUEUE
from tasks import resources
from tasks.batches import Bad, task_message
from tasks.blame import FAULTS
from tasks.bodies import list_of

log = logging.getLogger(__name__)

messages_set_aside = 0
"""How many messages this process put into quarantine as they were, since it started."""


def put(message: RawMessage, channel: str, reason: Reason, error: str) -> None:
    """Put a message into quarantine. Raise BrokerUnavailable when it is not known to be there."""
    letter = condemn(message, channel, reason, error)
    resources.sender().send(letter, DEAD_NAME, channel, declare=[DEAD_QUEUE])
    log.error("into quarantine, from channel %s: %s, %s", channel, _named(message), reason.value)
    log.debug("the reason in full: %s", error)


def put_records(channel: str, task_id: str, bad: Iterable[Bad]) -> None:
    """Put records of a batch into quarantine, each as a task of its own that can be replayed."""
    for number, each in enumerate(bad):
        if each.blamed is not None:
            FAULTS.show(each.blamed)
        message = task_message(channel, f"{task_id}-bad-{number}", [each.raw])
        put(message, channel, each.reason, each.error)


def set_aside(
    message: Message, reason: Reason, error: str, connection_errors: tuple[type[Exception], ...]
) -> None:
    """Put a received message into quarantine as it is, and acknowledge it; where that fails, lose nothing.

    RabbitMQ is then left to dead-letter it by itself, without our reason. A Redis broker would drop what is
    rejected, so there it goes back to its queue.
    """
    if message.acknowledged:
        return
    channel = str((message.delivery_info or {}).get("routing_key") or "")
    try:
        put(RawMessage.of(message), channel, reason, error)
    except BrokerUnavailable as failure:
        log.error("could not say why a message of channel %s goes to quarantine: %s", channel, failure)
        message.reject_log_error(log, connection_errors, requeue=resources.broker_is_redis())
    else:
        global messages_set_aside
        messages_set_aside += 1
        message.ack_log_error(log, connection_errors)


def _named(message: RawMessage) -> str:
    """Return what is in a message, for the log; an id that is none may be anything and is not shown."""
    found = envelopes_in(readable(message.body, message.headers))
    try:
        raws = list_of(found[1]) if found else []
    except (ValueError, RecursionError):
        raws = []
    ids = [raw["id"] for raw in raws if isinstance(raw, dict) and is_record_id(raw.get("id"))]
    if not ids:
        return "a message that shows no record id"
    return f"record {ids[0]}" if len(ids) == 1 else f"records {ids[0]} and {len(ids) - 1:,} more"
