"""Database servers and a bucket of a benchmark's own, with the durability that they have by default.

A server whose programs are not installed is None: it is left out, and the benchmark says so.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import httpx

from benchmarks.stage import READY_S, Stage
from superhero.errors import ServiceError
from superhero.ops.embedded import free_port
from superhero.ops.processes import Process

_DEBIAN = Path("/usr/lib/postgresql")
_HOST = "127.0.0.1"
_BUCKET = "bench"


@dataclass(frozen=True, slots=True)
class Server:
    """A server that is up: the sink's URL on it, and its process."""

    url: str
    process: Process


def postgresql(stage: Stage) -> Server | None:
    """Start PostgreSQL with an empty database; as another user where we are root, for it refuses root."""
    programs = [path.parent for path in sorted(_DEBIAN.glob("*/bin/postgres"))]
    found = shutil.which("postgres")
    if not (programs or found):
        return None
    folder = programs[-1] if programs else Path(str(found)).parent
    data, port = stage.fresh_folder("postgresql"), free_port()
    user = _open_to("postgres", data)
    making = [str(folder / "initdb"), "-D", str(data), "-U", "bench", "--auth=trust", "--encoding=UTF8"]
    _run([*user, *making, "--no-locale"])
    listening = ["-c", f"listen_addresses={_HOST}", "-c", "unix_socket_directories="]
    argv = [*user, str(folder / "postgres"), "-D", str(data), "-p", str(port), *listening]
    process = stage.start("postgresql", argv)
    process.wait_for_line("ready to accept connections", READY_S)
    return Server(f"postgresql://bench@{_HOST}:{port}/postgres", process)


def mariadb(stage: Stage) -> Server | None:
    """Start MariaDB with an empty database."""
    server = shutil.which("mariadbd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    install = shutil.which("mariadb-install-db")
    if server is None or install is None:
        return None
    data, port = stage.fresh_folder("mariadb"), free_port()
    user = pwd.getpwuid(os.getuid()).pw_name
    _run(
        [
            install,
            "--no-defaults",
            f"--datadir={data}",
            f"--user={user}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
        ]
    )
    init = data.with_suffix(".sql")
    init.write_text("CREATE DATABASE bench;\n", encoding="utf-8")
    argv = [server, "--no-defaults", f"--datadir={data}", f"--user={user}", f"--init-file={init}"]
    address = [f"--bind-address={_HOST}", f"--port={port}", f"--socket={data / 'socket'}"]
    process = stage.start("mariadb", [*argv, *address, "--skip-name-resolve"])
    process.wait_for_line("ready for connections", READY_S)
    return Server(f"mariadb://root@{_HOST}:{port}/bench", process)


def bucket(stage: Stage) -> Server | None:
    """Start moto's S3 with an empty bucket: right about conditions, in memory, and slow, for it is Python."""
    try:
        import moto  # noqa: F401  # what the program needs
    except ModuleNotFoundError:
        return None
    process = stage.start("s3", [sys.executable, "-m", "benchmarks.programs.s3"])
    endpoint = f"http://{_HOST}:{process.wait_for_line(r'listening on ([0-9]+)', READY_S)[1]}"
    httpx.put(f"{endpoint}/{_BUCKET}", trust_env=False).raise_for_status()
    options = {
        "endpoint": endpoint,
        "region": "us-east-1",
        "access_key_id": "key",
        "secret_access_key": "secret",
    }
    return Server(f"parquet:s3://{_BUCKET}/lake?{urlencode(options)}", process)


def _open_to(name: str, folder: Path) -> list[str]:
    """Give a folder to a user (or nobody), if we are root; return what a command of that user begins with."""
    if os.getuid() != 0:
        return []
    known = {user.pw_name: user for user in pwd.getpwall()}
    user = known.get(name) or known["nobody"]
    folder.parent.chmod(0o711)  # may be passed through by all, and looked into by none
    os.chown(folder, user.pw_uid, user.pw_gid)
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise ServiceError(f"we are root, and without setpriv (util-linux) nothing can be run as {name}")
    return [setpriv, f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]


def _run(argv: Sequence[str]) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ServiceError(f"{argv[0]} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
