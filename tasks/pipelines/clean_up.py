"""Let a finished game's Redis keys expire once its files are safe.

Redis away is a transient error: the record is retried with the usual wait until Redis is back, but it alone;
what it says is written by then, and everybody else's records go on. Repeated, the clean-up only sets the
keys' time to live anew.
"""

from __future__ import annotations

from collections.abc import Sequence

from sinks.base import safe_name
from superhero import keys
from superhero.events import GameCompleted, GameTimedOut
from superhero.transport.envelope import Envelope
from tasks import resources
from tasks.registry import after_write


@after_write(channel=GameCompleted.channel, event=GameCompleted.name)
def after_completion(envelope: Envelope, event: GameCompleted) -> None:
    """Let go of a game that was played."""
    _expire(event.game_token, [standing.user for standing in event.podium], len(event.podium))


@after_write(channel=GameTimedOut.channel, event=GameTimedOut.name)
def after_time_out(envelope: Envelope, event: GameTimedOut) -> None:
    """Let go of a game that never filled."""
    _expire(event.game_token, event.joined, event.participants)


def _expire(game: str, users: Sequence[str], size: int) -> None:
    # A token with a colon in it would name some other key.
    of_game = keys.of_game(safe_name(game), [safe_name(user) for user in users])
    with resources.redis_client().pipeline(transaction=True) as transaction:
        for key in of_game:
            transaction.expire(key, resources.game_ttl_s())
        transaction.lrem(keys.players(size), 0, game)
        transaction.zrem(keys.joined(), game)
        transaction.execute()
