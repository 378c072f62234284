"""WIRE: a dead letter is the message as it came, with headers added that say why it is in quarantine.

| header | holds |
| --- | --- |
| x-superhero-reason | one of `Reason` |
| x-superhero-error | a sentence: what went wrong |
| x-superhero-channel | the channel it came from |
| x-superhero-time | when it was put here, ISO 8601 in UTC |

A message that RabbitMQ itself dead-lettered (redelivered too often, or rejected while we could not publish)
has none of these but RabbitMQ's own `x-death`; `Letter.of` reads both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Self

from superhero.transport.confirmed import RawMessage

HEADER_REASON = "x-superhero-reason"
HEADER_ERROR = "x-superhero-error"
HEADER_CHANNEL = "x-superhero-channel"
HEADER_TIME = "x-superhero-time"
_OURS = frozenset({HEADER_REASON, HEADER_ERROR, HEADER_CHANNEL, HEADER_TIME})
# What brokers and kombu add on the way; a replayed message begins anew.
_OF_THE_WAY = frozenset(
    {
        "x-acquired-count",
        "x-death",
        "x-delivery-count",
        "x-first-death-exchange",
        "x-first-death-queue",
        "x-first-death-reason",
        "x-last-death-exchange",
        "x-last-death-queue",
        "x-last-death-reason",
        "redelivered",
    }
)
_MAX_ERROR_CHARS = 1000
_MAX_CHANNEL_CHARS = 255


class Reason(StrEnum):
    """Why a message or record could not be processed."""

    UNDECODABLE = "undecodable"
    """The body is not JSON, or its content type, encoding or compression is not taken."""
    NOT_A_TASK = "not-a-task"
    """The message does not say which task it is for."""
    UNKNOWN_TASK = "unknown-task"
    """The worker has no such task."""
    BAD_TASK = "bad-task"
    """The task's arguments or headers have the wrong shape."""
    BAD_ENVELOPE = "bad-envelope"
    """A record of the batch is no envelope."""
    PIPELINE_FAILED = "pipeline-failed"
    """A pipeline raised: its payload does not fit its event, or the pipeline has a bug."""
    SINK_REFUSED = "sink-refused"
    """The sink can never hold what the record became."""
    STEP_FAILED = "step-failed"
    """What comes after the write raised; the record itself is in the sink."""
    TASK_FAILED = "task-failed"
    """The task raised something that nobody expected."""
    KILLS_WORKERS = "kills-workers"
    """It was begun too often and never ended: it probably kills its worker."""


@dataclass(frozen=True, slots=True)
class Letter:
    """What a dead letter says. `time` and `error` are empty where nobody knows; `time` is ISO 8601."""

    channel: str
    reason: str
    error: str
    time: str

    @classmethod
    def of(cls, headers: Mapping[str, Any], routing_key: str) -> Self:
        """Read our own headers or else RabbitMQ's x-death; without either the reason is "unknown"."""
        if HEADER_REASON in headers:
            return cls(
                channel=str(headers.get(HEADER_CHANNEL, routing_key)),
                reason=str(headers[HEADER_REASON]),
                error=str(headers.get(HEADER_ERROR, "")),
                time=str(headers.get(HEADER_TIME, "")),
            )
        deaths = headers.get("x-death")
        death = deaths[0] if isinstance(deaths, list) and deaths and isinstance(deaths[0], Mapping) else {}
        reason = str(death.get("reason", "unknown"))
        time = death.get("time")
        return cls(
            channel=routing_key or str(death.get("queue", "")),
            reason=reason,
            error=_DEATHS.get(reason, "dead-lettered by the broker") if death else "",
            time=_iso(time) if isinstance(time, datetime) else "",
        )


_DEATHS = {
    "delivery_limit": "redelivered too often: it probably kills its worker",
    "rejected": "rejected by a worker that could not publish the reason",
    "expired": "expired before a worker took it",
    "maxlen": "its queue was full",
}


def condemn(message: RawMessage, channel: str, reason: Reason, error: str) -> RawMessage:
    """Return the dead letter for a message: same body, its headers and ours."""
    return with_reason(message, Letter(channel, reason.value, error, _iso(datetime.now(UTC))))


def with_reason(message: RawMessage, letter: Letter) -> RawMessage:
    """Return the dead letter of a message that is known to be one: same body, its headers and ours."""
    ours = {
        HEADER_REASON: letter.reason,
        HEADER_ERROR: letter.error[:_MAX_ERROR_CHARS],
        HEADER_CHANNEL: letter.channel[:_MAX_CHANNEL_CHARS],
        HEADER_TIME: letter.time,
    }
    return replace(message, headers={**message.headers, **ours})


def absolve(letter: RawMessage) -> RawMessage:
    """Return the message that a dead letter was made of, as if it had never been delivered."""
    kept = {name: value for name, value in letter.headers.items() if name not in _OURS | _OF_THE_WAY}
    return replace(letter, headers=kept)


def sentence(error: BaseException) -> str:
    """Return what an error says, with its type, on one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:_MAX_ERROR_CHARS]


def _iso(time: datetime) -> str:
    in_utc = time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    return in_utc.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
