"""The handler against real brokers: everything arrives once, in order, as a task plain Celery understands."""

from __future__ import annotations

import json
import logging
import logging.config
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from arrivals import ids, messages, numbers, records
from celery import Celery
from kombu import Connection, Queue

from superhero.ops.embedded import EmbeddedRedis
from superhero.ops.rabbitmq import PrivateRabbit, find_server
from superhero.transport import CeleryHandler
from superhero.transport.topology import EXCHANGE, UNROUTED_NAME, channel_queue

CHANNEL = "app.orders"
Attach = Callable[..., CeleryHandler]


@pytest.fixture(params=[pytest.param("rabbitmq", marks=pytest.mark.rabbitmq), "redis"])
def any_broker_url(request: pytest.FixtureRequest) -> str:
    name = "broker_url" if request.param == "rabbitmq" else "redis_broker_url"
    url: str = request.getfixturevalue(name)
    return url


@pytest.fixture
def attach() -> Iterator[Attach]:
    """Put a handler on the logger CHANNEL; it is closed and taken off afterwards."""
    logger = logging.getLogger(CHANNEL)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    made: list[CeleryHandler] = []

    def attach_to_logger(broker_url: str, **settings: object) -> CeleryHandler:
        handler = CeleryHandler(broker_url=broker_url, **settings)  # type: ignore[arg-type]  # a test's own
        logger.addHandler(handler)
        made.append(handler)
        return handler

    yield attach_to_logger
    for handler in made:
        logger.removeHandler(handler)
        handler.close()


def log(count: int, text: str = "record") -> None:
    for number in range(count):
        logging.getLogger(CHANNEL).info("%s %d", text, number, extra={"payload": {"n": number}})


def gapless(record_ids: list[str]) -> bool:
    return all(sorted(got) == list(range(len(got))) for got in numbers(record_ids).values())


