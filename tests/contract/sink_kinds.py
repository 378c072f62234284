"""The sinks that the contract suite runs over, each with a reader that knows nothing of the sink's code."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sink_servers as servers
from sink_child import to_json

from sinks.base import Append, Put, Row, Write

Rows = list[dict[str, Any]]

_CHILD = Path(__file__).with_name("sink_child.py")
_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Kind:
    """A sink: its URL for a folder that is the test's own, and how anyone reads a dataset of it.

    server      the variable that names the server it needs; None: none, or one of the session's own
    is_on_disk  whether what happens to the folder's disk happens to the sink
    stride      between two calls of the system at which a writer is killed
    calls       of the system, the fewest that a batch of three datasets takes
    deaths      calls of the system, all within five writes of a small batch
    room_bytes  of a disk that is too small for 2000 rows
    """

    name: str
    url: Callable[[Path], str]
    read: Callable[[Path, str], Rows]
    server: str | None = None
    is_s3: bool = False
    is_on_disk: bool = False
    stride: int = 1
    calls: int = 10
    deaths: Sequence[int] = (7, 16, 25, 34)
    room_bytes: int = 200_000

    @property
    def scheme(self) -> str:
        """What its URLs begin with."""
        return self.name.partition("-")[0]


def read_json_lines(folder: Path, dataset: str) -> Rows:
    """Read every whole line; the remains of a crash, a line without its end, are passed over."""
    rows = []
    for path in sorted((folder / "superhero" / dataset).glob("*.jsonl")):
        lines = path.read_text(encoding="utf-8").split("\n")
        rows += [json.loads(line) for line in lines[:-1]]
    return rows


KINDS = [
    Kind("json", lambda folder: f"json:{folder}", read_json_lines, is_on_disk=True),
    Kind(
        "parquet",
        servers.parquet_url,
        servers.read_parquet,
        is_on_disk=True,
        stride=9,
        room_bytes=30_000,
    ),
    Kind("parquet-s3", servers.s3_url, servers.read_s3, is_s3=True, stride=1, deaths=(1, 2, 3, 5)),
    Kind("delta", servers.delta_url, servers.read_delta, stride=13, deaths=(3, 5, 7, 9)),
    Kind("delta-s3", servers.delta_s3_url, servers.read_delta_s3, is_s3=True, calls=3, deaths=(3, 5, 7, 9)),
    Kind(
        "sqlite",
        servers.sqlite_url,
        servers.read_sqlite,
        is_on_disk=True,
        stride=5,
        room_bytes=60_000,
    ),
    Kind("postgresql", servers.postgresql_url, servers.read_postgresql, servers.POSTGRESQL, stride=11),
    Kind("mariadb", servers.mariadb_url, servers.read_mariadb, servers.MARIADB, stride=13),
]
ON_DISK = [kind for kind in KINDS if kind.is_on_disk]


class Child:
    """A process of tests/contract/sink_child.py, ready to write."""

    def __init__(self, url: str, writes: Sequence[Write], *, times: int = 1, die_at: int = 0) -> None:
        order = {"url": url, "writes": [to_json(write) for write in writes], "times": times, "die_at": die_at}
        self._popen = subprocess.Popen(
            [sys.executable, str(_CHILD)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=_ROOT,
            text=True,
        )
        self._stdin().write(json.dumps(order) + "\n")
        self._stdin().flush()

    def go(self) -> None:
        """Wait until it is ready, and let it write."""
        if self._popen.stdout is None or self._popen.stdout.readline() != "ready\n":
            raise RuntimeError(f"the child did not get ready: {self._popen.communicate()[1]}")
        self._stdin().write("go\n")
        self._stdin().flush()

    def wait(self) -> int:
        """Wait for its end and return its status, 0 or that of a kill; raise if it ended in any other way."""
        _, errors = self._popen.communicate(timeout=60)
        if self._popen.returncode not in (0, -signal.SIGKILL):
            raise RuntimeError(f"the child ended with status {self._popen.returncode}: {errors}")
        return self._popen.returncode

    def _stdin(self) -> Any:
        return self._popen.stdin


def run_child(url: str, writes: Sequence[Write], *, die_at: int = 0) -> int:
    """Write in a process of its own and return its status, -9 when it died on the way."""
    child = Child(url, writes, die_at=die_at)
    child.go()
    return child.wait()


def stream(producer: str, sequences: Sequence[int], dataset: str = "RECORDS", **fields: Any) -> Append:
    """Return an append of one row per sequence."""
    return Append(dataset, [{"record_id": f"{producer}:{number}", **fields} for number in sequences])


def podium(game: str, dataset: str = "GAME_PODIUM") -> Put:
    """Return an object of two rows."""
    return Put(dataset, game, [{"game_token": game, "rank": rank} for rank in (1, 2)])


def ids(rows: Iterable[Row]) -> list[str]:
    """Return the record ids, sorted, doubles included."""
    return sorted(row["record_id"] for row in rows)
