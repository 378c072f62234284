"""Watch the games of all servers that share a Redis: every step is told on one Pub/Sub channel.

Redis tells a step with the very script that commits it, to nobody while nobody watches: we listen only while
there are viewers. What was missed, before or while Redis was away, is looked up.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

import orjson
from redis.exceptions import RedisError

from superhero import keys
from superhero.config import without_password
from superhero.errors import StoreError
from superhero.events import EVENTS, AttackMade, Event
from superhero.server.arena.leaders import Leaders
from superhero.server.arena.stage import PLACES, Stage
from superhero.server.cancelling import cancel
from superhero.server.feed import Feed
from superhero.server.link import Link
from superhero.server.store import Store

LOOK_EVERY_S = 1.0
"""How often it is asked how many games go on, and whether some fight has fallen silent."""

_AGAIN_S = 1.0
_MOST_NAMES = 5000

SOME_ATTACK = AttackMade("", 0, "", "", 0, 0, 0)
"""Stands for any attack of a game that is not shown: building each costs more than counting it."""

_OF_AN_ATTACK = frozenset(AttackMade.__match_args__)

_log = logging.getLogger(__name__)


class Watch:
    """The games as they are watched. Belongs to one event loop; `run` while somebody looks.

    under_way  games that are open or being played; None when Redis does not say
    """

    def __init__(self, redis_url: str, store: Store) -> None:
        self.stage = Stage()
        self.leaders = Leaders()
        self.names: dict[int, str] = {}
        self.under_way: int | None = None
        self._url = redis_url
        self._store = store
        self._link = Link(redis_url)
        self._channel = store.arena
        self._wanted: asyncio.Queue[str] = asyncio.Queue()

    async def run(self) -> None:
        """Watch until cancelled."""
        self.stage.awaited.clear()
        self._wanted = asyncio.Queue()
        feed = Feed(self._url, self._on_step, self._look_again, channel_of=lambda _: self._channel)
        tasks = [
            asyncio.create_task(work)
            for work in (feed.run(), self._subscribe(feed), self._load(), self._look())
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            for task in tasks:
                if task.done():
                    task.result()
        finally:
            await cancel(*tasks)
            await self._link.close()

    def frame(self) -> dict[str, Any]:
        """Return what there is to see now."""
        return self.stage.frame(self.names, time.monotonic())

    async def _subscribe(self, feed: Feed) -> None:
        while True:
            try:
                await feed.subscribe(self._channel)
                await self._look_again()
                return
            except StoreError as error:
                _log.info("the Arena does not hear the games yet: %s", error)
                await asyncio.sleep(_AGAIN_S)

    def _on_step(self, _: str, text: str) -> None:
        try:
            game, events = read_step(text, self.stage.follows)
        except StoreError as error:
            _log.error("the Arena passes over a step: %s", error)
            return
        if self.stage.hear(game, events, time.monotonic()):
            self._wanted.put_nowait(game)
        self.leaders.hear(events)

    async def _look_again(self) -> None:
        """Look at what goes on, and at all that is shown: what was said meanwhile was not heard."""
        recent = await self._ask("ZREVRANGE", keys.deadlines(), 0, PLACES - 1)
        running = [game for game, fight in self.stage.fights.items() if fight.winner is None]
        for game in dict.fromkeys([*running, *recent]):
            if self.stage.want(game, time.monotonic()):
                self._wanted.put_nowait(game)

    async def _load(self) -> None:
        """Load games that are to be shown, one at a time."""
        while True:
            game = await self._wanted.get()
            try:
                snapshot = await self._store.load(game)
                if snapshot is not None:
                    await self._learn({each.hero_id for each in snapshot.state.fighters.values()})
            except StoreError as error:
                _log.info("the Arena cannot look at game %s: %s", game, error)
                self.stage.awaited.pop(game, None)
            else:
                self.stage.show(game, snapshot, time.monotonic())

    async def _look(self) -> None:
        while True:
            try:
                self.under_way = int(await self._ask("ZCARD", keys.deadlines()))
            except StoreError:
                self.under_way = None
            self.stage.changed = True
            for game in self.stage.silent(time.monotonic()):
                if self.stage.want(game, time.monotonic()):
                    self._wanted.put_nowait(game)
            await asyncio.sleep(LOOK_EVERY_S)

    async def _learn(self, heroes: set[int]) -> None:
        """Learn the names of heroes that are not known yet."""
        if len(self.names) > _MOST_NAMES:
            shown = self.stage.heroes()
            self.names = {hero: name for hero, name in self.names.items() if hero in shown}
        unknown = sorted(heroes - self.names.keys())
        if not unknown:
            return
        records = await self._ask("HMGET", keys.superheros(), *unknown)
        for hero, record in zip(unknown, records, strict=True):
            if record is not None:
                self.names[hero] = _name_in(record) or f"Hero {hero}"

    async def _ask(self, *command: Any) -> Any:
        try:
            return await self._link.call(*command)
        except (RedisError, OSError) as error:
            raise StoreError(f"Redis at {without_password(self._url)}: {error}") from error


def read_step(text: str, follows: Callable[[str], bool]) -> tuple[str, Sequence[Event]]:
    """Return a game and its events out of what scripts/commit.lua tells. Raise StoreError for all else.

    An attack of a game that nobody `follows` is checked and stands as SOME_ATTACK: it is only counted.
    """
    try:
        game, *entries = orjson.loads(text)
        if not isinstance(game, str):
            raise TypeError(f"{game!r} is no game")
        followed = follows(game)
        return game, [_event(entry["event"], entry["payload"], followed) for entry in entries]
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(f"a feed brought what we did not send: {text!r:.200}") from error


def _event(name: str, payload: Any, followed: bool) -> Event:
    counted = not followed and name == AttackMade.name and isinstance(payload, dict)
    if counted and payload.keys() >= _OF_AN_ATTACK:
        return SOME_ATTACK
    return EVENTS[name].from_payload(payload)


def _name_in(record: str) -> str:
    try:
        name = orjson.loads(record)["name"]
    except (ValueError, KeyError, TypeError):
        return ""
    return name if isinstance(name, str) else ""
