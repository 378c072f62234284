"""Whether a URL of a service can be read at all, for settings and for senders; shows nothing of it."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

_SEVERAL_HOSTS = ("sentinel", "sentinels")
_DATABASE = re.compile(r"/{0,2}[0-9]*")
_ENCODE = "(a password with / # ? @ must be percent-encoded)"


def check_url(url: str) -> None:
    """Raise ValueError where host and port of one URL cannot be read, or a Redis has no such database.

    No piece of the URL is in the error: the port that cannot be read may be the beginning of a password, and
    so may be what Python's own error says, which is neither shown nor chained.
    """
    if not _is_readable(url):
        raise ValueError(f"its host and port cannot be read; a port is a number up to 65535 {_ENCODE}")
    parts = urlsplit(url)
    if parts.scheme in ("redis", "rediss") and not _DATABASE.fullmatch(parts.path):
        raise ValueError(
            f"what follows its host must be empty or the number of a database, like /0 {_ENCODE}"
        )


def _is_readable(url: str) -> bool:
    try:
        parts = urlsplit(url)
        hosts = parts.netloc.rpartition("@")[2]
        for host in hosts.split(",") if parts.scheme in _SEVERAL_HOSTS else (hosts,):
            _ = urlsplit(f"//{host}").port
    except ValueError:
        return False
    # amqp://me:12/34@host has a host `me` and a port 12, of a password with a slash in it.
    behind = parts.path + parts.fragment + ("" if parts.path else parts.query)
    return "@" in parts.netloc or ":" not in parts.netloc or "@" not in behind
