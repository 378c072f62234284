"""Limits of the simulator's server: buckets, the gate, and whose address counts behind a proxy."""

from __future__ import annotations

import re
from dataclasses import fields
from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from superhero.config import Settings
from superhero.server.limits import Bucket, Client, Gate, Limits, client_address


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def admitted(gate: Gate, address: str) -> Client:
    """Let a connection in that must be let in."""
    gate.connections += 1
    client = gate.admit(address)
    assert client is not None
    return client


def test_a_bucket_gives_its_size_at_once_and_then_says_how_long_to_wait() -> None:
    bucket = Bucket(2, 1.0, now=0.0)
    assert [bucket.take(0.0) for _ in range(3)] == [0.0, 0.0, 0.5]
    assert bucket.take(0.5) == 0.0
    assert not bucket.full(1.0)
    assert bucket.full(1.5)


@given(
    size=st.integers(1, 50),
    refill_s=st.floats(0.1, 100),
    steps=st.lists(st.floats(0, 10), min_size=1, max_size=200),
)
def test_a_bucket_never_gives_more_than_its_size_and_what_flowed_in(
    size: int, refill_s: float, steps: list[float]
) -> None:
    bucket, now, given_out = Bucket(size, refill_s, now=0.0), 0.0, 0
    for step in steps:
        now += step
        wait_s = bucket.take(now)
        assert 0 <= wait_s <= refill_s / size + 1e-6
        given_out += wait_s == 0
        assert given_out <= size + now * size / refill_s + 1e-6


def test_connections_are_limited_for_an_address_and_given_back() -> None:
    gate = Gate(Limits(connections_per_address=2), Clock())
    for _ in range(2):
        admitted(gate, "10.0.0.1")
    assert gate.admit("10.0.0.1") is None
    admitted(gate, "10.0.0.2")
    gate.leave("10.0.0.1")
    admitted(gate, "10.0.0.1")


def test_connections_are_limited_in_all() -> None:
    gate = Gate(Limits(connections=2), Clock())
    for number in range(2):
        admitted(gate, f"10.0.0.{number}")
    gate.connections += 1
    assert gate.admit("10.0.0.9") is None


def test_requests_are_limited_on_a_connection_and_for_all_of_an_address() -> None:
    clock = Clock()
    gate = Gate(Limits(requests_per_connection=2, requests_per_address=3), clock)
    one, two, stranger = (admitted(gate, address) for address in ("a", "a", "b"))
    assert [one.wait_s() for _ in range(3)] == [0.0, 0.0, 0.5]
    assert two.wait_s() == 0.0
    assert two.wait_s() == pytest.approx(1 / 3)
    assert stranger.wait_s() == 0.0
    clock.now += 1.0
    assert two.wait_s() == one.wait_s() == 0.0


def test_new_users_are_limited_by_the_hour() -> None:
    clock = Clock()
    client = admitted(Gate(Limits(new_users_per_address=2), clock), "a")
    assert [client.may_create_user() for _ in range(3)] == [True, True, False]
    clock.now += 1799
    assert not client.may_create_user()
    clock.now += 2
    assert client.may_create_user()


def test_addresses_that_left_are_forgotten_and_those_that_used_something_up_are_not() -> None:
    gate = Gate(Limits(new_users_per_address=1), Clock())
    admitted(gate, "greedy").may_create_user()
    gate.leave("greedy")
    for number in range(5000):
        admitted(gate, str(number))
        gate.leave(str(number))
    assert len(gate._addresses) < 2100
    assert not admitted(gate, "greedy").may_create_user()


def test_the_limits_of_a_server_are_those_of_the_settings_and_stand_in_the_documentation() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs/security.md").read_text(encoding="utf-8")
    documented = {
        variable.lower(): int(default.replace(",", ""))
        for variable, default in re.findall(r"^\| `(MAX_\w+)` \| ([\d,]+\d)", text, re.M)
    }
    settings, limits = Settings(), Limits()
    assert len(documented) == len(fields(limits)) - 1
    for name, default in documented.items():
        assert getattr(settings, name) == getattr(limits, name.removeprefix("max_")) == default
    assert settings.trusted_proxies == limits.trusted_proxies == ()


OURS = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("192.0.2.1", [], "192.0.2.1"),
        ("192.0.2.1", ["198.51.100.9"], "192.0.2.1"),
        ("10.0.0.1", ["198.51.100.9"], "198.51.100.9"),
        ("10.0.0.1", ["1.2.3.4, 198.51.100.9"], "198.51.100.9"),
        ("10.0.0.1", ["1.2.3.4", "198.51.100.9 , 10.0.0.2"], "198.51.100.9"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("10.0.0.1", ["not an address"], "10.0.0.1"),
        ("10.0.0.1", ["", ","], "10.0.0.1"),
        ("::ffff:10.0.0.1", ["::ffff:198.51.100.9"], "198.51.100.9"),
        ("fd00::1%eth0", ["2001:db8:1:2:3:4:5:6"], "2001:db8:1:2::/64"),
        ("2001:db8:1:2::7", [], "2001:db8:1:2::/64"),
        ("", ["198.51.100.9"], ""),
    ],
)
def test_an_address_is_believed_only_from_a_proxy_of_ours(
    peer: str, forwarded: list[str], address: str
) -> None:
    assert client_address(peer, forwarded, OURS) == address
