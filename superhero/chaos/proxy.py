"""TCP links between any two parts of a run, which can be cut, stalled, slowed and healed.

A link listens on a loopback port and passes on what it gets to one of its targets. Cut, it resets every
connection and every new one, as a router that lost its way does. Stalled, nothing passes and nothing is lost,
as on a line that drops packets: TCP sends them again once the line is back. All links of a network are served
by one thread.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

from superhero.errors import ServiceError

T = TypeVar("T")

_LOOPBACK = "127.0.0.1"
_CHUNK_BYTES = 65536
_CALL_TIMEOUT_S = 10.0
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER, on, for 0 s: close sends RST instead of FIN


class Link:
    """One listening port and where it leads. Made by `Network.link`; safe to use from any thread."""

    def __init__(self, name: str, targets: tuple[int, ...], network: Network) -> None:
        self.name = name
        self.port = 0
        self._targets = targets
        self._next = 0
        self._network = network
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.StreamWriter] = set()
        self._cut = False
        self._flows = asyncio.Event()
        self._flows.set()
        self._latency_s = 0.0
        self._bytes_per_s = 0.0

    def cut(self) -> int:
        """Reset every connection, and every new one until `heal`. Return how many there were."""

        def act() -> int:
            self._cut = True
            return self._reset_all()

        return self._network.in_loop(act)

    def stall(self) -> int:
        """Let nothing pass until `heal`, losing nothing. Return how many connections that holds up."""

        def act() -> int:
            self._flows.clear()
            return len(self._connections) // 2

        return self._network.in_loop(act)

    def slow(self, latency_s: float, bytes_per_s: float) -> int:
        """Delay every chunk by `latency_s` and by its size. Return how many connections that slows."""

        def act() -> int:
            self._latency_s, self._bytes_per_s = latency_s, bytes_per_s
            return len(self._connections) // 2

        return self._network.in_loop(act)

    def heal(self) -> None:
        """Let everything pass again."""

        def act() -> None:
            self._cut = False
            self._latency_s = self._bytes_per_s = 0.0
            self._flows.set()

        self._network.in_loop(act)

    @property
    def connections(self) -> int:
        """How many connections stand now."""
        return self._network.in_loop(lambda: len(self._connections) // 2)

    async def open(self) -> None:
        """Begin to listen, on a free port."""
        self._server = await asyncio.start_server(self._serve, _LOOPBACK, 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """End every connection and stop listening."""
        if self._server is not None:
            self._server.close()
        self._reset_all()

    def _reset_all(self) -> int:
        ends = list(self._connections)
        for end in ends:
            _reset(end)
        return len(ends) // 2

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._flows.wait()
        try:
            if self._cut:
                return
            far_reader, far_writer = await self._connect()
        except OSError:
            return  # nobody there: the caller sees what it would see without us, a connection that ends
        else:
            await self._pass_on(reader, writer, far_reader, far_writer)
        finally:
            _reset(writer)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to the next target that listens, beginning with another one each time."""
        self._next += 1
        for step in range(len(self._targets)):
            port = self._targets[(self._next + step) % len(self._targets)]
            try:
                return await asyncio.open_connection(_LOOPBACK, port)
            except ConnectionRefusedError:
                continue
        raise ConnectionRefusedError(f"link {self.name}: nobody listens on {self._targets}")

    async def _pass_on(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        far_reader: asyncio.StreamReader,
        far_writer: asyncio.StreamWriter,
    ) -> None:
        ends = {writer, far_writer}
        self._connections |= ends
        try:
            await asyncio.gather(
                self._one_way(reader, far_writer, ends), self._one_way(far_reader, writer, ends)
            )
        finally:
            self._connections -= ends
            _reset(far_writer)

    async def _one_way(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, ends: set[asyncio.StreamWriter]
    ) -> None:
        try:
            await self._pump(source, sink)
        except OSError:
            for end in ends:  # one of them is gone, so must the other be
                _reset(end)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while chunk := await source.read(_CHUNK_BYTES):
            if delay_s := self._delay_s(len(chunk)):
                await asyncio.sleep(delay_s)
            await self._flows.wait()
            sink.write(chunk)
            await sink.drain()
        await self._flows.wait()
        if sink.can_write_eof():
            sink.write_eof()

    def _delay_s(self, size_bytes: int) -> float:
        return self._latency_s + (size_bytes / self._bytes_per_s if self._bytes_per_s else 0.0)


class Network:
    """Links and the thread that serves them. A context manager; leaving it ends every connection."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="network", daemon=True)
        self._links: list[Link] = []

    def link(self, name: str, *targets: int) -> Link:
        """Open a link to the loopback ports `targets`; of several, those that listen take turns."""
        link = Link(name, targets, self)
        self._await(link.open())
        self._links.append(link)
        return link

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._await(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _close(self) -> None:
        for link in self._links:
            await link.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def in_loop(self, act: Callable[[], T]) -> T:
        """Call `act` in the thread that serves the links, and return what it returns."""

        async def run() -> T:
            return act()

        return self._await(run())

    def _await(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            return asyncio.run_coroutine_threadsafe(work, self._loop).result(_CALL_TIMEOUT_S)
        except TimeoutError as error:
            raise ServiceError(f"the network's thread did not answer within {_CALL_TIMEOUT_S:g} s") from error


def by_way_of(url: str, link: Link) -> str:
    """Return `url`, which has a login, with the link's address instead of its own."""
    parts = urlsplit(url)
    login = parts.netloc.rpartition("@")[0]
    return parts._replace(netloc=f"{login}@{_LOOPBACK}:{link.port}").geturl()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close so that the other end sees a reset, whatever is still on its way."""
    end = writer.get_extra_info("socket")
    if end is not None and end.fileno() >= 0:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    writer.transport.abort()
