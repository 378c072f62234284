"""See that every committed event is logged, and that its record is safe before it is forgotten.

A step writes its events into its server's outbox in Redis; the server logs them at once. Once the transport
says that what was logged is safe (`settle`), they leave the outbox. What a dead server left in its outbox, a
living one logs under the same record ids; a sink keeps a record id once, so that each event is there once.

What can be lost: what Redis itself loses. With `appendfsync everysec` that is up to a second of steps in a
power cut, together with the moves they were; a kill -9 of Redis or of any server loses nothing. A record may
be sent twice, by a server and by the one that took it for dead; never under two ids.

Two tasks: one settles, at most every SETTLE_EVERY_S and only when something was logged; the other gives signs
of life, takes over from dead servers, and logs what a failed call of our own left in doubt.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import aclosing, contextmanager
from enum import Enum
from itertools import islice

from superhero.errors import StoreError
from superhero.eventlog import log_event
from superhero.server.pause import pause
from superhero.server.records import Record, in_order
from superhero.server.store import Store

SETTLE_EVERY_S = 0.5
LIVE_EVERY_S = 2.0
LAST_CALLS = 2
"""How often the transport is asked, at the end, to make safe what was logged."""

DOUBT_S = 15.0
"""Seconds after a failed call during which what it did may still show."""


class Settled(Enum):
    """What has become of all records logged before the transport was asked."""

    SAFE = "confirmed by the broker, or where a crash does not reach them"
    WAITING = "not all are safe yet"
    DROPPED = "all are safe but some that the transport had no room for"


Settle = Callable[[], Settled]
"""Ask the transport. Blocks, for a bounded time; is called in a thread."""

LOG_AGAIN_AT_A_TIME = 20_000
"""Records logged again in one go; fewer than what the transport holds, or it would drop them once more."""

_log = logging.getLogger(__name__)


class Outbox:
    """The outbox of one server process, and those it takes over. Belongs to one event loop."""

    def __init__(self, store: Store, settle: Settle) -> None:
        self._store = store
        self._settle = settle
        # Logged, but not known to be safe: server -> record ids.
        self._unsettled: dict[str, set[str]] = defaultdict(set)
        # Of those, perhaps dropped by the transport, and to be logged again.
        self._suspects: dict[str, set[str]] = defaultdict(set)
        self._settled = Settled.SAFE
        self._taken_over: set[str] = set()
        self._in_doubt: set[str] = set()
        self._doubt_until = 0.0
        self._logged = asyncio.Event()
        self._stopping = asyncio.Event()

    def log(self, records: Iterable[Record]) -> None:
        """Log what this server has just committed."""
        self._log_of(self._store.server, records)

    @contextmanager
    def doubts(self) -> Iterator[None]:
        """Look, for a while, for events of a step whose call failed: it may have been committed."""
        try:
            yield
        except StoreError:
            self._doubt_until = time.monotonic() + DOUBT_S
            raise

    async def run(self) -> None:
        """Run until `stop`; then settle what there is, and leave the servers.

        What is not safe by then, another server takes over.
        """
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._settling())
            tasks.create_task(self._living())
        try:
            for _ in range(LAST_CALLS):
                if not self._unsettled or await self._settle_once():
                    break
            await self._store.settle(self._store.server, [], ended=True)
        except StoreError as error:
            _log.warning("server %s leaves its outbox to another server: %s", self._store.server, error)

    def stop(self) -> None:
        """Let `run` come to its end. Whatever is logged must be logged before."""
        self._stopping.set()
        self._logged.set()

    async def _settling(self) -> None:
        while not self._stopping.is_set():
            await self._logged.wait()
            await self._settle_once()
            await pause(self._stopping, SETTLE_EVERY_S)

    async def _settle_once(self) -> bool:
        """Ask the transport once; forget what is safe. False when some of it is not, or Redis is away."""
        self._logged.clear()
        try:
            if self._settled is not Settled.WAITING:
                await self._log_again()
            logged = {server: ids - self._suspects[server] for server, ids in self._unsettled.items()}
            self._settled = await asyncio.to_thread(self._settle)
            match self._settled:
                case Settled.SAFE:
                    for server, ids in logged.items():
                        await self._forget(server, ids)
                case Settled.DROPPED:
                    # Which ones nobody knows; by now there may be more than were logged when we asked.
                    self._suspects.update((server, set(ids)) for server, ids in self._unsettled.items())
        except StoreError as error:
            _log.warning("safe records stay in the outbox for now: %s", error)
            self._settled = Settled.WAITING
        if self._settled is Settled.SAFE and not any(self._suspects.values()):
            return True
        self._logged.set()
        return False

    async def _log_again(self) -> None:
        """Log again some of what the transport may have dropped; each has its id, so none counts twice."""
        for server, suspects in list(self._suspects.items()):
            some = in_order(islice(suspects, LOG_AGAIN_AT_A_TIME))
            async for records in self._store.outbox(server, some):
                for record in records:
                    log_event(record.event, record.id, record.time_s)
            suspects.difference_update(some)
            if not suspects:
                del self._suspects[server]

    async def _forget(self, server: str, ids: set[str]) -> None:
        await self._store.settle(server, list(ids), ended=server in self._taken_over)
        self._unsettled[server] -= ids
        if not self._unsettled[server]:
            del self._unsettled[server]

    async def _living(self) -> None:
        while not self._stopping.is_set():
            try:
                await self._live_once()
            except StoreError as error:
                _log.warning("no sign of life can be given: %s", error)
            await pause(self._stopping, LIVE_EVERY_S)

    async def _live_once(self) -> None:
        for server in self._taken_over - self._unsettled.keys():
            await self._take_over(server)  # what it left beyond what we have seen to
        dead = await self._store.live(list(self._taken_over))
        if dead is not None:
            await self._take_over(dead)
        if time.monotonic() < self._doubt_until:
            await self._resolve_doubts()

    async def _take_over(self, dead: str) -> None:
        """See to some of what a dead server left, or to its end. The rest comes once this is safe.

        So what a long outage piled up neither fills our memory nor drowns the transport.
        """
        found: set[str] = set()
        async with aclosing(self._store.outbox_ids(dead)) as pages:
            async for ids in pages:
                found.update(ids)
                if len(found) >= LOG_AGAIN_AT_A_TIME:
                    break
        if not found:
            await self._store.settle(dead, [], ended=True)
            self._taken_over.discard(dead)
            return
        if dead not in self._taken_over:
            _log.warning("server %s is gone: taking over the events it left", dead)
            self._taken_over.add(dead)
        # As if we had logged them and the transport had dropped them.
        found -= self._unsettled[dead]
        self._unsettled[dead] |= found
        self._suspects[dead] |= found
        self._logged.set()

    async def _resolve_doubts(self) -> None:
        """Log own events whose step was committed though its call failed, so that nobody logged them.

        A step that is just under way looks the same; it is over, one way or the other, by the next look.
        """
        server, unknown = self._store.server, set[str]()
        async for ids in self._store.outbox_ids(server):
            unknown.update(each for each in ids if each not in self._unsettled[server])
        async for records in self._store.outbox(server, in_order(unknown & self._in_doubt)):
            self._log_of(server, records)
        self._in_doubt = unknown

    def _log_of(self, server: str, records: Iterable[Record]) -> None:
        for record in records:
            if record.id not in self._unsettled[server]:
                self._unsettled[server].add(record.id)
                log_event(record.event, record.id, record.time_s)
                self._logged.set()
