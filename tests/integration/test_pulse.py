"""The account that pulses keep in Redis: counted once whatever comes twice, and whoever dies in between."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from patience import WaitUntil

from superhero import keys
from superhero.errors import StoreError
from superhero.ops.account import Account, read_account
from superhero.ops.embedded import EmbeddedRedis
from superhero.pulse import account as shape
from superhero.pulse.heart import Heart, Said
from superhero.pulse.notes import Notes, Span


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    """Give a client of the test's own database."""
    with redis.Redis.from_url(redis_url) as connected:
        yield connected


@pytest.fixture
def notes(redis_url: str) -> Iterator[Callable[[], Notes]]:
    """Give what opens the notes of a worker's child; all are closed at the end."""
    opened: list[Notes] = []

    def open_notes() -> Notes:
        opened.append(Notes(redis_url))
        return opened[-1]

    yield open_notes
    for each in opened:
        each.close()


def note(notes: Notes, *written: Span, sink: str = "s", aside: tuple[Span, ...] = (), **counts: int) -> None:
    """Note a batch of worker w."""
    notes.add(sink, "w", written=written, aside=aside, counts=counts)


def heart(redis_url: str, say: Callable[[], Said]) -> Heart:
    """Return a heart that beats when it is told to."""
    return Heart(redis_url, "server", "s1", say, every_s=3600.0)


def producers(**numbers: int) -> Callable[[], Said]:
    """Return what a process says whose producers have come so far."""
    return lambda: Said(producers=numbers)


def test_what_is_noted_again_counts_once(client: redis.Redis, notes: Callable[[], Notes]) -> None:
    for each in (notes(), notes()):
        note(each, ("p", 0, 10))
        note(each, ("p", 5, 12), ("q", 3, 4))
        each.close()
    account = read_account(client)
    assert (account.records_out, account.records_in) == (13, 16)
    assert account.totals["again"] == 5 + 10 + 8
    assert account.totals["written:w"] == 13
    assert list(account.gaps()) == [("q", 0, 3)]


def test_spans_that_come_in_any_order_become_what_they_are_together(
    client: redis.Redis, notes: Callable[[], Notes]
) -> None:
    chance, child, expected = random.Random(7), notes(), set[int]()
    for _ in range(300):
        first = chance.randrange(400)
        after = first + chance.randrange(1, 9)
        note(child, ("p", first, after))
        expected.update(range(first, after))
    child.close()
    found = read_account(client).written["p"]
    assert [number for start, end in found for number in range(start, end)] == sorted(expected)
    assert client.hget(keys.pulse_totals(), "written:w") == str(len(expected)).encode()


def test_numbers_that_are_all_over_the_place_are_counted_and_no_more(
    client: redis.Redis, notes: Callable[[], Notes]
) -> None:
    child = notes()
    for number in range(0, 2400, 2):
        note(child, ("p", number, number + 1))
    child.close()
    account = read_account(client)
    assert (account.records_in, account.records_out, account.unaccounted) == (1200, 1200, 0)
    assert list(account.gaps()) == []


def test_what_is_in_quarantine_is_accounted_for_and_when_replayed_it_is_written(
    client: redis.Redis, notes: Callable[[], Notes]
) -> None:
    child = notes()
    note(child, ("p", 0, 4), ("p", 5, 8), aside=(("p", 4, 5),), quarantined=1)
    child.close()
    account = read_account(client)
    assert (account.records_in, account.records_out, account.quarantined) == (8, 7, 1)
    assert account.unaccounted == 0
    assert list(account.gaps()) == []
    note(child, ("p", 4, 5))
    child.close()
    account = read_account(client)
    assert (account.records_out, account.quarantined, account.unaccounted) == (8, 0, 0)


def test_what_a_producer_logged_counts_before_any_of_it_is_written(
    redis_url: str, client: redis.Redis
) -> None:
    with heart(redis_url, producers(p=5, q=2)) as beating:
        assert beating.beat()
        account = read_account(client)
    assert (account.records_in, account.records_out, account.unaccounted) == (7, 0, 7)


def test_a_process_is_gone_as_soon_as_it_ends_and_what_it_counted_stays(
    redis_url: str, client: redis.Redis
) -> None:
    for _ in range(2):
        with heart(redis_url, lambda: Said({"x": 1}, counts={"game.completed": 3})) as beating:
            assert beating.beat()
            (said,) = read_account(client).of_kind("server")
            assert len(said["process"]) == 16
            assert {**said, "process": ""} == {
                **{"v": shape.VERSION, "kind": "server", "name": "s1", "process": ""},
                "x": 1,
            }
    account = read_account(client)
    assert account.processes == []
    assert account.totals["game.completed"] == 6


def test_a_process_that_dies_is_gone_within_seconds(redis_url: str, client: redis.Redis) -> None:
    with heart(redis_url, Said) as beating:
        beating.beat()
        (process,) = client.zrange(keys.pulse_processes(), 0, -1)
        assert 0 < client.ttl(keys.pulse_process(process.decode())) <= shape.ALIVE_S


