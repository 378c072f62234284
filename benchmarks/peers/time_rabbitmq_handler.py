"""Time logging calls through python-logging-rabbitmq; print median and 99th percentile as JSON."""

from __future__ import annotations

import json
import sys
from urllib.parse import unquote, urlsplit

from python_logging_rabbitmq import RabbitMQHandler, RabbitMQHandlerOneWay

from benchmarks.timing import time_calls
from benchmarks.workload import log_order, logger


def main() -> None:
    """Measure: arguments are "direct" or "one-way", the broker's URL and how many calls."""
    way, url, count = sys.argv[1], urlsplit(sys.argv[2]), int(sys.argv[3])
    handler = (RabbitMQHandlerOneWay if way == "one-way" else RabbitMQHandler)(
        host=url.hostname,
        port=url.port or 5672,
        username=unquote(url.username or "guest"),
        password=unquote(url.password or "guest"),
        connection_params={"virtual_host": unquote(url.path.removeprefix("/")) or "/"},
        declare_exchange=True,
        close_after_emit=False,
    )
    with logger("bench.calls", handler) as log:
        log_order(log, 0)
        print(json.dumps({"calls": time_calls([log], count)}), flush=True)


if __name__ == "__main__":
    main()
