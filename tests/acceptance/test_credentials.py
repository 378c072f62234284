"""Passwords, secrets and tokens stand in no log, task, file or command line, also when things go wrong."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import redis
from kombu import Connection, Queue
from patience import WaitUntil

from superhero import keys
from superhero.ops.embedded import EmbeddedRedis, free_port
from superhero.ops.processes import Process, Processes, celery_argv, project_root, superhero_argv
from superhero.ops.rabbitmq import PrivateRabbit, find_server
from superhero.ops.tally import count_rows
from superhero.transport.compression import readable
from superhero.transport.topology import EXCHANGE, UNROUTED_EXCHANGE

pytestmark = [pytest.mark.rabbitmq, pytest.mark.acceptance, pytest.mark.timeout(240)]

SPY = "spy"


@dataclass
class Place:
    """Services with passwords, and every process of ours that knows them, each with a log in `folder`."""

    processes: Processes
    rabbit: PrivateRabbit
    redis: EmbeddedRedis
    folder: Path
    secrets: dict[str, str]
    started: list[Process] = field(default_factory=list)

    @property
    def broker_url(self) -> str:
        """The broker's URL, password included."""
        return f"amqp://somebody:{self.secrets['rabbit']}@127.0.0.1:{self.rabbit.port}//"

    def environ(self) -> dict[str, str]:
        """Return what all of our processes are told."""
        return {
            "BROKER_URL": self.broker_url,
            "REDIS_URL": self.redis.url(),
            "RABBITMQ_MANAGEMENT_URL": f"http://somebody:{self.secrets['rabbit']}@127.0.0.1:{free_port()}",
            "SERVER_SECRET": self.secrets["server"],
            "ARENA_CONTROL": self.secrets["arena"],
            "FLOWER_BASIC_AUTH": f"somebody:{self.secrets['flower']}",
            "FLOWER_DB": str(self.folder / "flower.db"),
            "SUPERHERO_API_TOKEN": self.secrets["api"],
            "SINKS": f"json:{self.folder / 'data'}",
            "SPOOL_DIR": str(self.folder / "spool"),
            "LOG_LEVEL": "DEBUG",
        }

    def start(self, name: str, argv: list[str], **environ: str) -> Process:
        """Start a process that knows everything."""
        env = {**self.environ(), **environ}
        process = self.processes.start(name, argv, env, self.folder / f"{name}.log", project_root())
        self.started.append(process)
        return process

    def user_tokens(self) -> list[str]:
        """Return the tokens by which users act."""
        with redis.Redis.from_url(self.redis.url(), decode_responses=True) as client:
            return list(client.hvals(keys.users()))


@pytest.fixture
def place(processes: Processes, tmp_path: Path) -> Iterator[Place]:
    """Start the services; what they keep to themselves is not in the folder that is searched."""
    if find_server() is None:
        reason = "rabbitmq-server is not installed (Debian: apt-get install rabbitmq-server)"
        pytest.fail(reason) if os.environ.get("CI", "").lower() == "true" else pytest.skip(reason)
    markers = {
        name: f"marker{secrets.token_hex(12)}" for name in ("rabbit", "server", "arena", "flower", "api")
    }
    with (
        PrivateRabbit(tmp_path / "services" / "rabbitmq") as rabbit,
        EmbeddedRedis(tmp_path / "services" / "redis") as state,
    ):
        rabbit.control("add_user", "somebody", markers["rabbit"])
        rabbit.control("set_permissions", "somebody", ".*", ".*", ".*")
        markers["redis"] = urlsplit(state.url()).password or ""
        folder = tmp_path / "searched"
        folder.mkdir()
        yield Place(processes, rabbit, state, folder, markers)
        processes.stop()  # before the services go


def spy_on(broker_url: str, *exchanges: str) -> None:
    """Have a queue get a copy of everything that goes through the exchanges."""
    with Connection(broker_url) as connection, connection.channel() as channel:
        for exchange in (UNROUTED_EXCHANGE, EXCHANGE):
            exchange(channel).declare()
        Queue(SPY, durable=True)(channel).declare()
        for name in exchanges:
            channel.queue_bind(SPY, exchange=name, routing_key="#")


def spied(broker_url: str) -> Iterator[str]:
    """Yield what the queue got: bodies, headers and properties."""
    with Connection(broker_url) as connection, connection.channel() as channel:
        while (message := channel.basic_get(SPY, no_ack=True)) is not None:
            yield f"{readable(message.body, message.headers)!r} {message.headers!r} {message.properties!r}"


def play(place: Place, name: str, url: str, games: int = 2) -> None:
    """Let bots play."""
    argv = superhero_argv("play", "--players", "4", "--games", str(games), "--seed", "7", "--url", url)
    assert place.start(name, argv).wait(60) == 0


