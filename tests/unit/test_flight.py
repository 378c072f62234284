"""A channel of which a small task just left gathers for a while; a full one, and others, do not wait."""

from __future__ import annotations

import pytest

from superhero.transport.flight import Flight, Limits
from superhero.transport.leases import Lease

LIMITS = Limits(batch_records=3, batch_bytes=100, linger_s=0.02)


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def lease(channel: str, records: int = 1, size_bytes: int = 10) -> Lease:
    """Return a lease of so many records."""
    return Lease(f"{channel}-{records}", channel, f"{channel}:0", [b"x"] * records, size_bytes=size_bytes)


def flown(flight: Flight, sent: Lease) -> None:
    """Send a lease and have it confirmed."""
    flight.take_off(sent)
    flight.land(sent, confirmed=True)


def test_a_channel_is_busy_for_a_while_after_a_small_task_though_that_is_confirmed() -> None:
    clock = Clock()
    flight = Flight(LIMITS, clock)
    flown(flight, lease("a"))
    assert set(flight.busy) == {"a"}
    assert flight.linger_s == pytest.approx(LIMITS.linger_s)
    clock.now += LIMITS.linger_s
    flight.look()
    assert set(flight.busy) == set()
    assert flight.linger_s is None


def test_while_somebody_waits_a_small_task_keeps_its_channel_only_until_it_is_confirmed() -> None:
    flight = Flight(LIMITS, Clock())
    flown(flight, lease("a"))
    flight.take_off(lease("b"))
    flight.look(hurried=True)
    assert set(flight.busy) == {"b"}
    assert flight.linger_s is None


def test_who_is_held_back_in_a_round_is_waited_for_though_time_goes_on() -> None:
    """Else it would be left lying: nothing wakes who sleeps until the next record comes."""
    clock = Clock()
    flight = Flight(LIMITS, clock)
    flown(flight, lease("a"))
    flight.take_off(lease("b"))
    flight.land(lease("b"), confirmed=False)
    flight.look()
    assert (set(flight.busy), flight.resting) == ({"a", "b"}, {"b"})
    clock.now += 60.0
    assert (set(flight.busy), flight.resting) == ({"a", "b"}, {"b"})
    assert (flight.linger_s, flight.nearest_rest_s) == (0.0, 0.0)
    flight.look()
    assert (set(flight.busy), flight.resting) == (set(), set())


def test_a_task_on_its_way_keeps_its_channel_busy_beyond_that() -> None:
    clock = Clock()
    flight = Flight(LIMITS, clock)
    flight.take_off(lease("a"))
    clock.now += 1.0
    assert set(flight.busy) == {"a"}


def test_a_new_connection_waits_for_nobody() -> None:
    flight = Flight(LIMITS, Clock())
    flown(flight, lease("a"))
    flight.end()
    flight.begin()
    assert set(flight.busy) == set()
