"""Public fakes for tests of programs that log through the transport, and for the transport's own.

handler = CollectingHandler()                      what would have been sent, as envelopes
sender = ScriptedSender("ok", "transient", "ok")   a broker that fails by script, not by chance
CeleryHandler(sender=lambda: sender)
"""

from __future__ import annotations

import itertools
import json
import logging
import threading
from collections.abc import Sequence

from superhero.errors import BrokerUnavailable, TopologyMismatch
from superhero.transport.capture import Capture
from superhero.transport.envelope import Envelope, decode, with_id
from superhero.transport.leases import Lease
from superhero.transport.sender import Outcome

_WORDS = frozenset({"ok", "nack", "transient", "lost", "mute", "mismatch", "block"})


class CollectingHandler(logging.Handler):
    """Keeps what `CeleryHandler` would send, in `envelopes`, the oldest first. Ids count from `test:0`."""

    def __init__(self, level: int | str = logging.NOTSET, max_record_bytes: int = 1024 * 1024) -> None:
        super().__init__(level)
        self.envelopes: list[Envelope] = []
        self._capture = Capture(max_record_bytes)
        self._numbers = itertools.count()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the record as an envelope, encoded and decoded as on its way to a worker."""
        captured = self._capture.take(record, self.formatter)
        if captured is not None:
            _, fields, own_id = captured
            encoded = with_id(own_id or f"test:{next(self._numbers)}", fields)
            self.envelopes.append(decode(json.loads(encoded)))


class ScriptedSender:
    """A broker played by a script: one word for each connection that is tried and each lease that is sent.

    | word | on `open` | on `send` |
    | --- | --- | --- |
    | `ok` | connects | confirms; also when the script is over |
    | `nack` | | gives the lease back |
    | `transient` | fails | the connection breaks, nothing has arrived |
    | `lost` | | the lease arrives, the connection breaks before the confirm |
    | `mute` | | no answer ever comes |
    | `mismatch` | the exchange stands otherwise | the channel's queue stands otherwise |
    | `block` | | confirms, and asks for a pause until `unblock` is called |

    A word for `open` is taken from `opening`, a word for `send` from the script. `arrived` holds the leases
    that the broker has, in order, those sent twice also twice. Safe to look at from another thread.
    """

    def __init__(self, *script: str, opening: Sequence[str] = ()) -> None:
        unknown = {*script, *opening} - _WORDS
        if unknown:
            raise ValueError(f"no such words in a script: {sorted(unknown)}; there are {sorted(_WORDS)}")
        self.arrived: list[Lease] = []
        self.tried: list[Lease] = []
        """Every lease that was to be sent, whatever became of it."""
        self.opened = 0
        self.closed = 0
        self.abandoned = False
        self.blocked = False
        self.idle_s = float("inf")
        self._script = list(script)
        self._opening = list(opening)
        self._outcomes: list[Outcome] = []
        self._lock = threading.Lock()
        self._wake = threading.Event()

    def open(self) -> None:
        """Connect, or fail as `opening` says."""
        word = self._opening.pop(0) if self._opening else "ok"
        self.opened += 1
        if word == "mismatch":
            raise TopologyMismatch("the exchange stands otherwise, as the script says")
        if word != "ok":
            raise BrokerUnavailable("cannot connect, as the script says")

    def send(self, lease: Lease) -> None:
        """Do with a lease as the next word of the script says."""
        word = self._script.pop(0) if self._script else "ok"
        self.tried.append(lease)
        if word == "transient":
            raise BrokerUnavailable("the connection broke, as the script says")
        if word == "mismatch":
            raise TopologyMismatch("the queue stands otherwise, as the script says")
        if word == "nack":
            self._answer(Outcome(lease, False, "refused, as the script says"))
            return
        self.arrived.append(lease)
        if word == "lost":
            raise BrokerUnavailable("the connection broke after the send, as the script says")
        if word == "block":
            self.blocked = True
        if word != "mute":
            self._answer(Outcome(lease, True))

    def wait(self, timeout_s: float) -> Sequence[Outcome]:
        """Return the answers so far; with none, wait for `unblock` or until time is up."""
        with self._lock:
            outcomes, self._outcomes = self._outcomes, []
        if not outcomes and timeout_s > 0:
            self._wake.wait(None if timeout_s == float("inf") else timeout_s)
            self._wake.clear()
        return outcomes

    def unblock(self) -> None:
        """End the pause that a `block` began."""
        self.blocked = False
        self._wake.set()

    def close(self) -> None:
        """Disconnect; what has no answer gets none."""
        self.closed += 1
        with self._lock:
            self._outcomes = []

    def abandon(self) -> None:
        """Note that a forked child let go."""
        self.abandoned = True

    def _answer(self, outcome: Outcome) -> None:
        with self._lock:
            self._outcomes.append(outcome)
