"""ATTACKS: the stream of attacks, one row each."""

from __future__ import annotations

from collections.abc import Iterable

from sinks.base import Append, Write
from superhero.events import AttackMade
from superhero.transport.envelope import Envelope
from tasks.columns import added, text, uint16, uint64
from tasks.registry import pipeline


@pipeline(channel=AttackMade.channel, event=AttackMade.name)
def attacks(envelope: Envelope, event: AttackMade) -> Iterable[Write]:
    """Append the attack; users by their public ids, health and damage in points."""
    row = {
        "record_id": envelope.id,
        "game_token": text(event.game_token, "game_token"),
        "turn": uint16(event.turn, "turn"),
        "user_token": text(event.user, "user"),
        "enemy_token": text(event.enemy, "enemy"),
        "damage": uint64(event.damage, "damage"),
        "enemy_health_prior": uint64(event.enemy_health_prior, "enemy_health_prior"),
        "enemy_health_post": uint64(event.enemy_health_post, "enemy_health_post"),
        "time": envelope.time,
    }
    yield Append("ATTACKS", [{**row, **added(envelope, event, row)}])
