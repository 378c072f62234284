"""Look at everything the pipeline needs or could use: what is there, what is missing, and how to get it."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import httpx

from superhero.config import Settings, variable_of, without_password
from superhero.errors import ServiceError
from superhero.events import CHANNELS
from superhero.ops.checks import Check, queue_checks
from superhero.ops.embedded import server_binary
from superhero.ops.our_queues import management_api, our_queues
from superhero.ops.processes import project_root
from superhero.ops.rabbitmq import find_server
from superhero.ops.reach import Answer, is_redis, reach
from superhero.transport.topology import UNROUTED_NAME

_PACKAGES = ("celery", "kombu", "amqp", "redis", "websockets", "flower", "honcho", "click", "rich", "httpx")
_URLS = re.compile(r".*_url|sinks")
# What stays out of the settings' representation and is no URL, so that a new secret is hidden unasked.
_SECRETS = {each.name for each in fields(Settings) if not each.repr and not _URLS.fullmatch(each.name)}
_LITTLE_SPACE_BYTES = 1 << 30
_TIMEOUT_S = 3.0
_SINKS_TIMEOUT_S = 60.0  # pyarrow takes its time to be imported
# By stdin: the URL may hold a password, and everybody sees a command line.
_OPEN_SINKS = """
import sys
from sinks import open_sink
from sinks.errors import SinkError
try:
    open_sink(sys.stdin.read())
except SinkError as error:
    sys.exit(str(error))
"""


@dataclass(frozen=True, slots=True)
class Report:
    """All checks, and every variable as it is in force.

    `in_the_way` names the checks that keep the pipeline from running with these settings. All the same,
    `superhero demo` could run if `demo_can_run`, for it writes to a folder of its own, and if
    `embedded_can_run` so could `superhero demo --embedded`.
    """

    checks: list[Check]
    settings: dict[str, str]
    can_run: bool
    demo_can_run: bool
    embedded_can_run: bool
    in_the_way: list[str]


def examine(settings: Settings) -> Report:
    """Look at everything. Changes nothing, takes a few seconds at most where something does not answer."""
    python, packages = _python(), _packages()
    broker, redis = _broker(settings.broker_url), _redis(settings.redis_url)
    embedded, output = _embedded(), _output(settings.output_dir)
    known = {*CHANNELS, *settings.channels, UNROUTED_NAME}
    queues = list(queue_checks(our_queues(settings, _TIMEOUT_S), known)) if broker.state == "ok" else []
    rest = [_management(settings), _rabbitmq_server(), _docker()]
    sinks = _sinks(_sinks_in_force(settings))
    in_the_way = _missing(python, packages, broker, redis, output, sinks)
    return Report(
        checks=[python, packages, broker, *queues, redis, embedded, *rest, output, sinks],
        settings=shown_settings(settings),
        can_run=not in_the_way,
        demo_can_run=not _missing(python, packages, broker, redis),
        embedded_can_run=not _missing(python, packages, embedded),
        in_the_way=in_the_way,
    )


def _missing(*checks: Check) -> list[str]:
    return [check.name for check in checks if check.state == "missing"]


def shown_settings(settings: Settings) -> dict[str, str]:
    """Return every variable's value in force as text, without passwords and tokens."""
    values = {field.name: getattr(settings, field.name) for field in fields(settings)}
    values["sinks"] = _sinks_in_force(settings)
    return {variable_of(name): _shown(name, value) for name, value in values.items()}


def _sinks_in_force(settings: Settings) -> str:
    return settings.sinks or f"json:{settings.output_dir}"


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
    if isinstance(value, float):
        return f"{value:g}"
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
    return _away(
        "broker",
        "BROKER_URL",
        answer,
        where,
        "`superhero demo` uses the embedded server instead, which promises less. To get RabbitMQ: "
        "apt-get install rabbitmq-server, or docker compose up -d rabbitmq; then set BROKER_URL",
    )


def _away(name: str, variable: str, answer: Answer, where: str, how_to_get: str) -> Check:
    """Tell a service that is not there from one that does not let us in."""
    if answer.remedy:
        return Check(name, "missing", f"refused {where}: {answer.error}", f"{variable}: {answer.remedy}")
    return Check(name, "missing", f"nothing {where}: {answer.error}", how_to_get)


def _redis(url: str) -> Check:
    answer, where = reach(url, _TIMEOUT_S), f"at {without_password(url)}"
    if not answer.reachable:
        return _away(
            "Redis",
            "REDIS_URL",
            answer,
            where,
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
    name = "management UI"
    if not settings.rabbitmq_management_url and is_redis(settings.broker_url):
        return Check(name, "warning", "none: the broker is Redis")
    url, auth = management_api(settings)
    try:
        with httpx.Client(auth=auth, timeout=_TIMEOUT_S, trust_env=False) as http:
            http.get(f"{url}/api/overview").raise_for_status()
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


def _sinks(url: str) -> Check:
    """Tell whether SINKS can be opened, in a process of its own: its drivers are none of our business."""
    shown = _shown("sinks", url)
    try:
        done = subprocess.run(
            [sys.executable, "-c", _OPEN_SINKS],
            input=url,
            capture_output=True,
            text=True,
            timeout=_SINKS_TIMEOUT_S,
            cwd=project_root(),
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Check("sinks", "missing", f"{shown} cannot be tried: {type(error).__name__}", "set SINKS")
    if done.returncode == 0:
        return Check("sinks", "ok", f"{shown} (drivers are here; nothing was written)")
    said = done.stderr.strip()
    if "Traceback" in said:  # its text is none of ours and may hold a password
        said = said.splitlines()[-1].partition(":")[0]
    return Check("sinks", "missing", f"{shown}: {said}", "set SINKS to what can be opened")
