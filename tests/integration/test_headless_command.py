"""`superhero simulate`: to stdout, to a file, and through the transport to a real broker."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from kombu import Connection

from superhero.cli import main
from superhero.events import CHANNELS
from superhero.transport.envelope import decode
from superhero.transport.topology import channel_queue


def simulate(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["simulate", *map(str, arguments)])


def ids(lines: bytes) -> list[str]:
    return [decode(json.loads(line)).id for line in lines.splitlines()]


def sent_to(broker_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set where runs send to, and where their pulse goes."""
    monkeypatch.setenv("BROKER_URL", broker_url)
    monkeypatch.setenv("REDIS_URL", redis_url)


def drained(broker_url: str) -> Iterator[Any]:
    """Yield every envelope in the channels' queues."""
    with Connection(broker_url) as connection, connection.channel() as channel:
        for name in CHANNELS:
            queue = channel_queue(name)(channel)
            while (message := queue.get(no_ack=True)) is not None:
                (_, envelopes), _, _ = json.loads(message.body)
                yield from envelopes


def test_stdout_holds_the_records_and_nothing_else() -> None:
    once, again = (simulate("--games", 20, "--seed", 7, "--to", "-", "--json") for _ in range(2))
    assert (once.exit_code, once.stdout_bytes) == (0, again.stdout_bytes)
    summary = json.loads(once.stderr)
    assert (summary["games"], summary["records"]) == (20, len(ids(once.stdout_bytes)))


def test_a_file_holds_what_stdout_would(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    written = simulate("--games", 20, "--seed", 7, "--to", path, "--json")
    assert path.read_bytes() == simulate("--games", 20, "--seed", 7, "--to", "-").stdout_bytes
    assert json.loads(written.stdout)["records"] == len(ids(path.read_bytes()))
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    refused = simulate("--to", tmp_path / "nowhere" / "records.jsonl")
    assert (refused.exit_code, "No such file or directory" in refused.output) == (1, True)


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    link, file = tmp_path / "link", tmp_path / "file"
    link.symlink_to(file)
    assert simulate("--games", 1, "--to", link).exit_code == 0
    assert link.is_symlink()
    assert ids(file.read_bytes())


def test_a_pipe_or_device_is_written_to_and_never_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as thread:
        read = thread.submit(pipe.read_bytes)
        assert simulate("--games", 1, "--seed", 7, "--to", pipe).exit_code == 0
        assert read.result(10) == simulate("--games", 1, "--seed", 7, "--to", "-").stdout_bytes
    assert pipe.is_fifo()


def test_heroes_may_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "heroes.json"
    records = [{"id": str(number), "name": f"Hero {number}", "powerstats": {}} for number in (60001, 60002)]
    path.write_text(json.dumps(records), encoding="utf-8")
    played = simulate("--games", 1, "--participants", 2, "--heroes", path, "--to", "-")
    started = next(
        each for each in map(json.loads, played.stdout.splitlines()) if each["event"] == "game.started"
    )
    assert sorted(started["payload"]["heroes"].values()) == [60001, 60002]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--participants", "1-4"), "'1-4' must lie within 2 to 255"),
        (("--participants", "4-2"), "'4-2' must lie within 2 to 255"),
        (("--participants", "many"), "'many' must be a number like 3 or a range like 2-4"),
        (("--players", 3), "3 players cannot play a game of 4"),
        (("--start", "yesterday"), "--start 'yesterday' must be a moment"),
        (("--seed", -1), "-1"),
        (("--speed", "fast"), "'fast' must be max or a factor like 1x or 60x"),
        (("--speed", "0x"), "'0x' must be max or a factor"),
        (("--late", 1.5), "1.5"),
        (("--rate", 0), "0"),
    ],
)
def test_options_that_make_no_run_are_refused(arguments: tuple[object, ...], told: str) -> None:
    refused = simulate("--to", "-", *arguments)
    assert (refused.exit_code, told in refused.output, refused.stdout) == (2, True, "")


@pytest.mark.rabbitmq
def test_every_record_reaches_the_broker_once_with_the_id_of_its_run(
    broker_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent_to(broker_url, redis_url, monkeypatch)
    sent = simulate("--games", 500, "--seed", 7, "--json")
    assert sent.exit_code == 0, sent.output
    envelopes = list(drained(broker_url))
    expected = simulate("--games", 500, "--seed", 7, "--to", "-").stdout_bytes
    assert json.loads(sent.stdout)["records"] == len(envelopes)
    assert sorted(envelopes, key=str) == sorted(map(json.loads, expected.splitlines()), key=str)


@pytest.mark.rabbitmq
def test_faults_reach_the_broker_as_they_reach_a_file(
    broker_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent_to(broker_url, redis_url, monkeypatch)
    faults = ("--duplicated", 0.2, "--malformed", 0.1, "--skewed-clock", 0.1)
    assert simulate("--games", 20, "--seed", 7, *faults).exit_code == 0
    expected = simulate("--games", 20, "--seed", 7, *faults, "--to", "-").stdout_bytes
    assert sorted(drained(broker_url), key=str) == sorted(map(json.loads, expected.splitlines()), key=str)


def test_a_run_may_be_held_to_its_clock() -> None:
    options = ("--games", 2, "--seed", 7, "--rate", 1000, "--to", "-", "--json")
    fast, paced = simulate(*options), simulate(*options, "--speed", "1x")
    assert paced.stdout_bytes == fast.stdout_bytes
    assert json.loads(paced.stderr)["seconds"] >= (len(ids(paced.stdout_bytes)) - 3) / 1000


def test_a_broker_that_is_away_ends_the_run_with_what_to_do(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent_to("amqp://guest:guest@127.0.0.1:1//", redis_url, monkeypatch)
    gave_up = simulate("--games", 5, "--patience", 0.5)
    assert (gave_up.exit_code, "confirmed nothing for 0.5 s" in gave_up.output) == (2, True)
