"""Those who watch the Arena, over a WebSocket each: let in, told what is new, and kept from slowing anybody.

Messages are JSON objects with a `type`. To a viewer: `locked` (the server wants its secret), `welcome`,
`news` (what is new of `frame`, the fights, `standings` and `pulse`, the pipeline), `bots`, `refused`. From
one: `enter` with the secret, `bots` with how many are to play and the secret of the controls. Each of the
news stands for itself: a viewer that reads slowly misses some, and one that does not read at all is dropped.

While nobody watches, nothing is listened to and nothing is asked.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Protocol

import orjson
from websockets.asyncio.server import ServerConnection, broadcast
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode

from superhero.errors import SuperheroError
from superhero.server.arena.watch import Watch
from superhero.server.cancelling import cancel
from superhero.server.limits import Client, Gate
from superhero.server.secret import Secret

NEWS_EVERY_S = 0.25
STANDINGS_EVERY_S = 1.0
PULSE_EVERY_S = 1.0
LINGER_S = 30.0
"""Seconds that we go on watching when the last viewer has left: it may only have loaded the page anew."""

ENTER_S = 10.0
"""Seconds that a viewer has to show the secret."""

SKIP_BYTES = 64 * 1024
"""A viewer with more than this in its write buffer is told nothing new until it has read."""

STUCK_S = 20.0
"""Seconds after which a viewer that has not read is dropped."""

MAX_BOTS = 1000
HISTORY = 120
"""How many pulses a new viewer is given, so that its chart does not begin empty."""

WRONG_SECRET_S = 1.0
"""Seconds until one who shows a wrong secret hears of it."""

_OF_PULSE = ("time", "records", "queues", "workers", "spool", "quarantine", "lag_ms", "games", "broker")

_log = logging.getLogger(__name__)


class Pulse(Protocol):
    """The pipeline's figures, ready for JSON; None where nothing is known. Blocks; is called in a thread.

    Those of superhero/ops/vitals.py that the page shows are handed on to viewers, nothing else.
    """

    def __call__(self) -> Mapping[str, Any] | None:
        """Return them as they are now."""


class Bots(Protocol):
    """Bots that the server's own process runs. Every method blocks and is called in a thread."""

    def playing(self) -> int:
        """Return how many play."""

    def scale(self, players: int) -> None:
        """Let so many play, 0 for none. Raise SuperheroError when that cannot be done."""


