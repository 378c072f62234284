"""Every broker's arm with real processes, and what each must find: who loses, who doubles, who keeps."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from confluent_kafka import Producer

from superhero.brokers.arms import ARMS
from superhero.brokers.bout import TRIALS, Came, Load
from superhero.brokers.comparison import run_bout
from superhero.ops.processes import superhero_argv
from superhero.reports.brokers import SCHEMA

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(300)]

LOAD = Load(records=60, rate=100.0, workers=2, seed=7)
BY_NAME = {trial.name: trial for trial in TRIALS}
ON_RABBITMQ = ["rabbitmq-classic", "rabbitmq-quorum", "celery-rabbitmq", "superhero"]


def came_of(
    arm: str, trial: str, url: str, redis_url: str, folder: Path, records: int = LOAD.records
) -> Came:
    """Run one trial of one arm."""
    return run_bout(ARMS[arm], BY_NAME[trial], replace(LOAD, records=records), url, redis_url, folder)


@pytest.fixture
def kafka_url() -> Iterator[str]:
    """Give a Kafka to talk to: the one that librdkafka has for tests, behind a real socket."""
    cluster = Producer({"bootstrap.servers": "none", "test.mock.num.brokers": 1, "log_level": 0})
    (broker,) = cluster.list_topics(timeout=10).brokers.values()
    yield f"kafka://{broker.host}:{broker.port}"


@pytest.mark.parametrize("arm", ["redis-pubsub", "redis-narrowcast"])
def test_on_pubsub_nobody_listening_loses_everything(
    arm: str, redis_broker_url: str, redis_url: str, tmp_path: Path
) -> None:
    came = came_of(arm, "none before", redis_broker_url, redis_url, tmp_path)
    assert (came.lost, came.duplicated) == (LOAD.records, 0)
    assert came.p99_ms is None and came.rate == 0


def test_on_pubsub_every_worker_gets_every_record(
    redis_broker_url: str, redis_url: str, tmp_path: Path
) -> None:
    came = came_of("redis-pubsub", "several workers", redis_broker_url, redis_url, tmp_path)
    assert (came.lost, came.duplicated) == (0, LOAD.records * (LOAD.workers - 1))


def test_a_middleman_shares_records_out_and_loses_those_of_dead_workers(
    redis_broker_url: str, redis_url: str, tmp_path: Path
) -> None:
    shared = came_of("redis-narrowcast", "several workers", redis_broker_url, redis_url, tmp_path / "alive")
    assert (shared.lost, shared.duplicated) == (0, 0)
    killed = came_of("redis-narrowcast", "killed, back", redis_broker_url, redis_url, tmp_path / "dead")
    assert 0 < killed.lost < LOAD.records
    assert [what for _, what in killed.marks] == ["2 workers killed", "2 workers back"]


@pytest.mark.rabbitmq
@pytest.mark.parametrize("arm", ON_RABBITMQ)
def test_what_is_acknowledged_late_on_rabbitmq_loses_nothing(
    arm: str, broker_url: str, redis_url: str, tmp_path: Path
) -> None:
    for trial in ("killed, back", "none before"):
        came = came_of(arm, trial, broker_url, redis_url, tmp_path / trial)
        assert came.lost == 0, f"{trial}: {came}"
        assert came.written[-1][1] == LOAD.records
        # Written and not yet acknowledged when its worker was killed: ours alone knows what it has.
        assert came.duplicated == 0 if arm == "superhero" else came.duplicated <= 100 * LOAD.workers


@pytest.mark.rabbitmq
def test_one_worker_is_measured_and_the_records_are_those_of_the_seed(
    broker_url: str, redis_url: str, tmp_path: Path
) -> None:
    # As many as take several of the 10 ms that the kernel counts processor time in.
    came = came_of("superhero", "one worker", broker_url, redis_url, tmp_path, records=5000)
    assert (came.lost, came.duplicated) == (0, 0)
    assert came.rate > 0 and came.p50_ms is not None and came.cpu_s and came.memory_bytes


@pytest.mark.rabbitmq
def test_plain_celery_gets_what_it_was_given_when_nobody_is_killed(
    broker_url: str, redis_url: str, tmp_path: Path
) -> None:
    came = came_of("celery-defaults", "several workers", broker_url, redis_url, tmp_path)
    assert (came.lost, came.duplicated) == (0, 0)


def test_celery_on_redis_keeps_what_comes_before_its_workers(
    redis_broker_url: str, redis_url: str, tmp_path: Path
) -> None:
    # Killed ones may lose: kombu takes a message off its list before it notes that it is not acknowledged.
    came = came_of("celery-redis", "none before", redis_broker_url, redis_url, tmp_path)
    assert (came.lost, came.duplicated) == (0, 0)


def test_kafka_keeps_what_nobody_read(kafka_url: str, redis_url: str, tmp_path: Path) -> None:
    came = came_of("kafka", "none before", kafka_url, redis_url, tmp_path)
    assert came.lost == 0


@pytest.mark.rabbitmq
def test_the_command_writes_a_report_and_skips_with_a_word_what_is_not_there(
    broker_url: str, redis_url: str, tmp_path: Path, project_root: Path
) -> None:
    argv = superhero_argv("experiment", "brokers", "--brokers", "kafka,redis-pubsub", "--json")
    shape = ("--records", "30", "--rate", "60", "--workers", "2", "--folder", str(tmp_path))
    env = {**os.environ, "BROKER_URL": broker_url, "REDIS_URL": redis_url, "KAFKA_URL": "kafka://127.0.0.1:1"}
    done = subprocess.run([*argv, *shape], cwd=project_root, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["schema"] == SCHEMA and facts["ours_clean"]
    pubsub, kafka = facts["brokers"]
    assert [came["trial"] for came in pubsub["came"]] == list(BY_NAME)
    assert pubsub["came"][3]["lost"] == 30 and not pubsub["clean"]
    assert kafka["came"] == [] and kafka["skipped"].startswith("no Kafka answers at KAFKA_URL")
    assert json.loads((tmp_path / "report.json").read_text(encoding="utf-8")) == facts
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Redis Pub/Sub" in page and "<polyline" in page
