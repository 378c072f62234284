"""The screen of `superhero top`: it fits 80 columns, whatever it holds, and says what is wrong."""

from __future__ import annotations

from copy import deepcopy
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from superhero.commands.top_screen import Screen, line
from superhero.ops.assessment import Weight, assess, has_failed

LOOK: dict[str, Any] = {
    "time": "2026-01-31T12:00:00.000+00:00",
    "records": {
        "in": 123_456_789,
        "out": 123_456_700,
        "in_per_s": 51234.5,
        "out_per_s": 48000.1,
        "waiting": 89,
        "lost": 0,
        "duplicated": 0,
        "again": 12,
    },
    "queues": [
        {"channel": f"superhero.channel-{number}{'x' * 40}", "depth": 100 * number, "consumers": 2}
        for number in range(12)
    ],
    "workers": [
        {"name": f"worker{n}@{'host' * 9}", "written": 10**9, "per_s": 1e5, "in_hand": 40, "children": 16}
        for n in range(12)
    ],
    "spool": {"records": 5, "bytes": 3 << 20, "oldest_s": 2.0},
    "quarantine": 0,
    "lag_ms": {"p50": 12.3, "p99": 123_456.0},
    "games": {"running": 3, "completed": 12345, "per_minute": 678.9},
    "broker": {"reachable": True, "blocked": False},
    "totals": {},
}


def changed(**changes: Any) -> dict[str, Any]:
    """Return LOOK with `part__name=value` put in."""
    look = deepcopy(LOOK)
    for path, value in changes.items():
        part, _, name = path.partition("__")
        if name:
            look[part][name] = value
        else:
            look[part] = value
    return look


def drawn(look: dict[str, Any], error: str = "", width: int = 80, height: int = 24) -> list[str]:
    """Return the lines of a screen of this size, drawn after many looks."""
    screen, text = Screen(), StringIO()
    console = Console(file=text, width=width, height=height)
    for _ in range(100):
        screen.take_in(look)
    console.print(screen.shown(look, error, height))
    return text.getvalue().splitlines()


def test_a_screen_of_80_columns_shows_every_part() -> None:
    lines = drawn(LOOK)
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    for shown in ("123,456,789", "51,234/s", "89", "lost 0", "doubled 0", "p99 123 s", "3.0 MiB", "█"):
        assert shown in text
    assert "and 8 more" in text
    assert "Nothing is lost, nothing stands twice." in text


def test_a_screen_that_is_higher_shows_more_rows() -> None:
    assert len(drawn(LOOK, height=24)) <= 24
    assert sum("@hosthost" in each for each in drawn(LOOK, height=60)) == 12


@pytest.mark.parametrize(
    ("look", "weight", "said"),
    [
        (changed(records__lost=3), Weight.BROKEN, "3 records are lost"),
        (changed(records__lost=1), Weight.BROKEN, "1 record is lost"),
        (changed(records__duplicated=2), Weight.BROKEN, "2 rows stand twice"),
        (changed(broker__reachable=False), Weight.TROUBLE, "broker does not answer"),
        (changed(broker__blocked=True), Weight.TROUBLE, "memory or disk"),
        (changed(quarantine=1), Weight.TROUBLE, "1 message in quarantine: superhero quarantine list"),
        (changed(spool__oldest_s=61.0), Weight.TROUBLE, "for up to 61 s"),
        (changed(workers=[]), Weight.NOTE, "no worker has a pulse"),
        (
            changed(queues=[{"channel": "a.b", "depth": 1, "consumers": 0}]),
            Weight.TROUBLE,
            "nobody consumes a.b",
        ),
    ],
)
def test_what_is_wrong_is_said_with_what_to_do(look: dict[str, Any], weight: Weight, said: str) -> None:
    (finding,) = assess(look)
    assert finding.weight is weight
    assert said in finding.text
    assert said in " ".join(" ".join(drawn(look)).split())
    assert said in line(look)


def test_only_a_broken_promise_a_broker_that_is_away_and_messages_that_wait_for_nobody_are_failures() -> None:
    assert not has_failed(LOOK)
    assert not has_failed(changed(quarantine=5, workers=[]))
    assert has_failed(changed(records__lost=1))
    assert has_failed(changed(records__duplicated=1))
    assert has_failed(changed(broker__reachable=False))
    assert has_failed(changed(queues=[{"channel": "a.b", "depth": 1, "consumers": 0}]))
    assert not has_failed(changed(queues=[{"channel": "a.b", "depth": 0, "consumers": 0}], workers=[]))


def test_the_last_look_stays_on_the_screen_while_there_is_no_younger_one() -> None:
    text = " ".join(" ".join(drawn(LOOK, error="Redis is away")).split())
    assert "this is the last that was seen; Redis is away" in text
    assert "123,456,789" in text


def test_a_lag_that_nobody_had_is_a_dash() -> None:
    assert "p50 -, p99 -" in "\n".join(drawn(changed(lag_ms={"p50": None, "p99": None})))
