"""Look at everything the pipeline needs or could use: what is there, what is missing, and how to get it."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

import httpx

from superhero.config import Settings, without_password
from superhero.errors import ServiceError
from superhero.events import CHANNELS
from superhero.ops.embedded import server_binary
from superhero.ops.rabbitmq import find_server
from superhero.ops.reach import is_redis, reach
from superhero.transport.tls import secure_connection
from superhero.transport.topology import DEAD_NAME, UNROUTED_NAME

State = Literal["ok", "warning", "missing"]

_PACKAGES = ("celery", "kombu", "amqp", "redis", "websockets", "flower", "honcho", "click", "rich", "httpx")
_SECRETS = {"superhero_api_token", "flower_basic_auth", "server_secret"}
_LITTLE_SPACE_BYTES = 1 << 30
_TIMEOUT_S = 3.0


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at. `advice` says what it means when it is not ok, and how to put it right."""

    name: str
    state: State
    found: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """All checks; `can_run` when the pipeline could run with what is here, be it the embedded server."""

    checks: list[Check]
    settings: dict[str, str]
    can_run: bool


def examine(settings: Settings) -> Report:
    """Look at everything. Changes nothing, takes a few seconds at most where something does not answer."""
    python, packages = _python(), _packages()
    broker, redis = _broker(settings.broker_url), _redis(settings.redis_url)
    embedded, output = _embedded(), _output(settings.output_dir)
    queues = list(_queues(settings.broker_url)) if broker.state == "ok" else []
    rest = [_management(settings), _rabbitmq_server(), _docker()]
    needed = (broker, redis) if embedded.state == "missing" else ()
    return Report(
        checks=[python, packages, broker, *queues, redis, embedded, *rest, output],
        settings=shown_settings(settings),
        can_run=all(check.state != "missing" for check in (python, packages, output, *needed)),
    )


def shown_settings(settings: Settings) -> dict[str, str]:
    """Return every setting as text, without passwords and tokens."""
    return {field.name: _shown(field.name, getattr(settings, field.name)) for field in fields(settings)}


def _shown(name: str, value: object) -> str:
    text = _text(value)
    if name in _SECRETS and text:
        return "***"
    # Several URLs may stand there, and a sink's may carry keys behind its question mark.
    urls = [without_password(part) if "://" in part else part for part in text.split(" ")]
    return " ".join(re.sub(r"\?.*", "?***", url) for url in urls)


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return "" if value is None else str(value)


def _python() -> Check:
    return Check("Python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}")


def _packages() -> Check:
    found, missing = [], []
    for name in _PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        return Check("packages", "missing", ", ".join(missing), "install the project: pip install -e .")
    return Check("packages", "ok", ", ".join(found))


def _broker(url: str) -> Check:
    answer, where = reach(url, _TIMEOUT_S), f"at {without_password(url)}"
    if answer.reachable:
        facts = answer.facts
        vhost = f", vhost {facts['vhost']}" if "vhost" in facts else ""
        return Check("broker", "ok", f"{facts['product']} {facts['version']}{vhost} {where}")
    return Check(
        "broker",
        "missing",
        f"nothing {where}: {answer.error}",
        "`superhero demo` uses the embedded server instead, which promises less. To get RabbitMQ: "
        "apt-get install rabbitmq-server, or docker compose up -d rabbitmq; then set BROKER_URL",
    )


def _queues(url: str) -> Iterator[Check]:
    """Look at our queues; a passive declare of an unknown one closes its channel, so each has its own."""
    with secure_connection(url, connect_timeout=_TIMEOUT_S) as connection:
        for name in (*CHANNELS, UNROUTED_NAME, DEAD_NAME):
            try:
                with connection.channel() as channel:
                    found = channel.queue_declare(queue=name, passive=True)
            except connection.channel_errors:
                yield Check(
                    f"queue {name}", "warning", "not declared yet", "the first publisher or worker does it"
                )
                continue
            text = f"{found.message_count} waiting, {found.consumer_count} consumers"
            if name == DEAD_NAME and found.message_count:
                yield Check(
                    f"queue {name}", "warning", text, "could not be processed: superhero quarantine list"
                )
            elif name != DEAD_NAME and not found.consumer_count:
                yield Check(f"queue {name}", "warning", text, "no worker: celery -A tasks worker")
            else:
                yield Check(f"queue {name}", "ok", text)


