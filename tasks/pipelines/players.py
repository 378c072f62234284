"""PLAYERS: the rating of every player over time, one row per game that it finished."""

from __future__ import annotations

from collections.abc import Iterable

from sinks.base import Append, Write
from superhero.events import PlayerRated
from superhero.transport.envelope import Envelope
from tasks.columns import added, text, uint8, uint16, uint64
from tasks.registry import pipeline


@pipeline(channel=PlayerRated.channel, event=PlayerRated.name)
def players(envelope: Envelope, event: PlayerRated) -> Iterable[Write]:
    """Append the rating after the game, and the one before it."""
    row = {
        "record_id": envelope.id,
        "user_token": text(event.user, "user"),
        "game_token": text(event.game_token, "game_token"),
        "rank": uint8(event.rank, "rank"),
        "rating_prior": uint16(event.rating_prior, "rating_prior"),
        "rating": uint16(event.rating, "rating"),
        "games": uint64(event.games, "games"),
        "time": envelope.time,
    }
    yield Append("PLAYERS", [{**row, **added(envelope, event, row)}])
