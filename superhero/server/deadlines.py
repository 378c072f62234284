"""Look at games whose time is up: an open one that did not fill, a player that does not move.

Every server looks at the games of all servers; a step is committed once, so that it does not matter who
comes first. Deadlines stand in Redis, by its clock.
"""

from __future__ import annotations

import asyncio
import logging

from superhero.errors import StoreError
from superhero.server.pause import pause
from superhero.server.referee import Referee
from superhero.server.store import Store

LOOK_EVERY_S = 1.0
"""How late, at most, a server notices a deadline that another one set."""

_log = logging.getLogger(__name__)


async def watch_deadlines(store: Store, referee: Referee, stopping: asyncio.Event) -> None:
    """Watch until `stopping` is set; a step under way is finished."""
    while not stopping.is_set():
        try:
            games, wait_s = await store.due()
        except StoreError as error:
            _log.warning("deadlines are not looked at: %s", error)
            games, wait_s = [], None
        for game in games:
            await _expire(referee, game)
        # A new deadline lies farther ahead than the next look, unless time-outs are under a second.
        await pause(stopping, LOOK_EVERY_S if wait_s is None else min(wait_s, LOOK_EVERY_S))


async def _expire(referee: Referee, game: str) -> None:
    try:
        await referee.expire(game)
    except StoreError as error:
        _log.warning("the time of game %s is up, and nothing is done about it yet: %s", game, error)
