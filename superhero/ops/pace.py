"""Hold a run to its own clock: so many simulated seconds in a real one."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

_NOT_WORTH_A_WAIT_S = 0.002


class Pace:
    """Waits until a record is due. A run that is behind catches up as fast as it can."""

    def __init__(
        self,
        speed: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`speed` is simulated seconds in a real one."""
        self._speed = speed
        self._clock = clock
        self._sleep = sleep
        self._begun: tuple[datetime, float] | None = None

    def wait(self, due: datetime) -> None:
        """Return when it is time; the first call sets the two clocks to each other."""
        if self._begun is None:
            self._begun = due, self._clock()
        simulated, real = self._begun
        ahead_s = (due - simulated).total_seconds() / self._speed - (self._clock() - real)
        if ahead_s > _NOT_WORTH_A_WAIT_S:
            self._sleep(ahead_s)
