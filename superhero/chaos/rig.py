"""Everything that faults are thrown at: a broker, a Redis and the lanes, with links in between.

All of it is private to the run and ends with it. Safe to use from one thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from superhero.chaos.cluster import Cluster
from superhero.chaos.database import Database
from superhero.chaos.games import LINKS, SERVERS, Games, urls_by
from superhero.chaos.lanes import Lane, Load, OurLane, PlainLane
from superhero.chaos.proxy import Link, Network
from superhero.ops.embedded import EmbeddedRedis, free_port
from superhero.ops.rabbitmq import PrivateRabbit

LOOK_EVERY_S = 0.05


class Rig:
    """A context manager.

    nodes     the broker: one node, or the three of a cluster
    redis     the server that holds the games' keys
    ours      the lane that is put to the proof
    lanes     that one, and plain Celery beside it unless left out
    """

    def __init__(
        self,
        folder: Path,
        load: Load,
        *,
        plain: bool,
        clustered: bool,
        sql_url: str | None,
        say: Callable[[str], None],
    ) -> None:
        self.folder = folder.resolve()
        self.nodes: list[PrivateRabbit] = []
        self.cluster: Cluster | None = None
        self.redis = EmbeddedRedis(self.folder / "redis")
        self.lanes: list[Lane] = []
        self._load = load
        self._plain = plain
        self._clustered = clustered
        self._sql_url = sql_url
        self._say = say
        self._network = Network()
        self._game_links: dict[str, Link] = {}
        self._game_ports: tuple[int, ...] = ()
        self._games = 0
        self._stack = ExitStack()

    @property
    def node(self) -> PrivateRabbit:
        """The broker's only node, or the cluster's first."""
        return self.nodes[0]

    @property
    def ours(self) -> OurLane:
        """The lane that is put to the proof."""
        lane = self.lanes[0]
        if not isinstance(lane, OurLane):
            raise TypeError("the first lane is not ours")
        return lane

    def links(self, name: str) -> list[Link]:
        """Return the link of that name of each lane that has it, ours first, or the games'."""
        if name in self._game_links:
            return [self._game_links[name]]
        return [lane.links[name] for lane in self.lanes if name in lane.links]

    def games(self) -> Games:
        """Return games to be played; they begin when it is entered."""
        self._games += 1
        return Games(
            self.folder / "games" / str(self._games),
            self.ours.records_dir,
            urls_by(self._game_links, self.ours.broker_url, self.redis.url()),
            self._game_ports,
            self.redis.url(),
            self._load.seed + self._games,
            self.watch,
        )

    def watch(self, over: Callable[[], object], timeout_s: float) -> bool:
        """Read what is logged and written until `over` is true; tell whether it came true in time."""
        deadline = time.monotonic() + timeout_s
        while True:
            for lane in self.lanes:
                lane.account.look()
            if over():
                return True
            if time.monotonic() >= deadline:
                return False
            time.sleep(LOOK_EVERY_S)  # files and processes of others: they can only be looked at

    def pause(self, seconds: float) -> None:
        """Let the run go on for some seconds."""
        self.watch(lambda: False, seconds)

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._open(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._say("ending")
        self._stack.close()

    def _open(self, stack: ExitStack) -> None:
        self._say("starting RabbitMQ and Redis")
        stack.enter_context(self._network)
        stack.enter_context(self.redis)
        if self._clustered:
            self.cluster = stack.enter_context(Cluster(self.folder / "rabbitmq", self._network))
            self.nodes = self.cluster.nodes
        else:
            self.nodes = [stack.enter_context(PrivateRabbit(self.folder / "rabbitmq"))]
        self._open_game_links()
        self._say("starting the workers")
        self.lanes.append(stack.enter_context(self._our_lane()))
        if self._plain:
            self.lanes.append(stack.enter_context(self._plain_lane()))
        for lane in self.lanes:
            lane.start_workers()
        for lane in self.lanes:
            lane.start_producers()

    def _open_game_links(self) -> None:
        self._game_ports = tuple(free_port() for _ in range(SERVERS))
        broker_ports = [node.port for node in self.nodes]
        for name, ports in zip(LINKS, (self._game_ports, (self.redis.port,), broker_ports), strict=True):
            self._game_links[name] = self._network.link(name, *ports)

    def _our_lane(self) -> OurLane:
        url = self.node.add_vhost("superhero")
        links = self._broker_links("superhero") | {
            "worker-redis": self._network.link("superhero worker-redis", self.redis.port)
        }
        database = Database(self._sql_url, self._network) if self._sql_url else None
        if database is not None:
            links["worker-sql"] = database.link
        return OurLane(self.folder / "superhero", self._load, url, self.redis.url(), links, database)

    def _plain_lane(self) -> PlainLane:
        url = self.node.add_vhost("plain")
        return PlainLane(self.folder / "plain-celery", self._load, url, self._broker_links("plain"))

    def _broker_links(self, lane: str) -> dict[str, Link]:
        ports = [node.port for node in self.nodes]
        names = ("producer-broker", "worker-broker")
        return {name: self._network.link(f"{lane} {name}", *ports) for name in names}
