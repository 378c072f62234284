"""The parts of the chaos rig: links, a fleet, an account."""

from __future__ import annotations

import os
import signal
import socket
import socketserver
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from patience import WaitUntil

from superhero.chaos.account import Account, Count
from superhero.chaos.calls import Spoken
from superhero.chaos.fleet import Fleet
from superhero.chaos.proxy import Link, Network
from superhero.errors import ServiceError
from superhero.ops.processes import Process, Processes

_TIMEOUT_S = 10.0


class _Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while chunk := self.request.recv(65536):
            self.request.sendall(chunk)


class _EchoServer(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a connection that was reset: that is what is tested."""


@pytest.fixture
def echo_port() -> Iterator[int]:
    with _EchoServer(("127.0.0.1", 0), _Echo) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.fixture
def network() -> Iterator[Network]:
    with Network() as network:
        yield network


@pytest.fixture
def link(network: Network, echo_port: int) -> Link:
    return network.link("to the echo", echo_port)


def _connect(link: Link) -> socket.socket:
    return socket.create_connection(("127.0.0.1", link.port), _TIMEOUT_S)


def _see_reset(link: Link) -> None:
    # The reset may come before or after the connection counts as made.
    with pytest.raises(ConnectionResetError), _connect(link) as connection:
        connection.recv(1)


def _echoed(connection: socket.socket, content: bytes) -> bytes:
    sender = threading.Thread(target=connection.sendall, args=(content,))
    sender.start()
    received = bytearray()
    while len(received) < len(content) and (chunk := connection.recv(65536)):
        received += chunk
    sender.join()
    return bytes(received)


def test_a_link_passes_on_every_byte_in_order(link: Link) -> None:
    content = os.urandom(5_000_000)
    with _connect(link) as connection:
        assert _echoed(connection, content) == content


def test_a_link_that_is_cut_resets_old_connections_and_new_ones_until_it_is_healed(link: Link) -> None:
    with _connect(link) as connection:
        assert _echoed(connection, b"hello") == b"hello"
        assert link.cut() == 1
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    _see_reset(link)
    link.heal()
    with _connect(link) as connection:
        assert _echoed(connection, b"again") == b"again"


def test_a_link_that_stalls_holds_everything_back_and_loses_nothing(link: Link) -> None:
    content = os.urandom(3_000_000)
    with _connect(link) as connection:
        assert _echoed(connection, b"hello") == b"hello"
        assert link.stall() == 1
        sender = threading.Thread(target=connection.sendall, args=(content,))
        sender.start()
        connection.settimeout(0.2)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        link.heal()
        connection.settimeout(_TIMEOUT_S)
        received = bytearray()
        while len(received) < len(content):
            received += connection.recv(65536)
        sender.join()
    assert bytes(received) == content


def test_a_slow_link_delays_and_loses_nothing(link: Link) -> None:
    with _connect(link) as connection:
        assert _echoed(connection, b"hello") == b"hello"
        assert link.slow(latency_s=0.1, bytes_per_s=1_000_000) == 1
        began = time.monotonic()
        assert _echoed(connection, b"x" * 1000) == b"x" * 1000
        assert time.monotonic() - began >= 0.2


def test_a_link_to_several_passes_over_those_that_do_not_listen(network: Network, echo_port: int) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        link = network.link("to one of two", nobody.getsockname()[1], echo_port)
        for _ in range(2):
            with _connect(link) as connection:
                assert _echoed(connection, b"hello") == b"hello"


def test_a_link_to_nobody_ends_the_connection(network: Network) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        _see_reset(network.link("to nobody", nobody.getsockname()[1]))


def _sleeper(processes: Processes, folder: Path, slot: int) -> Process:
    argv = [sys.executable, "-c", "import signal; signal.pause()"]
    return processes.start(f"sleeper{slot}", argv, None, folder / f"sleeper{slot}.log")


def test_a_fleet_starts_again_what_was_killed(processes: Processes, tmp_path: Path) -> None:
    with Fleet("sleepers", lambda slot: _sleeper(processes, tmp_path, slot), 2) as fleet:
        assert fleet.wait_for(lambda members: len(members) == 2, _TIMEOUT_S)
        victim = fleet.members()[0]
        victim.kill9()
        assert fleet.wait_for(
            lambda members: len(members) == 2 and victim.pid not in [each.pid for each in members],
            _TIMEOUT_S,
        )


def test_a_fleet_on_hold_stays_down_until_it_is_released(
    processes: Processes, tmp_path: Path, wait_until: WaitUntil
) -> None:
    with Fleet("sleepers", lambda slot: _sleeper(processes, tmp_path, slot), 1) as fleet:
        assert fleet.wait_for(lambda members: len(members) == 1, _TIMEOUT_S)
        fleet.hold()
        os.kill(fleet.members()[0].pid, signal.SIGKILL)
        wait_until(lambda: not fleet.members())
        assert not fleet.wait_for(lambda members: bool(members), 1.0)
        fleet.release()
        assert fleet.wait_for(lambda members: len(members) == 1, _TIMEOUT_S)


def test_a_fleet_tells_why_a_process_cannot_be_started(processes: Processes, tmp_path: Path) -> None:
    def start(slot: int) -> Process:
        return processes.start("nothing", ["/no/such/program"], None, tmp_path / "nothing.log")

    with Fleet("nothings", start, 1) as fleet, pytest.raises(ServiceError, match="no program"):
        fleet.wait_for(lambda members: len(members) == 1, _TIMEOUT_S)


@pytest.fixture
def account(tmp_path: Path) -> Account:
    """Return an account whose journal and rows are the files `journal` and `rows`."""
    (tmp_path / "journal").touch()
    (tmp_path / "rows").touch()
    return Account(lambda: [tmp_path / "journal"], lambda: [tmp_path / "rows"])


def _log(folder: Path, *numbers: int, returned: bool = True) -> None:
    with (folder / "journal").open("a") as journal:
        for number in numbers:
            journal.write(Spoken(f"a 1.{number}", returned).line() + "\n")


def _write(folder: Path, *numbers: int) -> None:
    with (folder / "rows").open("a") as rows:
        for number in numbers:
            rows.write(f'{{"channel":"a","message":"call 1.{number} text"}}\n')


def test_an_account_finds_what_is_lost_doubled_and_in_quarantine(account: Account, tmp_path: Path) -> None:
    _log(tmp_path, 0, 1, 2, 3)
    _write(tmp_path, 0, 2, 2)
    account.look()
    assert account.count(0, 4, {"a 1.3"}) == Count(4, 1, 1, 1, ("a 1.1",))
    assert account.count(0, 1, set()) == Count(1, 0, 0, 0)


def test_an_account_knows_a_row_that_was_there_before_its_call_was_known(
    account: Account, tmp_path: Path
) -> None:
    _write(tmp_path, 0)
    account.look()
    assert account.unexpected == 1
    _log(tmp_path, 0)
    account.look()
    assert (account.unexpected, account.written) == (0, 1)


def test_an_account_does_not_miss_a_call_that_raised(account: Account, tmp_path: Path) -> None:
    _log(tmp_path, 0, returned=False)
    account.look()
    assert (account.returned, account.refused) == (0, 1)


def test_an_account_reads_only_whole_lines(account: Account, tmp_path: Path) -> None:
    (tmp_path / "journal").write_text("returned a 1.0\nreturned a 1.1")
    account.look()
    assert account.returned == 1


def test_records_flow_again_once_each_channel_has_a_later_one_in_the_sink(
    account: Account, tmp_path: Path
) -> None:
    _log(tmp_path, 0, 1)
    account.look()
    since = account.returned
    _log(tmp_path, 2)
    _write(tmp_path, 1)
    account.look()
    assert not account.flows(since, ["a"])
    _write(tmp_path, 2)
    account.look()
    assert account.flows(since, ["a"])
    assert not account.flows(since, ["a", "b"])
