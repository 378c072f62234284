"""`superhero serve`: wire the server to its settings, its heroes, its console and the pipeline."""

from __future__ import annotations

import asyncio
import logging
import resource
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from typing import Any

import click
import uvloop

from superhero import roster
from superhero.commands.announce import announce
from superhero.commands.pulses import pulse
from superhero.commands.server_metrics import shown
from superhero.config import Settings, from_env, without_password
from superhero.events import CHANNELS
from superhero.ops.bot_crew import BotCrew
from superhero.ops.reach import reach
from superhero.ops.vitals import Vitals
from superhero.server.app import GameServer, ServerConfig
from superhero.server.limits import Limits
from superhero.server.outbox import Settled
from superhero.server.referee import Restock
from superhero.transport import CeleryHandler, telemetry
from superhero.transport.tracing import LogSpans

SETTLE_TIMEOUT_S = 5.0
_OTHER_FILES = 256

_CONSOLE_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"

_log = logging.getLogger(__name__)


@click.command(
    epilog="\b\nExamples:\n  superhero serve\n  superhero serve --host 0.0.0.0 --port 9000\n"
    "  LOBBY_TIMEOUT=10 TURN_TIMEOUT=5 superhero serve --no-pipeline"
)
@click.option("--host", help="Address to listen on. [default: SERVER_HOST, 127.0.0.1]")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Port, 0 for a free one. [default: SERVER_PORT, 8765]"
)
@click.option("--no-heroes", is_flag=True, help="Do not load the shipped heroes when Redis has none.")
@click.option("--no-pipeline", is_flag=True, help="Do not send log records to the broker.")
def command(host: str | None, port: int | None, no_heroes: bool, no_pipeline: bool) -> None:
    """Run the simulator's WebSocket server until Ctrl-C or SIGTERM.

    Any number of servers may share one Redis; the players of a game may sit on different ones. Stopped, it
    answers what it was asked and sends what it logged; games go on on another server, or when one is back.
    The Arena, a web page of what goes on, is on the same port.
    """
    settings = from_env()
    _log_to_console(settings)
    stock = _no_stock if no_heroes else _stock_of(settings.redis_url)
    stock()
    config = ServerConfig(
        redis_url=settings.redis_url,
        host=settings.server_host if host is None else host,
        port=settings.server_port if port is None else port,
        lobby_timeout_s=settings.lobby_timeout_s,
        turn_timeout_s=settings.turn_timeout_s,
        max_participants=settings.max_participants,
        secret=settings.server_secret,
        limits=_limits(settings),
        arena_viewers=settings.arena_viewers,
        arena_control=settings.arena_control,
        flower_url=settings.flower_url,
    )
    _allow_connections(config.limits.connections)
    with ExitStack() as stack:
        parts: dict[str, Any] = {"restock": stock, "bots": stack.enter_context(BotCrew())}
        handler = None
        if not no_pipeline:
            pipeline = stack.enter_context(_pipeline(settings))
            handler, vitals = pipeline.handler, stack.enter_context(Vitals(settings))
            parts |= {"settle": pipeline.settle, "counters": pipeline.counters, "pulse": vitals.look}
        server = GameServer(config, **parts)
        stack.enter_context(shown(server.figures, handler, settings.metrics_host, settings.metrics_port))
        stack.enter_context(
            pulse(config.redis_url, "server", handler, server.id, lambda: server.figures()["events"])
        )
        uvloop.run(_serve(server, config, parts["bots"]))


def _limits(settings: Settings) -> Limits:
    return Limits(
        connections=settings.max_connections,
        connections_per_address=settings.max_connections_per_address,
        requests_per_connection=settings.max_requests_per_connection,
        requests_per_address=settings.max_requests_per_address,
        new_users_per_address=settings.max_new_users_per_address,
        trusted_proxies=settings.trusted_proxies,
    )


def _allow_connections(connections: int) -> None:
    """Let the process open as many files as so many connections need, as far as it may."""
    needed = connections + _OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        # Who never asked for so many is not warned of it at every start.
        asked_for = connections != Settings().max_connections
        _log.log(
            logging.WARNING if asked_for else logging.INFO,
            "MAX_CONNECTIONS is %d and this process may open %d files: beyond that, connections wait "
            "unanswered. Raise the limit (ulimit -n) or lower MAX_CONNECTIONS",
            connections,
            hard,
        )
        needed = hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


