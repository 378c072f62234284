"""What a worker on a Redis broker keeps by itself: attempts, dead letters, redelivery."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import redis
from patience import WaitUntil
from worker_bench import CHANNEL, Bench, envelope, ids, task

from superhero.ops.depths import dead_letters
from superhero.ops.processes import Processes
from superhero.ops.quarantine import Selection, look
from superhero.transport.envelope import Envelope

ADDRESS = '"delivery_info": {"exchange": "superhero", "routing_key": "superhero.test"}'
NO_MESSAGES = (
    b"not JSON",
    b"\xff\xfe",
    b"7",
    b"{}",
    b'{"body": 1, "properties": {}}',
    b'{"body": "x", "properties": {"delivery_tag": "a"}}',
    b'{"body": "x", "properties": {"delivery_tag": "a", "delivery_info": {}}}',
    b'{"body": "x", "properties": {"delivery_tag": ["a"], %s}}' % ADDRESS.encode(),
    b'{"body": "x", "headers": 7, "properties": {"delivery_tag": "a", %s}}' % ADDRESS.encode(),
    b'{"body": 7, "properties": {"delivery_tag": "a", %s}}' % ADDRESS.encode(),
    b'{"body": "#", "properties": {"delivery_tag": "a", "body_encoding": "base64", %s}}' % ADDRESS.encode(),
    b'{"body": "x", "properties": {"delivery_tag": "a", "body_encoding": "rot13", %s}}' % ADDRESS.encode(),
    b'{"body": "\\u00e9", "properties": {"delivery_tag": "a", "body_encoding": "base64", %s}}'
    % ADDRESS.encode(),
)

POISON = ("-I", "poison")
WITH_POISON = {
    "PYTHONPATH": str(Path(__file__).resolve().parents[1] / "acceptance"),
    "VISIBILITY_TIMEOUT": "3",
}


@pytest.fixture
def bench(processes: Processes, redis_broker_url: str, redis_url: str, tmp_path: Path) -> Bench:
    """Give the test a bench whose broker is Redis."""
    return Bench(processes, redis_broker_url, redis_url, tmp_path)


def misbehaving(number: int, event: str, folder: Path) -> Envelope:
    """Return a record that the pipelines of `poison` act upon."""
    return envelope(number, event=event, payload={"folder": str(folder)})


@pytest.mark.timeout(180)
def test_a_record_that_kills_its_worker_is_quarantined_and_its_mates_are_written(
    bench: Bench, tmp_path: Path, wait_until: WaitUntil
) -> None:
    bench.worker("worker", *POISON, concurrency=2, env=WITH_POISON)
    bench.publish(task([envelope(0), misbehaving(1, "test.kill", tmp_path), envelope(2)]))
    wait_until(lambda: bench.record_ids() == ids([0, 2]), 60)
    wait_until(lambda: dead_letters(bench.broker_url) == 1, 90)
    (letter,) = look(bench.broker_url, Selection())
    assert letter.record_ids == ids([1])
    assert letter.letter.reason == "kills-workers"
    bench.publish(task([envelope(3)]))
    wait_until(lambda: bench.record_ids() == ids([0, 2, 3]), 20)
    with redis.Redis.from_url(bench.broker_url) as client:
        wait_until(lambda: list(client.scan_iter("superhero:attempts:*")) == [])


def test_a_killed_parent_loses_and_doubles_nothing(
    bench: Bench, tmp_path: Path, wait_until: WaitUntil
) -> None:
    worker = bench.worker("worker", *POISON, env=WITH_POISON)
    bench.publish(task([envelope(0), misbehaving(1, "test.hold", tmp_path)]), task([envelope(2)]))
    wait_until((tmp_path / "began").exists)
    worker.kill9()
    (tmp_path / "go").touch()
    bench.worker("next", *POISON, env=WITH_POISON)
    wait_until(lambda: bench.record_ids() == ids([0, 1, 2]), 30)
    assert dead_letters(bench.broker_url) == 0


def test_a_killed_child_loses_and_doubles_nothing(
    bench: Bench, tmp_path: Path, wait_until: WaitUntil
) -> None:
    worker = bench.worker("worker", *POISON, env=WITH_POISON)
    bench.publish(task([envelope(0), misbehaving(1, "test.hold", tmp_path)]))
    wait_until((tmp_path / "began").exists)
    os.kill(worker.children()[0], signal.SIGKILL)
    (tmp_path / "go").touch()
    wait_until(lambda: bench.record_ids() == ids([0, 1]), 30)
    assert dead_letters(bench.broker_url) == 0


def test_items_that_are_no_messages_go_to_quarantine_and_the_worker_lives_on(
    bench: Bench, wait_until: WaitUntil
) -> None:
    worker = bench.worker()
    with redis.Redis.from_url(bench.broker_url) as client:
        for item in NO_MESSAGES:
            client.lpush(CHANNEL, item)
    bench.publish(task([envelope(0)]))
    wait_until(lambda: bench.record_ids() == ids([0]), 20)
    wait_until(lambda: dead_letters(bench.broker_url) == len(NO_MESSAGES))
    letters = list(look(bench.broker_url, Selection()))
    assert [letter.message.body for letter in letters] == list(NO_MESSAGES)
    assert {letter.letter.reason for letter in letters} == {"undecodable"}
    assert worker.running
    assert "Connection to broker lost" not in worker.log_path.read_text()
