"""Look whether a service answers at a URL, and what it says of itself. Quick, and never raises."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from shlex import quote
from typing import Any
from urllib.parse import unquote, urlsplit

import amqp
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from superhero.errors import StoreError, TransportError
from superhero.redis_clients import SCHEMES, client
from superhero.transport.tls import advice, connect, secure_connection


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back from a URL. `error` says why we are not in, and is empty when we are.

    `remedy` says what to do where a service is there and refused us; it is empty where nothing is there.
    `facts` is what the service says of itself, as text.
    """

    error: str = ""
    remedy: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def reachable(self) -> bool:
        """Whether the service answered and let us in."""
        return not self.error


def is_redis(url: str) -> bool:
    """Tell whether `url` names a Redis rather than an AMQP broker."""
    return urlsplit(url).scheme in SCHEMES


def reach(url: str, timeout_s: float = 3.0) -> Answer:
    """Log in at `url` and out again."""
    return reach_redis(url, timeout_s) if is_redis(url) else reach_amqp(url, timeout_s)


def reach_amqp(url: str, timeout_s: float = 3.0) -> Answer:
    """Log in at an AMQP broker's vhost and out again. Facts: product, version, vhost."""
    try:
        connection = secure_connection(url, connect_timeout=timeout_s)
        with connection:
            properties: Mapping[str, Any] = connect(connection).server_properties
    except (amqp.AccessRefused, amqp.NotAllowed) as error:
        return Answer(error=str(error.reply_text), remedy=_remedy(url, error))
    except (OSError, amqp.AMQPError, TransportError) as error:
        return Answer(error=advice(error))
    return Answer(
        facts={
            "product": str(properties.get("product", "?")),
            "version": str(properties.get("version", "?")),
            "vhost": connection.virtual_host or "/",
        }
    )


def reach_redis(url: str, timeout_s: float = 3.0) -> Answer:
    """PING a Redis. Facts: product, version, maxmemory-policy, appendonly."""
    try:
        with client(
            url,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            decode_responses=True,
            retry=Retry(NoBackoff(), 0),  # the client's own retries would take seconds
        ) as asked:
            asked.ping()
            told: Mapping[str, Any] = asked.info()
    except (redis.AuthenticationError, redis.ResponseError) as error:
        return Answer(error=str(error), remedy="check user, password and database number in the URL")
    except (redis.RedisError, OSError, StoreError) as error:
        return Answer(error=advice(error))
    product = "valkey" if "valkey_version" in told else "redis"
    return Answer(
        facts={
            "product": product,
            "version": str(told.get(f"{product}_version", "?")),
            "maxmemory-policy": str(told.get("maxmemory_policy", "?")),
            "appendonly": "yes" if str(told.get("aof_enabled")) == "1" else "no",
        }
    )


def _remedy(url: str, error: amqp.AMQPError) -> str:
    if isinstance(error, amqp.AccessRefused):
        return "check user and password in the URL; RabbitMQ lets guest in from its own machine only"
    parts = urlsplit(url.partition(";")[0])
    vhost, user = unquote(parts.path[1:]) or "/", unquote(parts.username or "guest")
    permit = f"rabbitmqctl set_permissions -p {quote(vhost)} {quote(user)} '.*' '.*' '.*'"
    if "not found" in str(error.reply_text):
        return f"make the vhost: rabbitmqctl add_vhost {quote(vhost)} && {permit}"
    return f"let the user into the vhost: {permit}"