class _Pipeline:
    """What the server asks the logging transport."""

    def __init__(self, handler: CeleryHandler) -> None:
        self.handler = handler
        self._dropped = 0

    def settle(self) -> Settled:
        if not self.handler.safe(SETTLE_TIMEOUT_S):
            return Settled.WAITING
        before, self._dropped = self._dropped, self.handler.counters().dropped
        return Settled.SAFE if self._dropped == before else Settled.DROPPED

    def counters(self) -> Mapping[str, Any]:
        return asdict(self.handler.counters())


async def _serve(server: GameServer, config: ServerConfig, bots: BotCrew) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.stop)
    running = asyncio.create_task(server.run())
    listening = asyncio.create_task(server.ready.wait())
    await asyncio.wait({running, listening}, return_when=asyncio.FIRST_COMPLETED)
    if server.ready.is_set():
        address = f"{config.host}:{server.port}"
        bots.url = f"ws://{_reached_at(config.host)}:{server.port}"
        announce(f"server {server.id} listening on ws://{address}")
        if config.arena_viewers:
            announce(f"the Arena is on http://{address}/")
    listening.cancel()
    await running


def _reached_at(host: str) -> str:
    """Return where a server that listens on `host` is reached from its own machine."""
    return {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "[::1]"}.get(
        host, f"[{host}]" if ":" in host else host
    )


def _stock_of(redis_url: str) -> Restock:
    """Return what loads the shipped heroes where there are none: at the start, or when Redis lost them."""
    heroes = roster.shipped()

    def stock() -> bool:
        stored = roster.store_if_empty(redis_url, heroes)
        if stored:
            _log.info("Redis had no heroes: the shipped ones are loaded")
        return stored

    return stock


def _no_stock() -> bool:
    return False


def _log_to_console(settings: Settings) -> None:
    """Log to stderr. What the simulator tells the pipeline is not for the console: it is far too much."""
    # Where it is JSON, the composition root set it up already.
    logging.basicConfig(level=settings.log_level, format=_CONSOLE_FORMAT)
    logging.getLogger().setLevel(settings.log_level)
    # A line per connection, and a traceback for whatever scans the port.
    logging.getLogger("websockets").setLevel(logging.CRITICAL)
    for channel in CHANNELS:
        logger = logging.getLogger(channel)
        logger.setLevel(logging.INFO)
        logger.propagate = False
        logger.addHandler(logging.NullHandler())


@contextmanager
def _pipeline(settings: Settings) -> Iterator[_Pipeline]:
    """Send what is logged to the channels to the broker; at the end wait for what is on its way."""
    handler = CeleryHandler(broker_url=settings.broker_url, level=logging.INFO, spool_dir=settings.spool_dir)
    handler.start()  # a dead server may have left something in the spool
    telemetry.set_up(settings.otel_traces_exporter, "superhero server")
    taken = LogSpans(handler) if settings.otel_traces_exporter != "none" else handler
    for channel in CHANNELS:
        logging.getLogger(channel).addHandler(taken)
    _log.info("log records go to %s", without_password(settings.broker_url))
    # Beside the start, which must not wait for a broker that is silent; the handler connects when it must.
    threading.Thread(target=_look_at_broker, args=(settings,), name="broker-look", daemon=True).start()
    try:
        yield _Pipeline(handler)
    finally:
        for channel in CHANNELS:
            logging.getLogger(channel).removeHandler(taken)
        handler.close()
        telemetry.shut_down()


def _look_at_broker(settings: Settings) -> None:
    """Warn at the start where the broker is away, and not only once there is something to send."""
    answer = reach(settings.broker_url)
    if answer.reachable:
        return
    _log.warning(
        "the broker at %s does not take us (%s%s): log records wait %s until it does",
        without_password(settings.broker_url),
        answer.error,
        f"; {answer.remedy}" if answer.remedy else "",
        "in memory" if settings.spool_dir is None else f"in {settings.spool_dir}",
    )