def test_a_heart_beats_on_when_it_could_not_be_told_what_to_say(
    redis_url: str, client: redis.Redis, caplog: pytest.LogCaptureFixture, wait_until: WaitUntil
) -> None:
    answers = iter([KeyError("in"), KeyError("out")])

    def say() -> Said:
        for error in answers:
            raise error
        return Said()

    with Heart(redis_url, "server", "s1", say, every_s=0.01):
        wait_until(lambda: read_account(client).processes)
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_what_ended_a_command_is_what_it_ends_with(redis_url: str) -> None:
    def say() -> Said:
        raise KeyError("counters")

    with pytest.raises(RuntimeError, match="its own"), heart(redis_url, say):
        raise RuntimeError("its own")


def test_a_heart_that_does_not_come_to_an_end_keeps_nobody_waiting(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, wait_until: WaitUntil
) -> None:
    monkeypatch.setattr("superhero.pulse.heart._END_S", 0.0)
    said, going_on = threading.Event(), threading.Event()

    def say() -> Said:
        said.set()
        going_on.wait()
        raise RuntimeError

    with heart(redis_url, say):
        assert said.wait(10)
    going_on.set()
    wait_until(lambda: all(thread.name != "pulse" for thread in threading.enumerate()))


def test_when_redis_was_emptied_nothing_that_went_before_counts_as_lost(
    redis_url: str, client: redis.Redis, notes: Callable[[], Notes]
) -> None:
    numbers, child = {"p": 100}, notes()
    with heart(redis_url, lambda: Said(producers=dict(numbers))) as beating:
        note(child, ("p", 0, 100))
        assert beating.beat()
        client.delete(*client.keys("superhero:{pulse}:*"))
        numbers["p"] = 120
        note(child, ("p", 100, 110))
        assert beating.beat()
        child.close()
        account = read_account(client)
    assert (account.records_in, account.records_out, account.unaccounted) == (120, 110, 10)


def test_where_workers_write_elsewhere_another_account_begins(
    client: redis.Redis, notes: Callable[[], Notes]
) -> None:
    child = notes()
    note(child, ("p", 0, 10), rows=10)
    note(child, ("p", 0, 4), sink="another", rows=4)
    child.close()
    account = read_account(client)
    assert (account.records_out, account.totals["rows"], account.totals["again"]) == (4, 4, 0)


