"""Connections of kombu that verify certificates: by itself it checks no host name, and of a Redis nothing.

    amqps://me:secret@host//?ssl_ca_certs=/etc/superhero/ca.pem
    rediss://:secret@host/0?ssl_ca_certs=/etc/superhero/ca.pem

`ssl_ca_certs` is for a CA that the system does not know, `ssl_certfile` and `ssl_keyfile` are a certificate
of our own: paths of PEM files. redis-py reads the same names. Where several URLs stand with `;` between,
their options count for all, and the certificates of all must be good for the first one's host.
"""

from __future__ import annotations

import encodings.idna  # noqa: F401  # see `_for_kombu`: else it is imported with the first connection
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from kombu import Connection

from superhero.errors import TransportError

OPTIONS = ("ca_certs", "certfile", "keyfile")


def secure_connection(broker_url: str, tls: Mapping[str, Any] | None = None, **options: Any) -> Connection:
    """Return a connection that is not open yet, with TLS as the scheme says; `options` are kombu's own.

    `tls` is as for CeleryHandler; what stands in the URL comes first. Raise TransportError for an option that
    does not exist: there is none to verify less.
    """
    given = {**(tls or {}), **_options(broker_url)}
    unknown = sorted(given.keys() - set(OPTIONS))
    if unknown:
        raise TransportError(
            f"TLS has no option {unknown[0]!r}; a broker's URL may have "
            f"{', '.join(f'ssl_{name}' for name in OPTIONS)}, and `tls` the same without ssl_"
        )
    return Connection(_for_kombu(broker_url), ssl=_ssl(urlsplit(broker_url).scheme, given), **options)


def connect(connection: Connection) -> Any:
    """Open a connection, and return the driver's. Raise what that raises, after a second attempt.

    The second is at the next of several URLs. kombu's own `connect` would sleep two seconds between them, and
    its `ensure_connection` by itself would try for ever.
    """
    connection.ensure_connection(max_retries=1, interval_start=0, reraise_as_library_errors=False)
    return connection.connection


def advice(error: BaseException) -> str:
    """Return what an error says, and what to do about a certificate that was refused."""
    text = str(error).strip() or type(error).__name__
    if "CERTIFICATE_VERIFY_FAILED" not in text:
        return text
    return f"{text}; if its CA is your own, put ?ssl_ca_certs=/path/of/ca.pem behind the URL"


def _ssl(scheme: str, given: Mapping[str, Any]) -> dict[str, Any] | bool:
    if scheme == "amqps":
        # server_hostname None: the certificate must be for the host in the URL.
        return {"cert_reqs": ssl.CERT_REQUIRED, "server_hostname": None, **given}
    if scheme == "rediss":
        own = {f"ssl_{name}": path for name, path in given.items()}
        return {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_check_hostname": True, **own}
    return False


def _options(urls: str) -> dict[str, str]:
    pairs = (pair for url in urls.split(";") for pair in parse_qsl(urlsplit(url).query))
    return {name.removeprefix("ssl_"): value for name, value in pairs if name.startswith("ssl_")}


def _for_kombu(urls: str) -> str:
    # Without our options, which kombu would hand on to py-amqp by names that it does not know. And not by the
    # scheme amqp, or it would look for a librabbitmq each time: a child forked meanwhile, which inherits the
    # lock of that import as held, would wait for ever to connect.
    return ";".join(_bare(url) for url in urls.split(";"))


def _bare(url: str) -> str:
    address, _, query = url.partition("?")
    if address.startswith("amqp://"):
        address = f"py{address}"
    kept = "&".join(part for part in query.split("&") if not part.startswith("ssl_"))
    return f"{address}?{kept}" if kept else address
