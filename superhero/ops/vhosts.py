"""Make a RabbitMQ vhost for one use and delete it afterwards.

By the management API where it answers, else by rabbitmqctl where the broker runs on this machine and we may
use it: as root or user rabbitmq, who can read the node's Erlang cookie.
"""

from __future__ import annotations

import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import httpx

from superhero.config import without_password
from superhero.errors import ServiceError
from superhero.ops.reach import reach_amqp

_MANAGEMENT_PORT = 15672
_TIMEOUT_S = 30.0
_PLACES = (
    "/usr/sbin",
    "/usr/lib/rabbitmq/bin",
    "/opt/rabbitmq/sbin",
    "/opt/homebrew/sbin",
    "/usr/local/sbin",
)
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}

Admin = Callable[[str, str], None]
"""Called with ("add" or "delete", vhost); raises ServiceError."""


@contextmanager
def fresh_vhost(url: str, management_url: str = "") -> Iterator[str]:
    """Yield the URL of an empty vhost on the broker at `url`, with all permissions for the user in `url`.

    `management_url` is http://[user:password@]host:port; without it the usual port of the broker's host is
    tried. Raise ServiceError when neither the management API nor rabbitmqctl lets us.
    """
    vhost = f"superhero-{secrets.token_hex(6)}"
    admin = _add_somehow(url, management_url, vhost)
    try:
        fresh = with_vhost(url, vhost)
        answer = reach_amqp(fresh)
        if not answer.reachable:  # rabbitmqctl may have spoken to another node than the one behind `url`
            raise ServiceError(f"made vhost {vhost}, but {without_password(fresh)} answers: {answer.error}")
        yield fresh
    finally:
        admin("delete", vhost)


def with_vhost(url: str, vhost: str) -> str:
    """Return `url` with another vhost."""
    return urlsplit(url)._replace(path=f"/{quote(vhost, safe='')}").geturl()


def find_rabbitmqctl() -> Path | None:
    """Return the rabbitmqctl of this machine's own node, or None."""
    found = shutil.which("rabbitmqctl")
    candidates = [Path(found)] if found else [Path(place) / "rabbitmqctl" for place in _PLACES]
    return next((path for path in candidates if path.is_file()), None)


def run_rabbitmqctl(rabbitmqctl: Path, *arguments: str, env: Mapping[str, str] | None = None) -> str:
    """Run rabbitmqctl and return what it prints. `env` replaces ours. Raise ServiceError if it fails."""
    try:
        done = subprocess.run(
            [str(rabbitmqctl), "--quiet", *arguments],
            env=env,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=True,
        )
    except subprocess.TimeoutExpired as error:
        raise ServiceError(f"rabbitmqctl {arguments[0]} took longer than {_TIMEOUT_S:g} s") from error
    except (OSError, subprocess.CalledProcessError) as error:
        said = (getattr(error, "stderr", None) or getattr(error, "stdout", None) or str(error)).strip()
        raise ServiceError(f"rabbitmqctl {arguments[0]} failed: {said.splitlines()[0]}") from error
    return done.stdout


def by_rabbitmqctl(rabbitmqctl: Path, user: str, *node: str, env: Mapping[str, str] | None = None) -> Admin:
    """Return an admin that uses rabbitmqctl; `node` is what selects one ("-n", name)."""

    def admin(verb: str, vhost: str) -> None:
        run_rabbitmqctl(rabbitmqctl, *node, f"{verb}_vhost", vhost, env=env)
        if verb == "add":
            run_rabbitmqctl(
                rabbitmqctl, *node, "set_permissions", "-p", vhost, user, ".*", ".*", ".*", env=env
            )

    return admin


def by_management(url: str, management_url: str) -> Admin:
    """Return an admin that uses the management API, as the user in `management_url` or else in `url`."""
    broker = urlsplit(url)
    api = urlsplit(management_url or f"http://{broker.hostname}:{_MANAGEMENT_PORT}")
    login = api if api.username else broker
    auth = (unquote(login.username or "guest"), unquote(login.password or "guest"))
    user = quote(unquote(broker.username or "guest"), safe="")
    base = f"{api.scheme}://{api.hostname}:{api.port or _MANAGEMENT_PORT}{api.path.rstrip('/')}/api"

    def admin(verb: str, vhost: str) -> None:
        try:
            # trust_env: a proxy from the environment must not stand between us and the broker.
            with httpx.Client(auth=auth, timeout=_TIMEOUT_S, trust_env=False) as http:
                if verb == "delete":
                    http.delete(f"{base}/vhosts/{vhost}").raise_for_status()
                    return
                http.put(f"{base}/vhosts/{vhost}").raise_for_status()
                everything = {"configure": ".*", "write": ".*", "read": ".*"}
                http.put(f"{base}/permissions/{vhost}/{user}", json=everything).raise_for_status()
        except httpx.HTTPError as error:
            raise ServiceError(f"the management API at {base} does not let us: {error}") from error

    return admin


def _add_somehow(url: str, management_url: str, vhost: str) -> Admin:
    """Make the vhost by the first way that works, and return that way."""
    ways = [by_management(url, management_url)]
    rabbitmqctl = find_rabbitmqctl()
    if rabbitmqctl is not None and urlsplit(url).hostname in _LOOPBACK:
        ways.append(by_rabbitmqctl(rabbitmqctl, unquote(urlsplit(url).username or "guest")))
    refusals = []
    for admin in ways:
        try:
            admin("add", vhost)
        except ServiceError as error:
            refusals.append(str(error))
        else:
            return admin
    raise ServiceError(
        f"cannot make a vhost at {without_password(url)}: {'; '.join(refusals)}. Enable the management "
        "plugin (rabbitmq-plugins enable rabbitmq_management) and set RABBITMQ_MANAGEMENT_URL, or be root"
    )
