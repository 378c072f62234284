"""`superhero flower`: Flower on the workers' broker, behind a password that no process listing shows."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import click

from superhero.config import Settings, from_env
from superhero.ops.processes import become, celery_argv, project_root

_PASSWORD_FILE = Path("var/flower-password")


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
    (root / settings.flower_db).parent.mkdir(parents=True, exist_ok=True)
    environ = flower_environ(settings, root, port, address)
    click.echo(f"Flower on http://{address}:{port}")
    if not settings.flower_basic_auth:
        click.echo(f"user superhero, password in {password_file}")
    become(celery_argv("flower"), environ, root)


def flower_environ(settings: Settings, root: Path, port: int, address: str) -> dict[str, str]:
    """Return Flower's settings as it reads them from its environment, which `ps` does not show to others."""
    auth = settings.flower_basic_auth or f"superhero:{kept_password(root / _PASSWORD_FILE)}"
    environ = {
        "FLOWER_BASIC_AUTH": auth,
        "FLOWER_PORT": str(port),
        "FLOWER_ADDRESS": address,
        "FLOWER_PERSISTENT": "true",
        "FLOWER_DB": str(root / settings.flower_db),
    }
    if settings.rabbitmq_management_url:
        environ["FLOWER_BROKER_API"] = f"{settings.rabbitmq_management_url.rstrip('/')}/api/"
    return environ


def kept_password(path: Path) -> str:
    """Return the password in `path`, made up there at the first call; only the owner can read it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text(encoding="utf-8").strip()
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        password = secrets.token_urlsafe(18)
        file.write(password)
    return password
