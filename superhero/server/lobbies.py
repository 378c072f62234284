"""Tell the players who are connected here about their games: START, then turns, then the end.

A table is a game with players connected to this process; a seat is one lobby connection. What a table knows
comes from a loaded game or from the feed, whichever is newer, so that nothing is told twice or out of order.
A push never waits: it goes into the connection's write buffer, and whoever lets that fill up is dropped.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.server import ServerConnection, broadcast

from superhero import messages
from superhero.errors import BadRequest, StoreError
from superhero.game.rules import Fighter
from superhero.identity import public_id
from superhero.server.feed import Feed
from superhero.server.snapshot import COMPLETE, OPEN, STARTED, News, Snapshot

MAX_UNSENT_BYTES = 256 * 1024
"""A lobby connection with more than this in its write buffer is dropped."""

_log = logging.getLogger(__name__)

Load = Callable[[str, str], Awaitable[Snapshot]]
"""Load a game for a user (public id); raise BadRequest when there is no such game or user in it."""


@dataclass(eq=False, slots=True)
class Seat:
    """One lobby connection of one participant. `ended` is set when there is nothing more to tell."""

    connection: ServerConnection
    game: str
    user: str
    user_token: str
    told_version: int = -1
    told_start: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self, news: News, fighters: tuple[Fighter, ...]) -> None:
        """Push what is new in `news`."""
        if news.version <= self.told_version or self.ended.is_set():
            return
        self.told_version = news.version
        if fighters and not self.told_start:
            self.told_start = True
            self._push(messages.started(self.game, fighters, self.user, self.user_token))
        if news.turn_of == self.user:
            self._push(messages.users_turn(self.game))
        if news.status not in (OPEN, STARTED):
            ending = messages.completed if news.status == COMPLETE else messages.timed_out
            self._push(ending(self.game))
            self.ended.set()

    def _push(self, message: dict[str, Any]) -> None:
        if self.connection.transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            _log.info("a lobby connection of game %s does not read: dropped", self.game)
            self.connection.transport.abort()
        else:
            broadcast([self.connection], messages.encode(message), text=True)


@dataclass(eq=False, slots=True)
class _Table:
    """A game with players here.

    arriving  how many are about to sit down, and not told anything yet: they may be no participants
    news      the newest that was heard
    fighters  empty until it is known that the game has started
    """

    seats: set[Seat] = field(default_factory=set)
    arriving: int = 0
    subscribed: asyncio.Task[None] | None = None
    news: News | None = None
    fighters: tuple[Fighter, ...] = ()

    def hear(self, news: News) -> None:
        """Take in news, in whatever order it comes, and tell everybody here what is new."""
        if not self.fighters and news.fighters and news.status in (STARTED, COMPLETE):
            self.fighters = news.fighters
        if self.news is None or news.version > self.news.version:
            self.news = news
            for seat in tuple(self.seats):
                seat.tell(news, self.fighters)

    def seat(self, seat: Seat) -> None:
        """Let a participant sit down and tell it what is known."""
        self.seats.add(seat)
        if self.news is not None:
            seat.tell(self.news, self.fighters)


class Lobbies:
    """Everybody who watches a game through this server process. Belongs to one event loop."""

    def __init__(self, redis_url: str, load: Load) -> None:
        self._load = load
        self._tables: dict[str, _Table] = {}
        self._feed = Feed(redis_url, self._on_news, self._reload)

    def __len__(self) -> int:
        """How many lobby connections there are. From any thread."""
        # Copied in one step, as games come and go in the loop's thread meanwhile.
        return sum(len(table.seats) for table in list(self._tables.values()))

    async def run(self) -> None:
        """Listen to the feed until cancelled."""
        await self._feed.run()

    async def sit(self, connection: ServerConnection, request: messages.Watch) -> Seat:
        """Begin to tell a participant about its game: at once what there is to tell, later what comes.

        Raise BadRequest when it has no place there, StoreError when Redis is away.
        """
        game, user = request.game_token, public_id(request.user_token)
        seat = Seat(connection, game, user, request.user_token)
        table = self._tables.setdefault(game, _Table())
        table.arriving += 1
        try:
            # Subscribed first and loaded then, so that no step falls between the two.
            if table.subscribed is None:
                table.subscribed = asyncio.create_task(self._feed.subscribe(game))
            await asyncio.shield(table.subscribed)
            table.hear(News.of(await self._load(game, user)))
            table.seat(seat)
        finally:
            table.arriving -= 1
            await self._clear(game, table)
        return seat

    async def leave(self, seat: Seat) -> None:
        """Tell this connection no more."""
        table = self._tables.get(seat.game)
        if table is not None:
            table.seats.discard(seat)
            await self._clear(seat.game, table)

    async def _clear(self, game: str, table: _Table) -> None:
        """Forget a table at which nobody sits."""
        if table.seats or table.arriving or self._tables.get(game) is not table:
            return
        del self._tables[game]
        if table.subscribed is not None:
            table.subscribed.cancel()
        await self._feed.unsubscribe(game)

    def _on_news(self, game: str, text: str) -> None:
        table = self._tables.get(game)
        if table is None:
            return
        try:
            table.hear(News.decode(text))
        except StoreError as error:
            _log.error("game %s: %s", game, error)

    async def _reload(self) -> None:
        """Load every game that is watched here: what was said while the feed was lost was not heard."""
        await asyncio.gather(*(self._reload_one(game, table) for game, table in self._tables.items()))

    async def _reload_one(self, game: str, table: _Table) -> None:
        seat = next(iter(table.seats), None)
        if seat is None:
            return
        try:
            table.hear(News.of(await self._load(game, seat.user)))
        except BadRequest:
            _log.warning("game %s is no longer in Redis: its lobbies are closed", game)
            for each in tuple(table.seats):
                each.ended.set()
