"""Which broker and Redis a run gets: those that were named, those that answer, or the embedded server."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis

from superhero.config import Settings
from superhero.errors import ServiceError
from superhero.ops.embedded import free_port
from superhero.ops.reach import reach
from superhero.ops.services import open_services


def nothing() -> str:
    """Return an address where nobody listens."""
    return f"127.0.0.1:{free_port()}"


def test_where_nothing_answers_the_embedded_server_stands_in_and_says_so(tmp_path: Path) -> None:
    settings = Settings(broker_url=f"amqp://{nothing()}//", redis_url=f"redis://{nothing()}/0")
    with open_services(settings, workdir=tmp_path, explicit=False, fresh=False) as services:
        assert services.kind == "embedded"
        assert services.broker_url != services.redis_url
        assert reach(services.broker_url).reachable
        assert reach(services.redis_url).reachable
        notes = " ".join(services.notes)
    assert "embedded" in notes
    assert "no delivery limit" in notes
    assert not reach(services.redis_url).reachable


@pytest.mark.parametrize("variable", ["BROKER_URL", "REDIS_URL"])
def test_a_url_that_was_named_is_used_or_an_error_that_names_its_variable(
    variable: str, tmp_path: Path, redis_url: str
) -> None:
    away = {"BROKER_URL": f"amqp://me:s3cret@{nothing()}//", "REDIS_URL": f"redis://:s3cret@{nothing()}/0"}
    there = {"BROKER_URL": redis_url, "REDIS_URL": redis_url, variable: away[variable]}
    settings = Settings(broker_url=there["BROKER_URL"], redis_url=there["REDIS_URL"])
    with (
        pytest.raises(ServiceError, match=variable) as caught,
        open_services(settings, workdir=tmp_path, explicit=True, fresh=False),
    ):
        pass
    assert "s3cret" not in str(caught.value)


def test_a_redis_broker_is_used_and_its_limits_are_told(
    tmp_path: Path, redis_url: str, redis_broker_url: str
) -> None:
    settings = Settings(broker_url=redis_broker_url, redis_url=redis_url)
    with open_services(settings, workdir=tmp_path, explicit=True, fresh=False) as services:
        assert (services.kind, services.broker_url, services.redis_url) == (
            "redis",
            redis_broker_url,
            redis_url,
        )
        assert "no delivery limit" in " ".join(services.notes)


def test_a_fresh_run_gets_a_redis_database_of_its_own(
    tmp_path: Path, redis_url: str, redis_broker_url: str
) -> None:
    settings = Settings(broker_url=redis_broker_url, redis_url=redis_url)
    with open_services(settings, workdir=tmp_path, explicit=True, fresh=True) as services:
        urls = {services.redis_url, services.broker_url}
        assert len(urls) == 2
        assert not urls & {redis_url, redis_broker_url}
        with redis.Redis.from_url(services.redis_url) as client:
            client.set("a", 1)
    with redis.Redis.from_url(services.redis_url) as client:
        assert client.dbsize() == 0


@pytest.mark.rabbitmq
def test_a_fresh_run_gets_a_vhost_of_its_own(tmp_path: Path, broker_url: str, redis_url: str) -> None:
    settings = Settings(broker_url=broker_url, redis_url=redis_url)
    with open_services(settings, workdir=tmp_path, explicit=True, fresh=True) as services:
        assert services.kind in {"rabbitmq", "private-rabbitmq"}
        assert services.broker_url != broker_url
        assert reach(services.broker_url).reachable
    assert not reach(services.broker_url).reachable


def test_what_a_run_uses_is_not_shown_with_its_password(tmp_path: Path) -> None:
    settings = Settings(broker_url=f"amqp://{nothing()}//", redis_url=f"redis://{nothing()}/0")
    with open_services(settings, workdir=tmp_path, explicit=False, fresh=False, embedded=True) as services:
        assert services.redis_url not in repr(services)
        assert services.redis_url not in " ".join(services.notes)
