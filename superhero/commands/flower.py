"""`superhero flower`: Flower on the workers' broker, behind a password that no process listing shows."""

from __future__ import annotations

import dbm
import os
import secrets
import socket
import sys
from contextlib import suppress
from pathlib import Path

import click

from superhero.config import Settings, from_env
from superhero.errors import ServiceError
from superhero.ops.processes import become, project_root

_PASSWORD_FILE = Path("var/flower-password")
_SAVE_EVERY_MS = 60_000
_TASKS_KEPT = 10_000
"""Of up to 2,000 records each. Saving them takes a fraction of a second, in which Flower answers nobody."""
_COLUMNS = "name,args,state,received,runtime,worker"
"""All tasks have one name; what tells them apart are channel, number of records and first id: their args."""


@click.command(
    epilog="\b\nExamples:\n  superhero flower\n  FLOWER_BASIC_AUTH=me:secret superhero flower --port 5556\n"
    "  RABBITMQ_MANAGEMENT_URL=http://guest:guest@127.0.0.1:15672 superhero flower    with queues"
)
@click.option("--port", default=5555, show_default=True, type=click.IntRange(1, 65535))
@click.option(
    "--address",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on. /metrics and /healthcheck ask for no password: keep it on loopback.",
)
def command(port: int, address: str) -> None:
    """Run Flower, the workers' web page, behind a password.

    The password is FLOWER_BASIC_AUTH (user:password); without it one is made up and kept in a file. What
    Flower saw is kept in FLOWER_DB. It ends with Ctrl-C.
    """
    settings, root = from_env(), project_root()
    password_file = root / _PASSWORD_FILE
    _check_database(root / settings.flower_db)
    _check_address(address, port)
    environ = flower_environ(settings, root, port, address)
    click.echo(f"Flower on http://{address}:{port}")
    if not settings.flower_basic_auth:
        click.echo(f"user superhero, password in {password_file}")
    become([sys.executable, "-m", "superhero.ops.flower_page"], environ, root)


def _check_database(path: Path) -> None:
    """Raise ServiceError where Flower could not keep what it saw: it would end with a page of traceback."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        dbm.open(str(path), "c").close()  # as Flower does
    except (OSError, *dbm.error) as error:
        raise ServiceError(
            f"FLOWER_DB {path} cannot be used: {error}; set FLOWER_DB to another file"
        ) from error


def _check_address(address: str, port: int) -> None:
    try:
        family = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family, socket.SOCK_STREAM) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as Flower does
            tried.bind((address, port))
    except OSError as error:
        raise ServiceError(
            f"Flower cannot listen on {address}:{port}: {error.strerror}; give another --port or --address"
        ) from error


def flower_environ(settings: Settings, root: Path, port: int, address: str) -> dict[str, str]:
    """Return Flower's settings as it reads them from its environment, which `ps` does not show to others."""
    auth = settings.flower_basic_auth or f"superhero:{kept_password(root / _PASSWORD_FILE)}"
    environ = {
        "FLOWER_BASIC_AUTH": auth,
        "FLOWER_PORT": str(port),
        "FLOWER_ADDRESS": address,
        "FLOWER_PERSISTENT": "true",
        "FLOWER_DB": str(root / settings.flower_db),
        # Also while it runs: what it saw before it was killed is there again, but for the last minute.
        "FLOWER_STATE_SAVE_INTERVAL": str(_SAVE_EVERY_MS),
        "FLOWER_MAX_TASKS": str(_TASKS_KEPT),
        "FLOWER_TASKS_COLUMNS": _COLUMNS,
    }
    if settings.rabbitmq_management_url:
        environ["FLOWER_BROKER_API"] = f"{settings.rabbitmq_management_url.rstrip('/')}/api/"
    return environ


def kept_password(path: Path) -> str:
    """Return the password in `path`, made up there at the first call; only the owner can read it.

    Raise ServiceError for a file that is empty: without a password everybody would be let in.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        # Written beside its place and linked, so that a second process never reads half of it.
        beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(18))
        with suppress(FileExistsError):  # another process was faster: its password counts
            path.hardlink_to(beside)
        beside.unlink()
    password = path.read_text(encoding="utf-8").strip()
    if not password:
        raise ServiceError(f"{path} holds no password: write one into it, or delete it to have one made up")
    return password
