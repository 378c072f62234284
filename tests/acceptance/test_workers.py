"""Workers under fire, on RabbitMQ: whatever dies, each record is in the sink once, or in quarantine.

pytest-celery's clusters are made of processes, and of containers where an engine is there.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from nodes import ROOT, Broker, Container, Node, Worker, container_argv, docker, why_no_containers
from patience import WaitUntil
from pytest_celery import CeleryBrokerCluster, CeleryTestBroker, CeleryTestSetup, CeleryWorkerCluster
from worker_bench import CHANNEL, Bench, envelope, ids, task

from superhero.ops.depths import dead_letters
from superhero.ops.processes import Process, Processes
from superhero.ops.quarantine import Selection, look
from superhero.transport.envelope import Envelope

pytestmark = [pytest.mark.acceptance, pytest.mark.rabbitmq]

HERE = Path(__file__).resolve().parent


class Setup(CeleryTestSetup):
    """pytest-celery's setup with our words."""

    bench: Bench

    @property
    def workers(self) -> list[Worker]:
        """Every worker node."""
        return list(self.worker_cluster)

    @property
    def worker(self) -> Worker:
        """The first worker node."""
        return self.workers[0]


@pytest.fixture(params=["processes", "containers"])
def made_of(request: pytest.FixtureRequest) -> str:
    """Run the test with workers of each kind."""
    if request.param == "containers" and (reason := why_no_containers()):
        pytest.skip(reason)
    return str(request.param)


@pytest.fixture
def worker_count() -> int:
    """How many workers the cluster has; a test says otherwise by parametrizing it."""
    return 1


@pytest.fixture
def concurrency() -> int:
    """How many children each worker has."""
    return 1


@pytest.fixture
def bench(processes: Processes, broker_url: str, redis_url: str, tmp_path: Path) -> Bench:
    """Give the test a bench on RabbitMQ."""
    return Bench(processes, broker_url, redis_url, tmp_path)


@pytest.fixture(scope="session")
def image() -> str:
    """Build the project's image once."""
    return docker("build", "--quiet", "--file", str(ROOT / "deploy" / "Dockerfile"), str(ROOT)).strip()


@pytest.fixture
def celery_broker_cluster(broker_url: str) -> CeleryBrokerCluster:
    """Give pytest-celery the test's vhost as its broker."""
    return CeleryBrokerCluster(CeleryTestBroker(Broker(broker_url)))


@pytest.fixture
def celery_broker_cluster_config(celery_broker_cluster: CeleryBrokerCluster) -> dict[str, object]:
    """Say where the broker is."""
    return dict(celery_broker_cluster.config())


@pytest.fixture
def celery_backend_cluster() -> None:
    """Results are what stands in the sink."""


@pytest.fixture
def celery_backend_cluster_config() -> None:
    """No result backend."""


@pytest.fixture
def celery_worker_cluster(
    request: pytest.FixtureRequest, bench: Bench, made_of: str, worker_count: int, concurrency: int
) -> Iterator[CeleryWorkerCluster]:
    """Give pytest-celery so many workers."""
    nodes: list[Node] = []
    for number in range(worker_count):
        name = f"worker{number}-{bench.folder.name[-40:]}"
        if made_of == "processes":
            options = ("-I", "poison")
            env = {"PYTHONPATH": str(HERE)}
            start = partial(bench.start, name, *options, concurrency=concurrency, env=env)
            nodes.append(Node(name, start))
        else:
            image = request.getfixturevalue("image")
            nodes.append(Container(name, partial(_in_container, bench, name, image, concurrency)))
    workers = [Worker(node, None) for node in nodes]
    for worker in workers:
        worker.ready()
    yield CeleryWorkerCluster(*workers)
    for node in nodes:
        node.teardown()


@pytest.fixture
def celery_setup_cls() -> type[CeleryTestSetup]:
    """Use our words."""
    return Setup


def _in_container(bench: Bench, name: str, image: str, concurrency: int) -> Process:
    options = bench.options(name, "-I", "poison", concurrency=concurrency)
    argv = container_argv(name, image, bench.environ(), bench.folder, *options)
    return bench.processes.start(name, argv, log_path=bench.folder / f"{name}.log")


def misbehaving(number: int, event: str, folder: Path) -> Envelope:
    """Return a record that the pipelines of `poison` act upon."""
    return envelope(number, event=event, payload={"folder": str(folder)})


def lines(path: Path) -> int:
    """Return how often something was noted."""
    return len(path.read_text().splitlines()) if path.exists() else 0


def test_a_batch_is_ingested(celery_setup: Setup, bench: Bench, wait_until: WaitUntil) -> None:
    bench.publish(task(envelope(number) for number in range(100)))
    wait_until(lambda: bench.record_ids() == ids(range(100)))
    assert dead_letters(bench.broker_url) == 0


@pytest.mark.parametrize("worker_count", [4])
def test_four_workers_share_a_channel_and_nothing_is_doubled(
    celery_setup: Setup, bench: Bench, wait_until: WaitUntil
) -> None:
    bench.publish(*(task([envelope(10 * batch + n) for n in range(10)]) for batch in range(60)))
    wait_until(lambda: bench.record_ids() == ids(range(600)), 20)
    shares = [worker.logs().count("succeeded") for worker in celery_setup.workers]
    assert sum(shares) == 60
    assert min(shares) > 0


