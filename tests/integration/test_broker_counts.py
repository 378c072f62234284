"""What RabbitMQ's management API counts of a vhost, where it answers, and nothing where it does not."""

from __future__ import annotations

from pathlib import Path

import pytest
from kombu import Connection
from patience import WaitUntil

from superhero.ops.broker_counts import BrokerCounts
from superhero.ops.embedded import free_port
from superhero.ops.rabbitmq import PrivateRabbit, find_server

_OFTEN = "collect_statistics_interval = 200\n"


@pytest.mark.rabbitmq
@pytest.mark.skipif(find_server() is None, reason="needs a node of its own: rabbitmq-server is not installed")
def test_messages_published_delivered_and_acknowledged_are_counted_over_time(
    tmp_path: Path, wait_until: WaitUntil
) -> None:
    with PrivateRabbit(tmp_path / "rabbitmq", _OFTEN, management=True) as node, node.fresh_vhost() as url:
        with BrokerCounts(url, node.management_url) as counts, Connection(url) as connection:
            queue = connection.SimpleQueue("trial")
            for number in range(5):
                queue.put(number)
            for _ in range(3):
                queue.get(timeout=10).ack()

            def last() -> dict[str, float]:
                return {name: curve[-1][1] for name, curve in counts.curves.items()}

            wait_until(lambda: last().get("publish") == 5 and last().get("acknowledge") == 3, 30)
            assert last()["deliver"] >= 3
            queue.close()
        moments = [at for at, _ in counts.curves["publish"]]
        assert moments == sorted(moments)


@pytest.mark.rabbitmq
def test_without_the_api_there_are_no_counts(broker_url: str) -> None:
    with BrokerCounts(broker_url, f"http://127.0.0.1:{free_port()}") as counts:
        pass
    assert counts.curves == {}
