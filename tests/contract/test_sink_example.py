"""The sink of examples/sink-example, installed as another package would be, keeps the contract."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from sink_kinds import podium, stream

from sinks import open_sink
from sinks.base import Append, Sink
from sinks.errors import SinkError, TerminalSinkError, TransientSinkError

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "sink-example"


class Documents(BaseHTTPRequestHandler):
    """Keeps documents by their path, as RFC 9110 says."""

    protocol_version = "HTTP/1.1"
    kept: dict[str, Any]
    refusal = 0

    def do_PUT(self) -> None:
        """Take a document where there is none."""
        content = self.rfile.read(int(self.headers["Content-Length"]))
        stands = self.path in self.kept and self.headers["If-None-Match"] == "*"
        if not self.refusal and not stands:
            self.kept[self.path] = json.loads(content)
        self.send_response(self.refusal or (412 if stands else 201))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def documents() -> Iterator[type[Documents]]:
    """Give a server's handler, with what it keeps."""
    yield type("Own", (Documents,), {"kept": {}})


@pytest.fixture
def url(documents: type[Documents], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """Install the example and start a server; give the sink's URL."""
    installed = tmp_path / "sink_example-0.1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: sink-example\nVersion: 0.1.0\n")
    project = (EXAMPLE / "pyproject.toml").read_text()
    entry_point = next(line for line in project.splitlines() if line.startswith("documents ="))
    (installed / "entry_points.txt").write_text(f"[superhero.sinks]\n{entry_point.replace(chr(34), '')}\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.syspath_prepend(EXAMPLE)
    with ThreadingHTTPServer(("127.0.0.1", 0), documents) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"documents:http://127.0.0.1:{server.server_port}/lake"
        server.shutdown()
        thread.join()


@pytest.fixture
def sink(url: str) -> Iterator[Sink]:
    with open_sink(url) as opened:
        yield opened


def test_a_row_comes_once_whatever_comes_twice(sink: Sink, documents: type[Documents]) -> None:
    for start in range(0, 20, 5):
        sink.write([podium("g"), stream("p", range(start, start + 10), n=start)])
    assert len(documents.kept) == 2 + 25
    assert documents.kept["/lake/RECORDS/p%3A5"] == {"record_id": "p:5", "n": 0}
    assert documents.kept["/lake/GAME_PODIUM/g/1"] == {"game_token": "g", "rank": 2}


def test_nothing_is_sent_of_a_batch_with_a_row_that_is_not_json(
    sink: Sink, documents: type[Documents]
) -> None:
    with pytest.raises(TerminalSinkError, match="not JSON"):
        sink.write([podium("g"), Append("RECORDS", [{"record_id": "p:0", "value": object()}])])
    assert not documents.kept


@pytest.mark.parametrize(("status", "kind"), [(503, TransientSinkError), (400, TerminalSinkError)])
def test_a_refusal_is_told_by_its_status(
    sink: Sink, documents: type[Documents], status: int, kind: type[SinkError]
) -> None:
    documents.refusal = status
    with pytest.raises(kind, match=str(status)):
        sink.write([podium("g")])


@pytest.mark.usefixtures("url")
def test_a_server_that_is_away_is_transient() -> None:
    with open_sink("documents:http://127.0.0.1:9/x") as sink, pytest.raises(TransientSinkError, match="127"):
        sink.write([podium("g")])
    with pytest.raises(SinkError, match="documents:http"):
        open_sink("documents:ftp://x")
