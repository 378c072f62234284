"""GAME_META (dimension): who played which hero, one object per completed game."""

from __future__ import annotations

from collections.abc import Iterable

from sinks.base import Put, Write
from superhero.events import GameCompleted
from superhero.transport.envelope import Envelope
from tasks.columns import text, uint16
from tasks.registry import pipeline


@pipeline(channel=GameCompleted.channel, event=GameCompleted.name)
def game_meta(envelope: Envelope, event: GameCompleted) -> Iterable[Write]:
    """Put a row per participant."""
    rows = [
        {
            "game_token": event.game_token,
            "user_token": text(standing.user, "user"),
            "superhero_id": uint16(standing.hero_id, "hero_id"),
        }
        for standing in event.podium
    ]
    yield Put("GAME_META", event.game_token, rows, envelope.time)
