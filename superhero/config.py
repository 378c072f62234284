"""Frozen settings, read once from an environment by `from_env`. The only module of ours that reads one."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from superhero.errors import SettingsError
from superhero.service_urls import check_url
from superhero.sink_urls import sink_urls

Network = IPv4Network | IPv6Network

TLS_OPTIONS = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
"""What may stand after the `?` of an amqps:// or rediss:// URL: paths of PEM files."""

_PASSWORD = re.compile(r"(?<=://)([^:/?#]*):[^/?#]*@")
_PASSWORD_IN_QUERY = re.compile(r"([?&](?:sentinel_)?password=)[^&;]*", re.IGNORECASE)
_SENTINELS = re.compile(r"sentinels?://(?:[^/?#@]*@)?[^/?#@]+/[^/?#]+(?:/[0-9]+)?/?(?:\?.*)?")
_CHANNEL = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,119}")
_SHORTEST_SECRET = 16
_MOST = 1_000_000
_SERVICES = ("BROKER_URL", "REDIS_URL")


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set; the variable is the field's name in capitals.

    What only the workers use is read here too, so that every command tells of every bad variable; they read
    it in celeryconfig.py, by the same rules.

    broker_url          where tasks go: amqp://, amqps://, redis:// or rediss://; TLS_OPTIONS after a `?`
    redis_url           where the live state of the games is: redis://, rediss://, sentinel:// or sentinels://;
                        TLS_OPTIONS after a `?`
    server_host         address the simulator listens on
    server_port         TCP port the simulator listens on, 0 for a free one
    server_url          where bots find the simulator, ws:// or wss://
    lobby_timeout_s     LOBBY_TIMEOUT, seconds a game may wait until it is full
    turn_timeout_s      TURN_TIMEOUT, seconds a player has for a move before it falls
    max_participants    largest game that may be opened
    server_secret       what bots must show to be let in by the simulator, and show; empty: anybody may
    trusted_proxies     addresses or networks, separated by commas, of proxies whose X-Forwarded-For counts
    arena_viewers       who may watch the Arena of one server process at a time; 0: there is no Arena
    arena_control       what one must show to start and stop bots from the Arena; empty: nobody may
    max_connections     connections that one server process takes
    max_connections_per_address     of those, from one client address
    max_requests_per_connection     requests a second on one connection
    max_requests_per_address        requests a second from one client address
    max_new_users_per_address       users that one client address may create in an hour
    spool_dir           folder where `serve` and `simulate` keep what is not confirmed; None: in memory
    output_dir          folder the sinks write to
    sinks               URL of the sink that the workers write to; empty: json:<output_dir>
    channels            further channels that a worker consumes, separated by commas
    game_ttl_s          GAME_TTL, seconds that a finished game's Redis keys live on
    visibility_timeout_s     VISIBILITY_TIMEOUT, Redis broker only: seconds until a task is handed out again
    superhero_api_token token of Super Hero API, for `heroes pull`
    superhero_api_url   base URL of Super Hero API
    metrics_host        address of the server's own metrics
    metrics_port        port on which the server shows its metrics, 0 for a free one; None: it does not
    otel_traces_exporter     where spans go to: otlp, console or none
    log_level           level of our own processes' console log
    log_format          of that log: text, or json for a JSON object per line
    rabbitmq_management_url  RabbitMQ's management API, http://[user:password@]host:15672; empty: none known
    kafka_url           a Kafka to be compared with others, kafka://host:9092; empty: none
    flower_url          where the Arena's visitors find Flower, http:// or https://; empty: no link to it
    flower_basic_auth   user:password of Flower's UI; empty: a random password, kept in a file
    flower_db           file in which Flower keeps what it saw
    """

    # What may hold a password or is one stays out of the representation.
    broker_url: str = field(default="amqp://guest:guest@127.0.0.1:5672//", repr=False)
    redis_url: str = field(default="redis://127.0.0.1:6379/0", repr=False)
    server_host: str = "127.0.0.1"
    server_port: int = 8765
    server_url: str = "ws://127.0.0.1:8765"
    lobby_timeout_s: float = 60.0
    turn_timeout_s: float = 15.0
    max_participants: int = 100
    server_secret: str = field(default="", repr=False)
    trusted_proxies: tuple[Network, ...] = ()
    arena_viewers: int = 32
    arena_control: str = field(default="", repr=False)
    max_connections: int = 20_000
    max_connections_per_address: int = 10_000
    max_requests_per_connection: int = 2_000
    max_requests_per_address: int = 20_000
    max_new_users_per_address: int = 100_000
    spool_dir: Path | None = None
    output_dir: Path = Path("var/data")
    sinks: str = field(default="", repr=False)
    channels: tuple[str, ...] = ()
    game_ttl_s: int = 3600
    visibility_timeout_s: int = 10
    superhero_api_token: str = field(default="", repr=False)
    superhero_api_url: str = "https://superheroapi.com/api"
    metrics_host: str = "127.0.0.1"
    metrics_port: int | None = None
    otel_traces_exporter: str = "none"
    log_level: str = "INFO"
    log_format: str = "text"
    rabbitmq_management_url: str = field(default="", repr=False)
    kafka_url: str = field(default="", repr=False)
    flower_url: str = ""
    flower_basic_auth: str = field(default="", repr=False)
    flower_db: Path = Path("var/flower.db")


def from_env(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from `environ` (default: the process's). Raise SettingsError naming ALL bad ones."""
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    bad: list[str] = []
    for name, (variable, parse) in _VARIABLES.items():
        text = environ.get(variable, "").strip()
        if not text:
            continue
        try:
            values[name] = parse(text)
        except ValueError as error:
            bad.append(f"{variable}: {error}")
    if bad:
        raise SettingsError("settings that cannot be used:\n  " + "\n  ".join(bad))
    return Settings(**values)


