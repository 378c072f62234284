"""Celery settings of the workers, read from the environment; all bad variables stand in one error.

| variable | default | what it sets |
| --- | --- | --- |
| BROKER_URL | amqp://guest:guest@127.0.0.1:5672// | where tasks come from: amqp(s):// or redis(s):// |
| REDIS_URL | redis://127.0.0.1:6379/0 | live state that the clean-up tidies: redis(s):// or sentinel(s):// |
| SINKS | json:<OUTPUT_DIR> | where datasets go, see sinks/__init__.py |
| OUTPUT_DIR | var/data | folder of the default sink |
| CHANNELS | (none) | further channels to consume, separated by commas |
| GAME_TTL | 3600 | seconds a finished game's Redis keys live on |
| LOG_FORMAT | text | text, or json for a JSON object per line |
| OTEL_TRACES_EXPORTER | none | where spans go to: otlp, console or none; see docs/monitoring.md |
| VISIBILITY_TIMEOUT | 10 | Redis broker only: seconds until an unacknowledged task is handed out again |

A server's certificate is always verified. A URL may name ssl_ca_certs, ssl_certfile and ssl_keyfile after its
`?`: paths of PEM files, for a CA that the system does not know and for a certificate of our own.

What is ours and not Celery's begins with `superhero_`; `app.conf` carries it like the rest.
"""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from superhero.service_urls import check_url
from superhero.sink_urls import sink_urls

_TLS_OPTIONS = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_SENTINELS = re.compile(r"sentinels?://(?:[^/?#@]*@)?[^/?#@]+/[^/?#]+(?:/[0-9]+)?/?(?:\?.*)?")
_CHANNEL = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,119}")


