"""Three RabbitMQ nodes whose connections with each other are links of a network, so that one can be cut off.

Erlang asks a port mapper (epmd) where a node of some name listens. Each of our nodes has a port mapper of its
own, in which we register the other two, by the port of a link that leads to them.
"""

from __future__ import annotations

import secrets
import socket
import struct
from concurrent.futures import ThreadPoolExecutor
from itertools import permutations
from pathlib import Path

from superhero.chaos.proxy import Link, Network
from superhero.errors import ServiceError
from superhero.ops.rabbitmq import PrivateRabbit
from superhero.ops.started import Started

# The node that is cut off pauses instead of going on alone, which is what RabbitMQ advises for three nodes.
_CONFIG = "cluster_partition_handling = pause_minority\n"
_TIMEOUT_S = 10.0
_ALIVE2_REQUEST = 120  # <erts/epmd>: register a node under a name for as long as the connection stands
_ALIVE2_ANSWERS = (118, 121)
_VISIBLE_NODE, _TCP, _HIGHEST_VERSION, _LOWEST_VERSION = 77, 0, 6, 5


class Cluster(Started):
    """A context manager; leaving it ends the nodes."""

    def __init__(self, base_dir: Path, network: Network) -> None:
        self.nodes = [PrivateRabbit(base_dir / f"node{number}", _CONFIG) for number in (1, 2, 3)]
        self._network = network
        self._between: dict[tuple[str, str], Link] = {}
        self._registrations: list[socket.socket] = []

    def start(self) -> None:
        """Start the nodes side by side and join them. Some 20 s."""
        cookie = secrets.token_hex(16)
        for node in self.nodes:
            _write_cookie(node.base_dir / ".erlang.cookie", cookie)
        with ThreadPoolExecutor(len(self.nodes)) as threads:
            list(threads.map(PrivateRabbit.start, self.nodes))
        for here, there in permutations(self.nodes, 2):
            link = self._network.link(f"{here.node}-{there.node}", there.distribution_port)
            self._between[here.node, there.node] = link
            self._registrations.append(_register(here.epmd_port, there.node.partition("@")[0], link.port))
        first, *others = self.nodes
        for node in others:
            node.control("stop_app")
            node.control("join_cluster", first.node)
            node.control("start_app")

    def cut_off(self, node: PrivateRabbit) -> int:
        """Reset a node's connections with the others, until `rejoin`. Return how many there were."""
        return sum(link.cut() for pair, link in self._between.items() if node.node in pair)

    def rejoin(self, node: PrivateRabbit) -> None:
        """Let a node reach the others, and be reached, again."""
        for pair, link in self._between.items():
            if node.node in pair:
                link.heal()

    def stop(self) -> None:
        """End the nodes."""
        for registration in self._registrations:
            registration.close()
        with ThreadPoolExecutor(len(self.nodes)) as threads:
            list(threads.map(PrivateRabbit.stop, self.nodes))


def _write_cookie(path: Path, cookie: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(cookie, encoding="ascii")
    path.chmod(0o400)


def _register(epmd_port: int, name: str, port: int) -> socket.socket:
    """Register a node at a port mapper; it is known there until the returned connection is closed."""
    connection = socket.create_connection(("127.0.0.1", epmd_port), _TIMEOUT_S)
    encoded = name.encode()
    request = struct.pack(
        f">BHBBHHH{len(encoded)}sH",
        *(_ALIVE2_REQUEST, port, _VISIBLE_NODE, _TCP, _HIGHEST_VERSION, _LOWEST_VERSION),
        *(len(encoded), encoded, 0),
    )
    connection.sendall(struct.pack(">H", len(request)) + request)
    answer = connection.recv(6)
    if len(answer) < 2 or answer[0] not in _ALIVE2_ANSWERS or answer[1] != 0:
        connection.close()
        raise ServiceError(f"the port mapper on port {epmd_port} did not register {name}: {answer!r}")
    return connection
