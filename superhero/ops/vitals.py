"""Describe the running pipeline as one JSON-able mapping: what the Arena, `superhero top` and /metrics show.

    {"time": ISO 8601 in UTC,
     "records": {"in", "out", "in_per_s", "out_per_s", "waiting", "lost", "duplicated", "again"},
     "queues": [{"channel", "depth", "consumers"}],          messages, not records
     "workers": [{"name", "written", "per_s", "in_hand", "children"}],
     "spool": {"records", "bytes", "oldest_s"},              what producers hold, in memory or on disk
     "quarantine": messages,
     "lag_ms": {"p50", "p99"},                               from log call until written; null: none came
     "games": {"running", "completed", "per_minute"},
     "broker": {"reachable", "blocked"},
     "producers": [{"kind", "name", "process", ...}],        each living producer's transport, in counters
     "totals": {...}}                                        what only grows, for /metrics

docs/monitoring.md says what each figure means, and how it agrees with `superhero verify`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from superhero.config import Settings, without_password
from superhero.errors import StoreError
from superhero.events import CHANNELS
from superhero.ops.account import Account, read_account
from superhero.ops.lag import percentile_ms
from superhero.ops.losses import Losses
from superhero.ops.reach import is_redis
from superhero.pulse.account import client
from superhero.transport.tls import connect, secure_connection
from superhero.transport.topology import DEAD_NAME, UNROUTED_NAME

RATE_OVER_S = 5.0
"""Over how many seconds a rate is taken, and the lag."""

PER_MINUTE_OVER_S = 30.0

_TIMEOUT_S = 2.0

_log = logging.getLogger(__name__)

Depths = Mapping[str, tuple[int, int]]
"""Queue -> messages ready, consumers."""


class Vitals:
    """Looks at one pipeline again and again; from the second look on there are rates. Safe from many threads.

    Nothing is connected to before the first look. A context manager.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Callable[[], float] = time.monotonic,
        further: Callable[[], Iterable[str]] = tuple,
    ) -> None:
        """`further` returns names of queues to look at beside those that settings and workers name."""
        self._settings = settings
        self._further = further
        self._clock = clock
        self._redis = client(settings.redis_url)
        self._broker = secure_connection(
            settings.broker_url,
            connect_timeout=_TIMEOUT_S,
            transport_options=_timeouts(settings.broker_url),
        )
        self._looking = threading.Lock()
        self._channel: Any = None
        self._unacked = 0
        self._losses = Losses()
        self._past: deque[tuple[float, Mapping[str, int]]] = deque()

    def look(self) -> dict[str, Any]:
        """Return how things stand. Raise StoreError when Redis (REDIS_URL) does not answer.

        A broker that does not is part of the picture. Takes some milliseconds, with a service away seconds.
        """
        # The Arena leaves a look behind when its last viewer goes, and may begin another beside it.
        with self._looking:
            return self._look()

    def _look(self) -> dict[str, Any]:
        try:
            account = read_account(self._redis)
        except StoreError as error:
            where = without_password(self._settings.redis_url)
            raise StoreError(f"no pulse is to be had at {where} (REDIS_URL): {error}") from error
        depths = self._depths(account)
        now, totals = self._clock(), {**account.totals, "in": account.records_in, "out": account.records_out}
        self._past.append((now, totals))
        while now - self._past[0][0] > PER_MINUTE_OVER_S:
            self._past.popleft()
        return {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "records": self._records(now, account, depths),
            "queues": [
                {"channel": name, "depth": depth, "consumers": consumers}
                for name, (depth, consumers) in (depths or {}).items()
                if name != DEAD_NAME
            ],
            "workers": self._workers(account),
            "spool": _spool(account),
            "quarantine": (depths or {}).get(DEAD_NAME, (0, 0))[0],
            "lag_ms": self._lag(),
            "games": {
                "running": account.games_open,
                "completed": totals.get("game.completed", 0),
                "per_minute": round(self._per_s("game.completed", PER_MINUTE_OVER_S) * 60, 1),
            },
            "broker": {
                "reachable": depths is not None,
                "blocked": any(transport["blocked"] for transport in account.transports()),
            },
            "producers": [
                {
                    "kind": said["kind"],
                    "name": said["name"],
                    "process": said["process"],
                    **said["transport"],
                }
                for said in account.processes
                if "transport" in said
            ],
            "totals": totals,
        }

    def close(self) -> None:
        """Disconnect."""
        self._redis.close()
        with suppress(*self._broker.connection_errors, *self._broker.channel_errors):
            self._broker.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _records(self, now: float, account: Account, depths: Depths | None) -> dict[str, Any]:
        records_in, out = account.records_in, account.records_out
        dead = (depths or {}).get(DEAD_NAME, (0, 0))[0]
        # Put there by the broker, after too many deliveries: nobody noted which records those are.
        by_broker = max(dead - account.totals.get("quarantined", 0), 0)
        unaccounted = max(account.unaccounted - by_broker, 0)
        ours = {*CHANNELS, *self._settings.channels, UNROUTED_NAME}
        idle = depths is not None and not self._unacked and _is_idle(account, depths, ours)
        lost = self._losses.judge(now, (records_in, out), unaccounted, account.gaps(), idle=idle)
        return {
            "in": records_in,
            "out": out,
            "in_per_s": round(self._per_s("in", RATE_OVER_S), 1),
            "out_per_s": round(self._per_s("out", RATE_OVER_S), 1),
            "waiting": unaccounted - lost,
            "lost": lost,
            "duplicated": max(account.totals.get("rows", 0) - out, 0),
            "again": account.totals.get("again", 0),
        }

    def _workers(self, account: Account) -> list[dict[str, Any]]:
        workers = {said["name"]: said for said in account.of_kind("worker")}
        return [
            {
                "name": name,
                "written": account.totals.get(f"written:{name}", 0),
                "per_s": round(self._per_s(f"written:{name}", RATE_OVER_S), 1),
                "in_hand": said["in_hand"],
                "children": said["children"],
            }
            for name, said in sorted(workers.items())
        ]

    def _lag(self) -> dict[str, float | None]:
        _, before, after = self._since(RATE_OVER_S)
        new = {
            name.partition(":")[2]: count - before.get(name, 0)
            for name, count in after.items()
            if name.startswith("lag:")  # and not lag_sum_ms
        }
        return {"p50": percentile_ms(new, 0.5), "p99": percentile_ms(new, 0.99)}

    def _per_s(self, figure: str, over_s: float) -> float:
        seconds, before, after = self._since(over_s)
        # An account that began anew has smaller figures than the one before.
        return max(after.get(figure, 0) - before.get(figure, 0), 0) / seconds if seconds else 0.0

    def _since(self, over_s: float) -> tuple[float, Mapping[str, int], Mapping[str, int]]:
        """Return how many seconds ago an earlier look was, `over_s` at most, and what it and the last saw."""
        now, after = self._past[-1]
        then, before = next((past for past in self._past if now - past[0] <= over_s), self._past[-1])
        return now - then, before, after

    def _depths(self, account: Account) -> Depths | None:
        """Return how every queue stands that somebody is known to use; None when the broker is away."""
        consumed = [channel for said in account.of_kind("worker") for channel in said["channels"]]
        named = [*CHANNELS, *self._settings.channels, *sorted(consumed), *self._further()]
        channels = [*named, UNROUTED_NAME, DEAD_NAME]
        try:
            found = {name: self._depth(name) for name in dict.fromkeys(channels)}
            if is_redis(self._settings.broker_url):
                # What a worker was given; that of a killed one stays here until another one takes it over.
                channel = self._opened()
                self._unacked = channel.client.hlen(channel.unacked_key)
        except (*self._broker.connection_errors, *self._broker.channel_errors) as error:
            # Of a channel is also what py-amqp raises when the password is wrong.
            _log.debug("the broker tells nothing: %s", error)
            self._broker.collect()
            self._broker, self._channel = self._broker.clone(), None
            return None
        if is_redis(self._settings.broker_url):  # which does not know who consumes
            return {name: (depth, consumed.count(name)) for name, (depth, _) in found.items()}
        return found

    def _depth(self, name: str) -> tuple[int, int]:
        channel = self._opened()
        try:
            found = channel.queue_declare(queue=name, passive=True)
        except self._broker.channel_errors:
            self._channel = None  # closed by the broker, as there is no such queue
            channel.close()  # which has not, where it is a Redis
            return 0, 0
        return int(found.message_count), int(found.consumer_count)

    def _opened(self) -> Any:
        if self._channel is None:
            connect(self._broker)
            self._channel = self._broker.channel()
        return self._channel


