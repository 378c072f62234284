"""`superhero doctor`: what it finds, what it keeps to itself, and its exit status."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner, Result
from kombu import Connection

from superhero.cli import main
from superhero.config import Settings
from superhero.errors import ServiceError
from superhero.ops import doctor as module
from superhero.ops.doctor import Check, Report, examine
from superhero.ops.embedded import free_port
from superhero.ops.vhosts import find_rabbitmqctl, with_vhost
from superhero.transport.topology import DEAD_QUEUE, EXCHANGE, channel_queue

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
    undeclared = check(report, "further queues")
    assert undeclared.state == "ok"
    assert all(name in undeclared.found for name in ("not declared yet", "superhero.game", "superhero.dead"))
    assert check(report, "sinks").state == "ok"
    assert "celery 5" in check(report, "packages").found


@pytest.mark.rabbitmq
def test_queues_tell_what_waits_in_them(broker_url: str, redis_url: str, tmp_path: Path) -> None:
    with Connection(broker_url, transport_options={"confirm_publish": True}) as connection:
        for queue, key in ((channel_queue("superhero.game"), "superhero.game"), (DEAD_QUEUE, "a")):
            connection.Producer().publish({}, exchange=queue.exchange, routing_key=key, declare=[queue])
    report = examine(Settings(broker_url=broker_url, redis_url=redis_url, output_dir=tmp_path))
    game, dead = check(report, "queue superhero.game"), check(report, "queue superhero.dead")
    assert (game.state, game.found) == ("warning", "1 waiting, 0 consumers")
    assert game.advice == "they wait and nobody consumes them: celery -A tasks worker"
    assert (dead.state, dead.found) == ("warning", "1 waiting, 0 consumers")


@pytest.mark.rabbitmq
def test_a_queue_in_which_nothing_waits_is_as_it_should_be(
    broker_url: str, redis_url: str, tmp_path: Path
) -> None:
    with Connection(broker_url) as connection:
        channel_queue("superhero.game")(connection.channel()).declare()
    report = examine(Settings(broker_url=broker_url, redis_url=redis_url, output_dir=tmp_path))
    game = check(report, "queue superhero.game")
    assert (game.state, game.found, game.advice) == ("ok", "0 waiting, 0 consumers", "")


def test_a_redis_broker_is_looked_at_all_the_same(
    redis_broker_url: str, redis_url: str, tmp_path: Path
) -> None:
    report = examine(Settings(broker_url=redis_broker_url, redis_url=redis_url, output_dir=tmp_path))
    assert report.can_run
    assert "superhero.game" in check(report, "further queues").found
    assert check(report, "management UI").found == "none: the broker is Redis"


def test_the_embedded_server_is_enough_for_the_demo_alone(run: Callable[..., Result]) -> None:
    result = run("--json", **AWAY)
    report = json.loads(result.stdout)
    assert (check(report, "broker").state, check(report, "Redis").state) == ("missing", "missing")
    assert "BROKER_URL" in check(report, "broker").advice
    assert (report["can_run"], report["embedded_can_run"]) == (False, True)
    assert report["in_the_way"] == ["broker", "Redis"]
    assert result.exit_code == 1
    verdict = "Only `superhero demo --embedded` can run here: see above for broker, Redis."
    assert run(**AWAY).stdout.splitlines()[-1] == verdict


@pytest.mark.rabbitmq
def test_the_pipeline_can_run_where_all_is_there(
    run: Callable[..., Result], broker_url: str, redis_url: str
) -> None:
    result = run(BROKER_URL=broker_url, REDIS_URL=redis_url)
    assert result.stdout.splitlines()[-1] == "The pipeline can run with these settings."
    assert result.exit_code == 0


@pytest.mark.rabbitmq
def test_a_queue_that_nobody_knows_is_found_by_what_is_bound(
    broker_url: str, redis_url: str, tmp_path: Path
) -> None:
    queue = channel_queue("shop.orders")
    with Connection(broker_url) as connection:
        connection.Producer().publish(
            {}, exchange=queue.exchange, routing_key="shop.orders", declare=[EXCHANGE, queue]
        )
    settings = Settings(broker_url=broker_url, redis_url=redis_url, output_dir=tmp_path)
    if find_rabbitmqctl() is None and check(examine(settings), "management UI").state != "ok":
        pytest.skip("neither rabbitmqctl nor the management API is here")
    found = check(examine(settings), "queue shop.orders")
    assert (found.state, found.found) == ("warning", "1 waiting, 0 consumers")
    assert "CHANNELS" in found.advice


@pytest.mark.rabbitmq
def test_a_refused_login_and_an_unknown_vhost_are_told_from_absence(broker_url: str, tmp_path: Path) -> None:
    def broker(url: str) -> Check:
        return check(
            examine(Settings(broker_url=url, redis_url=AWAY["REDIS_URL"], output_dir=tmp_path)), "broker"
        )

    parts = urlsplit(broker_url)
    refused = broker(f"amqp://guest:wrong@{parts.hostname}:{parts.port or 5672}{parts.path}")
    assert refused.state == "missing"
    assert refused.found.startswith("refused at amqp://guest:***@")
    assert "ACCESS_REFUSED" in refused.found
    assert refused.advice.startswith("BROKER_URL: check user and password")
    unknown = broker(with_vhost(broker_url, "no such"))
    assert "NOT_ALLOWED" in unknown.found
    assert "rabbitmqctl add_vhost 'no such'" in unknown.advice


def test_a_refused_login_at_redis_is_told_from_absence(redis_url: str, tmp_path: Path) -> None:
    url = urlsplit(redis_url)._replace(netloc=f"nobody:s3cret@{urlsplit(redis_url).netloc}").geturl()
    report = examine(Settings(broker_url=AWAY["BROKER_URL"], redis_url=url, output_dir=tmp_path))
    refused = check(report, "Redis")
    assert refused.found.startswith("refused at redis://nobody:***@")
    assert refused.advice.startswith("REDIS_URL: check user, password")


@pytest.mark.parametrize(
    ("url", "told"),
    [("parquet:nosuch://bucket", "no bucket"), ("sqlite:", "")],
)
def test_sinks_that_cannot_be_opened_are_told(run: Callable[..., Result], url: str, told: str) -> None:
    result = run("--json", **AWAY, SINKS=url)
    report = json.loads(result.stdout)
    assert check(report, "sinks").state == "missing"
    assert told in check(report, "sinks").found
    assert "sinks" in report["in_the_way"]


def test_with_sinks_that_cannot_be_opened_the_demo_still_can_run(
    run: Callable[..., Result], redis_broker_url: str, redis_url: str
) -> None:
    result = run(BROKER_URL=redis_broker_url, REDIS_URL=redis_url, SINKS="parquet:nosuch://bucket")
    assert result.exit_code == 1
    verdict = "The pipeline cannot run with these settings: see above for sinks. `superhero demo` can, for"
    assert result.stdout.splitlines()[-1].startswith(verdict)
    assert "--embedded" not in result.stdout


def test_every_variable_is_shown_by_its_name_as_it_is_in_force(
    run: Callable[..., Result], tmp_path: Path
) -> None:
    shown = json.loads(run("--json", **AWAY, CHANNELS="a,b", TURN_TIMEOUT="5").stdout)["settings"]
    given = {"TURN_TIMEOUT": "5", "CHANNELS": "a,b", "GAME_TTL": "3600", "VISIBILITY_TIMEOUT": "10"}
    assert given.items() <= shown.items()
    assert shown["SINKS"] == f"json:{tmp_path}"
    assert all(name == name.upper() for name in shown)


def test_nothing_is_cut_in_a_narrow_terminal(run: Callable[..., Result]) -> None:
    told = run(**AWAY, COLUMNS="80").stdout
    assert "…" not in told


@pytest.mark.usefixtures("nothing_embedded")
def test_where_nothing_could_run_the_status_is_1(run: Callable[..., Result]) -> None:
    result = run(**AWAY)
    assert result.exit_code == 1
    assert "The pipeline cannot run here: see above for broker, Redis." in result.stdout


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
    bad = {
        "SINKS": "parket:/lake",
        "SERVER_PORT": "x",
        "GAME_TTL": "0",
        "CHANNELS": "a b",
        "VISIBILITY_TIMEOUT": "x",
    }
    result = run(BROKER_URL="http://me:s3cret@host", **bad)
    assert result.exit_code == 2
    assert all(name in result.output for name in ("BROKER_URL", *bad))
    assert "s3cret" not in result.output