def test_a_child_killed_at_work_loses_and_doubles_nothing(
    celery_setup: Setup, bench: Bench, tmp_path: Path, wait_until: WaitUntil
) -> None:
    bench.publish(task([envelope(0), misbehaving(1, "test.hold", tmp_path)]))
    wait_until(lambda: lines(tmp_path / "began") == 1)
    celery_setup.worker.kill_child()
    wait_until(lambda: lines(tmp_path / "began") == 2, 20)
    (tmp_path / "go").touch()
    wait_until(lambda: bench.record_ids() == ids([0, 1]))
    assert dead_letters(bench.broker_url) == 0


def test_a_parent_killed_at_work_loses_and_doubles_nothing(
    celery_setup: Setup, bench: Bench, tmp_path: Path, wait_until: WaitUntil
) -> None:
    bench.publish(task([envelope(0), misbehaving(1, "test.hold", tmp_path)]), task([envelope(2)]))
    wait_until(lambda: lines(tmp_path / "began") == 1)
    celery_setup.worker.kill("SIGKILL")
    assert bench.record_ids() == []
    (tmp_path / "go").touch()
    celery_setup.worker.restart()
    wait_until(lambda: bench.record_ids() == ids([0, 1, 2]), 20)


def test_what_was_published_before_any_worker_ever_lived_is_ingested(
    made_of: str, bench: Bench, wait_until: WaitUntil, request: pytest.FixtureRequest
) -> None:
    bench.publish(*(task([envelope(number)]) for number in range(20)))
    assert bench.record_ids() == []
    request.getfixturevalue("celery_setup")
    wait_until(lambda: bench.record_ids() == ids(range(20)))


def test_what_is_published_while_all_workers_are_dead_is_ingested_later(
    celery_setup: Setup, bench: Bench, wait_until: WaitUntil
) -> None:
    bench.publish(task([envelope(0)]))
    wait_until(lambda: bench.record_ids() == ids([0]))
    celery_setup.worker.kill("SIGKILL")
    bench.publish(*(task([envelope(number)]) for number in range(1, 20)))
    celery_setup.worker.restart()
    wait_until(lambda: bench.record_ids() == ids(range(20)), 20)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("concurrency", [2])
def test_a_record_that_kills_its_worker_is_quarantined_and_its_mates_are_written(
    celery_setup: Setup, bench: Bench, tmp_path: Path, wait_until: WaitUntil
) -> None:
    bench.publish(task([envelope(0), misbehaving(1, "test.kill", tmp_path), envelope(2)]))
    bench.publish(task([envelope(3)]))
    wait_until(lambda: bench.record_ids() == ids([0, 2, 3]), 60)
    wait_until(lambda: dead_letters(bench.broker_url) == 1, 90)
    (letter,) = look(bench.broker_url, Selection())
    assert letter.record_ids == ids([1])
    assert letter.letter.channel == CHANNEL
    assert letter.letter.reason == "delivery_limit"
    bench.publish(task([envelope(4)]))
    wait_until(lambda: bench.record_ids() == ids([0, 2, 3, 4]), 20)
    assert lines(tmp_path / "killed") <= 12


def test_a_worker_told_to_end_finishes_what_it_holds_and_leaves_the_rest(
    celery_setup: Setup, bench: Bench, tmp_path: Path, wait_until: WaitUntil
) -> None:
    bench.publish(task([misbehaving(0, "test.hold", tmp_path)]))
    bench.publish(*(task([envelope(number)]) for number in range(1, 20)))
    wait_until(lambda: lines(tmp_path / "began") == 1)
    os.kill(celery_setup.worker.container.process.pid, signal.SIGTERM)
    wait_until(lambda: "Warm shutdown" in celery_setup.worker.logs())
    (tmp_path / "go").touch()
    assert celery_setup.worker.container.process.wait(20) == 0
    assert ids([0])[0] in bench.record_ids()
    celery_setup.worker.restart()
    wait_until(lambda: bench.record_ids() == ids(range(20)))
    assert dead_letters(bench.broker_url) == 0


def test_a_signal_to_the_whole_group_lets_a_child_finish_its_batch(
    celery_setup: Setup, bench: Bench, tmp_path: Path, wait_until: WaitUntil, made_of: str
) -> None:
    if made_of != "processes":
        pytest.skip("honcho signals process groups; a container is stopped by its first process")
    bench.publish(task([misbehaving(0, "test.hold", tmp_path)]))
    wait_until(lambda: lines(tmp_path / "began") == 1)
    process = celery_setup.worker.container.process
    os.killpg(process.pid, signal.SIGTERM)
    wait_until(lambda: "Warm shutdown" in celery_setup.worker.logs())
    (tmp_path / "go").touch()
    assert process.wait(20) == 0
    assert bench.record_ids() == ids([0])
    celery_setup.worker.restart()
    bench.publish(task([envelope(1)]))
    wait_until(lambda: bench.record_ids() == ids([0, 1]))
    assert lines(tmp_path / "began") == 1, "it was finished and acknowledged, so nobody did it again"


def test_bugs_in_a_pipeline_or_a_step_concern_their_record_alone(
    celery_setup: Setup, bench: Bench, tmp_path: Path, wait_until: WaitUntil
) -> None:
    bench.publish(
        task(
            [
                envelope(0),
                misbehaving(1, "test.raise", tmp_path),
                misbehaving(2, "test.bad-step", tmp_path),
                envelope(3),
            ]
        )
    )
    wait_until(lambda: dead_letters(bench.broker_url) == 2)
    assert bench.record_ids() == ids([0, 2, 3])
    reasons = {tuple(each.record_ids): each.letter for each in look(bench.broker_url, Selection())}
    assert reasons["tester:1",].reason == "pipeline-failed"
    bug = r"\w+ \(\S+\.py:\d+\): LookupError: this pipeline has a bug"
    assert re.fullmatch(bug, reasons["tester:1",].error)
    assert reasons["tester:2",].reason == "step-failed"
