"""GAME_PODIUM (fact): how everybody came out, one object per completed game."""

from __future__ import annotations

from collections.abc import Iterable

from sinks.base import Put, Write
from superhero.events import GameCompleted
from superhero.transport.envelope import Envelope
from tasks.columns import text, uint8, uint16, uint64
from tasks.registry import pipeline


@pipeline(channel=GameCompleted.channel, event=GameCompleted.name)
def game_podium(envelope: Envelope, event: GameCompleted) -> Iterable[Write]:
    """Put a row per participant; `rank` 1 is the winner, `rounds` the attacks made."""
    rows = [
        {
            "game_token": event.game_token,
            "user_token": text(standing.user, "user"),
            "rounds": uint16(standing.rounds, "rounds"),
            "rank": uint8(standing.rank, "rank"),
            "damage_delivered": uint64(standing.damage_delivered, "damage_delivered"),
            "damage_received": uint64(standing.damage_received, "damage_received"),
        }
        for standing in event.podium
    ]
    yield Put("GAME_PODIUM", event.game_token, rows, envelope.time)