class Viewers:
    """Everybody who watches through this server process. Belongs to one event loop; `run` must be running."""

    def __init__(
        self,
        watch: Watch,
        gate: Gate,
        *,
        server: str,
        most: int,
        flower_url: str,
        secret: Secret,
        control: Secret,
        pulse: Pulse,
        bots: Bots | None,
    ) -> None:
        """Let in `most` at a time; without `bots` or a `control` secret nobody may control anything."""
        self._watch = watch
        self._gate = gate
        self._server = server
        self._most = most
        self._flower_url = flower_url
        self._secret = secret
        self._control = control
        self._pulse = pulse
        self._bots = bots if control.is_set else None
        self._scaling = asyncio.Lock()
        # When each of them last kept up.
        self._viewers: dict[ServerConnection, float] = {}
        self._somebody = asyncio.Event()
        self._latest: dict[str, Any] = {}
        self._news: dict[str, Any] = {}
        self._history: deque[tuple[float, float, float]] = deque(maxlen=HISTORY)

    def __len__(self) -> int:
        """How many watch."""
        return len(self._viewers)

    async def run(self) -> None:
        """Show what happens, while somebody watches, until cancelled."""
        while True:
            await self._somebody.wait()
            work = [
                asyncio.create_task(each)
                for each in (
                    self._deserted(),
                    self._watch.run(),
                    self._tell(),
                    self._standings(),
                    self._pulses(),
                )
            ]
            try:
                ended, _ = await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
                for task in ended:
                    task.result()
            except Exception as error:
                _log.error("the Arena failed in a way nobody thought of, and begins anew", exc_info=error)
                await asyncio.sleep(STANDINGS_EVERY_S)
            finally:
                await cancel(*work)
                self._latest.clear()
                self._news.clear()
                self._history.clear()

    async def serve(self, connection: ServerConnection, client: Client, *, knows_secret: bool) -> None:
        """Serve one viewer until it leaves. `knows_secret`: it has shown it with its handshake."""
        with suppress(ConnectionClosed):
            if not knows_secret and not await self._let_in(connection):
                await connection.close(CloseCode.POLICY_VIOLATION, "the secret is wanted")
                return
            if len(self._viewers) >= self._most:
                await _send(connection, {"type": "refused", "what": "place"})
                await connection.close(CloseCode.TRY_AGAIN_LATER, "all places are taken")
                return
            self._viewers[connection] = time.monotonic()
            self._somebody.set()
            try:
                await self._entertain(connection, client)
            finally:
                self._viewers.pop(connection, None)

    async def _let_in(self, connection: ServerConnection) -> bool:
        await _send(connection, {"type": "locked"})
        try:
            async with asyncio.timeout(ENTER_S):
                message = _parsed(await connection.recv(decode=False))
        except TimeoutError:
            return False
        if message.get("type") == "enter" and self._secret.is_shown(message.get("secret")):
            return True
        await self._refuse(connection, "secret")
        return False

    async def _entertain(self, connection: ServerConnection, client: Client) -> None:
        welcome = {
            "type": "welcome",
            "server": self._server,
            "control": self._bots is not None,
            "flower": self._flower_url,
            "history": list(self._history),
            "news": self._latest,
        }
        await _send(connection, welcome)
        while True:
            message = _parsed(await connection.recv(decode=False))
            wait_s = client.wait_s()
            if wait_s:
                await asyncio.sleep(wait_s)
            elif message.get("type") == "bots":
                await self._scale(connection, message)

    async def _scale(self, connection: ServerConnection, message: Mapping[str, Any]) -> None:
        """Let as many bots play as a viewer says, if it may say so."""
        players = message.get("players")
        if self._bots is None or not self._control.is_shown(message.get("secret")):
            await self._refuse(connection, "control")
        elif type(players) is not int or not 0 <= players <= MAX_BOTS or players == 1:
            why = f"0, or from 2 to {MAX_BOTS} bots can play"
            await _send(connection, {"type": "refused", "what": "bots", "why": why})
        else:
            try:
                async with self._scaling:
                    await asyncio.to_thread(self._bots.scale, players)
            except SuperheroError as error:
                _log.warning("the Arena's bots: %s", error)
                why = "the server could not do it; its log says why"
                await _send(connection, {"type": "refused", "what": "bots", "why": why})
            else:
                playing = await asyncio.to_thread(self._bots.playing)
                await _send(connection, {"type": "bots", "players": playing})

    async def _refuse(self, connection: ServerConnection, what: str) -> None:
        """Refuse a wrong secret, and not at once, so that nobody tries many."""
        self._gate.refused["secrets"] += 1
        await asyncio.sleep(WRONG_SECRET_S)
        await _send(connection, {"type": "refused", "what": what})

    async def _deserted(self) -> None:
        """Return when nobody has watched for a while."""
        left_s = time.monotonic()
        while self._viewers or time.monotonic() - left_s < LINGER_S:
            if self._viewers:
                left_s = time.monotonic()
            await asyncio.sleep(STANDINGS_EVERY_S)
        self._somebody.clear()

    async def _tell(self) -> None:
        """Tell everybody what is new, a few times a second and all of it at once."""
        while True:
            if self._watch.stage.changed and self._viewers:
                self._note("frame", self._watch.frame())
            if self._news:
                self._send_to_all(orjson.dumps({"type": "news", **self._news}))
                self._news.clear()
            await asyncio.sleep(NEWS_EVERY_S)

    def _note(self, what: str, news: Any) -> None:
        self._latest[what] = self._news[what] = news

    def _send_to_all(self, message: bytes) -> None:
        """Send to everybody who keeps up; drop who does not read at all."""
        now = time.monotonic()
        for viewer, kept_up_s in self._viewers.items():
            if viewer.transport.get_write_buffer_size() <= SKIP_BYTES:
                self._viewers[viewer] = now
                broadcast([viewer], message, text=True)
            elif now - kept_up_s > STUCK_S:
                viewer.transport.abort()

    async def _standings(self) -> None:
        while True:
            leaders, bots = self._watch.leaders, self._bots
            standings = {
                "leaders": leaders.best(),
                "games": leaders.games,
                "under_way": self._watch.under_way,
                "viewers": len(self._viewers),
                "bots": None if bots is None else await asyncio.to_thread(bots.playing),
            }
            self._note("standings", standings)
            await asyncio.sleep(STANDINGS_EVERY_S)

    async def _pulses(self) -> None:
        complain = True
        while True:
            try:
                pulse = await asyncio.to_thread(self._pulse)
                complain = True
            except Exception as error:
                pulse = None
                if complain:
                    _log.warning("the pipeline's figures cannot be had: %s", error)
                complain = False
            if pulse is not None:
                pulse = {name: pulse[name] for name in _OF_PULSE if name in pulse}
                records = pulse.get("records", {})
                self._history.append(
                    (round(time.time(), 1), records.get("in_per_s", 0.0), records.get("out_per_s", 0.0))
                )
            self._note("pulse", pulse)
            await asyncio.sleep(PULSE_EVERY_S)


async def _send(connection: ServerConnection, message: Mapping[str, Any]) -> None:
    await connection.send(orjson.dumps(message), text=True)


def _parsed(message: bytes | str) -> Mapping[str, Any]:
    """Return a viewer's message; empty for what is none."""
    try:
        parsed = orjson.loads(message)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}
