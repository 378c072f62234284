"""Which leases are on their way, how many more may go, and which channels must wait."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Set
from dataclasses import dataclass
from random import random

from superhero.transport.leases import Lease

_BACKOFF_S = (0.1, 3.0)
"""First and longest wait before trying again; doubled in between, each cut by up to half at random."""


@dataclass(frozen=True)  # without slots, so that a default can be read from the class
class Limits:
    """How much goes into one task, how many of them are in flight, and how long a confirm may take.

    A channel that has waited for a confirm for `stuck_s` is sent no more until it comes, and takes no part of
    the window: its queue may have no leader, while others do well. A channel of which a task left just now
    waits for `linger_s`, unless its next task is full: a broker confirms within a few milliseconds, so
    otherwise a busy channel would go in many small tasks, each of which costs a worker as much as hundreds of
    records. A record that comes alone still goes at once.
    """

    batch_records: int = 2000
    batch_bytes: int = 1024 * 1024
    window: int = 32
    confirm_timeout_s: float = 30.0
    stuck_s: float = 2.0
    linger_s: float = 0.02


class Flight:
    """What is on its way on one connection after another. Used by the publisher's thread alone.

    The window of a new connection is one, and doubles with every confirm up to the limit.
    """

    def __init__(self, limits: Limits, clock: Callable[[], float]) -> None:
        self._limits = limits
        self._clock = clock
        self._now = clock()
        self._window = 1
        self._leases: dict[str, tuple[Lease, float]] = {}
        self._busy: Counter[str] = Counter()
        self._resting: dict[str, tuple[float, int]] = {}
        self._lingering: dict[str, float] = {}
        self._heard_at = float("-inf")
        self._blocked_at = float("-inf")

    @property
    def records(self) -> int:
        """How many records are on their way; from any thread."""
        return sum(len(lease.encoded) for lease, _ in list(self._leases.values()))

    def __bool__(self) -> bool:
        """Whether anything is on its way."""
        return bool(self._leases)

    @property
    def busy(self) -> Set[str]:
        """The channels that are to get full leases only: one is on its way, or left just now."""
        return self._busy.keys() | self._lingering.keys() if self._lingering else self._busy.keys()

    @property
    def linger_s(self) -> float | None:
        """Seconds until the first channel has lingered enough; None when none does."""
        return max(min(self._lingering.values()) - self._clock(), 0.0) if self._lingering else None

    @property
    def resting(self) -> set[str]:
        """The channels that are to be left alone for the moment: refused just now, or stuck."""
        refused = {channel for channel, (until, _) in self._resting.items() if until > self._now}
        return refused | {lease.channel for lease, sent_at in self._leases.values() if self._stuck(sent_at)}

    @property
    def nearest_rest_s(self) -> float:
        """Seconds until the first channel that was refused may be tried again; infinite without one."""
        rests = [until for until, _ in self._resting.values() if until > self._now]
        return max(min(rests) - self._clock(), 0.0) if rests else float("inf")

    @property
    def full(self) -> bool:
        """Whether no more may be sent for the moment."""
        return sum(not self._stuck(sent_at) for _, sent_at in self._leases.values()) >= self._window

    def look(self, *, hurried: bool = False) -> None:
        """Take the time by which a round is decided, so that who is held back in it is waited for at its end.

        Where somebody waits for the last of their records, `hurried`, no channel lingers.
        """
        now = self._now = self._clock()
        for name in [name for name, until in self._lingering.items() if hurried or until <= now]:
            del self._lingering[name]

    def begin(self) -> None:
        """Begin a connection."""
        self._window = 1

    def end(self) -> list[Lease]:
        """End a connection, and return what was on its way, the oldest first."""
        leases = [lease for lease, _ in self._leases.values()]
        self._leases.clear()
        self._lingering.clear()
        self._busy.clear()
        return leases

    def take_off(self, lease: Lease) -> None:
        """Note that a lease is being sent."""
        self._leases[lease.task_id] = (lease, self._clock())
        self._busy[lease.channel] += 1
        self._lingering[lease.channel] = self._clock() + self._limits.linger_s

    def land(self, lease: Lease, *, confirmed: bool) -> bool:
        """Note a lease's outcome; False when it is not on its way. A channel that was refused rests."""
        if self._leases.pop(lease.task_id, None) is None:
            return False
        channel = lease.channel
        self._busy[channel] -= 1
        if self._busy[channel] <= 0:
            del self._busy[channel]
        now = self._heard_at = self._clock()
        if confirmed:
            self._resting.pop(channel, None)
            self._window = min(self._window * 2, self._limits.window)
        else:
            failures = self._resting.get(channel, (0.0, 0))[1] + 1
            self._resting[channel] = (now + backoff_s(failures), failures)
        return True

    def blocked(self) -> None:
        """Note that the broker accepts nothing for now, so that no confirm is late."""
        self._blocked_at = self._clock()

    def overdue(self) -> tuple[Lease | None, bool]:
        """Return the oldest lease if its confirm is overdue, and whether others came since it was sent."""
        for lease, sent_at in self._leases.values():
            if self._clock() - max(sent_at, self._blocked_at) > self._limits.confirm_timeout_s:
                return lease, self._heard_at > sent_at
            break
        return None, False

    def _stuck(self, sent_at: float) -> bool:
        return self._clock() - max(sent_at, self._blocked_at) > self._limits.stuck_s


def backoff_s(failures: int) -> float:
    """Return how long to wait after so many failures in a row."""
    first, longest = _BACKOFF_S
    return min(first * 2.0 ** min(failures - 1, 16), longest) * (1 - random() / 2)
