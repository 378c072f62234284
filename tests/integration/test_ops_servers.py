"""Servers of our own, embedded Redis and private RabbitMQ: they start, keep what they were given, and end."""

from __future__ import annotations

import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from kombu import Connection, Exchange, Queue
from patience import WaitUntil

from superhero.errors import ServiceError
from superhero.ops.depths import DepthCurve, dead_letters, depth
from superhero.ops.embedded import EmbeddedRedis, free_port
from superhero.ops.rabbitmq import PrivateRabbit, find_server
from superhero.ops.reach import reach
from superhero.ops.vhosts import fresh_vhost
from superhero.transport.topology import DEAD_QUEUE, channel_queue


def listens(port: int) -> bool:
    """Tell whether somebody listens on a loopback port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_the_embedded_server_lets_nobody_in_without_its_password(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path) as server:
        assert "authenticate" in reach(f"redis://127.0.0.1:{server.port}/0").error
        assert not reach(f"redis://:wrong@127.0.0.1:{server.port}/0").reachable
        config = tmp_path / "server.conf"
        assert stat.S_IMODE(config.stat().st_mode) == 0o600
        answer = reach(server.url())
        assert answer.facts["appendonly"] == "yes"
        assert answer.facts["maxmemory-policy"] == "noeviction"
        port = server.port
    assert not listens(port)


def test_the_embedded_server_loses_nothing_when_it_is_killed(tmp_path: Path) -> None:
    server = EmbeddedRedis(tmp_path)
    with server:
        with redis.Redis.from_url(server.url(3)) as client:
            for number in range(1000):
                client.rpush("list", number)
        server.kill9()
        assert not reach(server.url()).reachable
        server.start()
        with redis.Redis.from_url(server.url(3)) as client:
            assert client.llen("list") == 1000


def test_a_second_server_on_the_same_folder_has_the_data(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path) as server, redis.Redis.from_url(server.url()) as client:
        client.set("a", "b")
    with EmbeddedRedis(tmp_path) as server, redis.Redis.from_url(server.url()) as client:
        assert client.get("a") == b"b"


def test_a_server_that_cannot_start_is_an_error_with_its_own_words(tmp_path: Path) -> None:
    server = EmbeddedRedis(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", server.port))
        taken.listen()
        with pytest.raises(ServiceError, match="ended with status"):
            server.start()


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateRabbit]:
    """Give a private RabbitMQ node, or skip where RabbitMQ is not installed."""
    if find_server() is None:
        pytest.skip("rabbitmq-server is not installed (Debian: apt-get install rabbitmq-server)")
    with PrivateRabbit(tmp_path_factory.mktemp("node")) as started:
        yield started


@pytest.mark.rabbitmq
@pytest.mark.acceptance
def test_a_private_node_keeps_durable_messages_through_kill_and_restart(
    node: PrivateRabbit, wait_until: WaitUntil
) -> None:
    url = node.add_vhost("kept")
    send(url, 1)
    # RabbitMQ writes a new quorum queue's name down within half a second, after it has confirmed the first
    # messages; killed before that, it does not find the queue's log again.
    names = next(node.base_dir.glob("data/*/quorum/*/names.dets"))
    wait_until(lambda: b"kept.orders" in names.read_bytes())
    node.kill9()
    assert not reach(url).reachable
    node.start()
    wait_until(lambda: waiting(url) == 1)  # a quorum queue elects its leader first
    send(url, 2)
    node.restart()
    wait_until(lambda: waiting(url) == 2)
    node.delete_vhost("kept")
    assert not reach(url).reachable


def send(url: str, number: int) -> None:
    """Publish a persistent message, confirmed, to a queue of ours."""
    with Connection(url, transport_options={"confirm_publish": True}) as connection:
        queue = channel_queue("kept.orders")
        producer = connection.Producer()
        producer.publish(
            {"n": number}, exchange=queue.exchange, routing_key=queue.routing_key, declare=[queue], retry=True
        )


def waiting(url: str) -> int:
    """Return how many messages wait in that queue."""
    with Connection(url) as connection:
        return depth(connection, "kept.orders")


@pytest.mark.rabbitmq
def test_a_fresh_vhost_is_gone_afterwards(broker_url: str) -> None:
    with fresh_vhost(broker_url) as url:
        assert url != broker_url
        assert reach(url).reachable
    assert not reach(url).reachable


def test_a_broker_that_lets_us_make_no_vhost_is_an_error_without_the_password() -> None:
    with (
        pytest.raises(ServiceError, match="cannot make a vhost") as caught,
        fresh_vhost(f"amqp://me:s3cret@192.0.2.1:{free_port()}//", "http://127.0.0.1:1"),
    ):
        pass
    assert "s3cret" not in str(caught.value)


@pytest.mark.rabbitmq
def test_the_curve_shows_what_waits_and_unknown_queues_as_empty(
    broker_url: str, wait_until: WaitUntil
) -> None:
    with Connection(broker_url) as connection:
        assert depth(connection, "not.there") == 0
    with DepthCurve(broker_url, ["a.b"], every_s=0.02) as curve:
        with Connection(broker_url) as connection:
            queue = Queue(
                "a.b", Exchange("superhero", "topic"), "a.b", queue_arguments={"x-queue-type": "quorum"}
            )
            for _ in range(3):
                connection.Producer().publish({}, exchange=queue.exchange, routing_key="a.b", declare=[queue])
        wait_until(lambda: curve.samples and curve.samples[-1][1] == 3)
    assert [seconds for seconds, _ in curve.samples] == sorted(seconds for seconds, _ in curve.samples)


@pytest.mark.rabbitmq
def test_dead_letters_are_counted(broker_url: str) -> None:
    assert dead_letters(broker_url) == 0
    with Connection(broker_url, transport_options={"confirm_publish": True}) as connection:
        connection.Producer().publish({}, exchange=DEAD_QUEUE.exchange, routing_key="a", declare=[DEAD_QUEUE])
    assert dead_letters(broker_url) == 1
