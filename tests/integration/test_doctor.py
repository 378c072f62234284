"""`superhero doctor`: what it finds, what it keeps to itself, and its exit status."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from kombu import Connection

from superhero.cli import main
from superhero.config import Settings
from superhero.errors import ServiceError
from superhero.ops import doctor as module
from superhero.ops.doctor import Check, Report, examine
from superhero.ops.embedded import free_port
from superhero.transport.topology import DEAD_QUEUE, channel_queue

AWAY = {"BROKER_URL": "amqp://me:s3cret@127.0.0.1:1//", "REDIS_URL": "redis://:s3cret@127.0.0.1:1/0"}


@pytest.fixture
def nothing_embedded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the embedded server one that is not installed."""

    def missing() -> Path:
        raise ServiceError("there is no embedded server to start")

    monkeypatch.setattr(module, "server_binary", missing)


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Result]:
    """Run `superhero doctor` with an output folder that is the test's own."""

    def run(*arguments: str, **environ: str) -> Result:
        given = {"OUTPUT_DIR": str(tmp_path), "COLUMNS": "300", **environ}
        return CliRunner().invoke(main, ["doctor", *arguments], env=given)

    return run


def check(report: Report | dict[str, Any], name: str) -> Check:
    """Return one check of a report."""
    checks = report.checks if isinstance(report, Report) else [Check(**each) for each in report["checks"]]
    return next(each for each in checks if each.name == name)


@pytest.mark.rabbitmq
def test_what_is_here_is_told_with_its_version(broker_url: str, redis_url: str, tmp_path: Path) -> None:
    report = examine(Settings(broker_url=broker_url, redis_url=redis_url, output_dir=tmp_path))
    assert report.can_run
    assert check(report, "broker").state == "ok"
    assert "RabbitMQ" in check(report, "broker").found
    assert check(report, "Redis").found.startswith(("redis 7", "valkey", "redis"))
    assert check(report, "queue superhero.game").found == "not declared yet"
    assert "celery 5" in check(report, "packages").found


@pytest.mark.rabbitmq
def test_queues_tell_what_waits_in_them(broker_url: str, redis_url: str, tmp_path: Path) -> None:
    with Connection(broker_url, transport_options={"confirm_publish": True}) as connection:
        for queue, key in ((channel_queue("superhero.game"), "superhero.game"), (DEAD_QUEUE, "a")):
            connection.Producer().publish({}, exchange=queue.exchange, routing_key=key, declare=[queue])
    report = examine(Settings(broker_url=broker_url, redis_url=redis_url, output_dir=tmp_path))
    game, dead = check(report, "queue superhero.game"), check(report, "queue superhero.dead")
    assert (game.state, game.found) == ("warning", "1 waiting, 0 consumers")
    assert "no worker" in game.advice
    assert (dead.state, dead.found) == ("warning", "1 waiting, 0 consumers")


def test_a_redis_broker_is_looked_at_all_the_same(
    redis_broker_url: str, redis_url: str, tmp_path: Path
) -> None:
    report = examine(Settings(broker_url=redis_broker_url, redis_url=redis_url, output_dir=tmp_path))
    assert report.can_run
    assert check(report, "queue superhero.game").found == "not declared yet"
    assert check(report, "management UI").found == "none: the broker is Redis"


def test_the_embedded_server_is_enough_to_run(run: Callable[..., Result]) -> None:
    result = run("--json", **AWAY)
    report = json.loads(result.stdout)
    assert (check(report, "broker").state, check(report, "Redis").state) == ("missing", "missing")
    assert "BROKER_URL" in check(report, "broker").advice
    assert report["can_run"]
    assert result.exit_code == 0


@pytest.mark.usefixtures("nothing_embedded")
def test_where_nothing_could_run_the_status_is_1(run: Callable[..., Result]) -> None:
    result = run(**AWAY)
    assert result.exit_code == 1
    assert "The pipeline cannot run here." in result.stdout


def test_an_output_folder_that_cannot_be_written_is_told(run: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = run("--json", **AWAY, OUTPUT_DIR=str(tmp_path / "file" / "data"))
    assert check(json.loads(result.stdout), "output folder").state == "missing"
    assert result.exit_code == 1


@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_no_password_or_token_is_shown(run: Callable[..., Result], arguments: tuple[str, ...]) -> None:
    secrets = {
        "SUPERHERO_API_TOKEN": "s3cret",
        "FLOWER_BASIC_AUTH": "me:s3cret",
        "RABBITMQ_MANAGEMENT_URL": f"http://me:s3cret@127.0.0.1:{free_port()}",
        "SINKS": "json:/data postgresql://me:s3cret@host/db parquet:s3://bucket/lake?secret_access_key=s3cret",
    }
    assert "s3cret" not in run(*arguments, **AWAY, **secrets).output


def test_settings_that_cannot_be_used_are_status_2(run: Callable[..., Result]) -> None:
    result = run(BROKER_URL="http://me:s3cret@host", SERVER_PORT="x")
    assert result.exit_code == 2
    assert "BROKER_URL" in result.output
    assert "SERVER_PORT" in result.output
    assert "s3cret" not in result.output