def variable_of(field_name: str) -> str:
    """Return the variable that sets a field of Settings."""
    return _VARIABLES[field_name][0]


def explicit_services(environ: Mapping[str, str] | None = None, among: Sequence[str] = _SERVICES) -> bool:
    """Tell whether the user said where a service is, the broker or Redis, so that no other may be taken."""
    return any((os.environ if environ is None else environ).get(each, "").strip() for each in among)


def columns(environ: Mapping[str, str] | None = None) -> int | None:
    """Return how wide COLUMNS says that output shall be; None where it says nothing."""
    text = (os.environ if environ is None else environ).get("COLUMNS", "")
    return int(text) if text.isascii() and text.isdigit() and int(text) > 0 else None


def without_password(url: str) -> str:
    """Return `url`, or several, fit for a log or a screen: a password in it is shown as `***`."""
    return _PASSWORD_IN_QUERY.sub(r"\1***", _PASSWORD.sub(r"\1:***@", url))


def _url(*schemes: str, public: bool = False) -> Callable[[str], str]:
    def parse(text: str) -> str:
        check_url(text)
        if public and "@" in urlsplit(text).netloc:
            raise ValueError("is shown to everybody: write it without a user and a password")
        if urlsplit(text).scheme not in schemes:
            # With an @ it may hold a password, and where that ends in what is no URL nobody can tell.
            shown = "" if "@" in text else f"{without_password(text)!r} "
            raise ValueError(f"{shown}must begin with one of {', '.join(s + '://' for s in schemes)}")
        return text

    return parse


def _service(*schemes: str) -> Callable[[str], str]:
    """Return a parser of a URL, or of several with `;` between, whose TLS options can be used."""
    parse_url = _url(*schemes)

    def parse(text: str) -> str:
        for url in text.split(";"):
            parse_url(url)
            for name, value in parse_qsl(urlsplit(url).query, keep_blank_values=True):
                if name.startswith("ssl_") and name not in TLS_OPTIONS:
                    raise ValueError(f"has {name}; of TLS there are {', '.join(TLS_OPTIONS)}")
                if name in TLS_OPTIONS and not Path(value).is_file():
                    raise ValueError(f"{name} is {value!r}, which is no file")
        return text

    return parse


def _state(*schemes: str) -> Callable[[str], str]:
    parse_url = _service(*schemes)

    def parse(text: str) -> str:
        if urlsplit(parse_url(text)).scheme.startswith("sentinel") and not _SENTINELS.fullmatch(text):
            raise ValueError("must be like sentinel://host1:26379,host2:26379/mymaster/0")
        return text

    return parse


