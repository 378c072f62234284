"""The picture of a running pipeline: what it shows, and that its figures are those of `verify`."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis
from kombu import Connection, Consumer, Message, Queue
from patience import WaitUntil

from superhero.config import Settings
from superhero.errors import StoreError
from superhero.ops.losses import SURE_AFTER_S
from superhero.ops.run import PipelineRun, played
from superhero.ops.services import Services
from superhero.ops.verify import verify
from superhero.ops.vitals import Vitals
from superhero.pulse.heart import Heart, Said
from superhero.pulse.notes import Notes
from superhero.transport.topology import DEAD_QUEUE, channel_queue


@pytest.fixture
def vitals(broker_url: str, redis_url: str) -> Iterator[Vitals]:
    """Give vitals whose looks are a second apart, however fast they follow each other."""
    seconds = count()
    settings = Settings(broker_url=broker_url, redis_url=redis_url)
    with Vitals(settings, clock=lambda: float(next(seconds))) as looking:
        yield looking


def settled(vitals: Vitals) -> dict[str, Any]:
    """Return how things stand after as many looks as it takes to be sure."""
    for _ in range(int(SURE_AFTER_S) + 1):
        vitals.look()
    return vitals.look()


def drained(connection: Connection, queue: Queue) -> list[Message]:
    """Return the messages that a consumer, which stays, is given."""
    taken: list[Message] = []
    Consumer(connection.default_channel, [queue], on_message=taken.append).consume()
    connection.drain_events(timeout=10)
    return taken


@pytest.mark.rabbitmq
@pytest.mark.acceptance
def test_the_figures_are_those_of_verify_also_when_workers_were_killed(
    broker_url: str, redis_url: str, tmp_path: Path, wait_until: WaitUntil
) -> None:
    services = Services(broker_url, redis_url, "rabbitmq", [])
    settings = Settings(broker_url=broker_url, redis_url=redis_url)
    with PipelineRun(services, tmp_path) as run, Vitals(settings) as vitals:
        run.start_server()
        run.start_workers(2, concurrency=2)
        bots = run.start_bots(6, 8, seed=7)
        wait_until(lambda: run.written() > 0)
        run.kill_workers()
        report = played(bots, 60)
        run.start_workers(1, concurrency=1)
        assert run.wait_until_written()

        def calm() -> dict[str, Any] | None:
            look = vitals.look()
            alive = [worker["name"] for worker in look["workers"]]
            over = look["records"]["in"] == run.emitted() and look["records"]["waiting"] == 0
            over = over and look["games"]["completed"] == report.games_completed
            return look if over and len(alive) == 1 else None

        look = wait_until(calm, timeout_s=20)
        run.stop()
    total = verify(run.output_dir).total()
    records = look["records"]
    assert (records["in"], records["out"]) == (total.attempted, total.written)
    assert (records["lost"], records["duplicated"]) == (total.lost, total.duplicated) == (0, 0)
    assert look["quarantine"] == total.quarantined == 0
    assert look["broker"] == {"reachable": True, "blocked": False}
    assert {queue["consumers"] for queue in look["queues"]} <= {0, 1}
    assert json.loads(json.dumps(look)) == look


@pytest.mark.rabbitmq
def test_a_record_that_is_nowhere_any_more_is_lost(vitals: Vitals, redis_url: str) -> None:
    notes = Notes(redis_url)
    with Heart(redis_url, "server", "s", lambda: Said(producers={"p": 10})) as heart:
        assert heart.beat()
        notes.add("s", "w", written=[("p", 0, 3), ("p", 4, 8)], aside=[], counts={"rows": 7})
        notes.close()
        assert vitals.look()["records"]["waiting"] == 3
        records = settled(vitals)["records"]
    assert (records["in"], records["out"], records["lost"], records["waiting"]) == (10, 7, 3, 0)


@pytest.mark.rabbitmq
@pytest.mark.parametrize("holder", ["queue", "worker", "producer"])
def test_a_record_that_somebody_holds_is_not_lost(
    vitals: Vitals, redis_url: str, broker_url: str, holder: str
) -> None:
    transport = {
        "waiting": int(holder == "producer"),
        "waiting_bytes": 5,
        "oldest_age_s": 1.0,
        "blocked": True,
    }
    facts = {
        "queue": {},
        "worker": {"in_hand": 1, "channels": ["a.channel"], "children": 1},
        "producer": {"transport": transport},
    }[holder]
    if holder == "queue":
        with Connection(broker_url) as connection:
            queue = channel_queue("superhero.game")
            queue(connection.default_channel).declare()
            connection.Producer().publish({}, routing_key=queue.name)
    kind = "worker" if holder == "worker" else "server"
    with Heart(redis_url, kind, "x", lambda: Said(facts, {"p": 10})) as heart:
        assert heart.beat()
        look = settled(vitals)
    assert (look["records"]["lost"], look["records"]["waiting"]) == (0, 10)
    depths = {queue["channel"]: queue["depth"] for queue in look["queues"]}
    assert depths["superhero.game"] == int(holder == "queue")
    assert ("a.channel" in depths) == (holder == "worker")
    if holder == "producer":
        assert look["spool"] == {"records": 1, "bytes": 5, "oldest_s": 1.0}
        assert look["broker"]["blocked"]


@pytest.mark.rabbitmq
def test_what_a_worker_without_a_pulse_may_hold_is_not_lost(
    vitals: Vitals, redis_url: str, broker_url: str
) -> None:
    queue = channel_queue("superhero.game")
    with (
        Connection(broker_url) as connection,
        Heart(redis_url, "server", "s", lambda: Said(producers={"p": 10})) as heart,
    ):
        assert heart.beat()
        bound = queue(connection.default_channel)
        bound.declare()
        connection.Producer().publish({}, routing_key=queue.name)
        held = next(iter(drained(connection, bound)))
        look = settled(vitals)
        assert {each["channel"]: each["depth"] for each in look["queues"]}["superhero.game"] == 0
        assert (look["records"]["lost"], look["records"]["waiting"]) == (0, 10)
        held.ack()


def test_what_a_killed_worker_holds_is_not_lost_on_a_redis_broker(
    redis_url: str, redis_broker_url: str
) -> None:
    seconds = count()
    settings = Settings(broker_url=redis_broker_url, redis_url=redis_url)
    queue = channel_queue("superhero.game")
    with (
        Connection(redis_broker_url) as connection,
        Heart(redis_url, "server", "s", lambda: Said(producers={"p": 10})) as heart,
        Vitals(settings, clock=lambda: float(next(seconds))) as vitals,
    ):
        assert heart.beat()
        bound = queue(connection.default_channel)
        bound.declare()
        connection.Producer().publish({}, exchange=queue.exchange, routing_key=queue.name)
        held = bound.get()
        records = settled(vitals)["records"]
        assert (records["lost"], records["waiting"]) == (0, 10)
        held.ack()
        assert settled(vitals)["records"]["lost"] == 10


@pytest.mark.rabbitmq
def test_what_the_broker_itself_put_into_quarantine_is_not_lost(
    vitals: Vitals, redis_url: str, broker_url: str
) -> None:
    with Connection(broker_url) as connection:
        DEAD_QUEUE(connection.default_channel).declare()
        connection.Producer().publish({}, exchange=DEAD_QUEUE.exchange.name, routing_key="any")
    with Heart(redis_url, "server", "s", lambda: Said(producers={"p": 2})) as heart:
        assert heart.beat()
        look = settled(vitals)
    assert look["quarantine"] == 1
    assert look["records"]["lost"] == 1


@pytest.mark.rabbitmq
def test_rows_beyond_the_first_of_a_record_are_duplicates(vitals: Vitals, redis_url: str) -> None:
    notes = Notes(redis_url)
    notes.add("s", "w", written=[("p", 0, 5)], aside=[], counts={"rows": 5, "lag:10": 5})
    vitals.look()
    notes.add("s", "w", written=[("p", 0, 5)], aside=[], counts={"rows": 2, "lag:25": 5})
    notes.close()
    look = vitals.look()
    assert (look["records"]["duplicated"], look["records"]["again"]) == (2, 5)


@pytest.mark.rabbitmq
def test_rates_and_lag_are_those_of_the_last_seconds(vitals: Vitals, redis_url: str) -> None:
    notes = Notes(redis_url)
    with Heart(
        redis_url, "worker", "w", lambda: Said({"in_hand": 0, "channels": [], "children": 3})
    ) as heart:
        assert heart.beat()
        notes.add("s", "w", written=[("p", 0, 5)], aside=[], counts={"lag:1000": 5})
        first = vitals.look()
        assert (first["records"]["in_per_s"], first["lag_ms"]) == (0.0, {"p50": None, "p99": None})
        notes.add("s", "w", written=[("p", 5, 25)], aside=[], counts={"lag:25": 20, "game.completed": 3})
        notes.close()
        look = vitals.look()
    assert (look["records"]["in_per_s"], look["records"]["out_per_s"]) == (20.0, 20.0)
    assert look["lag_ms"] == {"p50": 17.5, "p99": 24.9}
    assert look["games"] == {"running": 0, "completed": 3, "per_minute": 180.0}
    assert look["workers"] == [{"name": "w", "written": 25, "per_s": 20.0, "in_hand": 0, "children": 3}]


def test_a_broker_that_is_away_is_part_of_the_picture(redis_url: str) -> None:
    settings = Settings(redis_url=redis_url, broker_url="amqp://127.0.0.1:1//")
    with Vitals(settings) as vitals:
        for _ in range(2):
            look = vitals.look()
            assert look["broker"] == {"reachable": False, "blocked": False}
            assert (look["queues"], look["quarantine"]) == ([], 0)


@pytest.mark.rabbitmq
def test_a_broker_that_does_not_let_us_in_is_part_of_the_picture(broker_url: str, redis_url: str) -> None:
    place = urlsplit(broker_url)
    refused = place._replace(netloc=f"nobody:wrong@{place.hostname}:{place.port}").geturl()
    with Vitals(Settings(redis_url=redis_url, broker_url=refused)) as vitals:
        for _ in range(2):
            assert not vitals.look()["broker"]["reachable"]


def test_two_threads_look_one_after_the_other(redis_url: str) -> None:
    looking, together = threading.Semaphore(), threading.Event()

    def clock() -> float:
        if looking.acquire(blocking=False):
            together.wait(0.5)
            looking.release()
        else:
            together.set()
        return 0.0

    settings = Settings(redis_url=redis_url, broker_url="amqp://127.0.0.1:1//")
    with Vitals(settings, clock) as vitals, ThreadPoolExecutor(2) as threads:
        for look in [threads.submit(vitals.look) for _ in range(2)]:
            look.result()
    assert not together.is_set()


def test_a_redis_broker_tells_the_depths_and_workers_who_consumes(
    redis_url: str, redis_broker_url: str
) -> None:
    settings = Settings(redis_url=redis_url, broker_url=redis_broker_url)
    facts = {"in_hand": 0, "channels": ["superhero.game"], "children": 1}
    with Heart(redis_url, "worker", "w", lambda: Said(facts)) as heart, Vitals(settings) as vitals:
        assert heart.beat()
        queues = {queue["channel"]: queue["consumers"] for queue in vitals.look()["queues"]}
    assert (queues["superhero.game"], queues["superhero.lobby"]) == (1, 0)


def test_looking_at_a_redis_broker_takes_no_more_connections_with_every_look(
    redis_url: str, redis_broker_url: str
) -> None:
    database = urlsplit(redis_broker_url).path[1:]

    def connections() -> int:
        return sum(each["db"] == database for each in client.client_list())

    with (
        redis.Redis.from_url(redis_url) as client,
        Vitals(Settings(redis_url=redis_url, broker_url=redis_broker_url)) as vitals,
    ):
        vitals.look()
        before = connections()
        for _ in range(3):
            vitals.look()
        assert connections() <= before


def test_without_redis_there_is_no_picture() -> None:
    with (
        Vitals(Settings(redis_url="redis://127.0.0.1:1/0")) as vitals,
        pytest.raises(StoreError, match="Redis"),
    ):
        vitals.look()
