"""Servers within the test's own process, and what they log."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from superhero import roster
from superhero.events import CHANNELS, Event
from superhero.roster import Hero
from superhero.server.app import GameServer, ServerConfig
from superhero.server.arena.viewers import Bots, Pulse
from superhero.server.outbox import Settle, Settled
from superhero.server.referee import Restock


def safe() -> Settled:
    """Stand for a transport that makes everything safe at once."""
    return Settled.SAFE


def hero(hero_id: int, stat: int = 10) -> Hero:
    """Return a hero all of whose stats are the same: health 10 * stat**3, attack stat**3."""
    names = ("intelligence", "strength", "speed", "durability", "power", "combat")
    record = {
        "id": str(hero_id),
        "name": f"Hero {hero_id}",
        "powerstats": {name: str(stat) for name in names},
    }
    return Hero.from_record(record)


def give_heroes(redis_url: str, count: int = 20) -> None:
    """Put heroes into Redis, all as strong as each other: ten attacks fell one."""
    roster.store(redis_url, [hero(number) for number in range(1, count + 1)])


@asynccontextmanager
async def serving(
    redis_url: str,
    *,
    settle: Settle = safe,
    restock: Restock = lambda: False,
    pulse: Pulse = lambda: None,
    bots: Bots | None = None,
    **config: Any,
) -> AsyncIterator[GameServer]:
    """Run a server; its address is `url_of(server)`."""
    server = GameServer(
        ServerConfig(redis_url, **config), settle=settle, restock=restock, pulse=pulse, bots=bots
    )
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(server.run())
        await server.ready.wait()
        try:
            yield server
        finally:
            server.stop()


def url_of(server: GameServer) -> str:
    """Return where a server listens."""
    return f"ws://127.0.0.1:{server.port}"


class Logged(logging.Handler):
    """Keeps what is logged to the simulator's channels."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record."""
        self.records.append(record)

    def ids(self) -> list[str]:
        """Return the record ids in the order in which they were logged."""
        return [record.__dict__["record_id"] for record in self.records]

    def payloads(self, event: type[Event]) -> list[dict[str, Any]]:
        """Return the payloads of one kind of event."""
        return [
            record.__dict__["payload"] for record in self.records if record.__dict__["event"] == event.name
        ]


@contextmanager
def logged() -> Iterator[Logged]:
    """Keep what is logged meanwhile."""
    handler = Logged()
    loggers = [logging.getLogger(channel) for channel in CHANNELS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
    try:
        yield handler
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.removeHandler(handler)
            logger.setLevel(level)
