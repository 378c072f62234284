"""Two simulator servers behind one address and bots that play on them, for the faults that hit games.

What the servers promise is known from Redis, where they count the records of each of their producers in the
very step that makes them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import redis

from superhero import keys
from superhero.chaos.fleet import Fleet
from superhero.chaos.proxy import Link, by_way_of
from superhero.chaos.tail import Tail
from superhero.errors import ServiceError
from superhero.ops.processes import Process, Processes, project_root, superhero_argv
from superhero.plural import counted

LINKS = ("bots-server", "server-redis", "server-broker")
SERVERS = 2
_PLAYERS = 6
_LOBBY_TIMEOUT_S, _TURN_TIMEOUT_S = 5, 2
_READY_TIMEOUT_S = 60.0
_PRODUCER_FILES = "sim-*.jsonl"

Watch = Callable[[Callable[[], object], float], bool]
"""Looks until something is true or time is up, and tells which."""


class Games:
    """A context manager: servers and bots run within. Used from one thread.

    `producers` is how many records each producer had made when Redis was last asked.
    """

    def __init__(
        self,
        folder: Path,
        records_dir: Path,
        urls: Mapping[str, str],
        ports: tuple[int, ...],
        state: str,
        seed: int,
        watch: Watch,
    ) -> None:
        self.producers: dict[str, int] = {}
        self._folder = folder
        self._records_dir = records_dir
        self._urls = urls
        self._ports = ports
        self._seed = seed
        self._watch = watch
        self._redis = redis.Redis.from_url(state, decode_responses=True, socket_timeout=3.0)
        self._processes = Processes()
        self._bots: Process | None = None
        self._tail = Tail()
        self._newest_row = ""
        self.servers = Fleet("servers", self._start_server, len(ports))

    def going_on(self) -> list[str]:
        """Return the games that have begun and not ended."""
        games = map(str, self._redis.zrange(keys.deadlines(), 0, -1))
        return [game for game in games if self._redis.get(keys.status(game)) == "STARTED"]

    def note_producers(self) -> None:
        """Ask Redis how many records each producer has made."""
        for key in self._redis.scan_iter(keys.counters("*")):
            for producer, count in self._redis.hgetall(key).items():
                name = str(producer)
                self.producers[name] = max(self.producers.get(name, 0), int(count))

    def written_since(self, moment: datetime) -> bool:
        """Tell whether a record that a server logged after `moment` is in the sink."""
        for path in self._records_dir.glob(_PRODUCER_FILES):
            for line in self._tail.lines(path):
                self._newest_row = max(self._newest_row, json.loads(line)["time"])
        return self._newest_row > moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def let_bots_come_anew(self) -> None:
        """End the bots and start others, for when Redis has forgotten who they are."""
        if self._bots is not None:
            self._bots.kill9()
        self._start_bots()

    def end(self, timeout_s: float) -> Iterator[str]:
        """Let the bots leave and every game come to its end; yield a sentence for all that does not."""
        if self._bots is not None:
            self._bots.stop()
        if not self._watch(lambda: not self._redis.zcard(keys.deadlines()), timeout_s):
            stuck = self._redis.zcard(keys.deadlines())
            yield f"{counted(stuck, 'game')} not ended {timeout_s:g} s after the bots left"
        if not self._watch(lambda: not self._outboxes(), timeout_s):
            yield f"events are still in the outboxes {', '.join(self._outboxes())} after {timeout_s:g} s"
        self.note_producers()

    def __enter__(self) -> Self:
        self.servers.open()
        try:
            self._open()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def _open(self) -> None:
        if not self.servers.wait_for(lambda members: self.servers.full(), _READY_TIMEOUT_S):
            raise ServiceError(f"the servers did not start within {_READY_TIMEOUT_S:g} s")
        for server in self.servers.members():
            server.wait_for_line("listening on ", _READY_TIMEOUT_S)
        self._start_bots()

    def _start_bots(self) -> None:
        options = ("--players", str(_PLAYERS), "--forever", "--seed", str(self._seed), "--json")
        argv = superhero_argv("play", *options, "--url", self._urls["bots-server"])
        self._bots = self._processes.start("bots", argv, None, self._folder / "bots.log", project_root())

    def _close(self) -> None:
        self._processes.stop()
        self.servers.stop()
        self._redis.close()

    def _outboxes(self) -> list[str]:
        return sorted(self._redis.scan_iter(keys.outbox("*")))

    def _start_server(self, slot: int) -> Process:
        name = f"server{slot + 1}"
        env = {
            "BROKER_URL": self._urls["server-broker"],
            "REDIS_URL": self._urls["server-redis"],
            "LOBBY_TIMEOUT": str(_LOBBY_TIMEOUT_S),
            "TURN_TIMEOUT": str(_TURN_TIMEOUT_S),
        }
        argv = superhero_argv("serve", "--host", "127.0.0.1", "--port", str(self._ports[slot]))
        return self._processes.start(name, argv, env, self._folder / f"{name}.log", project_root())


def urls_by(links: Mapping[str, Link], broker_url: str, redis_url: str) -> dict[str, str]:
    """Return where servers and bots find what they need, by way of the links."""
    return {
        "bots-server": f"ws://127.0.0.1:{links['bots-server'].port}",
        "server-redis": by_way_of(redis_url, links["server-redis"]),
        "server-broker": by_way_of(broker_url, links["server-broker"]),
    }
