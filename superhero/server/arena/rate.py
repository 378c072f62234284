"""How often something happens: counted by the second, over the last few."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

WINDOW_S = 10
"""Seconds that a rate is taken over."""


@dataclass(slots=True)
class Rate:
    """Counts by whole seconds; times are a monotonic clock's, in seconds."""

    _counts: deque[tuple[int, int]] = field(default_factory=deque)
    _since: float | None = None

    def count(self, now: float) -> None:
        """Count one that happens now."""
        self._since = now if self._since is None else self._since
        second = int(now)
        if self._counts and self._counts[-1][0] == second:
            self._counts[-1] = (second, self._counts[-1][1] + 1)
        else:
            self._counts.append((second, 1))
            self._forget(now)

    def per_s(self, now: float) -> float:
        """Return how many there were a second; of less than the whole window, in the time since the first."""
        self._forget(now)
        if self._since is None:
            return 0.0
        return sum(count for _, count in self._counts) / min(max(now - self._since, 1.0), WINDOW_S)

    def _forget(self, now: float) -> None:
        while self._counts and self._counts[0][0] <= now - WINDOW_S - 1:
            self._counts.popleft()