def find_in_files(folder: Path, needles: dict[str, str]) -> list[str]:
    """Return where a secret stands in a file, or in its name."""
    found = []
    for path in (each for each in folder.rglob("*") if each.is_file()):
        content = path.read_bytes()
        for name, needle in needles.items():
            if needle.encode() in content or needle in str(path):
                found.append(f"{name} in {path.relative_to(folder)}")
    return found


def test_no_secret_leaves_the_settings(place: Place, wait_until: WaitUntil) -> None:
    spy_on(place.broker_url, EXCHANGE.name)
    server = place.start("server", superhero_argv("serve", "--port", "0"))
    url = server.wait_for_line(r"listening on (ws://\S+)")[1]
    worker = place.start("worker", celery_argv("worker", "--concurrency", "1", "--loglevel", "DEBUG"))
    worker.wait_for_line(r" ready\.", 40)
    spy_on(place.broker_url, EXCHANGE.name, "celeryev", "superhero.dead")
    port = free_port()
    flower = place.start("flower", superhero_argv("flower", "--port", str(port)))
    flower.wait_for_line("Visit me at|Connected to", 40)
    play(place, "bots", url)
    wait_until(lambda: count_rows(place.folder / "data", "RECORDS") > 20, 30, 0.2)
    told = list(flower_pages(place, port))

    # Everything that knows a password now has reason to complain.
    place.redis.kill9()
    place.rabbit.kill9()
    server.wait_for_line("requests cannot be carried out|no sign of life", 30)
    worker.wait_for_line("(?i)connection .*lost|cannot connect", 30)
    place.redis.start()
    place.rabbit.start()
    written = count_rows(place.folder / "data", "RECORDS")
    play(place, "bots-again", url)
    wait_until(lambda: count_rows(place.folder / "data", "RECORDS") > written + 20, 60, 0.2)
    wrong = {
        name: place.environ()[name].replace("@", "x@")
        for name in ("BROKER_URL", "REDIS_URL", "RABBITMQ_MANAGEMENT_URL")
    }
    for name, *arguments in (
        ("serve", "--port", "0"),
        ("quarantine", "list"),
        ("heroes", "load"),
        ("doctor",),
    ):
        ended = place.start(f"wrong-{name}", superhero_argv(name, *arguments), **wrong).wait(30)
        assert ended == (1 if name == "doctor" else 2)
    assert (
        place.start("wrong-play", superhero_argv("play", "--url", url), SERVER_SECRET="x" * 20).wait(30) == 2
    )

    needles = {**place.secrets, **{f"token {n}": token for n, token in enumerate(place.user_tokens())}}
    assert len(needles) == 6 + 4
    commands = "\n".join(command_line(each) for each in (server, worker, flower))
    messages = list(spied(place.broker_url))
    assert all(any(each in message for message in messages) for each in ("superhero.game", "task-succeeded"))
    told += [commands, *messages]
    assert len(told) > 10  # how many messages there are depends on how they were gathered
    assert not [name for name, needle in needles.items() if any(needle in text for text in told)]
    place.processes.stop(20)
    assert not find_in_files(place.folder, needles)
    # To log in by a user's name is to get its token, so a name is a secret where bots do not tell their own.
    name = {"name": "bot-7-"}
    assert not any(name["name"] in text for text in told)
    assert not find_in_files(place.folder / "data", name)
    assert not {"name in server.log", "name in worker.log"} & set(find_in_files(place.folder, name))


def test_a_secret_in_a_file_or_in_its_name_would_be_found(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"\x00\xffneedle")
    (tmp_path / "a needle").touch()
    assert sorted(find_in_files(tmp_path, {"it": "needle"})) == ["it in a needle", "it in one"]


def flower_pages(place: Place, port: int) -> Iterator[str]:
    """Yield what Flower shows to one who may see it, the workers' settings included."""
    login = ("somebody", place.secrets["flower"])
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", auth=login, timeout=20, trust_env=False) as http:
        workers = http.get("/api/workers", params={"refresh": "true"})
        assert workers.status_code == 200
        shown = json.loads(workers.text)
        assert any("conf" in each for each in shown.values()), "the workers' settings are not shown at all"
        yield workers.text
        for path in (*(f"/worker/{name}" for name in shown), "/broker", "/tasks", "/api/tasks"):
            yield http.get(path).text


def command_line(process: Process) -> str:
    """Return what a listing of processes shows of a process and its children."""
    ids = [process.pid, *process.children()]
    return "\n".join(Path(f"/proc/{each}/cmdline").read_bytes().decode() for each in ids)
