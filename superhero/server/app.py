"""One server process: what it is made of, what it answers over HTTP, and how it comes and goes.

Stopped (`stop`), it takes no new connection, answers what it was asked, says goodbye, and sees its records
safe. Games are not its own: they go on wherever their players connect next.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response

from superhero import messages
from superhero.errors import ServiceError, StoreError
from superhero.identity import new_server_id
from superhero.server.arena.doors import LIVE, Arena
from superhero.server.arena.viewers import Bots, Pulse, Viewers
from superhero.server.arena.watch import Watch
from superhero.server.cancelling import cancel
from superhero.server.deadlines import watch_deadlines
from superhero.server.entrance import Entrance, Visitor
from superhero.server.limits import Gate, Limits
from superhero.server.lobbies import Lobbies
from superhero.server.outbox import Outbox, Settle, Settled
from superhero.server.referee import Referee, Restock
from superhero.server.secret import Secret
from superhero.server.sessions import Sessions
from superhero.server.store import Store

HEALTH = "/healthz"

MAX_MESSAGE_BYTES = 64 * 1024
MAX_WAITING_FRAMES = 16
"""Frames that a client may send ahead of our answers before we stop reading from it."""

OPEN_TIMEOUT_S = 10.0
PING_EVERY_S = 20.0
CLOSE_TIMEOUT_S = 5.0
DRAIN_S = 5.0
"""Seconds that requests under way have when the server stops."""

_BACKLOG = 1024


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """What a server needs to know; port 0 is a free one, the rest as in superhero.config.

    arena_viewers  who may watch the Arena at a time; 0: there is none
    flower_url     what the Arena links to
    """

    redis_url: str = field(repr=False)  # a password may be in it
    host: str = "127.0.0.1"
    port: int = 0
    lobby_timeout_s: float = 60.0
    turn_timeout_s: float = 15.0
    max_participants: int = 100
    secret: str = field(default="", repr=False)
    limits: Limits = field(default_factory=Limits)
    arena_viewers: int = 32
    arena_control: str = field(default="", repr=False)
    flower_url: str = ""


class GameServer:
    """One server process's worth of the simulator; `run` it once, in one event loop.

    settle    says whether every record logged so far is safe, see outbox.py; by default it always is
    counters  what the logging transport has to say on /healthz
    restock   puts heroes into a Redis that has none, see referee.py; by default it does not
    pulse     the pipeline's figures for the Arena, see arena/viewers.py; by default there are none
    bots      what the Arena may control where `arena_control` is set
    """

    def __init__(
        self,
        config: ServerConfig,
        *,
        settle: Settle = lambda: Settled.SAFE,
        counters: Callable[[], Mapping[str, Any]] = dict,
        restock: Restock = lambda: False,
        pulse: Pulse = lambda: None,
        bots: Bots | None = None,
    ) -> None:
        self.id = new_server_id()
        self.ready = asyncio.Event()
        self.port = config.port
        self._config = config
        self._counters = counters
        self._stopping = asyncio.Event()
        secret = Secret(config.secret)
        gate = Gate(config.limits, time.monotonic)
        self._entrance = Entrance(gate, secret)
        self._store = Store(config.redis_url, self.id)
        self._outbox = Outbox(self._store, settle)
        self._referee = Referee(
            self._store,
            self._outbox,
            lobby_timeout_s=config.lobby_timeout_s,
            turn_timeout_s=config.turn_timeout_s,
            restock=restock,
        )
        self._lobbies = Lobbies(config.redis_url, self._referee.snapshot)
        self._sessions = Sessions(self._referee, self._lobbies, config.max_participants)
        viewers = Viewers(
            Watch(config.redis_url, self._store),
            gate,
            server=self.id,
            most=config.arena_viewers,
            flower_url=config.flower_url,
            secret=secret,
            control=Secret(config.arena_control),
            pulse=pulse,
            bots=bots,
        )
        self._arena = Arena(viewers, self._entrance, open_=config.arena_viewers > 0)

    async def run(self) -> None:
        """Serve until `stop`. `ready` is set and `port` true once it listens.

        Raise ServiceError when it cannot listen there. Redis may be away: requests are refused meanwhile.
        """
        async with self._store, await self._listen() as listener, asyncio.TaskGroup() as tasks:
            outbox = tasks.create_task(self._outbox.run())
            lobbies = tasks.create_task(self._lobbies.run())
            arena = tasks.create_task(self._arena.run())
            deadlines = tasks.create_task(watch_deadlines(self._store, self._referee, self._stopping))
            await listener.start_serving()
            self.port = listener.sockets[0].getsockname()[1]
            self.ready.set()
            await self._stopping.wait()
            await self._sessions.drained(DRAIN_S)
            listener.close()
            await listener.wait_closed()
            # Whatever is still logged is logged before the last settling.
            await asyncio.wait({deadlines})
            self._outbox.stop()
            await asyncio.wait({outbox})
            await cancel(lobbies, arena)

    def figures(self) -> dict[str, Any]:
        """Return what this server did and holds, for its metrics. From any thread."""
        return {
            "events": dict(self._referee.counts),
            "connections": self._entrance.connections,
            "lobby_connections": len(self._lobbies),
            "refused": dict(self._entrance.refused),
        }

    def stop(self) -> None:
        """Let `run` come to its end."""
        self._stopping.set()

    async def _listen(self) -> Server:
        """Take the address, but no connection yet."""
        try:
            return await serve(
                self._session,
                self._config.host,
                self._config.port,
                process_request=self._on_http,
                create_connection=self._entrance.visitor,
                server_header=None,
                compression=None,
                open_timeout=OPEN_TIMEOUT_S,
                ping_interval=PING_EVERY_S,
                ping_timeout=PING_EVERY_S,
                close_timeout=CLOSE_TIMEOUT_S,
                max_size=MAX_MESSAGE_BYTES,
                max_queue=MAX_WAITING_FRAMES,
                backlog=_BACKLOG,
                start_serving=False,
            )
        except OSError as error:
            raise ServiceError(
                f"cannot listen on {self._config.host}:{self._config.port}: {error}; give another address "
                "with --host and --port (0: a free one)"
            ) from error

    async def _on_http(self, connection: ServerConnection, request: Request) -> Response | None:
        """Answer what is no WebSocket of ours; None lets the session begin."""
        path = _path(request)
        if path == HEALTH:
            return await self._health(connection, tell_all=self._entrance.knows_secret(request))
        if self._stopping.is_set():
            return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "The server is stopping.\n")
        if self._arena.answers(path, request):
            return self._arena.on_http(connection, request, path)
        if not self._sessions.knows(path):
            return connection.respond(HTTPStatus.NOT_FOUND, "Nothing is here; API v1 begins with /api/v1/.\n")
        return self._entrance.refusal(connection, request)

    async def _session(self, connection: ServerConnection) -> None:
        if not (isinstance(connection, Visitor) and connection.client and connection.request):
            return
        path = _path(connection.request)
        if path == LIVE:
            await self._arena.serve(connection, connection.request, connection.client)
        else:
            await self._sessions.serve(connection, path, connection.client)

    async def _health(self, connection: ServerConnection, *, tell_all: bool) -> Response:
        """Say whether the server is well; to one who knows the secret, if there is one, also what it did."""
        report: dict[str, Any] = {"status": "ok"}
        if tell_all:
            report |= {
                "server": self.id,
                "transport": self._counters(),
                "games": {**self._referee.counts, "lobby_connections": len(self._lobbies)},
                "viewers": len(self._arena),
                "refused": self._entrance.refused,
            }
        status = HTTPStatus.OK
        try:
            await self._store.ping()
        except StoreError as error:
            status = HTTPStatus.SERVICE_UNAVAILABLE
            report["status"] = "unavailable"
            report["reason"] = str(error) if tell_all else "Redis does not answer"
        response = connection.respond(status, messages.encode(report).decode())
        del response.headers["Content-Type"]
        response.headers["Content-Type"] = "application/json"
        return response


def _path(request: Request) -> str:
    return request.path.partition("?")[0]
