"""Note what became of a batch, before it is acknowledged, and without waiting for Redis to answer.

A note is on its way when `add` returns, so that a worker killed right after has noted what it acknowledged.
The answer is read before the next note, or a second later. While Redis is away notes wait in memory, and a
thread of their own looks whether it is back, so that no batch waits for that; each has a number, and one that
comes twice counts once. A worker killed in between two tries takes them along:
the pipeline loses nothing by that, and the account knows less than the sink.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from secrets import token_hex
from typing import Any

import redis

from superhero import keys
from superhero.pulse.account import account_keys, arguments, client, script

Span = tuple[str, int, int]
"""Producer, first number, number after the last."""

_MOST_WAITING = 10_000
_SETTLE_S = 1.0
_REST_S = 5.0
_MOST_REFUSALS = 3
_NOT_OF_THE_NOTE = ("OOM", "READONLY", "NOSCRIPT", "MISCONF", "LOADING", "NOPERM", "BUSY", "NOREPLICAS")
"""Whatever is refused with one of these will be taken one day, and so is anything else until then."""

_log = logging.getLogger(__name__)


class Notes:
    """The notes of one process to one Redis. Safe from many threads, not across a fork."""

    def __init__(self, redis_url: str) -> None:
        self._noter = token_hex(8)
        self._redis = client(redis_url)
        self._lock = threading.Lock()
        self._number = 0
        # Sent or not, and not answered; the first `_sent` of them are on their way.
        self._waiting: deque[tuple[int, str]] = deque(maxlen=_MOST_WAITING)
        self._sent = 0
        # So often was the first of them refused for what it says.
        self._refusals = 0
        self._connection: redis.Connection | None = None
        # Since when it is not there, only `_on_time` connects.
        self._away = False
        self._rest_until = 0.0
        self._timer: threading.Timer | None = None

    def add(
        self,
        sink: str,
        worker: str,
        *,
        written: Sequence[Span],
        aside: Sequence[Span],
        counts: Mapping[str, int],
    ) -> None:
        """Note a batch: which records are written, which in quarantine, and what to add to which figure."""
        told = {"sink": sink, "worker": worker, "written": written, "aside": aside, "counts": counts}
        with self._lock:
            # Settled first: where the oldest makes way for the newest, it must not be one that was sent.
            self._settle()
            self._waiting.append((self._number, json.dumps(told, separators=(",", ":"))))
            self._number += 1
            self._send()
            self._look_again()

    def close(self) -> None:
        """Wait for the answers, for as long as Redis may take for one."""
        with self._lock:
            timer = self._timer
        if timer is not None:
            timer.cancel()
            timer.join()
        fresh = self._fresh()
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            self._take(fresh)
            self._settle()
            self._send()
            self._settle()
            self._disconnect()
            self._redis.close()

    def _settle(self) -> None:
        """Read the answers to what is on its way."""
        connection = self._connection
        try:
            while connection is not None and self._sent:
                connection.read_response()
                self._waiting.popleft()
                self._sent -= 1
                self._refusals = 0
        except redis.RedisError as error:
            self._failed(error)
            if _is_of_the_note(error):
                self._refused(error)

    def _refused(self, error: redis.RedisError) -> None:
        """Have the first note block the others no longer, when it was refused often enough."""
        self._refusals += 1
        if self._refusals == 1:
            # Where one after it was taken, it passes for taken the next time; so this is said at once.
            _log.warning(
                "Redis refuses a batch's note, it will be missing: %s: %.200s", error, self._waiting[0]
            )
        elif self._refusals >= _MOST_REFUSALS:
            self._waiting.popleft()
            self._refusals = 0

    def _send(self) -> None:
        """Send what waits, if Redis is not known to be away."""
        if self._away:
            return
        try:
            connection = self._connection = self._connection or self._connect()
            for number, told in list(self._waiting)[self._sent :]:
                connection.send_command(*self._command(number, told))
                self._sent += 1
        except redis.RedisError as error:
            self._failed(error)

    def _command(self, number: int, told: str) -> Sequence[Any]:
        _, digest = script("note")
        note = keys.pulse_note(self._noter)
        return ("EVALSHA", digest, 7, *account_keys(), note, *arguments(), number, told)

    def _connect(self) -> redis.Connection:
        connection: redis.Connection = self._redis.connection_pool.get_connection()
        try:
            # Asked for by digest from now on; a Redis that forgets it is connected to anew.
            connection.send_command("SCRIPT", "LOAD", script("note")[0])
            connection.read_response()
        except redis.RedisError:
            self._give_back(connection)
            raise
        return connection

    def _fresh(self) -> redis.Connection | None:
        """Return a new connection, if Redis was away and has rested. Without the lock: it may take long."""
        if not self._away or time.monotonic() < self._rest_until:
            return None
        try:
            return self._connect()
        except redis.RedisError as error:
            with self._lock:
                self._failed(error)
            return None

    def _take(self, fresh: redis.Connection | None) -> None:
        if fresh is None:
            return
        self._disconnect()
        self._connection, self._away = fresh, False

    def _failed(self, error: redis.RedisError) -> None:
        _log.debug("%d notes wait: %s", len(self._waiting), error)
        self._disconnect()
        # What Redis refuses is refused again at once, but for a script that it forgot.
        if not isinstance(error, redis.exceptions.NoScriptError):
            self._away, self._rest_until = True, time.monotonic() + _REST_S

    def _disconnect(self) -> None:
        connection, self._connection, self._sent = self._connection, None, 0
        if connection is not None:
            self._give_back(connection)

    def _give_back(self, connection: redis.Connection) -> None:
        with suppress(redis.RedisError, OSError):
            connection.disconnect()
        # Its place in the pool is given back, or there would be none left one day.
        self._redis.connection_pool.release(connection)

    def _look_again(self) -> None:
        if self._timer is None and self._waiting:
            self._timer = threading.Timer(_SETTLE_S, self._on_time)
            self._timer.daemon = True
            self._timer.start()

    def _on_time(self) -> None:
        fresh = self._fresh()
        with self._lock:
            self._timer = None
            self._take(fresh)
            self._settle()
            self._send()
            self._look_again()


def _is_of_the_note(error: redis.RedisError) -> bool:
    """Tell whether Redis refused a note for what it says. Older ones tell the reason within a longer text."""
    return type(error) is redis.ResponseError and not any(word in str(error) for word in _NOT_OF_THE_NOTE)
