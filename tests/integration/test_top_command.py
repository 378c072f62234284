"""`superhero top`: on a terminal, in a pipe, once; and what its exit status says."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from patience import WaitUntil

from superhero.config import Settings
from superhero.ops.our_queues import bound_queues
from superhero.ops.processes import Process, Processes, superhero_argv
from superhero.pulse.heart import Heart, Said
from superhero.transport.confirmed import ConfirmedSender, RawMessage
from superhero.transport.topology import EXCHANGE_NAME, channel_queue

pytestmark = pytest.mark.rabbitmq


@pytest.fixture
def environment(broker_url: str, redis_url: str) -> dict[str, str]:
    """Give what names the test's own broker and Redis."""
    return {"BROKER_URL": broker_url, "REDIS_URL": redis_url, "TERM": "xterm", "COLUMNS": "80"}


@pytest.fixture
def beating(redis_url: str) -> Iterator[dict[str, int]]:
    """Have a producer with a pulse; how many records it logged stands in what is given."""
    numbers: dict[str, int] = {}
    with Heart(redis_url, "server", "s", lambda: Said(producers=dict(numbers)), every_s=0.2):
        yield numbers


def top(processes: Processes, tmp_path: Path, environment: dict[str, str], *options: str) -> Process:
    """Start `superhero top`."""
    return processes.start(
        "top", superhero_argv("top", *options), environment, tmp_path / "top.log", tmp_path
    )


def test_once_prints_how_things_stand_and_ends(
    processes: Processes, tmp_path: Path, environment: dict[str, str], beating: dict[str, int]
) -> None:
    running = top(processes, tmp_path, environment, "--once")
    assert running.wait(30) == 0
    lines = running.log_path.read_text().splitlines()
    assert max(map(len, lines)) <= 80
    assert any("lost 0  doubled 0" in line for line in lines)
    assert "no worker has a pulse: celery -A tasks worker" in lines


def test_a_loss_is_exit_status_1(
    processes: Processes, tmp_path: Path, environment: dict[str, str], beating: dict[str, int]
) -> None:
    beating["p"] = 7
    running = top(processes, tmp_path, environment, "--once", "--json")
    assert running.wait(30) == 1
    assert json.loads(running.log_path.read_text())["records"]["lost"] == 7


def test_messages_that_wait_for_nobody_are_shown_and_exit_status_1(
    processes: Processes, tmp_path: Path, environment: dict[str, str], beating: dict[str, int]
) -> None:
    broker_url = environment["BROKER_URL"]
    settings = Settings(broker_url=broker_url, redis_url=environment["REDIS_URL"])
    with ConfirmedSender(broker_url) as sender:
        sender.send(RawMessage(b"[]"), EXCHANGE_NAME, "shop.orders", declare=[channel_queue("shop.orders")])
    named = {} if "shop.orders" in bound_queues(settings) else {"CHANNELS": "shop.orders"}
    running = top(processes, tmp_path, {**environment, **named}, "--once")
    assert running.wait(30) == 1
    text = " ".join(running.log_path.read_text().split())
    assert "shop.orders 1 0" in text
    assert "messages wait and nobody consumes shop.orders" in text


def test_a_redis_that_is_away_is_an_error_that_says_where_it_looked(
    processes: Processes, tmp_path: Path, environment: dict[str, str]
) -> None:
    away = {"REDIS_URL": "redis://:s3cret@127.0.0.1:1/0"}
    running = top(processes, tmp_path, {**environment, **away})
    assert running.wait(30) == 2
    text = running.log_path.read_text()
    assert "Error: no pulse is to be had at redis://:***@127.0.0.1:1/0 (REDIS_URL)" in text
    assert "Traceback" not in text


@pytest.mark.parametrize("as_json", [False, True])
def test_in_a_pipe_it_prints_a_line_a_look_until_it_is_told_to_stop(
    processes: Processes,
    tmp_path: Path,
    environment: dict[str, str],
    beating: dict[str, int],
    wait_until: WaitUntil,
    as_json: bool,
) -> None:
    options = ("--every", "0.2", *(["--json"] if as_json else []))
    running = top(processes, tmp_path, environment, *options)

    def lines() -> list[str] | None:
        found = running.log_path.read_text().splitlines()
        return found[:-1] if len(found) > 3 else None

    for each in wait_until(lines, timeout_s=30):
        if as_json:
            assert json.loads(each)["broker"]["reachable"]
        else:
            assert "lost 0, doubled 0" in each
    assert running.stop() == 0


def test_on_a_terminal_it_draws_a_screen_and_ends_on_ctrl_c(
    tmp_path: Path, environment: dict[str, str], beating: dict[str, int]
) -> None:
    ours, theirs = pty.openpty()
    beating["p"] = 0
    with subprocess.Popen(
        superhero_argv("top", "--every", "0.2"),
        env={**os.environ, **environment},
        cwd=tmp_path,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    ) as running:
        os.close(theirs)
        seen = b""
        while seen.count(b"quarantine") < 2:
            seen += os.read(ours, 65536)
        running.send_signal(signal.SIGINT)
        while chunk := _read(ours):
            seen += chunk
        assert running.wait(30) == 0
    os.close(ours)
    assert b"\x1b[?1049h" in seen
    assert seen.rindex(b"\x1b[?1049l") > seen.rindex(b"quarantine")
    assert b"Traceback" not in seen


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux's way to say that nobody has the other end
        return b""
