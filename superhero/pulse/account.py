"""Call the scripts that keep the pulse's account in Redis; golden samples of its keys stand in the tests."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources
from secrets import token_hex
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from superhero import keys, redis_clients

VERSION = 1
"""Of what a process says of itself; the shape of the account has its version in the names of its keys."""

ALIVE_S = 5
"""Seconds after its last pulse for which a process counts as alive."""

KEPT_S = 86400
"""Seconds for which the account is kept when nobody has a pulse any more."""

MOST_PRODUCERS = 5000
"""So many producers are known one by one, of older ones the sums; who comes again is told from who is new."""

LARGEST_NUMBER = 10**14
"""A Lua number is exact up to here, and written as it is; a record with a larger one is not counted."""

TIMEOUT_S = 0.5

LAG_MS = (5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000, 3_600_000)
"""Upper bounds of the lag's histogram in milliseconds, each included; beyond the last one is `more`."""

DATED_MS = 86_400_000
"""A record dated further away from now than this tells no lag: a simulated clock dated it, or a wrong one."""


def account_keys() -> list[str]:
    """Return the keys that both scripts work on, in their order."""
    return [
        keys.pulse_totals(),
        keys.pulse_attempted(),
        keys.pulse_written(),
        keys.pulse_aside(),
        keys.pulse_producers(),
        keys.pulse_folded(),
    ]


def arguments() -> list[Any]:
    """Return the arguments that both scripts begin with."""
    return [token_hex(8), KEPT_S, MOST_PRODUCERS]


def client(redis_url: str) -> redis.Redis:
    """Return a client that gives up soon: nobody waits for a pulse. Raise StoreError for a bad URL."""
    return redis_clients.client(
        redis_url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S, retry=Retry(NoBackoff(), 0)
    )


def lag_field(lag_ms: float) -> str:
    """Return the name under which a lag is counted."""
    return f"lag:{next((bound for bound in LAG_MS if lag_ms <= bound), 'more')}"


@cache
def script(name: str) -> tuple[str, str]:
    """Return a script, with what stands before every script, and its digest."""
    folder = resources.files("superhero.pulse") / "scripts"
    text = "".join((folder / f"{part}.lua").read_text(encoding="utf-8") for part in ("prelude", name))
    return text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
