"""The way into the Arena: its page and files by HTTP, and the handshake of those who watch.

The files are open to all. What is to be seen is not, where the server has a secret: a browser cannot show one
in a handshake, so it is asked for on the WebSocket, and never stands in a URL. Only pages of this server, and
programs that are no browser, may open that.
"""

from __future__ import annotations

from http import HTTPStatus

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from superhero.server.arena.pages import Pages
from superhero.server.arena.viewers import Viewers
from superhero.server.entrance import Entrance, Visitor, same_origin
from superhero.server.limits import Client

LIVE = "/arena/live"


class Arena:
    """The Arena of one server process; `open_` says whether there is one."""

    def __init__(self, viewers: Viewers, entrance: Entrance, *, open_: bool) -> None:
        self._viewers = viewers
        self._entrance = entrance
        self._open = open_
        self._pages = Pages()

    def __len__(self) -> int:
        """How many watch."""
        return len(self._viewers)

    async def run(self) -> None:
        """Show what happens until cancelled."""
        await self._viewers.run()

    def answers(self, path: str, request: Request) -> bool:
        """Whether a request is for the Arena: for a file, or for a WebSocket where viewers have theirs."""
        wants_page = self._pages.knows(path) and "Upgrade" not in request.headers
        return self._open and (path == LIVE or wants_page)

    def on_http(self, connection: ServerConnection, request: Request, path: str) -> Response | None:
        """Answer with a file or a refusal; None lets a viewer's session begin."""
        if path == LIVE and not same_origin(request):
            return connection.respond(HTTPStatus.FORBIDDEN, "Only the Arena's own page may watch.\n")
        refusal = self._entrance.overcrowded(connection, request)
        if refusal is not None or path == LIVE:
            return refusal
        if isinstance(connection, Visitor) and connection.client and connection.client.wait_s():
            return connection.respond(HTTPStatus.TOO_MANY_REQUESTS, "Too many requests from your address.\n")
        return self._pages.answer(path, request)

    async def serve(self, connection: ServerConnection, request: Request, client: Client) -> None:
        """Serve one viewer until it leaves."""
        await self._viewers.serve(connection, client, knows_secret=self._entrance.knows_secret(request))
