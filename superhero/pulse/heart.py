"""Have a process say about once a second that it lives, what it did, and how far its producers have come.

What it says is one JSON object:

    {"v": 1, "kind": "server", "name": "a1b2...", "process": "...", "transport": {...}, ...}

v          VERSION; who reads another one passes it over
kind       server, worker, or the command that logs (simulate, heroes)
process    made up at the start, so that no two are taken for one
name       of a worker as Celery knows it; of a server its id
transport  counters of its CeleryHandler, where it has one (superhero/transport/counters.py)
in_hand    of a worker: batches that it was given and has not acknowledged
channels   of a worker: queues it consumes
children   of a worker: processes that do the work
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from secrets import token_hex
from types import TracebackType
from typing import Any, Self

import redis

from superhero import keys
from superhero.pulse.account import ALIVE_S, VERSION, account_keys, arguments, client, script

EVERY_S = 1.0
_END_S = float(ALIVE_S)
"""A pulse under way is waited for no longer at the end: by then the process counts as gone anyway."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Said:
    """What a process says at one moment.

    facts      what stands beside version, kind and name
    producers  producer -> the number that its next record gets
    counts     what it counted since it started; the account adds up what is new in it
    """

    facts: Mapping[str, Any] = field(default_factory=dict)
    producers: Mapping[str, int] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)


class Heart:
    """Beats in a thread of its own while it is open. A Redis that is away is tried again with the next beat.

    `say` is called in that thread, and at the end in the one that closes; what it raises is logged, once, and
    costs a beat. A context manager.
    """

    def __init__(
        self, redis_url: str, kind: str, name: str, say: Callable[[], Said], every_s: float = EVERY_S
    ) -> None:
        self._kind = kind
        self._name = name
        self._say = say
        self._every_s = every_s
        self._process = token_hex(8)
        self._redis = client(redis_url)
        self._account: str | None = None
        self._before = Said()
        self._complained = False
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pulse", daemon=True)

    def open(self) -> None:
        """Begin to beat."""
        self._thread.start()

    def close(self) -> None:
        """Say how it ended, and be gone at once."""
        self._over.set()
        self._thread.join(_END_S)
        if self._thread.is_alive():
            return
        self.beat(last=True)
        self._redis.close()

    def beat(self, *, last: bool = False) -> bool:
        """Beat once; False when Redis did not take it, and then the next beat says it all the same."""
        with self._lock:
            try:
                return self._beat(last)
            except Exception as error:
                # Of whatever `say` asks: nobody's work may depend on what is shown of it.
                if not self._complained:
                    _log.warning("no pulse, for a reason nobody thought of", exc_info=error)
                self._complained = True
                return False

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self) -> None:
        while True:
            self.beat()
            if self._over.wait(self._every_s):
                return

    def _beat(self, last: bool) -> bool:
        said, before = self._say(), self._before
        counts = {name: said.counts[name] - before.counts.get(name, 0) for name in said.counts}
        try:
            account = self._call(said, {name: count for name, count in counts.items() if count}, {}, last)
            if self._account not in (None, account):
                # Redis was emptied, or workers write elsewhere: what went before is not for this account.
                self._call(said, {}, before.producers, last)
        except redis.RedisError as error:
            _log.debug("no pulse: %s", error)
            return False
        self._account, self._before = account, said
        return True

    def _call(self, said: Said, counts: Mapping[str, int], vouched: Mapping[str, int], last: bool) -> str:
        who = {"v": VERSION, "kind": self._kind, "name": self._name, "process": self._process}
        facts = {**who, **said.facts}
        text, _ = script("beat")
        told = {"producers": said.producers, "counts": counts, "vouched": vouched}
        account: bytes = self._redis.eval(
            text,
            8,
            *account_keys(),
            keys.pulse_processes(),
            keys.pulse_process(self._process),
            *arguments(),
            self._process,
            ALIVE_S,
            "" if last else json.dumps(facts),
            json.dumps(told),
        )
        return account.decode()
