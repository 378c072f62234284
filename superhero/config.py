"""Frozen settings, read once from an environment by `from_env`. The only module of ours that reads one."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from superhero.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set; the variable is the field's name in capitals.

    broker_url          where tasks go: amqp://, amqps://, redis:// or rediss://
    redis_url           where the live state of the games is: redis:// or rediss://
    server_host         address the simulator listens on
    server_port         TCP port the simulator listens on, 0 for a free one
    server_url          where bots find the simulator, ws:// or wss://
    lobby_timeout_s     LOBBY_TIMEOUT, seconds a game may wait until it is full
    turn_timeout_s      TURN_TIMEOUT, seconds a player has for a move before it falls
    max_participants    largest game that may be opened
    output_dir          folder the sinks write to
    sinks               URL of the sink that the workers write to; empty: json:<output_dir>
    superhero_api_token token of Super Hero API, for `heroes pull`
    superhero_api_url   base URL of Super Hero API
    log_level           level of our own processes' console log
    rabbitmq_management_url  RabbitMQ's management API, http://[user:password@]host:15672; empty: none known
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
    output_dir: Path = Path("var/data")
    sinks: str = field(default="", repr=False)
    superhero_api_token: str = field(default="", repr=False)
    superhero_api_url: str = "https://superheroapi.com/api"
    log_level: str = "INFO"
    rabbitmq_management_url: str = field(default="", repr=False)
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


def explicit_services(environ: Mapping[str, str] | None = None) -> bool:
    """Tell whether the user said where the broker or Redis is, so that no other may be taken instead."""
    environ = os.environ if environ is None else environ
    return any(environ.get(variable, "").strip() for variable in ("BROKER_URL", "REDIS_URL"))


def without_password(url: str) -> str:
    """Return `url` fit for a log or a screen: a password in it is shown as `***`."""
    parts = urlsplit(url)
    if parts.password is None:
        return url
    name_and_password, _, address = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{name_and_password.partition(':')[0]}:***@{address}").geturl()


def _url(*schemes: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if urlsplit(text).scheme not in schemes:
            shown = without_password(text)
            raise ValueError(f"{shown!r} must begin with one of {', '.join(s + '://' for s in schemes)}")
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


def _level(text: str) -> str:
    if text.upper() not in {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}:
        raise ValueError(f"{text!r} must be DEBUG, INFO, WARNING, ERROR or CRITICAL")
    return text.upper()


def _login(text: str) -> str:
    user, _, password = text.partition(":")
    if not (user and password):
        raise ValueError("must be user:password")
    return text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


_VARIABLES: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "broker_url": ("BROKER_URL", _url("amqp", "amqps", "redis", "rediss")),
    "redis_url": ("REDIS_URL", _url("redis", "rediss")),
    "server_host": ("SERVER_HOST", str),
    "server_port": ("SERVER_PORT", _whole(0, 65535)),
    "server_url": ("SERVER_URL", _url("ws", "wss")),
    "lobby_timeout_s": ("LOBBY_TIMEOUT", _seconds),
    "turn_timeout_s": ("TURN_TIMEOUT", _seconds),
    "max_participants": ("MAX_PARTICIPANTS", _whole(2, 255)),
    "output_dir": ("OUTPUT_DIR", Path),
    "sinks": ("SINKS", str),
    "superhero_api_token": ("SUPERHERO_API_TOKEN", str),
    "superhero_api_url": ("SUPERHERO_API_URL", _url("http", "https")),
    "log_level": ("LOG_LEVEL", _level),
    "rabbitmq_management_url": ("RABBITMQ_MANAGEMENT_URL", _url("http", "https")),
    "flower_basic_auth": ("FLOWER_BASIC_AUTH", _login),
    "flower_db": ("FLOWER_DB", Path),
}
