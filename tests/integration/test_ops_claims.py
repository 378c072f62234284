"""A Redis database for oneself: empty, nobody else's, and free again when its holder dies."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis

from superhero import keys
from superhero.errors import ServiceError
from superhero.ops.claims import MARK, claimed_database
from superhero.ops.embedded import EmbeddedRedis, free_port

HOLDER = (
    "import sys, redis, signal\n"
    "from superhero.ops.claims import claimed_database\n"
    "with claimed_database(sys.argv[1]) as url:\n"
    "    redis.Redis.from_url(url).set('left', 'behind')\n"
    "    print(url, flush=True)\n"
    "    signal.pause()\n"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRedis]:
    """Give a server where nobody else claims anything."""
    with EmbeddedRedis(tmp_path_factory.mktemp("claims")) as started:
        yield started


def size(url: str) -> int:
    """Return how many keys a database holds, the mark of its claim not counted."""
    with redis.Redis.from_url(url) as client:
        return int(client.dbsize() - client.exists(MARK))


def test_two_claims_at_a_time_are_two_empty_databases(server: EmbeddedRedis) -> None:
    with claimed_database(server.url()) as one, claimed_database(server.url()) as other:
        assert one != other
        with redis.Redis.from_url(one) as client:
            client.set("a", 1)
        assert (size(one), size(other)) == (1, 0)


def test_a_database_is_empty_and_free_again_afterwards(server: EmbeddedRedis) -> None:
    with claimed_database(server.url()) as url, redis.Redis.from_url(url) as client:
        client.set("a", 1)
    assert size(url) == 0
    with claimed_database(server.url()) as again:
        assert again == url


def test_somebody_s_data_is_left_alone(server: EmbeddedRedis) -> None:
    with redis.Redis.from_url(server.url(15)) as client:
        client.set("somebody", "else's")
        with claimed_database(server.url()) as url:
            assert url != server.url(15)
        assert client.get("somebody") == b"else's"
        client.flushdb()


def test_what_a_dead_holder_claimed_is_emptied_and_taken(project_root: Path, server: EmbeddedRedis) -> None:
    argv = [sys.executable, "-c", HOLDER, server.url()]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=project_root) as holder:
        assert holder.stdout is not None
        held = holder.stdout.readline().strip()
        with claimed_database(server.url()) as other:
            assert other != held
        holder.send_signal(signal.SIGKILL)
    assert size(held) == 1
    with claimed_database(server.url()) as url:
        assert url == held
        assert size(url) == 0


def test_a_dead_holder_s_database_that_somebody_came_to_use_is_left_alone(server: EmbeddedRedis) -> None:
    with redis.Redis.from_url(server.url(0)) as claims, redis.Redis.from_url(server.url(15)) as client:
        claims.set("superhero:claim:15", "superhero-died-long-ago")
        client.set("somebody", "else's")
        with claimed_database(server.url()) as url:
            assert url != server.url(15)
        assert client.get("somebody") == b"else's"
        client.flushdb()


def test_when_all_are_taken_that_is_an_error_without_the_password(server: EmbeddedRedis) -> None:
    with ExitStack() as stack:
        for _ in range(15):
            stack.enter_context(claimed_database(server.url()))
        with pytest.raises(ServiceError, match="none of the databases") as caught:
            stack.enter_context(claimed_database(server.url()))
    assert ":***@" in str(caught.value)


def test_a_redis_that_does_not_answer_is_an_error_without_the_password() -> None:
    with (
        pytest.raises(ServiceError, match=r":\*\*\*@") as caught,
        claimed_database(f"redis://:s3cret@127.0.0.1:{free_port()}/0"),
    ):
        pass
    assert "s3cret" not in str(caught.value)


def test_what_only_dead_processes_left_of_their_pulse_is_swept_away(server: EmbeddedRedis) -> None:
    with redis.Redis.from_url(server.url(15)) as client:
        client.hset(keys.pulse_totals(), "account", "a")
        with claimed_database(server.url()) as url:
            assert (url, size(url)) == (server.url(15), 0)


def test_a_database_in_which_somebody_has_a_pulse_is_left_alone(server: EmbeddedRedis) -> None:
    with redis.Redis.from_url(server.url(15)) as client:
        client.set(keys.pulse_process("p"), "{}")
        with claimed_database(server.url()) as url:
            assert url != server.url(15)
        client.flushdb()
