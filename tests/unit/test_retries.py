"""Retry decided by type, with a backoff that has its limits."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

import pytest
import redis

from sinks.errors import SinkError, TerminalSinkError, TransientSinkError, UnsafeName
from tasks.retries import (
    FIRST_WAIT_S,
    LONGEST_WAIT_S,
    RABBITMQ_ACK_TIMEOUT_S,
    Interrupted,
    OutOfPatience,
    is_transient,
    patience_s,
    persist,
    waits,
)


class Clock:
    """Time that passes by waiting alone."""

    def __init__(self) -> None:
        self.now = 100.0
        self.waited: list[float] = []

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> bool:
        self.now += seconds
        self.waited.append(seconds)
        return False


def failing(times: int, error: Exception) -> Callable[[], None]:
    """Return an action that fails so many times."""
    left = [error] * times

    def action() -> None:
        if left:
            raise left.pop()

    return action


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        (TransientSinkError("full"), True),
        (TerminalSinkError("no"), False),
        (UnsafeName("../x"), False),
        (SinkError("?"), False),
        (redis.ConnectionError("away"), True),
        (redis.TimeoutError("slow"), True),
        (redis.BusyLoadingError("loading"), True),
        (redis.ReadOnlyError("a replica"), True),
        (redis.ResponseError("MISCONF cannot save"), True),
        (redis.ResponseError("WRONGTYPE Operation against a key"), False),
        (redis.DataError("not a value"), False),
        (OSError("driver"), False),
        (ValueError("bug"), False),
    ],
)
def test_the_type_of_an_error_decides(error: Exception, transient: bool) -> None:
    assert is_transient(error) is transient


def test_what_succeeds_at_once_is_done_once_and_waits_for_nothing() -> None:
    clock = Clock()
    persist(lambda: None, 10, clock.wait, clock=clock)
    assert clock.waited == []


def test_a_transient_error_is_tried_again_until_it_is_over() -> None:
    clock, seen = Clock(), []
    persist(
        failing(3, TransientSinkError("full")),
        60,
        clock.wait,
        on_wait=lambda error, seconds: seen.append((str(error), seconds)),
        clock=clock,
    )
    assert [text for text, _ in seen] == ["full"] * 3
    assert [seconds for _, seconds in seen] == clock.waited


def test_what_is_not_transient_comes_out_as_it_is() -> None:
    clock = Clock()
    with pytest.raises(TerminalSinkError, match="never"):
        persist(failing(1, TerminalSinkError("never")), 60, clock.wait, clock=clock)
    assert clock.waited == []


def test_patience_ends_before_the_time_that_is_given() -> None:
    clock = Clock()
    with pytest.raises(OutOfPatience, match="full"):
        persist(failing(1000, TransientSinkError("full")), 30, clock.wait, clock=clock)
    assert 30 - LONGEST_WAIT_S <= clock.now - 100 <= 30


def test_a_wait_that_was_cut_short_ends_it() -> None:
    with pytest.raises(Interrupted, match="full"):
        persist(failing(1, TransientSinkError("full")), 60, lambda seconds: True)


def test_waits_grow_up_to_a_limit_and_are_spread() -> None:
    many = [list(islice(waits(), 12)) for _ in range(200)]
    assert all(0 <= seconds <= LONGEST_WAIT_S for series in many for seconds in series)
    assert max(series[0] for series in many) <= FIRST_WAIT_S
    assert max(series[11] for series in many) > LONGEST_WAIT_S / 2
    assert len({series[5] for series in many}) > 100


@pytest.mark.parametrize(("timeout_s", "held"), [(RABBITMQ_ACK_TIMEOUT_S, 20), (10, 4), (2, 4)])
def test_all_that_a_child_may_hold_is_through_in_half_of_the_brokers_time(
    timeout_s: float, held: int
) -> None:
    assert patience_s(timeout_s, held) * (held + 1) <= timeout_s / 2
