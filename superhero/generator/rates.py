"""How busy a run is: the gap between two records, by the simulated clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

SHAPES = ("constant", "daily", "bursts")

_DAY_S = 86400
_QUIETEST_S = 20 * 3600  # from here to twelve hours later it is quieter than the mean, then busier
_DAILY_SWING = 0.8
_BURST_EVERY_S = 300
_BURST_S = 30
_IN_A_BURST = 6.0


@dataclass(frozen=True, slots=True)
class Rate:
    """So many records a simulated second, on the mean over a day (daily) or five minutes (bursts).

    constant  always the same
    daily     a wave: busiest at 14:00 UTC, with 1.8 times the mean, quietest at 02:00, with 0.2 times
    bursts    six times the mean in the first half minute of every five, less than half of it in between
    """

    per_second: float = 50.0
    shape: str = "constant"

    def __post_init__(self) -> None:
        """Raise ValueError for a rate that the clock cannot keep, or an unknown shape."""
        if not 0.001 <= self.per_second <= 100_000:
            raise ValueError(f"a rate is 0.001 to 100,000 records a second, not {self.per_second:g}")
        if self.shape not in SHAPES:
            raise ValueError(f"no shape is called {self.shape!r:.40}; known: {', '.join(SHAPES)}")

    def gap(self, moment: datetime) -> timedelta:
        """Return how long after a record at `moment` (UTC) the next one comes: a microsecond or more."""
        busy = 1.0 if self.shape == "constant" else _busy(self.shape, moment)
        return timedelta(microseconds=max(round(1_000_000 / (self.per_second * busy)), 1))


def _busy(shape: str, moment: datetime) -> float:
    """Return how many times as busy as on the mean it is."""
    second = moment.hour * 3600 + moment.minute * 60 + moment.second
    if shape == "bursts":
        if second % _BURST_EVERY_S < _BURST_S:
            return _IN_A_BURST
        return (_BURST_EVERY_S - _IN_A_BURST * _BURST_S) / (_BURST_EVERY_S - _BURST_S)
    # Two parabolas in place of a sine, which is not the same on every machine.
    half, into = divmod((second - _QUIETEST_S) % _DAY_S, _DAY_S // 2)
    share = into / (_DAY_S // 2)
    wave = 4 * share * (1 - share)
    return 1 - _DAILY_SWING * wave if half == 0 else 1 + _DAILY_SWING * wave
