"""What Prometheus is shown: of the pipeline, of a server, of a program's transport."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from patience import WaitUntil
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from superhero.config import Settings
from superhero.ops.exposition import PipelineCollector
from superhero.ops.processes import Process, Processes, superhero_argv
from superhero.ops.run import PipelineRun, played
from superhero.ops.services import Services
from superhero.ops.verify import verify
from superhero.ops.vitals import Vitals
from superhero.testing import ScriptedSender
from superhero.transport import CeleryHandler
from superhero.transport.metrics import export

Samples = dict[tuple[str, str], float]
"""(name, value of its first label or "") -> value."""


def samples(text: str) -> Samples:
    """Return what an exposition says."""
    return {
        (sample.name, next(iter(sample.labels.values()), "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def scraped(process: Process) -> Callable[[], Samples]:
    """Return what scrapes the endpoint that a process says it has."""
    url = process.wait_for_line(r"metrics at (http://\S+/metrics)$")[1]

    def look() -> Samples:
        with httpx.Client(trust_env=False) as http:
            return samples(http.get(url).raise_for_status().text)

    return look


@pytest.mark.rabbitmq
@pytest.mark.acceptance
def test_the_numbers_are_those_of_verify_though_a_worker_was_killed(
    broker_url: str, redis_url: str, tmp_path: Path, processes: Processes, wait_until: WaitUntil
) -> None:
    environment = {"BROKER_URL": broker_url, "REDIS_URL": redis_url}
    services = Services(broker_url, redis_url, "rabbitmq", [])
    with PipelineRun(services, tmp_path) as run:
        run.start_server()
        run.start_workers(2, concurrency=2)
        argv = superhero_argv("metrics", "--port", "0")
        look = scraped(processes.start("metrics", argv, environment, tmp_path / "metrics.log"))
        bots = run.start_bots(6, 8, seed=7)
        wait_until(lambda: run.written() > 0)
        run.kill_workers()
        report = played(bots, 60)
        run.start_workers(1, concurrency=1)
        assert run.wait_until_written()

        def calm() -> Samples | None:
            found = look()
            settled = found["superhero_records_in_total", ""] == run.emitted()
            settled = settled and found["superhero_games_completed_total", ""] == report.games_completed
            return found if settled and found["superhero_records_waiting", ""] == 0 else None

        found = wait_until(calm, timeout_s=20, every_s=0.2)
        run.stop()
    verdict = verify(run.output_dir)
    total = verdict.total()
    assert found["superhero_records_in_total", ""] == total.attempted
    assert found["superhero_records_out_total", ""] == total.written
    assert found["superhero_records_lost", ""] == total.lost == 0
    assert found["superhero_records_duplicated", ""] == total.duplicated == 0
    assert found["superhero_record_lag_seconds_count", ""] >= total.written
    assert found["superhero_record_lag_seconds_bucket", "+Inf"] >= total.written
    assert found["superhero_redis_up", ""] == found["superhero_broker_up", ""] == 1
    assert found["superhero_queue_messages", "superhero.game"] == 0
    assert ("superhero_producer_records_waiting", "server") in found


@pytest.mark.rabbitmq
def test_a_server_shows_its_own_metrics_where_a_port_is_set(
    broker_url: str, redis_url: str, tmp_path: Path, processes: Processes
) -> None:
    environment = {"BROKER_URL": broker_url, "REDIS_URL": redis_url, "METRICS_PORT": "0"}
    argv = superhero_argv("serve", "--port", "0")
    server = processes.start("server", argv, environment, tmp_path / "server.log")
    found = scraped(server)()
    assert found["superhero_server_connections", ""] == 0
    assert found["superhero_transport_records_emitted_total", ""] == 0
    assert found["superhero_server_refused_total", "connections"] == 0
    assert found["process_resident_memory_bytes", ""] > 0
    server.wait_for_line("listening on ")
    assert server.stop() == 0


def test_a_server_whose_metrics_port_is_taken_says_so(
    redis_url: str, tmp_path: Path, processes: Processes
) -> None:
    taken = superhero_argv("metrics", "--port", "0")
    environment = {"BROKER_URL": "amqp://127.0.0.1:1//", "REDIS_URL": redis_url}
    first = processes.start("metrics", taken, environment, tmp_path / "metrics.log")
    port = first.wait_for_line(r"metrics at http://127.0.0.1:(\d+)/")[1]
    argv = superhero_argv("serve", "--port", "0", "--no-pipeline")
    server = processes.start("server", argv, {**environment, "METRICS_PORT": port}, tmp_path / "server.log")
    assert server.wait(30) == 2
    assert f"cannot show metrics on 127.0.0.1:{port}" in server.tail()


def test_without_a_redis_it_says_that_and_nothing_else() -> None:
    registry = CollectorRegistry()
    with Vitals(Settings(redis_url="redis://127.0.0.1:1/0")) as vitals:
        registry.register(PipelineCollector(vitals))
        assert samples(generate_latest(registry).decode()) == {("superhero_redis_up", ""): 0.0}


def test_any_program_shows_its_transport_by_one_call() -> None:
    registry, log = CollectorRegistry(), logging.getLogger("shop.metrics")
    with closing(CeleryHandler(sender=ScriptedSender)) as handler:
        log.addHandler(handler)
        exported = export(handler, registry=registry)
        try:
            log.warning("paid")
            assert handler.flush(10)
            found = samples(generate_latest(registry).decode())
        finally:
            log.removeHandler(handler)
    assert found["superhero_transport_records_emitted_total", ""] == 1
    assert found["superhero_transport_records_confirmed_total", ""] == 1
    assert found["superhero_transport_waiting_records", ""] == 0
    exported.close()
    assert generate_latest(registry) == b""


def test_a_program_without_an_endpoint_gets_one_on_loopback() -> None:
    registry = CollectorRegistry()
    with closing(CeleryHandler(sender=ScriptedSender)) as handler:
        exported = export(handler, registry=registry, port=0)
        assert exported.url.startswith("http://127.0.0.1:")
        with httpx.Client(trust_env=False) as http:
            text = http.get(exported.url).raise_for_status().text
        exported.close()
    assert samples(text)["superhero_transport_blocked", ""] == 0
