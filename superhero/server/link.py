"""One connection to Redis that all tasks of a server share: what they ask at a time travels together.

Replies come in the order of the commands, so nobody waits until a connection is free, and a command costs a
third of the processor time that it costs through a pool of connections.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from redis.asyncio import BlockingConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError

from superhero.redis_clients import blocking_pool
from superhero.server.cancelling import cancel

TIMEOUT_S = 3.0
"""Seconds a Redis call may take, the connection that it needs included."""

Reply = asyncio.Future[Any]


class Link:
    """Belongs to one event loop. The connection is made on first use, and anew after it broke."""

    def __init__(self, redis_url: str) -> None:
        self._pool = pool(redis_url, 1)
        self._opening: asyncio.Task[_Wire] | None = None
        self._wire: _Wire | None = None
        self._wires = 0

    @property
    def wire(self) -> int:
        """A number for the connection there is, 0 for none; another connection gets another number.

        Nothing is awaited between this and the sending by `call`: a command goes by the connection seen here.
        """
        wire = self._wire
        return self._wires if wire is not None and wire.usable else 0

    @property
    def database(self) -> int:
        """Which of Redis's databases it is."""
        return int(self._pool.connection_kwargs.get("db") or 0)

    async def call(self, *command: Any) -> Any:
        """Send a command once, and return its reply.

        Raise ResponseError when Redis refuses it, DataError when it cannot be sent, and another RedisError or
        OSError when there is no reply: then it may have been carried out.
        """
        wire = self._wire
        if wire is not None and wire.usable:
            return await wire.ask(command)
        try:
            async with asyncio.timeout(TIMEOUT_S):
                wire = await self._opened()
                return await wire.ask(command)
        except TimeoutError as error:
            raise _silent() from error

    async def close(self) -> None:
        """Close the connection."""
        if self._opening is not None:
            await cancel(self._opening)
        if self._wire is not None:
            await self._wire.close()

    async def _opened(self) -> _Wire:
        """Wait for the one attempt that there is: if each made its own, the last would wait for all."""
        if self._opening is None or self._opening.done():
            self._opening = asyncio.create_task(self._open())
            # Its error is known then, also where nobody waits any longer.
            self._opening.add_done_callback(lambda task: task.cancelled() or task.exception())
        return await asyncio.shield(self._opening)

    async def _open(self) -> _Wire:
        connection: Any = self._pool.make_connection()
        # A read lasts until there is something to read; `_Wire` looks how long a reply takes.
        connection.socket_timeout = None
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await connection.connect()
        except BaseException as error:
            await connection.disconnect(nowait=True)
            if isinstance(error, TimeoutError):
                raise _silent() from error
            if isinstance(error, asyncio.CancelledError):  # by `close`; who waits is not cancelled
                raise _closed() from error
            if isinstance(error, RuntimeError):
                raise RedisConnectionError(str(error)) from error
            raise
        self._wires += 1
        self._wire = _Wire(connection)
        return self._wire


LOST = (RedisError, OSError, RuntimeError)
"""What a connection that is lost raises; the last is uvloop's, of a transport that is closed already."""


class _Wire:
    """A connection that is open, until it is lost."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[tuple[float, Reply]] = deque()
        self._watch: asyncio.TimerHandle | None = None
        self._lost: BaseException | None = None
        self._reader = asyncio.create_task(self._read())

    @property
    def usable(self) -> bool:
        """Whether nothing is known to be wrong with it."""
        return self._lost is None and bool(self._connection.is_connected)

    async def ask(self, command: tuple[Any, ...]) -> Any:
        """Send a command and wait for its reply."""
        if not self.usable:
            raise RedisConnectionError("the connection is lost")
        # Before it has a place among those that wait: what cannot be sent has no reply.
        packed = self._connection.pack_command(*command)
        reply: Reply = self._loop.create_future()
        self._waiting.append((self._loop.time(), reply))
        if self._watch is None:
            self._watch = self._loop.call_later(TIMEOUT_S, self._look)
        try:
            # Up to the write nothing is awaited: commands leave in the order in which they wait here.
            await self._connection.send_packed_command(packed, check_health=False)
        except LOST as error:
            self._lose(error)  # tells everybody who waits, us too
        except BaseException as error:
            reply.cancel()
            self._lose(error)  # a write that is cut short closes the connection
            raise
        return await reply

    async def close(self) -> None:
        """Disconnect; who still waits is told that the connection is lost."""
        self._lose(_closed())
        await asyncio.wait({self._reader})

    async def _read(self) -> None:
        connection, waiting = self._connection, self._waiting
        try:
            while True:
                refusal: ResponseError | None = None
                try:
                    answer = await connection.read_response(disconnect_on_error=False)
                except ResponseError as error:
                    answer, refusal = None, error
                if not waiting:
                    raise RedisConnectionError("Redis answered what nobody asked")
                _, reply = waiting.popleft()
                if reply.done():  # who asked did not wait any longer
                    continue
                if refusal is None:
                    reply.set_result(answer)
                else:
                    reply.set_exception(refusal)
        except LOST as error:
            self._lose(error)
        finally:
            # A mere close waits, and lets writers wait, until a Redis that does not read has read it all.
            if connection._writer is not None:
                connection._writer.transport.abort()
            await connection.disconnect(nowait=True)

    def _look(self) -> None:
        """Give the connection up when the oldest command has had no reply for too long."""
        self._watch = None
        if not self._waiting:
            return
        left_s = self._waiting[0][0] + TIMEOUT_S - self._loop.time()
        if left_s > 0:
            self._watch = self._loop.call_later(left_s, self._look)
        else:
            self._lose(_silent())

    def _lose(self, error: BaseException) -> None:
        if self._lost is not None:
            return
        self._lost = error
        if self._watch is not None:
            self._watch.cancel()
        if asyncio.current_task() is not self._reader:
            self._reader.cancel()
        while self._waiting:
            _, reply = self._waiting.popleft()
            if not reply.done():
                reply.set_exception(RedisConnectionError(str(error) or type(error).__name__))


def pool(redis_url: str, connections: int) -> BlockingConnectionPool:
    """Return a pool that gives up at once: a step sent twice might be committed twice."""
    return blocking_pool(
        redis_url,
        max_connections=connections,
        timeout=TIMEOUT_S,
        protocol=2,
        decode_responses=True,
        socket_connect_timeout=TIMEOUT_S,
        socket_timeout=TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
    )


def _silent() -> RedisConnectionError:
    return RedisConnectionError(f"no answer within {TIMEOUT_S:g} s")


def _closed() -> RedisConnectionError:
    return RedisConnectionError("the connection is closed")