def test_records_logged_from_many_threads_arrive_once_and_in_order(
    any_broker_url: str, attach: Attach
) -> None:
    handler = attach(any_broker_url)
    threads = [threading.Thread(target=log, args=(500,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert handler.flush(20)
    arrived = ids(any_broker_url, CHANNEL)
    (got,) = numbers(arrived).values()
    assert got == list(range(4000))
    assert (handler.counters().confirmed, handler.counters().dropped) == (4000, 0)


def test_a_single_record_goes_out_at_once(any_broker_url: str, attach: Attach) -> None:
    handler = attach(any_broker_url)
    log(1)
    assert handler.flush(10)
    (message,) = messages(any_broker_url, CHANNEL)
    assert (message.content_type, message.content_encoding) == ("application/json", "utf-8")
    assert message.headers["task"] == "superhero.ingest"
    assert message.headers["id"] == message.properties["correlation_id"]


def test_records_of_several_channels_go_to_a_queue_each(any_broker_url: str, attach: Attach) -> None:
    handler = attach(any_broker_url)
    for number in range(30):
        logging.getLogger(CHANNEL).info("x", extra={"channel": f"app.c{number % 3}"})
    assert handler.flush(10)
    for number in range(3):
        assert len(ids(any_broker_url, f"app.c{number}")) == 10


def test_plain_celery_takes_the_tasks(any_broker_url: str, attach: Attach) -> None:
    handler = attach(any_broker_url)
    log(10)
    log(1, "x" * 10_000)  # large enough to be compressed
    assert handler.flush(10)
    app = Celery(broker=any_broker_url, set_as_current=False)
    app.conf.accept_content = ["json"]
    app.finalize()
    app.tasks.pop("superhero.ingest", None)  # shared with every app, where another test imported `tasks`
    seen: list[tuple[str, int]] = []

    @app.task(name="superhero.ingest", shared=False)  # type: ignore[untyped-decorator]  # Celery has no types
    def ingest(channel: str, envelopes: list[object]) -> None:
        seen.append((channel, len(envelopes)))

    for message in messages(any_broker_url, CHANNEL):
        args, kwargs, _ = message.payload
        app.tasks[message.headers["task"]](*args, **kwargs)
    assert sum(count for _, count in seen) == 11
    assert {channel for channel, _ in seen} == {CHANNEL}


def test_a_forked_child_and_its_parent_both_deliver(any_broker_url: str, attach: Attach) -> None:
    handler = attach(any_broker_url)
    log(100, "before")
    child = os.fork()
    if child == 0:
        log(100, "child")
        os._exit(0 if handler.flush(10) else 1)
    log(100, "parent")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert handler.flush(10)
    arrived = records(any_broker_url, CHANNEL)
    assert len({record["id"] for record in arrived}) == len(arrived) == 300
    assert gapless([record["id"] for record in arrived])
    producers = {
        who: {r["id"].rpartition(":")[0] for r in arrived if r["message"].startswith(who)}
        for who in ("before", "child", "parent")
    }
    assert producers["before"] == producers["parent"] != producers["child"]


def test_a_child_of_multiprocessing_delivers_before_it_ends(any_broker_url: str, attach: Attach) -> None:
    handler = attach(any_broker_url)
    log(1)
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=log, args=(50,)) for _ in range(2)]
    for child in children:
        child.start()
    for child in children:
        child.join(20)
    assert [child.exitcode for child in children] == [0, 0]
    assert handler.flush(10)
    arrived = ids(any_broker_url, CHANNEL)
    assert sorted(len(got) for got in numbers(arrived).values()) == [1, 50, 50]
    assert gapless(arrived)


@pytest.mark.parametrize("spooled", [False, True], ids=["memory", "spool"])
def test_forking_amid_the_stream_never_hangs_and_loses_nothing(
    any_broker_url: str, attach: Attach, tmp_path: Path, spooled: bool
) -> None:
    handler = attach(any_broker_url, spool_dir=tmp_path / "spool" if spooled else None)
    over, logged = threading.Event(), 0

    def stream() -> None:
        nonlocal logged
        while not over.wait(0.0002):
            log(1)
            logged += 1

    writer = threading.Thread(target=stream)
    writer.start()
    context = multiprocessing.get_context("fork")
    try:
        for _ in range(5):
            children = [context.Process(target=log, args=(10,)) for _ in range(3)]
            for child in children:
                child.start()
            for child in children:
                child.join(20)
                child.kill()
            assert [child.exitcode for child in children] == [0, 0, 0]
    finally:
        over.set()
        writer.join()
    assert handler.flush(10)
    arrived = ids(any_broker_url, CHANNEL)
    assert len(arrived) == len(set(arrived)) == logged + 150
    assert gapless(arrived)


def test_what_logs_imports_nothing_for_a_child_to_wait_for_that_is_forked_meanwhile(
    any_broker_url: str, tmp_path: Path
) -> None:
    program = (
        "import logging, sys\n"
        "from superhero.transport import CeleryHandler\n"
        "handler = CeleryHandler(broker_url=sys.argv[1], spool_dir=sys.argv[2])\n"
        "class Spy:\n"
        "    def find_spec(self, name, path=None, target=None): print(name)\n"
        "sys.meta_path.insert(0, Spy())\n"
        f"log = logging.getLogger({CHANNEL!r})\n"
        "log.addHandler(handler)\n"
        "log.error('record', exc_info=ValueError('text'))\n"
        "print(handler.flush(20))\n"
        "sys.meta_path.pop(0)\n"
    )
    argv = [sys.executable, "-c", program, any_broker_url, str(tmp_path / "spool")]
    assert subprocess.run(argv, check=True, capture_output=True, text=True).stdout == "True\n"


def test_the_end_of_the_interpreter_delivers_what_waits(any_broker_url: str) -> None:
    config = {
        "version": 1,
        "handlers": {"p": {"class": "superhero.transport.CeleryHandler", "broker_url": any_broker_url}},
        "root": {"handlers": ["p"], "level": "INFO"},
    }
    program = (
        "import json, logging, logging.config, sys\n"
        "logging.config.dictConfig(json.loads(sys.argv[1]))\n"
        f"for n in range(1000): logging.getLogger({CHANNEL!r}).info('%d', n)\n"
    )
    subprocess.run([sys.executable, "-c", program, json.dumps(config)], check=True, timeout=30)
    (got,) = numbers(ids(any_broker_url, CHANNEL)).values()
    assert got == list(range(1000))


def test_trouble_is_told_although_dict_config_disables_the_loggers_that_are_there() -> None:
    config = {
        "version": 1,
        "handlers": {
            "p": {
                "class": "superhero.transport.CeleryHandler",
                "broker_url": "amqp://127.0.0.1:1//",
                "flush_timeout_s": 0.0,
            }
        },
        "loggers": {CHANNEL: {"handlers": ["p"], "level": "INFO"}},
    }
    program = (
        "import json, logging, logging.config, sys\n"
        "logging.config.dictConfig(json.loads(sys.argv[1]))\n"
        "assert logging.getLogger('superhero.transport').disabled\n"
        f"logger = logging.getLogger({CHANNEL!r})\n"
        "logger.info('x')\n"
        "while not logger.handlers[0].counters().last_error:\n"
        "    logger.handlers[0].flush(0.05)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, json.dumps(config)],
        check=True,
        timeout=30,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert "cannot connect" in ended.stderr
    assert "1 records were not confirmed when their handler closed; they are lost" in ended.stderr


@pytest.mark.rabbitmq
def test_a_record_for_a_queue_that_was_deleted_is_caught_as_unrouted(broker_url: str, attach: Attach) -> None:
    handler = attach(broker_url)
    log(1)
    assert handler.flush(10)
    with Connection(broker_url) as connection:
        channel_queue(CHANNEL)(connection.default_channel).delete()
    log(1)
    assert handler.flush(10)
    with Connection(broker_url) as connection:
        message = Queue(UNROUTED_NAME)(connection.default_channel).get(no_ack=True)
    assert message.delivery_info["routing_key"] == CHANNEL


@pytest.mark.rabbitmq
def test_a_queue_that_stands_otherwise_holds_up_its_own_channel_only(
    broker_url: str, attach: Attach, caplog: pytest.LogCaptureFixture
) -> None:
    handler = attach(broker_url)
    with Connection(broker_url) as connection:
        wrong = Queue(CHANNEL, EXCHANGE, routing_key=CHANNEL, durable=True)(connection.default_channel)
        EXCHANGE(connection.default_channel).declare()
        wrong.declare()
    log(3)
    logging.getLogger(CHANNEL).info("x", extra={"channel": "app.fine"})
    assert not handler.flush(1)
    assert len(ids(broker_url, "app.fine")) == 1
    assert "'app.orders' stands on the broker with other arguments than ours" in caplog.text
    with Connection(broker_url) as connection:
        Queue(CHANNEL)(connection.default_channel).delete()
    assert handler.flush(10)
    assert len(ids(broker_url, CHANNEL)) == 3


@pytest.mark.rabbitmq
def test_a_connection_that_the_broker_closes_costs_nothing(
    broker_url: str, attach: Attach, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = attach(broker_url)
    log(10)
    assert handler.flush(10)
    assert handler._outlet is not None
    sender = handler._outlet._publisher._sender
    sender._amqp.sock.shutdown(2)  # type: ignore[attr-defined]  # as a cut cable would
    log(10)
    assert handler.flush(10)
    (got,) = numbers(ids(broker_url, CHANNEL)).values()
    assert sorted(set(got)) == list(range(20))
    assert handler.counters().connects == 2


@pytest.fixture
def own_rabbit(tmp_path: Path) -> Iterator[PrivateRabbit]:
    """Give the test a RabbitMQ node of its own that does not run yet."""
    if find_server() is None:
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail("rabbitmq-server is not installed")
        pytest.skip("rabbitmq-server is not installed")
    node = PrivateRabbit(tmp_path)
    yield node
    node.stop()


@pytest.mark.rabbitmq
def test_records_wait_for_a_broker_that_is_not_there_yet(own_rabbit: PrivateRabbit, attach: Attach) -> None:
    handler = attach(own_rabbit.url())
    log(1000)
    assert not handler.flush(0.5)
    assert (handler.counters().waiting, handler.counters().connected) == (1000, False)
    own_rabbit.start()
    assert handler.flush(20)
    (got,) = numbers(ids(own_rabbit.url(), CHANNEL)).values()
    assert got == list(range(1000))


@pytest.mark.rabbitmq
def test_a_broker_that_is_killed_amid_the_stream_loses_nothing(
    own_rabbit: PrivateRabbit, attach: Attach
) -> None:
    own_rabbit.start()
    handler = attach(own_rabbit.url())
    log(2000)
    writer = threading.Thread(target=log, args=(20_000,))
    writer.start()
    own_rabbit.kill9()
    writer.join()
    log(1000)
    own_rabbit.start()
    assert handler.flush(30)
    arrived = ids(own_rabbit.url(), CHANNEL)
    (got,) = numbers(arrived).values()
    assert sorted(set(got)) == list(range(23_000))
    assert handler.counters().dropped == 0


def test_a_redis_broker_that_is_killed_amid_the_stream_loses_nothing(tmp_path: Path, attach: Attach) -> None:
    with EmbeddedRedis(tmp_path) as server:
        handler = attach(server.url())
        log(500)
        assert handler.flush(10)
        server.kill9()
        log(1000)
        assert not handler.flush(0.3)
        server.start()
        assert handler.flush(20)
        (got,) = numbers(ids(server.url(), CHANNEL)).values()
        assert sorted(set(got)) == list(range(1500))
        assert handler.counters().connects == 2


def test_a_process_that_ends_by_a_signal_it_handles_delivers(any_broker_url: str, tmp_path: Path) -> None:
    program = (
        "import logging, signal, sys, time\n"
        "from superhero.transport import CeleryHandler\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n"
        "log = logging.getLogger(sys.argv[2]); log.setLevel('INFO')\n"
        "log.addHandler(CeleryHandler(broker_url=sys.argv[1]))\n"
        "for n in range(100): log.info('%d', n)\n"
        "print('logged', flush=True)\n"
        "signal.pause()\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program, any_broker_url, CHANNEL], stdout=subprocess.PIPE, text=True
    )
    with child:
        assert child.stdout is not None and child.stdout.readline() == "logged\n"
        child.send_signal(signal.SIGTERM)
        assert child.wait(20) == 0
    assert len(ids(any_broker_url, CHANNEL)) == 100
