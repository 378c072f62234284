"""Read percentiles off the histogram of lags that workers keep (superhero/pulse/account.py). Pure."""

from __future__ import annotations

from collections.abc import Mapping

from superhero.pulse.account import LAG_MS

MORE = "more"


def percentile_ms(counts: Mapping[str, int], share: float) -> float | None:
    """Return the lag in milliseconds that `share` of the records stayed within; None without records.

    Within a class all lags are taken as equally likely; beyond the last class it is that class's bound.
    """
    total = sum(counts.values())
    if total <= 0:
        return None
    rank, below, before = share * total, 0, 0.0
    for bound in LAG_MS:
        count = counts.get(str(bound), 0)
        if count and below + count >= rank:
            return round(before + (bound - before) * (rank - below) / count, 1)
        below, before = below + count, float(bound)
    return before
