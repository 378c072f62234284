"""Watch what RabbitMQ's management API counts in a vhost: messages published, delivered, acknowledged.

The broker refreshes these every `collect_statistics_interval`, 5 s by default, so a run of seconds has few
points. Where the API does not answer there are none.
"""

from __future__ import annotations

import time
from dataclasses import replace
from urllib.parse import quote, unquote, urlsplit

import httpx

from superhero.config import Settings
from superhero.ops.our_queues import management_api
from superhero.ops.reach import is_redis
from superhero.ops.watching import Watching

_EVERY_S = 0.5
_COUNTED = {"publish": "publish", "deliver": "deliver_get", "acknowledge": "ack", "redeliver": "redeliver"}


class BrokerCounts(Watching):
    """Samples from a thread of its own while it is entered; `curves` holds (seconds, messages so far)."""

    def __init__(self, broker_url: str, management_url: str) -> None:
        super().__init__("broker-counts")
        settings = replace(Settings(), broker_url=broker_url, rabbitmq_management_url=management_url)
        self._redis = is_redis(broker_url)
        base, self._auth = ("", ("", "")) if self._redis else management_api(settings)
        vhost = unquote(urlsplit(broker_url).path[1:]) or "/"
        self._url = f"{base}/api/vhosts/{quote(vhost, safe='')}"
        self.curves: dict[str, list[tuple[float, float]]] = {}

    def start(self) -> None:
        """Begin to sample; nothing where the broker is a Redis, which counts none of this."""
        if not self._redis:
            super().start()

    def _watch(self) -> None:
        with httpx.Client(auth=self._auth, timeout=2.0, trust_env=False) as http:
            while True:
                try:
                    told = http.get(self._url).raise_for_status().json().get("message_stats", {})
                except httpx.HTTPError:
                    return  # there is no such API, or it does not let us in
                for name, counted in _COUNTED.items():
                    point = (round(time.monotonic() - self._began, 2), float(told.get(counted, 0)))
                    self.curves.setdefault(name, []).append(point)
                if self._over.wait(_EVERY_S):
                    return
