"""A Redis with two replicas and the three Sentinels that watch them, all private, on this machine.

They are the embedded server's binary, listen on loopback and end with us. When the master dies the Sentinels
make one of the replicas the master, within some three seconds.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

from superhero.errors import ServiceError
from superhero.ops.embedded import EmbeddedRedis, free_port, server_binary
from superhero.ops.processes import Processes
from superhero.ops.started import Started
from superhero.ops.waiting import wait_until
from superhero.redis_clients import client

MASTER = "mymaster"
_LOOPBACK = "127.0.0.1"
_SERVERS = 3
_TIMEOUT_S = 20.0
_DEAD_AFTER_MS = 1000
_FAILOVER_TIMEOUT_MS = 5000


class SentinelTrio(Started):
    """Three servers and three Sentinels. A context manager; leaving it ends them all."""

    def __init__(self, base_dir: Path) -> None:
        self._base_dir = base_dir.resolve()
        self._password = secrets.token_urlsafe(24)
        first = EmbeddedRedis(self._base_dir / "redis1", self._password, self._replicated())
        replica_of = self._replicated() | {"replicaof": f"{_LOOPBACK} {first.port}"}
        self.servers = [
            first,
            *(
                EmbeddedRedis(self._base_dir / f"redis{number}", self._password, replica_of)
                for number in range(2, _SERVERS + 1)
            ),
        ]
        self._sentinel_ports = [free_port() for _ in self.servers]
        self._processes = Processes()

    def url(self, database: int = 0) -> str:
        """Return the URL that names the Sentinels, password included."""
        hosts = ",".join(f"{_LOOPBACK}:{port}" for port in self._sentinel_ports)
        query = f"?sentinel_password={self._password}"
        return f"sentinel://:{self._password}@{hosts}/{MASTER}/{database}{query}"

    def start(self) -> None:
        """Start all, and wait until the Sentinels know the replicas and each other."""
        for server in self.servers:
            server.start()
        for number, port in enumerate(self._sentinel_ports, 1):
            self._start_sentinel(number, port)
        if not wait_until(self._is_watched, _TIMEOUT_S):
            raise ServiceError(f"the Sentinels do not know everybody after {_TIMEOUT_S:g} s")

    def stop(self) -> None:
        """End them all, the Sentinels first."""
        self._processes.stop()
        for server in self.servers:
            server.stop()

    def master(self) -> EmbeddedRedis:
        """Return the server that the Sentinels take for the master. Raise ServiceError if there is none."""
        with client(self.url(), socket_timeout=_TIMEOUT_S, retry=Retry(NoBackoff(), 0)) as asked:
            try:
                port = int(asked.config_get("port")["port"])
            except redis.RedisError as error:
                raise ServiceError(f"there is no master: {error}") from error
        return next(server for server in self.servers if server.port == port)

    def _replicated(self) -> dict[str, object]:
        # Sent at once instead of after five seconds of waiting for further replicas.
        return {"masterauth": self._password, "repl-diskless-sync-delay": 0}

    def _start_sentinel(self, number: int, port: int) -> None:
        folder = self._base_dir / f"sentinel{number}"
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "sentinel.conf"
        config.touch(mode=0o600)  # before the password is in it
        lines = (
            f"bind {_LOOPBACK}",
            f"port {port}",
            f'dir "{folder}"',
            f"requirepass {self._password}",
            f"sentinel monitor {MASTER} {_LOOPBACK} {self.servers[0].port} 2",
            f"sentinel auth-pass {MASTER} {self._password}",
            f"sentinel down-after-milliseconds {MASTER} {_DEAD_AFTER_MS}",
            f"sentinel failover-timeout {MASTER} {_FAILOVER_TIMEOUT_MS}",
        )
        config.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        argv = [str(server_binary()), str(config), "--sentinel"]
        process = self._processes.start(f"sentinel{number}", argv, log_path=folder / "sentinel.log")
        process.wait_for_line(r"\+monitor master", _TIMEOUT_S)

    def _is_watched(self) -> bool:
        others = len(self.servers) - 1
        asked = Sentinel(
            [(_LOOPBACK, port) for port in self._sentinel_ports],
            sentinel_kwargs={"socket_timeout": _TIMEOUT_S, "password": self._password},
        )
        try:
            known: list[Any] = [each.sentinel_master(MASTER) for each in asked.sentinels]
        finally:
            for sentinel in asked.sentinels:
                sentinel.close()
        return all(one["num-slaves"] == others == one["num-other-sentinels"] for one in known)