def test_of_very_many_producers_the_oldest_become_a_sum(
    client: redis.Redis, notes: Callable[[], Notes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shape, "MOST_PRODUCERS", 3)
    child = notes()
    for number in range(10):
        note(child, (f"p{number}", 0, 10), aside=((f"p{number}", 10, 11),))
    child.close()
    account = read_account(client)
    assert (account.records_in, account.records_out, account.quarantined) == (110, 100, 10)
    assert len(account.written) == len(account.attempted) == 3


def test_notes_wait_for_a_redis_that_is_away_and_count_once(
    tmp_path: Path, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("superhero.pulse.notes._REST_S", 0.1)
    monkeypatch.setattr("superhero.pulse.notes._SETTLE_S", 0.1)
    with EmbeddedRedis(tmp_path) as server, redis.Redis.from_url(server.url()) as client:
        child = Notes(server.url())
        note(child, ("p", 0, 10), rows=10)
        server.kill9()
        note(child, ("p", 10, 20), rows=10)
        note(child, ("p", 20, 30), rows=10)
        server.start()

        def written() -> Account | None:
            account = read_account(client)
            return account if account.records_out == 30 else None

        account = wait_until(written)
        child.close()
    assert account.totals["rows"] == 30


def test_a_redis_that_forgot_the_script_is_told_it_again(
    client: redis.Redis, notes: Callable[[], Notes], wait_until: WaitUntil
) -> None:
    child = notes()
    note(child, ("p", 0, 1))
    client.script_flush()
    note(child, ("p", 1, 2))
    note(child, ("p", 2, 3))
    wait_until(lambda: read_account(client).records_out == 3)


def test_a_producer_that_comes_again_after_it_became_part_of_a_sum_counts_once(
    redis_url: str, client: redis.Redis, notes: Callable[[], Notes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shape, "MOST_PRODUCERS", 1)
    child = notes()
    note(child, ("p", 0, 10), ("p", 11, 12), aside=(("p", 10, 11),))
    note(child, ("q", 0, 10))
    note(child, ("p", 12, 20), ("p", 5, 8))
    child.close()
    account = read_account(client)
    assert (account.records_in, account.records_out, account.quarantined) == (30, 29, 1)
    assert (account.totals["again"], list(account.gaps())) == (3, [])
    with heart(redis_url, producers(q=11)) as beating:
        assert beating.beat()
        account = read_account(client)
    assert (account.records_in, account.records_out, account.quarantined) == (31, 29, 1)


def test_of_very_many_producers_the_oldest_are_forgotten_but_for_the_sum(
    client: redis.Redis, notes: Callable[[], Notes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shape, "MOST_PRODUCERS", 1)
    child = notes()
    for number in range(40):
        note(child, (f"p{number}", 0, 10))
    child.close()
    assert client.hlen(keys.pulse_folded()) == 20
    assert client.zcard(keys.pulse_producers()) == 21
    assert read_account(client).records_out == 400


def test_of_very_many_workers_those_that_are_gone_become_a_sum(
    redis_url: str, client: redis.Redis, notes: Callable[[], Notes]
) -> None:
    child = notes()
    for number in range(101):
        child.add("s", f"w{number}", written=[("p", number, number + 1)], aside=[], counts={})
    child.close()
    with Heart(redis_url, "worker", "w7", Said, every_s=3600.0) as before:
        assert before.beat()
        with Heart(redis_url, "worker", "new", Said, every_s=3600.0) as beating:
            assert beating.beat()
            totals = read_account(client).totals
    assert {name: count for name, count in totals.items() if name.startswith(("written:", "folded:"))} == {
        "written:w7": 1,
        "folded:workers": 100,
    }


def test_a_note_that_redis_refuses_for_what_it_says_blocks_no_other(
    client: redis.Redis,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    wait_until: WaitUntil,
) -> None:
    monkeypatch.setattr("superhero.pulse.notes._REST_S", 0.0)
    monkeypatch.setattr("superhero.pulse.notes._SETTLE_S", 0.01)
    child = Notes(redis_url)
    note(child, ("half a \ud800", 0, 1))
    note(child, ("p", 0, 1))
    wait_until(lambda: read_account(client).records_out == 1)
    child.close()
    (record,) = caplog.records
    assert "half a" in record.getMessage()


def test_a_number_of_a_note_is_known_for_as_long_as_the_account(
    client: redis.Redis, notes: Callable[[], Notes]
) -> None:
    child = notes()
    note(child, ("p", 0, 1))
    child.close()
    (guard,) = client.keys(keys.pulse_note("*"))
    assert client.ttl(guard) >= client.ttl(keys.pulse_totals()) > 3600


def test_no_batch_waits_while_notes_wait_for_a_redis_that_does_not_answer(
    client: redis.Redis, redis_url: str, monkeypatch: pytest.MonkeyPatch, wait_until: WaitUntil
) -> None:
    monkeypatch.setattr("superhero.pulse.notes._REST_S", 0.0)
    monkeypatch.setattr("superhero.pulse.notes._SETTLE_S", 0.01)
    child, connecting, going_on = Notes(redis_url), threading.Event(), threading.Event()
    get_connection = child._redis.connection_pool.get_connection

    def away() -> Any:
        raise redis.ConnectionError

    def slow() -> Any:
        connecting.set()
        going_on.wait(10)
        return get_connection()

    monkeypatch.setattr(child._redis.connection_pool, "get_connection", away)
    note(child, ("p", 0, 1))
    monkeypatch.setattr(child._redis.connection_pool, "get_connection", slow)
    assert connecting.wait(10)
    note(child, ("p", 1, 2))
    assert not going_on.is_set()
    assert read_account(client).records_out == 0
    going_on.set()
    wait_until(lambda: read_account(client).records_out == 2)
    child.close()


def test_notes_are_taken_however_often_they_had_to_connect_anew(
    client: redis.Redis, redis_url: str, monkeypatch: pytest.MonkeyPatch, wait_until: WaitUntil
) -> None:
    monkeypatch.setattr("superhero.pulse.notes._REST_S", 0.0)
    monkeypatch.setattr("superhero.pulse.notes._SETTLE_S", 0.01)
    child = Notes(f"{redis_url}?max_connections=2")
    with monkeypatch.context() as broken:
        broken.setattr("superhero.pulse.notes.script", lambda _: ("no Lua", "0" * 40))
        for number in range(5):
            note(child, ("p", number, number + 1))
    for number in range(5, 10):
        note(child, ("p", number, number + 1))
        client.script_flush()
    wait_until(lambda: read_account(client).records_out == 10)
    child.close()


@pytest.mark.parametrize(
    ("key", "value"),
    [(keys.pulse_written(), {"p": "1,2,3"}), (keys.pulse_attempted(), {"p": "many"})],
)
def test_what_nobody_of_ours_wrote_is_told_as_such(
    client: redis.Redis, key: str, value: dict[str, Any]
) -> None:
    client.hset(key, mapping=value)
    with pytest.raises(StoreError, match="nobody of ours"):
        read_account(client)


def test_who_speaks_another_version_is_passed_over(client: redis.Redis) -> None:
    client.zadd(keys.pulse_processes(), {"a": 1, "b": 1})
    client.set(keys.pulse_process("a"), '{"v": 99, "kind": "worker"}')
    assert read_account(client).processes == []