def _read(environ: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    bad: list[str] = []
    for variable, (default, parse) in _VARIABLES.items():
        try:
            values[variable] = parse(environ.get(variable, "").strip() or default)
        except ValueError as error:
            bad.append(f"{variable}: {error}")
    if bad:
        # Celery would make a page of traceback of any error; a worker ends with this sentence alone.
        raise SystemExit("Error: settings that cannot be used:\n  " + "\n  ".join(bad))
    values["SINKS"] = values["SINKS"] or f"json:{values['OUTPUT_DIR']}"
    return values


def _url(*schemes: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        for url in text.split(";"):
            check_url(url)
            if urlsplit(url).scheme not in schemes:
                # The text itself is not shown: it may hold a password.
                raise ValueError(f"must begin with one of {', '.join(f'{scheme}://' for scheme in schemes)}")
            for name, value in _query(url):
                if name.startswith("ssl_") and name not in _TLS_OPTIONS:
                    raise ValueError(f"has {name}; of TLS there are {', '.join(_TLS_OPTIONS)}")
                if name in _TLS_OPTIONS and not Path(value).is_file():
                    raise ValueError(f"{name} is {value!r}, which is no file")
        return text

    return parse


def _state(*schemes: str) -> Callable[[str], str]:
    parse_url = _url(*schemes)

    def parse(text: str) -> str:
        if urlsplit(parse_url(text)).scheme.startswith("sentinel") and not _SENTINELS.fullmatch(text):
            raise ValueError("must be like sentinel://host1:26379,host2:26379/mymaster/0")
        return text

    return parse


def _query(url: str) -> list[tuple[str, str]]:
    return parse_qsl(urlsplit(url).query, keep_blank_values=True)


def _without_tls(urls: str) -> str:
    """Return the URLs without their TLS options, which kombu would not hand on to py-amqp as they are."""
    return ";".join(_bare(url) for url in urls.split(";"))


def _bare(url: str) -> str:
    address, _, query = url.partition("?")
    kept = "&".join(part for part in query.split("&") if not part.startswith("ssl_"))
    return f"{address}?{kept}" if kept else address


def _tls(urls: str) -> dict[str, Any] | None:
    """Return what makes kombu verify the broker's certificate; None without TLS."""
    scheme = urlsplit(urls).scheme
    given = {name: value for url in urls.split(";") for name, value in _query(url) if name in _TLS_OPTIONS}
    if scheme == "amqps":
        # server_hostname None: the certificate must be for the host in the URL.
        own = {name.removeprefix("ssl_"): value for name, value in given.items()}
        return {"cert_reqs": ssl.CERT_REQUIRED, "server_hostname": None, **own}
    if scheme == "rediss":
        return {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_check_hostname": True, **given}
    return None


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and low <= int(text) <= high):
            raise ValueError(f"{text!r} must be a whole number from {low} to {high}")
        return int(text)

    return parse


def _one_of(*known: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.lower() not in known:
            raise ValueError(f"{text!r} must be one of {', '.join(known)}")
        return text.lower()

    return parse


def _channels(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    for name in names:
        if not _CHANNEL.fullmatch(name):
            raise ValueError(f"{name!r} is no channel; letters, digits, '_', '-' and '.' only, 1 to 120")
    return names


_VARIABLES: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "BROKER_URL": ("amqp://guest:guest@127.0.0.1:5672//", _url("amqp", "amqps", "redis", "rediss")),
    "REDIS_URL": ("redis://127.0.0.1:6379/0", _state("redis", "rediss", "sentinel", "sentinels")),
    "SINKS": ("", lambda text: text and sink_urls(text)),
    "OUTPUT_DIR": ("var/data", str),
    "CHANNELS": ("", _channels),
    "GAME_TTL": ("3600", _whole(1, 30 * 86400)),
    "VISIBILITY_TIMEOUT": ("10", _whole(2, 86400)),
    "LOG_FORMAT": ("text", _one_of("text", "json")),
    "OTEL_TRACES_EXPORTER": ("none", _one_of("none", "otlp", "console")),
}

_env = _read(os.environ)

# "secret" in a name makes Celery hide the value from `celery report` and `inspect conf`.
superhero_secret_sinks: str = _env["SINKS"]
superhero_secret_broker_url: str = _env["BROKER_URL"]
superhero_secret_redis_url: str = _env["REDIS_URL"]
superhero_game_ttl_s: int = _env["GAME_TTL"]
superhero_channels: tuple[str, ...] = _env["CHANNELS"]
superhero_log_format: str = _env["LOG_FORMAT"]
superhero_traces_exporter: str = _env["OTEL_TRACES_EXPORTER"]
superhero_broker_is_redis: bool = urlsplit(_env["BROKER_URL"]).scheme.startswith("redis")

broker_url = _without_tls(_env["BROKER_URL"])
broker_use_ssl = _tls(_env["BROKER_URL"])
if broker_url != _env["BROKER_URL"]:
    # The script `celery` takes BROKER_URL for its option --broker, which outdoes broker_url, but not these.
    broker_read_url = broker_write_url = broker_url
broker_connection_retry = True
broker_connection_retry_on_startup = True
# None is for ever: a worker that gave up after a long outage would live on without consuming.
broker_connection_max_retries = None
# A peer that is silent for twice as long is gone: a cut network does not close a connection.
broker_heartbeat = 10
# A quorum queue without a leader answers with a channel error just after the broker came back.
broker_channel_error_retry = True
broker_transport_options = (
    {
        # Must outlast the longest task and the longest wait for a retry (tasks/retries.py keeps to half).
        "visibility_timeout": _env["VISIBILITY_TIMEOUT"],
        "unacked_restore_interval": 1,
        "unacked_restore_throttle": 1,
    }
    if superhero_broker_is_redis
    else {"confirm_publish": True}
)

# JSON only: a pickle from the network runs code.
accept_content = ["json"]
task_serializer = "json"
result_serializer = "json"
event_serializer = "json"

task_ignore_result = True
task_acks_late = True
task_reject_on_worker_lost = True
# A task that failed is rejected, which dead-letters it; acknowledged it would be gone.
task_acks_on_failure = False
task_acks_on_timeout = False

# A task sent by name alone still reaches its channel's queue: see `_route`.
task_default_exchange = "superhero"
task_default_exchange_type = "topic"
task_default_queue = "superhero.unrouted"
task_default_queue_type = "quorum"
# `-Q misspelt` is an error, and no queue comes to be that nothing publishes to.
task_create_missing_queues = False

# Per queue, as quorum queues know no limit across queues: 4 batches ahead for each child process.
worker_prefetch_multiplier = 4
worker_detect_quorum_queues = True
worker_hijack_root_logger = False
worker_cancel_long_running_tasks_on_connection_loss = True
# A child that was begun while the broker is away is heard of only once it is back. By the default it is then
# taken for hung after 4 s, and killed, and 5 s go by until that is noticed.
worker_proc_alive_timeout = 600.0
# Seconds that a cold shutdown (SIGQUIT) leaves running tasks; a warm one (SIGTERM) waits as long as it takes.
worker_soft_shutdown_timeout = 3.0
worker_consumer = "tasks.consumer:Consumer"

# Flower lives on these.
task_send_sent_event = True
worker_send_task_events = True


def _route(
    name: str, args: Any, kwargs: Any, options: Mapping[str, Any], task: object = None, **rest: Any
) -> dict[str, str] | None:
    """Route `superhero.ingest(channel, ...)` to the channel, unless the caller named an exchange."""
    if name != "superhero.ingest" or not args or options.get("exchange"):
        return None
    return {"exchange": "superhero", "exchange_type": "topic", "routing_key": str(args[0])}


task_routes = (_route,)
