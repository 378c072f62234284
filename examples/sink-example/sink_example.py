"""A sink from another package: every row becomes a document of its own on a web server.

    PUT <url>/<DATASET>/<record_id>       a row of a stream
    PUT <url>/<DATASET>/<key>/<number>    a row of an object

The path follows from the row alone and the server is asked to take it only where there is nothing yet, so a
row that comes again changes nothing. The server must honour `If-None-Match: *` (RFC 9110, 13.1.2).
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator, Sequence
from urllib.parse import quote, urlsplit

from sinks.base import Put, Row, Sink, Write
from sinks.errors import SinkError, TerminalSinkError, TransientSinkError

TIMEOUT_S = 10
STANDS_ALREADY = 412
MAY_PASS = frozenset({401, 403, 408, 423, 429})


def open_documents(rest: str) -> DocumentSink:
    """Return the sink for `documents:http://host:port/path`; nothing is connected to yet."""
    url = urlsplit(rest)
    if url.scheme != "http" or not url.hostname:
        raise SinkError("documents: needs the URL of a server, documents:http://host:port/path")
    return DocumentSink(url.hostname, url.port or 80, url.path.rstrip("/"))


class DocumentSink(Sink):
    """Writes to one server, over one connection per batch."""

    def __init__(self, host: str, port: int, path: str) -> None:
        self._host, self._port, self._path = host, port, path

    def write(self, writes: Sequence[Write]) -> None:
        """Send every row that is not there yet. A batch that failed on its way can be sent again whole."""
        documents = list(_documents(writes))
        connection = http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT_S)
        try:
            for path, content in documents:
                self._put(connection, f"{self._path}/{path}", content)
        except (OSError, http.client.HTTPException) as error:
            raise TransientSinkError(f"cannot write to {self._host}:{self._port}: {error!r}") from error
        finally:
            connection.close()

    def close(self) -> None:
        """Do nothing: no connection outlives a batch."""

    @staticmethod
    def _put(connection: http.client.HTTPConnection, path: str, content: bytes) -> None:
        headers = {"Content-Type": "application/json", "If-None-Match": "*"}
        connection.request("PUT", quote(path), content, headers)
        response = connection.getresponse()
        response.read()
        if response.status < 300 or response.status == STANDS_ALREADY:
            return
        kind = (
            TransientSinkError if response.status >= 500 or response.status in MAY_PASS else TerminalSinkError
        )
        raise kind(f"PUT {path} was answered {response.status} {response.reason}")


def _documents(writes: Sequence[Write]) -> Iterator[tuple[str, bytes]]:
    for write in writes:
        for number, row in enumerate(write.rows):
            name = f"{write.key}/{number}" if isinstance(write, Put) else str(row["record_id"])
            yield f"{write.dataset}/{name}", _encoded(row)


def _encoded(row: Row) -> bytes:
    try:
        text = json.dumps(row, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise TerminalSinkError(f"a row is not JSON: {error}") from error
    return text.encode("utf-8", "replace")
