"""A private RabbitMQ node, for where RabbitMQ is installed and none is to be disturbed.

It has a name, ports, data, Erlang cookie and port mapper (epmd) of its own, listens on loopback only, and
ends with us. Booting takes 3 to 8 s.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from superhero.errors import ServiceError
from superhero.ops.embedded import free_port
from superhero.ops.processes import Process, Processes
from superhero.ops.reach import reach_amqp
from superhero.ops.started import Started
from superhero.ops.vhosts import by_rabbitmqctl, run_rabbitmqctl, with_vhost

_LOOPBACK = "127.0.0.1"
_START_TIMEOUT_S = 90.0
_STOP_TIMEOUT_S = 30.0
# Debian's /usr/sbin/rabbitmq-server changes user and folder; the script it wraps does neither.
_PLACES = (
    "/usr/lib/rabbitmq/bin",
    "/opt/rabbitmq/sbin",
    "/opt/homebrew/opt/rabbitmq/sbin",
    "/usr/local/opt/rabbitmq/sbin",
)


def find_server() -> Path | None:
    """Return the rabbitmq-server script to start a node with, or None where RabbitMQ is not installed."""
    for place in _PLACES:
        if (Path(place) / "rabbitmq-server").is_file():
            return Path(place) / "rabbitmq-server"
    found = shutil.which("rabbitmq-server")
    return Path(found) if found else None


class PrivateRabbit(Started):
    """A node whose data lives in `base_dir`. A context manager.

    After `stop` or `kill9`, `start` brings it back with the same name, ports and data.
    """

    def __init__(self, base_dir: Path, config: str = "", *, management: bool = False) -> None:
        """Make a node that is not started yet; `config` is further lines of its rabbitmq.conf.

        `management` enables its management API, see `management_url`, which makes it start a little later.
        """
        server = find_server()
        if server is None:
            raise ServiceError("rabbitmq-server is not installed (Debian: apt-get install rabbitmq-server)")
        self._server = server
        self.base_dir = base_dir.resolve()
        self._config = config
        self._management_port = free_port() if management else None
        self.node = f"superhero-{secrets.token_hex(4)}@localhost"
        self.port = free_port()
        self.distribution_port = free_port()
        self.epmd_port = free_port()
        self._processes = Processes()
        self._process: Process | None = None
        self._port_mapper: Process | None = None
        self._env = self._environment()
        self._rabbitmqctl = server.with_name("rabbitmqctl")
        self._admin = by_rabbitmqctl(self._rabbitmqctl, "guest", "-n", self.node, env=self._env)

    def url(self, vhost: str = "/") -> str:
        """Return the AMQP URL of one of its vhosts."""
        return with_vhost(f"amqp://guest:guest@{_LOOPBACK}:{self.port}", vhost)

    @property
    def management_url(self) -> str:
        """The URL of its management API, login included; empty where that is not enabled."""
        port = self._management_port
        return "" if port is None else f"http://guest:guest@{_LOOPBACK}:{port}"

    def start(self) -> None:
        """Start it and wait until it takes connections. Raise ServiceError with the end of its log if not."""
        self._write_config()
        self._start_port_mapper()
        self._process = self._processes.start(
            "rabbitmq", [str(self._server)], self._env, self.base_dir / "rabbitmq.log", self.base_dir
        )
        self._process.wait_for_line("Server startup complete", _START_TIMEOUT_S)
        answer = reach_amqp(self.url())
        if not answer.reachable:
            raise ServiceError(f"the private RabbitMQ on port {self.port} does not answer: {answer.error}")

    def stop(self) -> None:
        """Shut it down; durable queues and persistent messages stay in `base_dir`."""
        self._processes.stop(_STOP_TIMEOUT_S)

    def kill9(self) -> None:
        """Kill it as a crash would."""
        if self._process is not None:
            self._process.kill9()

    def restart(self) -> None:
        """Stop it cleanly and start it again."""
        self.stop()
        self.start()

    def control(self, *arguments: str) -> str:
        """Run rabbitmqctl on this node and return what it prints. About half a second."""
        return run_rabbitmqctl(self._rabbitmqctl, "-n", self.node, *arguments, env=self._env)

    def add_vhost(self, vhost: str) -> str:
        """Make a vhost and return its URL. About half a second."""
        self._admin("add", vhost)
        return self.url(vhost)

    def delete_vhost(self, vhost: str) -> None:
        """Delete a vhost with all that is in it. About half a second."""
        self._admin("delete", vhost)

    @contextmanager
    def fresh_vhost(self) -> Iterator[str]:
        """Yield the URL of an empty vhost, deleted afterwards."""
        vhost = f"superhero-{secrets.token_hex(6)}"
        try:
            yield self.add_vhost(vhost)
        finally:
            self.delete_vhost(vhost)

    def _environment(self) -> dict[str, str]:
        """Return the whole environment of the node and of its rabbitmqctl."""
        base = self.base_dir
        # Whatever else is set for RabbitMQ or Erlang belongs to somebody else's node.
        ours = {k: v for k, v in os.environ.items() if not k.startswith(("RABBITMQ_", "ERL_"))}
        return ours | {
            "HOME": str(base),  # the Erlang cookie is made there
            "ERL_EPMD_PORT": str(self.epmd_port),
            "ERL_EPMD_ADDRESS": _LOOPBACK,
            "RABBITMQ_NODENAME": self.node,
            "RABBITMQ_DIST_PORT": str(self.distribution_port),
            "RABBITMQ_MNESIA_BASE": str(base / "data"),
            "RABBITMQ_LOG_BASE": str(base / "log"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_CONFIG_FILE": str(base / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(base / "enabled_plugins"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            # Makes the script become the Erlang VM instead of its parent, so that it dies with us.
            "RUNNING_UNDER_SYSTEMD": "1",
        }

    def _write_config(self) -> None:
        self.base_dir.mkdir(parents=True, exist_ok=True)
        plugins, lines = "", f"listeners.tcp.1 = {_LOOPBACK}:{self.port}\ndisk_free_limit.absolute = 50MB\n"
        if self._management_port is not None:
            plugins = "rabbitmq_management"
            lines += f"management.tcp.ip = {_LOOPBACK}\nmanagement.tcp.port = {self._management_port}\n"
        (self.base_dir / "enabled_plugins").write_text(f"[{plugins}].\n", encoding="utf-8")
        (self.base_dir / "rabbitmq.conf").write_text(lines + self._config, encoding="utf-8")

    def _start_port_mapper(self) -> None:
        """Run epmd as our child: the one that Erlang would start for itself outlives everybody."""
        epmd = shutil.which("epmd")
        if epmd is not None and not (self._port_mapper and self._port_mapper.running):
            argv = [epmd, "-port", str(self.epmd_port), "-address", _LOOPBACK]
            self._port_mapper = self._processes.start("epmd", argv, log_path=self.base_dir / "epmd.log")
