"""Log events: the one way in which what the simulator says happened becomes a log record."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from superhero.events import (
    AttackMade,
    Event,
    GameCompleted,
    GameStarted,
    GameTimedOut,
    HeroesListed,
    PlayerRated,
    UserLoggedIn,
)


def log_event(
    event: Event, record_id: str, time_s: float | None = None, payload: Mapping[str, Any] | None = None
) -> None:
    """Log an event to its channel under a record id of our own; handlers decide what becomes of it.

    `time_s` is when it happened, unix time in seconds, and None means now: an event that is logged again, by
    another process perhaps, is the same record down to its time. `payload` stands in for the event's own.
    """
    logger = logging.getLogger(event.channel)
    if not logger.isEnabledFor(logging.INFO):
        return
    added = extra(event, record_id)
    if payload is not None:
        added = {**added, "payload": payload}
    record = logger.makeRecord(
        event.channel, logging.INFO, __file__, 0, told(event), (), None, "log_event", added
    )
    if time_s is not None:
        record.created, record.msecs = time_s, float(int(time_s % 1 * 1000))
    logger.handle(record)


def as_log_record(event: Event) -> logging.LogRecord:
    """Return the log record of an event that happens now, its id left to the transport."""
    added = {"event": event.name, "payload": event.payload()}
    logger = logging.getLogger(event.channel)
    return logger.makeRecord(
        event.channel, logging.INFO, __file__, 0, told(event), (), None, "as_log_record", added
    )


def extra(event: Event, record_id: str) -> Mapping[str, Any]:
    """Return what a record carries beside its text, see superhero.events."""
    return {"event": event.name, "payload": event.payload(), "record_id": record_id}


def told(event: Event) -> str:
    """Tell an event to people. The text may change; programs read the payload."""
    match event:
        case AttackMade():
            return (
                f"game {event.game_token}: {event.user} attacks {event.enemy}, "
                f"{event.enemy_health_prior} - {event.damage} = {event.enemy_health_post}"
            )
        case GameStarted():
            return f"game {event.game_token} started with {len(event.users)} players"
        case GameCompleted():
            return (
                f"game {event.game_token} completed after {event.attacks} attacks "
                f"({event.reason}), won by {event.podium[0].user}"
            )
        case GameTimedOut():
            return (
                f"game {event.game_token} timed out with {len(event.joined)} of {event.participants} players"
            )
        case UserLoggedIn():
            return f"user {event.user} logged in{' for the first time' if event.created else ''}"
        case PlayerRated():
            return (
                f"user {event.user} came in at {event.rank} in its game {event.games} and is rated "
                f"{event.rating}, {event.rating_prior} before"
            )
        case HeroesListed():
            return f"roster {event.roster}, part {event.part}: {len(event.heroes)} heroes"
        case _:
            return event.name