def _seconds(text: str) -> float:
    value = float(text) if _is_number(text) else -1.0
    if not 0 < value <= 86400:
        raise ValueError(f"{text!r} must be seconds, more than 0 and up to 86400")
    return value


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and low <= int(text) <= high):
            raise ValueError(f"{text!r} must be a whole number from {low} to {high}")
        return int(text)

    return parse


def _channels(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    for name in names:
        if not _CHANNEL.fullmatch(name):
            raise ValueError(f"{name!r} is no channel; letters, digits, '_', '-' and '.' only, 1 to 120")
    return names


def _one_of(*known: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.lower() not in known:
            raise ValueError(f"{text!r} must be one of {', '.join(known)}")
        return text.lower()

    return parse


def _level(text: str) -> str:
    if text.upper() not in {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}:
        raise ValueError(f"{text!r} must be DEBUG, INFO, WARNING, ERROR or CRITICAL")
    return text.upper()


def _login(text: str) -> str:
    user, _, password = text.partition(":")
    if not (user and password):
        raise ValueError("must be user:password")
    return text


def _secret(text: str) -> str:
    # It travels in a header; the text itself is not shown.
    if len(text) < _SHORTEST_SECRET or not (text.isascii() and text.isprintable() and " " not in text):
        raise ValueError(f"must be {_SHORTEST_SECRET} or more ASCII characters without a space")
    return text


def _networks(text: str) -> tuple[Network, ...]:
    try:
        return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise ValueError(f"{error}; write addresses or networks like 10.0.0.0/8, with commas") from error


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


_VARIABLES: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "broker_url": ("BROKER_URL", _service("amqp", "amqps", "redis", "rediss")),
    "redis_url": ("REDIS_URL", _state("redis", "rediss", "sentinel", "sentinels")),
    "server_host": ("SERVER_HOST", str),
    "server_port": ("SERVER_PORT", _whole(0, 65535)),
    "server_url": ("SERVER_URL", _url("ws", "wss")),
    "lobby_timeout_s": ("LOBBY_TIMEOUT", _seconds),
    "turn_timeout_s": ("TURN_TIMEOUT", _seconds),
    "max_participants": ("MAX_PARTICIPANTS", _whole(2, 255)),
    "server_secret": ("SERVER_SECRET", _secret),
    "trusted_proxies": ("TRUSTED_PROXIES", _networks),
    "arena_viewers": ("ARENA_VIEWERS", _whole(0, 10_000)),
    "arena_control": ("ARENA_CONTROL", _secret),
    "max_connections": ("MAX_CONNECTIONS", _whole(1, _MOST)),
    "max_connections_per_address": ("MAX_CONNECTIONS_PER_ADDRESS", _whole(1, _MOST)),
    "max_requests_per_connection": ("MAX_REQUESTS_PER_CONNECTION", _whole(1, _MOST)),
    "max_requests_per_address": ("MAX_REQUESTS_PER_ADDRESS", _whole(1, _MOST)),
    "max_new_users_per_address": ("MAX_NEW_USERS_PER_ADDRESS", _whole(1, _MOST)),
    "spool_dir": ("SPOOL_DIR", Path),
    "output_dir": ("OUTPUT_DIR", Path),
    "sinks": ("SINKS", sink_urls),
    "channels": ("CHANNELS", _channels),
    "game_ttl_s": ("GAME_TTL", _whole(1, 30 * 86400)),
    "visibility_timeout_s": ("VISIBILITY_TIMEOUT", _whole(2, 86400)),
    "superhero_api_token": ("SUPERHERO_API_TOKEN", str),
    "superhero_api_url": ("SUPERHERO_API_URL", _url("http", "https")),
    "metrics_host": ("METRICS_HOST", str),
    "metrics_port": ("METRICS_PORT", _whole(0, 65535)),
    "otel_traces_exporter": ("OTEL_TRACES_EXPORTER", _one_of("none", "otlp", "console")),
    "log_level": ("LOG_LEVEL", _level),
    "log_format": ("LOG_FORMAT", _one_of("text", "json")),
    "rabbitmq_management_url": ("RABBITMQ_MANAGEMENT_URL", _url("http", "https")),
    "kafka_url": ("KAFKA_URL", _url("kafka")),
    "flower_url": ("FLOWER_URL", _url("http", "https", public=True)),
    "flower_basic_auth": ("FLOWER_BASIC_AUTH", _login),
    "flower_db": ("FLOWER_DB", Path),
}
