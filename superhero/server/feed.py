"""Hear of every step of the games that local players watch: one Pub/Sub connection per server process.

`subscribe` returns once Redis has confirmed it, so that a game loaded afterwards misses nothing. When the
connection is lost it is made again, everything is subscribed again, and `on_gap` is called: what was said
meanwhile was not heard.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable
from typing import Any

from redis.exceptions import RedisError

from superhero import keys
from superhero.errors import StoreError
from superhero.server.link import LOST, TIMEOUT_S, pool

SILENCE_S = 10.0
"""Seconds of silence after which the connection is asked whether it is there; after as many it is lost."""

_AWAY = "the feed from Redis is lost and not back yet"
_MIN_WAIT_S = 0.1
_MAX_WAIT_S = 2.0

_log = logging.getLogger(__name__)

PONG = "pong"

OnNews = Callable[[str, str], None]
OnGap = Callable[[], Awaitable[None]]


class Feed:
    """The steps of the games subscribed to. Belongs to one event loop; `run` must be running."""

    def __init__(
        self, redis_url: str, on_news: OnNews, on_gap: OnGap, channel_of: Callable[[str], str] = keys.feed
    ) -> None:
        """Call `on_news(game, text)` for each step, in the order in which they were committed."""
        self._pool = pool(redis_url, 1)
        self._on_news = on_news
        self._on_gap = on_gap
        self._channel_of = channel_of
        self._games: dict[str, str] = {}
        self._connection: Any = None
        self._connected = asyncio.Event()
        # Redis confirms in the order of the commands, so the first one waiting is the one confirmed.
        self._waiting: dict[str, deque[asyncio.Future[None]]] = defaultdict(deque)

    async def subscribe(self, game: str) -> None:
        """Hear of a game from now on. Raise StoreError when Redis cannot be asked; nothing is heard then."""
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await self._connected.wait()
                await self._subscribe(game)
        except TimeoutError as error:
            raise StoreError(f"Redis did not confirm a subscription within {TIMEOUT_S:g} s") from error

    async def _subscribe(self, game: str) -> None:
        channel = self._channel_of(game)
        confirmed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._games[channel] = game
        self._waiting[channel].append(confirmed)
        try:
            await self._send("SUBSCRIBE", channel)
            await confirmed
        finally:
            # Cancelled, it keeps its place among those waiting: Redis may answer yet.
            if confirmed.cancel() or confirmed.cancelled() or confirmed.exception() is not None:
                self._games.pop(channel, None)

    async def unsubscribe(self, game: str) -> None:
        """Hear of a game no more. Never raises: a connection that is lost has forgotten it already."""
        channel = self._channel_of(game)
        self._games.pop(channel, None)
        try:
            await self._send("UNSUBSCRIBE", channel)
        except StoreError as error:
            _log.debug("%s is not unsubscribed: %s", channel, error)

    async def run(self) -> None:
        """Listen until cancelled."""
        wait_s = _MIN_WAIT_S
        try:
            while True:
                try:
                    await self._connect()
                    wait_s = _MIN_WAIT_S
                    await self._listen()
                except (RedisError, OSError, StoreError) as error:
                    _log.warning("the feed from Redis is lost, whoever listens waits for it: %s", error)
                    await self._disconnect()
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, _MAX_WAIT_S)
        finally:
            await self._disconnect()

    async def _connect(self) -> None:
        connection: Any = self._pool.make_connection()
        # A read may last as long as nothing happens; SILENCE_S is what limits it.
        connection.socket_timeout = None
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await connection.connect()
                channels = list(self._games)
                if channels:
                    await connection.send_command("SUBSCRIBE", *channels, check_health=False)
                # What fills the gap must be loaded after the subscriptions are in force.
                await connection.send_command("PING", check_health=False)
                while _words(await connection.read_response())[0] != PONG:
                    continue
        except BaseException as error:
            await connection.disconnect(nowait=True)
            if isinstance(error, TimeoutError):
                raise StoreError("Redis does not answer") from error
            if isinstance(error, RuntimeError):
                raise StoreError(f"the feed from Redis is lost: {error}") from error
            raise
        self._connection = connection
        self._connected.set()
        await self._on_gap()

    async def _listen(self) -> None:
        while True:
            kind, *rest = await self._read()
            if kind == "message":
                channel, text = rest
                game = self._games.get(channel)
                if game is not None:
                    self._on_news(game, text)
            elif kind == "subscribe":
                self._confirm(rest[0])

    async def _read(self) -> list[Any]:
        reply = await self._connection.read_response(timeout=SILENCE_S)
        if reply is None:
            await self._send("PING")
            reply = await self._connection.read_response(timeout=SILENCE_S)
        if reply is None:
            raise StoreError(f"Redis has been silent for {2 * SILENCE_S:g} s")
        return _words(reply)

    async def _send(self, *command: str) -> None:
        if self._connection is None:
            raise StoreError(_AWAY)
        try:
            await self._connection.send_command(*command, check_health=False)
        except LOST as error:
            raise StoreError(f"the feed from Redis is lost: {error}") from error

    def _confirm(self, channel: str) -> None:
        waiting = self._waiting.get(channel)
        if waiting:
            confirmed = waiting.popleft()
            if not confirmed.done():
                confirmed.set_result(None)
            if not waiting:
                del self._waiting[channel]

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        self._connected.clear()
        waiting, self._waiting = self._waiting, defaultdict(deque)
        for confirmed in (each for queue in waiting.values() for each in queue):
            if not confirmed.done():
                confirmed.set_exception(StoreError("the feed from Redis was lost"))
        if connection is not None:
            await connection.disconnect(nowait=True)


def _words(reply: Any) -> list[Any]:
    """Return a reply as a list whose first word says what it is; without a subscription PING gets a text."""
    return [reply.lower()] if isinstance(reply, str) else list(reply)