def _redis(url: str) -> Check:
    answer, where = reach(url, _TIMEOUT_S), f"at {without_password(url)}"
    if not answer.reachable:
        return Check(
            "Redis",
            "missing",
            f"nothing {where}: {answer.error}",
            "`superhero demo` uses the embedded server instead. To get Redis: apt-get install redis-server, "
            "or docker compose up -d redis; then set REDIS_URL",
        )
    facts = answer.facts
    policy = facts["maxmemory-policy"]
    text = f"{facts['product']} {facts['version']}, {policy}, appendonly {facts['appendonly']} {where}"
    if policy != "noeviction":
        return Check("Redis", "warning", text, "it may drop games when full: set maxmemory-policy noeviction")
    if facts["appendonly"] != "yes":
        return Check("Redis", "warning", text, "a restart may lose games in progress: set appendonly yes")
    return Check("Redis", "ok", text)


def _embedded() -> Check:
    try:
        return Check("embedded server", "ok", str(server_binary()))
    except ServiceError as error:
        return Check("embedded server", "missing", "none", str(error))


def _management(settings: Settings) -> Check:
    name, url = "management UI", settings.rabbitmq_management_url
    if not url:
        if is_redis(settings.broker_url):
            return Check(name, "warning", "none: the broker is Redis")
        url = f"http://{urlsplit(settings.broker_url).hostname}:15672"
    login = urlsplit(url) if urlsplit(url).username else urlsplit(settings.broker_url)
    auth = (unquote(login.username or "guest"), unquote(login.password or "guest"))
    try:
        with httpx.Client(auth=auth, timeout=_TIMEOUT_S, trust_env=False) as http:
            http.get(f"{url.rstrip('/')}/api/overview").raise_for_status()
    except httpx.HTTPError as error:
        return Check(
            name,
            "warning",
            f"nothing at {without_password(url)}: {error}".splitlines()[0],
            "optional, Flower shows queues with it: rabbitmq-plugins enable rabbitmq_management",
        )
    advice = (
        "" if settings.rabbitmq_management_url else "set RABBITMQ_MANAGEMENT_URL to show queues in Flower"
    )
    return Check(name, "ok", without_password(url), advice)


def _rabbitmq_server() -> Check:
    found = find_server()
    if found is not None:
        return Check("rabbitmq-server", "ok", f"{found}: private nodes can be started")
    return Check(
        "rabbitmq-server",
        "warning",
        "not installed here",
        "optional, for experiments and tests on a node of their own: apt-get install rabbitmq-server",
    )


def _docker() -> Check:
    advice = "optional, for docker-compose.yml: https://docs.docker.com/engine/install/"
    docker = shutil.which("docker")
    if docker is None:
        return Check("Docker engine", "warning", "not installed", advice)
    try:
        done = subprocess.run(
            [docker, "version", "--format", "{{.Server.Version}}"],
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return Check("Docker engine", "warning", "docker is installed, its engine does not answer", advice)
    return Check("Docker engine", "ok", done.stdout.strip())


def _output(folder: Path) -> Check:
    """Tell whether OUTPUT_DIR can be written, or made where it does not exist yet."""
    existing = next(path for path in (folder.resolve(), *folder.resolve().parents) if path.exists())
    if not (existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)):
        return Check("output folder", "missing", f"{existing} cannot be written", "set OUTPUT_DIR to another")
    free = shutil.disk_usage(existing).free
    text = f"{folder.resolve()}, {free / (1 << 30):.1f} GiB free"
    if free < _LITTLE_SPACE_BYTES:
        return Check("output folder", "warning", text, "less than 1 GiB: make room or set OUTPUT_DIR")
    return Check("output folder", "ok", text)
