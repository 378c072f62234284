"""Serve one WebSocket connection: its requests, one after another, or a place in a lobby.

Whatever a client sends is answered: with what it asked for, or with a STATUS that says why not.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from superhero import messages
from superhero.errors import BadRequest, RuleViolation, StoreError
from superhero.server.limits import Client
from superhero.server.lobbies import Lobbies, Seat
from superhero.server.referee import Referee

LOGIN = "/api/v1/login"
FIND = "/api/v1/game/find"
LOBBY = "/api/v1/game/lobby"
HERO = "/api/v1/game/hero"
ACTION = "/api/v1/game/action"

LEAVE_S = 10.0
"""Seconds that a player has, once its game is over, to leave its lobby or to ask for another."""

_COMPLAIN_EVERY_S = 1.0

_log = logging.getLogger(__name__)

_Endpoint = Callable[[bytes, Client], Awaitable[dict[str, Any]]]


class Sessions:
    """Every connection to one server process. Belongs to one event loop."""

    def __init__(self, referee: Referee, lobbies: Lobbies, max_participants: int) -> None:
        self._lobbies = lobbies
        self._endpoints: Mapping[str, _Endpoint] = {
            LOGIN: lambda message, client: referee.login(
                messages.parse_login(message), client.may_create_user
            ),
            FIND: lambda message, _: referee.find(messages.parse_find(message, max_participants)),
            HERO: lambda message, _: referee.hero(messages.parse_hero(message)),
            ACTION: lambda message, _: referee.act(messages.parse_action(message)),
        }
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._complain_from = 0.0

    def knows(self, path: str) -> bool:
        """Whether API v1 has this path."""
        return path == LOBBY or path in self._endpoints

    async def drained(self, timeout_s: float) -> None:
        """Wait until no request is under way, but not longer than `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()
        except TimeoutError:
            _log.warning("%d requests are left without an answer", self._under_way)

    async def serve(self, connection: ServerConnection, path: str, client: Client) -> None:
        """Serve a connection to a path of API v1 until it is closed."""
        try:
            if path == LOBBY:
                await self._serve_lobby(connection, client)
            else:
                await self._serve_requests(connection, self._endpoints[path], client)
        except ConnectionClosed as closed:
            _log.debug("a connection to %s is closed: %s", path, closed)

    async def _serve_requests(
        self, connection: ServerConnection, endpoint: _Endpoint, client: Client
    ) -> None:
        while True:
            message = await _next_message(connection, client)
            with self._counted():
                try:
                    answer = await endpoint(message, client)
                except Exception as error:
                    answer = self._refusal(error)
                await _send(connection, answer)

    async def _serve_lobby(self, connection: ServerConnection, client: Client) -> None:
        """Serve one game after another; who stays after a game without asking for another is sent away."""
        patience_s: float | None = None
        while True:
            try:
                async with asyncio.timeout(patience_s):
                    message = await _next_message(connection, client)
            except TimeoutError:
                return
            try:
                seat = await self._lobbies.sit(connection, messages.parse_lobby(message))
            except Exception as error:
                await _send(connection, self._refusal(error))
                continue
            try:
                await _watch(connection, seat, client)
            finally:
                await self._lobbies.leave(seat)
            patience_s = LEAVE_S

    def _refusal(self, error: Exception) -> dict[str, Any]:
        """Return the answer that stands for an error."""
        match error:
            case BadRequest() | RuleViolation():
                return messages.refused(error.status)
            case StoreError():
                self._complain(error)
                return messages.refused(messages.STATE_NOT_AVAILABLE)
            case _:
                _log.error("a request failed in a way nobody thought of", exc_info=error)
                return messages.refused(messages.INTERNAL_ERROR)

    def _complain(self, error: StoreError) -> None:
        """Log that Redis is away, once a second at most: every request says the same then."""
        if time.monotonic() >= self._complain_from:
            self._complain_from = time.monotonic() + _COMPLAIN_EVERY_S
            _log.warning("requests cannot be carried out: %s", error)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self._under_way += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._under_way -= 1
            if self._under_way == 0:
                self._idle.set()


async def _next_message(connection: ServerConnection, client: Client) -> bytes:
    """Return the next message within the limits. What is over them is refused, and not read any faster."""
    while True:
        # Bytes: what is not UTF-8 is answered like all else that is not JSON.
        message = await connection.recv(decode=False)
        wait_s = client.wait_s()
        if not wait_s:
            return message
        await _send(connection, messages.refused(messages.TOO_MANY_REQUESTS))
        await asyncio.sleep(wait_s)


async def _watch(connection: ServerConnection, seat: Seat, client: Client) -> None:
    """Wait until there is nothing more to tell. Whatever the client says meanwhile is refused."""
    ended = asyncio.ensure_future(seat.ended.wait())
    try:
        while not seat.ended.is_set():
            received = asyncio.ensure_future(_next_message(connection, client))
            try:
                await asyncio.wait({received, ended}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                received.cancel()
            if received.done():
                received.result()
                await _send(connection, messages.refused(messages.LOBBY_IN_USE))
            else:
                await asyncio.wait({received})
    finally:
        ended.cancel()


async def _send(connection: ServerConnection, answer: Mapping[str, Any]) -> None:
    await connection.send(messages.encode(answer), text=True)
