"""Pulling heroes from Super Hero API, played by a server on this machine."""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner

from superhero.cli import main
from superhero.errors import RosterError
from superhero.roster import pull as pulling
from superhero.roster import read_file
from superhero.roster.pull import ATTEMPTS, HeroApi, pull

TOKEN = "top-secret/токен"
Reply = tuple[int, dict[str, str], bytes]


def hero(hero_id: int) -> bytes:
    record = {
        "response": "success",
        "id": str(hero_id),
        "name": f"Hero {hero_id}",
        "powerstats": {"speed": "null"},
    }
    return json.dumps(record).encode()


class Api(ThreadingHTTPServer):
    """Serves any hero; `script` holds replies that come first, per id. An empty reply hangs up."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script: dict[int, list[Reply | None]] = {}
        self.asked: Counter[int] = Counter()
        self.paths: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/api"

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing about a client that did not wait for its answer."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]  # as socketserver has it

    def reply(self, hero_id: int) -> Reply | None:
        self.asked[hero_id] += 1
        scripted = self.script.get(hero_id)
        return scripted.pop(0) if scripted else (200, {}, hero(hero_id))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Api

    def do_GET(self) -> None:
        self.server.paths.append(self.path)
        reply = self.server.reply(int(self.path.rpartition("/")[2]))
        if reply is None:
            self.close_connection = True
            return
        status, headers, body = reply
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Api() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def pauses() -> list[float]:
    """Give the list of pauses that the client would have made."""
    return []


@pytest.fixture
def client(api: Api, pauses: list[float]) -> Iterator[HeroApi]:
    with HeroApi(api.url, TOKEN, pause=pauses.append) as client:
        yield client


def test_heroes_are_pulled_into_a_file_that_loads(api: Api, client: HeroApi, tmp_path: Path) -> None:
    path, seen = tmp_path / "heroes.json", []
    pulled = pull(client, path, range(1, 6), lambda done, name: seen.append((done, name)))
    assert [each.id for each in read_file(path)] == [1, 2, 3, 4, 5]
    assert (len(pulled.heroes), dict(pulled.skipped)) == (5, {})
    assert seen == [(number, f"Hero {number}") for number in range(1, 6)]
    assert api.paths[0] == "/api/top-secret%2F%D1%82%D0%BE%D0%BA%D0%B5%D0%BD/1"
    assert [file.name for file in tmp_path.iterdir()] == ["heroes.json"]


def test_what_is_no_file_is_not_replaced_by_one(api: Api, client: HeroApi, tmp_path: Path) -> None:
    with pytest.raises(RosterError, match="is no file"):
        pull(client, tmp_path, range(1, 3))
    assert not api.asked


def test_what_may_work_the_next_time_is_tried_again_with_growing_pauses(
    api: Api, client: HeroApi, pauses: list[float]
) -> None:
    api.script[1] = [(500, {}, b""), None, (503, {}, b"busy"), (429, {}, b"")]
    assert client.fetch(1)["name"] == "Hero 1"
    assert len(pauses) == 4
    assert all(0.25 * 2**number <= pause <= 0.5 * 2**number for number, pause in enumerate(pauses))


def test_the_api_may_say_how_long_to_wait(api: Api, client: HeroApi, pauses: list[float]) -> None:
    api.script[1] = [(429, {"Retry-After": "17"}, b""), (429, {"Retry-After": "86400"}, b"")]
    client.fetch(1)
    assert pauses == [17.0, 60.0]


def test_a_time_out_is_tried_again(api: Api, monkeypatch: pytest.MonkeyPatch, pauses: list[float]) -> None:
    monkeypatch.setattr(pulling, "_TIMEOUT_S", 0.1)
    release = threading.Event()
    reply: Callable[[int], Reply | None] = api.reply

    def slow_once(hero_id: int) -> Reply | None:
        answer = reply(hero_id)
        if api.asked[hero_id] == 1:
            release.wait(5)
        return answer

    monkeypatch.setattr(api, "reply", slow_once)
    with HeroApi(api.url, TOKEN, pause=pauses.append) as client:
        assert client.fetch(1)["name"] == "Hero 1"
    release.set()
    assert len(pauses) == 1


def test_an_api_that_keeps_failing_ends_the_pull_which_then_goes_on_where_it_stopped(
    api: Api, client: HeroApi, tmp_path: Path
) -> None:
    path = tmp_path / "heroes.json"
    api.script[3] = [(500, {}, b"")] * ATTEMPTS
    with pytest.raises(RosterError, match=r"hero 3: .*failed 6 times.*HTTP status 500"):
        pull(client, path, range(1, 6))
    assert not path.exists()
    pull(client, path, range(1, 6))
    assert [each.id for each in read_file(path)] == [1, 2, 3, 4, 5]
    assert api.asked == {1: 1, 2: 1, 3: ATTEMPTS + 1, 4: 1, 5: 1}


@pytest.mark.parametrize("torn", [b'[3, {"id": "3", "na', b"\xff\xff", b"[3, 4]\n", b"\n"])
def test_a_partial_file_that_was_torn_is_read_as_far_as_it_is_whole(
    api: Api, client: HeroApi, tmp_path: Path, torn: bytes
) -> None:
    path, part = tmp_path / "heroes.json", tmp_path / "heroes.json.part"
    part.write_bytes(b"".join(b"[%d,%b]\n" % (number, hero(number)) for number in (1, 2)) + torn)
    pull(client, path, range(1, 5))
    assert [each.id for each in read_file(path)] == [1, 2, 3, 4]
    assert set(api.asked) == {3, 4}


def test_ids_without_a_hero_are_skipped_with_a_reason(api: Api, client: HeroApi, tmp_path: Path) -> None:
    api.script[2] = [(200, {}, b'{"response": "error", "error": "invalid id"}')]
    api.script[3] = [(404, {}, b"")]
    api.script[4] = [(200, {}, b'{"id": "4", "name": "", "powerstats": {}}')]
    api.script[5] = [(200, {}, hero(6))]
    pulled = pull(client, tmp_path / "heroes.json", range(1, 6))
    assert [each.id for each in pulled.heroes] == [1]
    assert list(pulled.skipped) == [2, 3, 4, 5]
    assert "invalid id" in pulled.skipped[2]
    assert "name must be" in pulled.skipped[4]


@pytest.mark.parametrize(
    "reply",
    [
        (401, {}, b""),
        (403, {}, b""),
        (200, {}, b'{"response":"error","error":"access denied"}'),
    ],
)
def test_a_refused_token_ends_the_pull_at_once(api: Api, client: HeroApi, reply: Reply) -> None:
    api.script[1] = [reply]
    with pytest.raises(RosterError, match="refused the token"):
        client.fetch(1)
    assert api.asked[1] == 1


@pytest.mark.parametrize(
    "reply",
    [
        (302, {"Location": "http://127.0.0.1:1/"}, b""),
        (200, {}, b"<html>"),
        (200, {}, b"[" * 100_000),
        (200, {}, b"1"),
    ],
)
def test_what_is_not_the_api_is_told_and_redirects_are_not_followed(
    api: Api, client: HeroApi, reply: Reply
) -> None:
    api.script[1] = [reply]
    with pytest.raises(RosterError, match="SUPERHERO_API_URL"):
        client.fetch(1)


def test_the_token_shows_in_no_error_and_no_log(
    api: Api, client: HeroApi, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.DEBUG)
    pull(client, tmp_path / "heroes.json", range(1, 3))
    api.script[1] = [None] * ATTEMPTS
    with pytest.raises(RosterError) as hung_up:
        client.fetch(1)
    nowhere = HeroApi("http://127.0.0.1:1", TOKEN, pause=lambda seconds: None)
    with nowhere, pytest.raises(RosterError) as refused:
        nowhere.fetch(1)
    told = f"{caplog.text} {hung_up.value} {refused.value} {client!r}"
    assert "top-secret" not in told
    assert "%D1%82" not in told


def test_without_a_token_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    result = CliRunner().invoke(main, ["heroes", "pull"])
    assert (result.exit_code, "set SUPERHERO_API_TOKEN" in result.output) == (2, True)


def test_the_command_pulls_and_loads(
    api: Api, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUPERHERO_API_URL", f"{api.url}/")
    monkeypatch.setenv("SUPERHERO_API_TOKEN", TOKEN)
    monkeypatch.setenv("REDIS_URL", redis_url)
    path = tmp_path / "heroes.json"
    pulled = CliRunner().invoke(main, ["heroes", "pull", "--to", str(path), "--last", "12", "--load"])
    assert pulled.exit_code == 0, pulled.output
    assert f"12 heroes in {path}" in pulled.output
    listed = CliRunner().invoke(main, ["heroes", "list", "--json"])
    assert len(json.loads(listed.output)) == 12
