"""Processes that log are killed, and brokers stopped and blocked; every record arrives under its one id."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from arrivals import messages, records
from kombu.message import Message
from patience import WaitUntil

from superhero.ops.processes import Process, Processes
from superhero.ops.rabbitmq import PrivateRabbit, find_server

CHANNEL = "app.orders"
NOWHERE = "amqp://guest:guest@127.0.0.1:1//"
Start = Callable[..., Process]

pytestmark = [pytest.mark.acceptance, pytest.mark.rabbitmq]


@pytest.fixture
def spool_dir(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def start(processes: Processes, spool_dir: Path, project_root: Path, tmp_path: Path) -> Start:
    """Start a process that logs; see logging_child.py."""
    child = Path(__file__).with_name("logging_child.py")

    def start_child(broker_url: str, first: int, count: int, *flags: str) -> Process:
        argv = [sys.executable, str(child), broker_url, str(spool_dir), str(first), str(count), *flags]
        env = {"PYTHONPATH": str(project_root)}
        name = f"child-from-{first}"
        return processes.start(name, argv, env, tmp_path / f"{name}.log", project_root)

    return start_child


class Arrived:
    """Records that arrived in the channel's queue so far, by id; one that differs under its id fails."""

    def __init__(self, broker_url: str) -> None:
        self._broker_url = broker_url
        self.count = 0
        self.by_id: dict[str, dict[str, Any]] = {}

    def numbers(self) -> list[int]:
        """Take what came since and return the numbers of all records."""
        for record in records(self._broker_url, CHANNEL):
            self.count += 1
            assert self.by_id.setdefault(record["id"], record) == record
        return sorted(record["payload"]["number"] for record in self.by_id.values())


@pytest.fixture
def own_rabbit(tmp_path: Path) -> Iterator[PrivateRabbit]:
    """Give the test a RabbitMQ node of its own, running."""
    if find_server() is None:
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail("rabbitmq-server is not installed")
        pytest.skip("rabbitmq-server is not installed")
    with PrivateRabbit(tmp_path / "rabbitmq") as node:
        yield node


def test_a_process_killed_with_a_full_spool_loses_nothing(
    broker_url: str, start: Start, spool_dir: Path, wait_until: WaitUntil
) -> None:
    child = start(NOWHERE, 0, 5000)
    child.wait_for_line("logged")
    child.kill9()
    heir = start(broker_url, 5000, 10)
    arrived = Arrived(broker_url)
    wait_until(lambda: arrived.numbers() == list(range(5010)), 30)
    assert arrived.count == 5010
    assert heir.stop() == 0
    assert list(spool_dir.iterdir()) == []


def test_processes_killed_amid_their_work_lose_nothing_whoever_comes_after(
    broker_url: str, start: Start, wait_until: WaitUntil
) -> None:
    for first in (0, 20_000, 40_000):
        child = start(broker_url, first, 20_000)
        child.wait_for_line("logged")
        child.kill9()
    start(broker_url, 60_000, 1)
    arrived = Arrived(broker_url)
    wait_until(lambda: arrived.numbers() == list(range(60_001)), 60)


def test_a_process_killed_between_send_and_confirm_sends_the_same_task_again(
    broker_url: str, start: Start, wait_until: WaitUntil
) -> None:
    deaf = start(broker_url, 0, 1, "--deaf")
    deaf.wait_for_line("sent")
    deaf.kill9()
    start(broker_url, 1, 0)
    got: list[Message] = []
    wait_until(lambda: got.extend(messages(broker_url, CHANNEL)) or len(got) == 2, 20)
    assert got[0].headers["id"] == got[1].headers["id"]
    assert got[0].body == got[1].body


def test_processes_side_by_side_share_a_spool_directory(broker_url: str, start: Start) -> None:
    children = [start(broker_url, first, 2000) for first in (0, 2000, 4000)]
    for child in children:
        child.wait_for_line("flushed")
    arrived = Arrived(broker_url)
    assert arrived.numbers() == list(range(6000))
    assert arrived.count == 6000


def test_a_broker_that_is_long_away_and_a_process_that_dies_meanwhile_lose_nothing(
    own_rabbit: PrivateRabbit, start: Start, wait_until: WaitUntil
) -> None:
    url = own_rabbit.url()
    own_rabbit.stop()
    dead, living = start(url, 0, 1000), start(url, 1000, 1000)
    for child in (dead, living):
        child.wait_for_line("logged")
    dead.kill9()
    own_rabbit.start()
    living.wait_for_line("flushed", 30)
    start(url, 2000, 1)
    arrived = Arrived(url)
    wait_until(lambda: arrived.numbers() == list(range(2001)), 30)


def test_a_broker_blocked_by_a_memory_alarm_loses_nothing(
    own_rabbit: PrivateRabbit, start: Start, wait_until: WaitUntil
) -> None:
    url = own_rabbit.url()
    own_rabbit.control("set_vm_memory_high_watermark", "absolute", "1MB")
    child = start(url, 0, 20_000)
    child.wait_for_line("the broker accepts nothing for now")
    own_rabbit.control("set_vm_memory_high_watermark", "0.6")
    child.wait_for_line("flushed", 60)
    assert Arrived(url).numbers() == list(range(20_000))