def _is_idle(account: Account, depths: Depths, ours: Collection[str]) -> bool:
    """Tell whether nothing is on its way anywhere, as far as anybody says.

    A queue that is not `ours`, no worker of ours names and somebody consumes is another program's.
    """
    known = Counter(channel for said in account.of_kind("worker") for channel in said["channels"])
    depths = {
        name: (depth, consumers)
        for name, (depth, consumers) in depths.items()
        if name in ours or name in known or not consumers
    }
    return not (
        any(depth for name, (depth, _) in depths.items() if name != DEAD_NAME)
        # A worker without a pulse, frozen or cut off from Redis, says nothing of what it holds.
        or any(consumers > known[name] for name, (_, consumers) in depths.items() if name != DEAD_NAME)
        or any(said["in_hand"] for said in account.of_kind("worker"))
        or any(transport["waiting"] for transport in account.transports())
        or account.outboxes
    )


def _timeouts(broker_url: str) -> dict[str, float]:
    if is_redis(broker_url):
        return {"socket_timeout": _TIMEOUT_S, "socket_connect_timeout": _TIMEOUT_S}
    return {"read_timeout": _TIMEOUT_S, "write_timeout": _TIMEOUT_S}


def _spool(account: Account) -> dict[str, Any]:
    transports = account.transports()
    return {
        "records": sum(transport["waiting"] for transport in transports),
        "bytes": sum(transport["waiting_bytes"] for transport in transports),
        "oldest_s": round(max((transport["oldest_age_s"] for transport in transports), default=0.0), 1),
    }
