"""Log records through a spool in a process of its own, for tests that kill it.

    python logging_child.py BROKER_URL SPOOL_DIR FIRST COUNT [--deaf]

Logs COUNT records numbered from FIRST, prints `logged`, then `flushed` once they are confirmed, and lives on
until SIGTERM. `--deaf`: confirms are never heard, as if the process died just before each.
"""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Sequence

from superhero.transport import CeleryHandler
from superhero.transport.amqp_sender import AmqpSender
from superhero.transport.sender import Outcome

CHANNEL = "app.orders"


class DeafSender(AmqpSender):
    """Sends, and never hears that anything arrived."""

    def wait(self, timeout_s: float) -> Sequence[Outcome]:
        """Serve the connection and forget what the broker said."""
        if super().wait(timeout_s):
            print("sent", flush=True)
        return []


def main(broker_url: str, spool_dir: str, first: int, count: int, *flags: str) -> None:
    """Do as the module says."""
    sender = (lambda: DeafSender(broker_url)) if "--deaf" in flags else None
    handler = CeleryHandler(broker_url=broker_url, spool_dir=spool_dir, flush_timeout_s=1.0, sender=sender)
    handler.start()
    logger = logging.getLogger(CHANNEL)
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    for number in range(first, first + count):
        logger.info("record %d", number, extra={"event": "order.paid", "payload": {"number": number}})
    print("logged", flush=True)
    if "--deaf" not in flags and handler.flush(60.0):
        print("flushed", flush=True)
    signal.pause()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), *sys.argv[5:])
