"""What kombu is told about TLS, by a broker's URL and by the handler's `tls`."""

from __future__ import annotations

import ssl
from typing import Any

import pytest

from superhero.errors import TransportError
from superhero.transport import CeleryHandler
from superhero.transport.tls import advice, secure_connection

AMQPS = {"cert_reqs": ssl.CERT_REQUIRED, "server_hostname": None}
REDISS = {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_check_hostname": True}


@pytest.mark.parametrize(
    ("url", "tls", "expected"),
    [
        ("amqp://host//", None, False),
        ("redis://host/0", {"ca_certs": "x"}, False),
        ("amqps://host//", None, AMQPS),
        ("amqps://host//?ssl_ca_certs=/ca.pem", None, {**AMQPS, "ca_certs": "/ca.pem"}),
        ("amqps://host//", {"ca_certs": "/ca.pem"}, {**AMQPS, "ca_certs": "/ca.pem"}),
        ("amqps://host//?ssl_ca_certs=/url.pem", {"ca_certs": "/ca.pem"}, {**AMQPS, "ca_certs": "/url.pem"}),
        (
            "amqps://a//;amqps://b//?ssl_certfile=/c&ssl_keyfile=/k",
            None,
            {**AMQPS, "certfile": "/c", "keyfile": "/k"},
        ),
        ("rediss://host/0", None, REDISS),
        ("rediss://host/0?ssl_ca_certs=/ca.pem", None, {**REDISS, "ssl_ca_certs": "/ca.pem"}),
    ],
)
def test_a_certificate_is_always_verified(url: str, tls: dict[str, Any] | None, expected: object) -> None:
    assert secure_connection(url, tls).ssl == expected


@pytest.mark.parametrize("query", ["ssl_cert_reqs=none", "ssl_check_hostname=false", "ssl_version=2"])
@pytest.mark.parametrize("url", ["amqps://me:s3cret@host//", "rediss://:s3cret@host/0"])
def test_there_is_no_way_to_verify_less(url: str, query: str) -> None:
    with pytest.raises(TransportError, match="no option") as caught:
        CeleryHandler(broker_url=f"{url}?{query}")
    assert "s3cret" not in str(caught.value)


def test_a_refused_certificate_comes_with_advice() -> None:
    refused = ssl.SSLCertVerificationError(1, "[SSL: CERTIFICATE_VERIFY_FAILED] self-signed certificate")
    assert "?ssl_ca_certs=" in advice(refused)
    assert advice(OSError("no route to host")) == "no route to host"
    assert advice(TimeoutError()) == "TimeoutError"
