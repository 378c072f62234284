"""A worker starts under a name that nobody has, says where it writes to, and refuses channels it has not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from patience import WaitUntil
from worker_bench import CHANNEL, Bench, envelope, ids, task

from superhero.ops.processes import Process, Processes, celery_argv
from tasks import start

READY = r"ready as \S+: "


@pytest.fixture
def bench(processes: Processes, broker_url: str, redis_url: str, tmp_path: Path) -> Bench:
    """Give a bench on RabbitMQ."""
    return Bench(processes, broker_url, redis_url, tmp_path)


def plain(bench: Bench, log: str, project_root: Path, *options: str, **env: str) -> Process:
    """Start a worker as the README does: without a name, at the default log level."""
    argv = celery_argv("worker", "--concurrency", "1", *options)
    environ = {**bench.environ(), **env}
    return bench.processes.start(log, argv, environ, bench.folder / f"{log}.log", project_root)


@pytest.mark.rabbitmq
def test_workers_of_one_host_take_names_of_their_own_and_all_consume(
    bench: Bench, wait_until: WaitUntil, project_root: Path
) -> None:
    # All at once, so that they look before any of them has its name.
    workers = [plain(bench, f"plain-{number}", project_root) for number in range(3)]
    names = set()
    for worker in workers:
        worker.wait_for_line(READY, 60)
        found = re.search(r"ready as (\S+): ", worker.tail(200))
        assert found is not None
        names.add(found[1].partition("@")[0])
        assert "RestartFreqExceeded" not in worker.tail(200)
    assert names == {"celery", "celery-2", "celery-3"}
    bench.publish(*(task([envelope(number)]) for number in range(20)))
    wait_until(lambda: bench.record_ids() == ids(range(20)))


@pytest.mark.rabbitmq
def test_a_worker_that_the_broker_does_not_let_in_says_what_to_do_and_ends_when_told(
    bench: Bench, project_root: Path
) -> None:
    refused = plain(
        bench, "refused", project_root, BROKER_URL=re.sub("//.*@", "//guest:s3cret@", bench.broker_url)
    )
    refused.wait_for_line("does not let us in: .*; check user, password and vhost in BROKER_URL", 30)
    refused.stop(30)
    log = refused.tail(200)
    assert (refused.returncode, "Traceback" in log, "s3cret" in log) == (0, False, False)


@pytest.mark.rabbitmq
def test_a_worker_whose_given_name_is_taken_says_so_and_gets_it_when_it_is_free(
    bench: Bench, project_root: Path
) -> None:
    first = bench.worker("one")
    second = plain(bench, "second", project_root, "--hostname", "one@test")
    second.wait_for_line("another worker is called one@test", 30)
    first.stop(30)
    second.wait_for_line(READY, 30)
    assert "Traceback" not in second.tail(200)
    assert "RestartFreqExceeded" not in second.tail(200)


def test_a_name_that_stays_taken_ends_the_worker_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = [100.0]
    monkeypatch.setattr(start.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(start.shutdown, "wait", lambda seconds: now.append(now.pop() + seconds))
    taken = start.NameTaken()
    for _ in range(100):
        taken.wait("one@test", has_begun=True)
    with pytest.raises(start.WorkerShutdown):
        while True:
            taken.wait("one@test", has_begun=False)
    assert "add --hostname other@%h" in caplog.messages[-1]


@pytest.mark.rabbitmq
def test_a_worker_says_at_the_default_level_what_it_does_and_where(
    bench: Bench, project_root: Path, tmp_path: Path
) -> None:
    worker = plain(bench, "plain", project_root, "-Q", f"{CHANNEL},superhero.lobby")
    where = re.escape(f"json:{tmp_path}/data")
    worker.wait_for_line(rf"ready as celery@\S+: 2 channels, \d+ pipelines, writing to {where}$", 30)


@pytest.mark.parametrize("option", ["-Q", "-X"])
def test_a_channel_that_is_misspelt_is_told_with_those_there_are(
    option: str, processes: Processes, redis_broker_url: str, tmp_path: Path, project_root: Path
) -> None:
    argv = celery_argv("worker", "--concurrency", "1", option, "superhero.loby,superhero.game")
    worker = processes.start(
        "worker", argv, {"BROKER_URL": redis_broker_url}, tmp_path / "worker.log", project_root
    )
    assert worker.wait(30) == 1
    said = worker.tail(200)
    assert "no channel is called superhero.loby; add it to CHANNELS or take one of: " in said
    assert "superhero.lobby" in said
    assert "task_create_missing_queues" not in said
    assert "Traceback" not in said
