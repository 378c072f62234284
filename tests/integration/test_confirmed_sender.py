"""What is sent and confirmed, or known not to be."""

from __future__ import annotations

import pytest
from kombu import Connection

from superhero.errors import BrokerUnavailable
from superhero.transport.confirmed import ConfirmedSender, RawMessage

pytestmark = pytest.mark.rabbitmq

MESSAGE = RawMessage(b"{}", "application/json", "utf-8", {})


def test_a_message_that_the_broker_refuses_is_still_ours(broker_url: str) -> None:
    arguments = {"x-queue-type": "quorum", "x-max-length": 1, "x-overflow": "reject-publish"}
    with Connection(broker_url) as connection, connection.channel() as channel:
        channel.queue_declare("full", durable=True, auto_delete=False, arguments=arguments)
        with ConfirmedSender(broker_url) as sender, pytest.raises(BrokerUnavailable):
            for _ in range(100):
                sender.send(MESSAGE, "", "full")
