"""Tell, while all goes on, what is lost from what is still on its way. Pure.

A record that was logged and is neither written nor in quarantine is on its way for as long as there is a way
on which it may be. It counts as lost once nothing is on any way: no message waits, no worker holds a batch,
no living producer and no outbox holds a record, and all that for SURE_AFTER_S without a change. Where there
is never such a moment, a number that is missing while younger ones of its producer are written counts as
lost after OVERDUE_S. If it comes after all, it is lost no more; as of most it is known only how many are
missing, that shows at the next rest, or once fewer are missing than were lost.
"""

from __future__ import annotations

from collections.abc import Iterable

from superhero.ops.account import Gap

SURE_AFTER_S = 2.5
"""Longer than two pulses, so that what is told as empty was empty together."""

OVERDUE_S = 300.0


class Losses:
    """Judges one look after another."""

    def __init__(self) -> None:
        self._still: tuple[tuple[int, int], float] | None = None
        self._gaps: dict[Gap, float] = {}
        self._lost = 0

    def judge(
        self, now: float, moved: tuple[int, int], unaccounted: int, gaps: Iterable[Gap], *, idle: bool
    ) -> int:
        """Return how many of the `unaccounted` records are lost.

        now    monotonic, in seconds
        moved  figures that change whenever anything moves
        gaps   what is missing below the largest number written, by producer
        idle   whether nothing is on its way anywhere
        """
        self._gaps = {gap: self._gaps.get(gap, now) for gap in gaps}
        overdue = sum(end - start for (_, start, end), seen in self._gaps.items() if now - seen >= OVERDUE_S)
        if not idle:
            self._still = None
        elif self._still is None or self._still[0] != moved:
            self._still = (moved, now)
        if self._still is not None and now - self._still[1] >= SURE_AFTER_S:
            self._lost = unaccounted
        self._lost = min(max(self._lost, overdue), unaccounted)
        return self._lost
