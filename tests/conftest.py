"""Services and processes for tests: each test has a Redis database and a RabbitMQ vhost of its own."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from patience import Eventually, T, WaitUntil

from superhero.config import Settings
from superhero.errors import ServiceError
from superhero.ops.claims import claimed_database
from superhero.ops.embedded import EmbeddedRedis
from superhero.ops.processes import Processes
from superhero.ops.rabbitmq import PrivateRabbit, find_server
from superhero.ops.reach import reach
from superhero.ops.vhosts import fresh_vhost

# How long it takes to make an example tells how busy the machine is, and nothing of us.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

_OURS = (
    "BROKER_URL",
    "REDIS_URL",
    "RABBITMQ_MANAGEMENT_URL",
    "SERVER_HOST",
    "SERVER_PORT",
    "SERVER_URL",
    "LOBBY_TIMEOUT",
    "TURN_TIMEOUT",
    "MAX_PARTICIPANTS",
    "SERVER_SECRET",
    "TRUSTED_PROXIES",
    "ARENA_VIEWERS",
    "ARENA_CONTROL",
    "MAX_CONNECTIONS",
    "MAX_CONNECTIONS_PER_ADDRESS",
    "MAX_REQUESTS_PER_CONNECTION",
    "MAX_REQUESTS_PER_ADDRESS",
    "MAX_NEW_USERS_PER_ADDRESS",
    "SPOOL_DIR",
    "OUTPUT_DIR",
    "SINKS",
    "CHANNELS",
    "GAME_TTL",
    "VISIBILITY_TIMEOUT",
    "SUPERHERO_API_TOKEN",
    "SUPERHERO_API_URL",
    "METRICS_HOST",
    "METRICS_PORT",
    "OTEL_TRACES_EXPORTER",
    "LOG_LEVEL",
    "KAFKA_URL",
    "LOG_FORMAT",
    "FLOWER_BASIC_AUTH",
    "FLOWER_DB",
    "FLOWER_URL",
)


@pytest.fixture(scope="session", autouse=True)
def _outer_environment() -> Iterator[dict[str, str]]:
    """Take our variables out of the environment, so that no test depends on them, and give them back."""
    taken = {name: os.environ.pop(name) for name in _OURS if name in os.environ}
    yield taken
    os.environ.update(taken)


@pytest.fixture(scope="session")
def _redis_server(
    _outer_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Return the URL of the reachable Redis, or of a server started for the session."""
    url = _outer_environment.get("REDIS_URL", Settings().redis_url)
    if reach(url).reachable:
        yield url
        return
    with EmbeddedRedis(tmp_path_factory.mktemp("redis")) as server:
        yield server.url()


@pytest.fixture
def redis_url(_redis_server: str) -> Iterator[str]:
    """Give the test an empty Redis database of its own."""
    with claimed_database(_redis_server) as url:
        yield url


@pytest.fixture
def redis_broker_url(_redis_server: str) -> Iterator[str]:
    """Give the test an empty Redis database of its own, other than `redis_url`, to use as a broker."""
    with claimed_database(_redis_server) as url:
        yield url


@pytest.fixture(scope="session")
def _private_rabbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateRabbit]:
    with PrivateRabbit(tmp_path_factory.mktemp("rabbitmq")) as node:
        yield node


@pytest.fixture
def broker_url(_outer_environment: dict[str, str], request: pytest.FixtureRequest) -> Iterator[str]:
    """Give the test an empty RabbitMQ vhost of its own, on the reachable broker or on a private node."""
    url = _outer_environment.get("BROKER_URL", Settings().broker_url)
    refusal = f"no RabbitMQ answers at {Settings().broker_url}"
    with ExitStack() as stack:
        if url.startswith("amqp") and reach(url).reachable:
            try:
                yield stack.enter_context(
                    fresh_vhost(url, _outer_environment.get("RABBITMQ_MANAGEMENT_URL", ""))
                )
                return
            except ServiceError as error:
                refusal = str(error)
        if find_server() is not None:
            yield stack.enter_context(request.getfixturevalue("_private_rabbit").fresh_vhost())
            return
    reason = f"{refusal}, and rabbitmq-server is not installed (Debian: apt-get install rabbitmq-server)"
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture
def processes(request: pytest.FixtureRequest) -> Iterator[Processes]:
    """Give the test a group of processes that ends with it, and before the services that they use."""
    for service in ("redis_url", "redis_broker_url", "broker_url"):
        if service in request.fixturenames:
            request.getfixturevalue(service)
    with Processes() as group:
        yield group


@pytest.fixture(scope="session")
def wait_until() -> WaitUntil:
    """Give the one place where a test may poll."""

    def wait(condition: Callable[[], T], timeout_s: float = 10, every_s: float = 0.02) -> T:
        deadline = time.monotonic() + timeout_s
        while not (value := condition()):
            if time.monotonic() > deadline:
                pytest.fail(_too_late(condition, timeout_s, value))
            time.sleep(every_s)
        return value

    return wait


@pytest.fixture(scope="session")
def eventually() -> Eventually:
    """Give `wait_until` for async tests."""

    async def wait(
        condition: Callable[[], T | Awaitable[T]], timeout_s: float = 10, every_s: float = 0.02
    ) -> T:
        deadline = time.monotonic() + timeout_s
        while True:
            answer: Any = condition()
            value: T = await answer if isinstance(answer, Awaitable) else answer
            if value:
                return value
            if time.monotonic() > deadline:
                pytest.fail(_too_late(condition, timeout_s, value))
            await asyncio.sleep(every_s)

    return wait


@pytest.fixture
def project_root() -> Path:
    """Give the folder that holds setup.cfg."""
    return Path(__file__).resolve().parent.parent


def _too_late(condition: Callable[[], object], timeout_s: float, last: object) -> str:
    code = getattr(condition, "__code__", None)
    where = f"{Path(code.co_filename).name}:{code.co_firstlineno}" if code else repr(condition)
    return f"the condition at {where} did not come true within {timeout_s:g} s; it was {last!r:.300}"
