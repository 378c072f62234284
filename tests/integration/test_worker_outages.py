"""What a worker does while its sink or Redis is away, on both brokers: it waits, and loses nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis
from patience import WaitUntil
from worker_bench import CHANNEL, Bench, envelope, ids, task

from superhero import keys
from superhero.events import CHANNEL_LOBBY, GameTimedOut
from superhero.ops.depths import dead_letters
from superhero.ops.embedded import EmbeddedRedis
from superhero.ops.processes import Processes
from superhero.transport.envelope import Envelope


@pytest.fixture(params=["rabbitmq", "redis"])
def bench(request: pytest.FixtureRequest, processes: Processes, redis_url: str, tmp_path: Path) -> Bench:
    """Give the test a bench on each kind of broker."""
    broker = "broker_url" if request.param == "rabbitmq" else "redis_broker_url"
    return Bench(processes, request.getfixturevalue(broker), redis_url, tmp_path)


def break_sink(bench: Bench) -> None:
    """Put a file where the sink's folder should be."""
    (bench.folder / "data").write_text("no folder")


def mend_sink(bench: Bench) -> None:
    """Take it away again."""
    (bench.folder / "data").unlink()


def timed_out(number: int, game: str) -> Envelope:
    """Return a record whose step tidies a game away."""
    event = GameTimedOut(game, 2, ["aaaa"])
    return envelope(number, channel=CHANNEL_LOBBY, event=event.name, payload=event.payload())


def test_a_batch_waits_for_its_sink(bench: Bench, wait_until: WaitUntil) -> None:
    break_sink(bench)
    worker = bench.worker()
    bench.publish(*(task([envelope(10 * batch + n) for n in range(10)]) for batch in range(5)))
    worker.wait_for_line("waits .* and tries again")
    mend_sink(bench)
    wait_until(lambda: bench.record_ids() == ids(range(50)), 20)
    assert dead_letters(bench.broker_url) == 0
    # The sink's folder alone is named, and nothing of what the records say.
    assert "record 7" not in worker.log_path.read_text()


def test_a_worker_that_waits_stops_at_once_and_leaves_the_batch_to_the_next(
    bench: Bench, wait_until: WaitUntil
) -> None:
    break_sink(bench)
    worker = bench.worker()
    bench.publish(task([envelope(0)]))
    worker.wait_for_line("waits .* and tries again")
    assert worker.stop(timeout_s=15) == 0
    mend_sink(bench)
    bench.worker("next")
    wait_until(lambda: bench.record_ids() == ids([0]), 20)
    assert dead_letters(bench.broker_url) == 0


def test_a_long_outage_uses_up_no_deliveries(
    redis_broker_url: str, processes: Processes, redis_url: str, tmp_path: Path, wait_until: WaitUntil
) -> None:
    bench = Bench(processes, redis_broker_url, redis_url, tmp_path)
    break_sink(bench)
    worker = bench.worker(env={"VISIBILITY_TIMEOUT": "2"})  # patience is a fifth of a second
    bench.publish(task([envelope(0), envelope(1)]))
    wait_until(lambda: worker.log_path.read_text().count("goes back to its queue") > 12, 30)
    mend_sink(bench)
    wait_until(lambda: bench.record_ids() == ids([0, 1]), 20)
    assert "one by one" not in worker.log_path.read_text()
    assert dead_letters(bench.broker_url) == 0


def test_a_step_waits_for_redis_and_what_was_written_does_not(
    bench: Bench, tmp_path: Path, wait_until: WaitUntil
) -> None:
    with EmbeddedRedis(tmp_path / "games") as games:
        with redis.Redis.from_url(games.url()) as client:
            client.set(keys.status("g1"), "TIMED OUT")
        games.kill9()
        bench.worker(env={"REDIS_URL": games.url()})
        bench.publish(task([timed_out(0, "g1")], channel=CHANNEL_LOBBY), channel=CHANNEL_LOBBY)
        bench.publish(task([envelope(1)]), channel=CHANNEL)
        wait_until(lambda: len(bench.record_ids()) == 2, 20)
        games.start()
        with redis.Redis.from_url(games.url()) as client:
            wait_until(lambda: client.ttl(keys.status("g1")) > 0, 30)
    assert dead_letters(bench.broker_url) == 0


def test_a_record_the_sink_can_never_hold_is_quarantined_alone(bench: Bench, wait_until: WaitUntil) -> None:
    bench.worker()
    # A link where a producer's file should be is never followed.
    records = bench.folder / "data" / "superhero" / "RECORDS"
    records.mkdir(parents=True)
    (records / "evil.jsonl").symlink_to(bench.folder / "elsewhere")
    bench.publish(task([envelope(0), envelope(1, producer="evil"), envelope(2), envelope(3)]))
    wait_until(lambda: dead_letters(bench.broker_url) == 1, 20)
    assert not (bench.folder / "elsewhere").exists()
    (records / "evil.jsonl").unlink()
    assert bench.record_ids() == ids([0, 2, 3])
