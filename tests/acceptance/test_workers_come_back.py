"""A worker whose broker went away, or that stopped consuming, consumes again by itself."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kombu import Connection
from patience import WaitUntil
from worker_bench import CHANNEL, Bench, envelope, ids, task

from superhero.ops.depths import dead_letters
from superhero.ops.processes import Processes
from superhero.ops.rabbitmq import PrivateRabbit, find_server

pytestmark = [pytest.mark.acceptance, pytest.mark.rabbitmq]

HERE = str(Path(__file__).resolve().parent)


@pytest.fixture
def bench(processes: Processes, broker_url: str, redis_url: str, tmp_path: Path) -> Bench:
    """Give the test a bench on RabbitMQ."""
    return Bench(processes, broker_url, redis_url, tmp_path)


@pytest.fixture
def rabbit(tmp_path: Path) -> Iterator[PrivateRabbit]:
    """Give the test a node that it may kill."""
    if find_server() is None:
        pytest.skip("rabbitmq-server is not installed (Debian: apt-get install rabbitmq-server)")
    with PrivateRabbit(tmp_path / "rabbitmq") as node:
        yield node


def test_a_worker_consumes_again_soon_after_its_broker_was_killed(
    rabbit: PrivateRabbit, processes: Processes, redis_url: str, tmp_path: Path, wait_until: WaitUntil
) -> None:
    bench = Bench(processes, rabbit.url(), redis_url, tmp_path)
    worker = bench.worker(concurrency=2)
    # A queue is not safe from a kill -9 before RabbitMQ wrote it down, seconds after it was declared.
    rabbit.restart()
    wait_until(lambda: worker.log_path.read_text().count("Global QoS") == 2, 30)
    bench.publish(*(task([envelope(number)]) for number in range(50)))
    rabbit.kill9()
    rabbit.start()
    began = time.monotonic()
    bench.publish(*(task([envelope(number)]) for number in range(50, 100)))
    wait_until(lambda: bench.record_ids() == ids(range(100)), 30)
    assert time.monotonic() - began < 7
    assert dead_letters(bench.broker_url) == 0


def test_a_worker_consumes_again_after_its_queue_was_deleted(bench: Bench, wait_until: WaitUntil) -> None:
    worker = bench.worker()
    bench.publish(task([envelope(0)]))
    wait_until(lambda: bench.record_ids() == ids([0]))
    with Connection(bench.broker_url) as connection:
        connection.default_channel.queue_delete(CHANNEL)
    worker.wait_for_line("Connection to broker lost")
    bench.publish(task([envelope(1)]))
    wait_until(lambda: bench.record_ids() == ids([0, 1]), 20)


@pytest.mark.parametrize(
    ("stall", "said"),
    [("silent", "the consumer connects anew"), ("hung", "the worker replaces itself")],
)
def test_a_worker_that_lives_and_does_not_consume_is_noticed(
    bench: Bench, wait_until: WaitUntil, stall: str, said: str
) -> None:
    env = {"PYTHONPATH": HERE, "STALL": stall, "STALL_FOLDER": str(bench.folder)}
    worker = bench.worker("worker", "-I", "stall", env=env)
    wait_until((bench.folder / "stalled").exists)
    bench.publish(task([envelope(0)]))
    wait_until(lambda: bench.record_ids() == ids([0]), 30)
    assert said in worker.log_path.read_text()
    assert worker.running
    assert worker.stop() == 0
