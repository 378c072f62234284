"""Who is let in: the opening handshake is refused to whoever is one too many, or does not know the secret.

A secret comes as `Authorization: Bearer <secret>`, in a header alone, as URLs end in logs. Without one set,
anybody may come in, as published clients cannot send any; but no page of another site that somebody visits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from typing import ClassVar
from urllib.parse import urlsplit

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from superhero.server.limits import Client, Gate, client_address
from superhero.server.secret import Secret


class Visitor(ServerConnection):
    """A connection that is counted from when it is accepted until it is lost.

    client  what it may ask for; None until it is let in
    """

    gate: ClassVar[Gate]
    client: Client | None = None
    _address: str | None = None
    _gone = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count it."""
        self.gate.connections += 1
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Count it no more."""
        super().connection_lost(exc)
        self._gone = True
        self.gate.connections -= 1
        if self._address is not None:
            self.gate.leave(self._address)

    def enter(self, address: str) -> bool:
        """Ask to be let in; False when there are too many."""
        # One that is lost already would never be given back.
        self.client = None if self._gone else self.gate.admit(address)
        if self.client is not None:
            self._address = address
        return self.client is not None


class Entrance:
    """The entrance of one server. `visitor` is the class of its connections."""

    def __init__(self, gate: Gate, secret: Secret) -> None:
        self._gate = gate
        self._trusted = gate.limits.trusted_proxies
        self._secret = secret

        class OurVisitor(Visitor):
            """A connection that this gate counts."""

        OurVisitor.gate = gate
        self.visitor = OurVisitor

    @property
    def refused(self) -> Mapping[str, int]:
        """How often somebody was refused: secrets, connections, requests, new users."""
        return self._gate.refused

    @property
    def connections(self) -> int:
        """How many connections are open, let in or not."""
        return self._gate.connections

    def knows_secret(self, request: Request) -> bool:
        """Whether a request shows the secret, or none is set."""
        return not self._secret.is_set or self._secret.is_shown_by(request)

    def refusal(self, connection: ServerConnection, request: Request) -> Response | None:
        """Let a connection in, and return None; or return the answer that turns it away."""
        if not self.knows_secret(request):
            self._gate.refused["secrets"] += 1
            response = connection.respond(
                HTTPStatus.UNAUTHORIZED, "This server wants its secret: Authorization: Bearer <secret>.\n"
            )
            response.headers["WWW-Authenticate"] = "Bearer"
            return response
        # No browser can show a secret in a handshake: who did is no page.
        if not self._secret.is_set and not same_origin(request):
            return connection.respond(HTTPStatus.FORBIDDEN, "Pages of another site may not play here.\n")
        return self.overcrowded(connection, request)

    def overcrowded(self, connection: ServerConnection, request: Request) -> Response | None:
        """Let a connection in, secret or not, and return None; or the answer that there are too many."""
        forwarded = request.headers.get_all("X-Forwarded-For")
        address = client_address(_peer(connection), forwarded, self._trusted)
        if not isinstance(connection, Visitor) or not connection.enter(address):
            return connection.respond(
                HTTPStatus.TOO_MANY_REQUESTS, "Too many connections, in all or from your address.\n"
            )
        return None


def same_origin(request: Request) -> bool:
    """Whether a request comes from a page of this server, or from no page at all.

    Browsers say where a page is from, and let it open a WebSocket to anywhere. The scheme may differ: TLS may
    end in front of us.
    """
    origins = request.headers.get_all("Origin")
    hosts = request.headers.get_all("Host")
    if not origins:
        return True
    return len(origins) == len(hosts) == 1 and urlsplit(origins[0]).netloc.lower() == hosts[0].lower()


def _peer(connection: ServerConnection) -> str:
    # None once the connection is lost; a Unix socket has a path, if anything.
    peer = connection.remote_address
    return str(peer[0]) if isinstance(peer, tuple) else ""
