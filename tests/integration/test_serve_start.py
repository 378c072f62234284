"""What `superhero serve` says at its start, before anybody came."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from superhero.ops.processes import Process, Processes, superhero_argv

NOBODY = "amqp://me:s3cret@127.0.0.1:1//"


@pytest.fixture
def serve(processes: Processes, redis_url: str, tmp_path: Path) -> Callable[..., Process]:
    """Return what starts a server that listens."""

    def start(*arguments: str, **environ: str) -> Process:
        argv = superhero_argv("serve", "--port", "0", *arguments)
        env = {"REDIS_URL": redis_url, **environ}
        server = processes.start("server", argv, env, tmp_path / "server.log")
        server.wait_for_line("listening on")
        return server

    return start


def test_a_broker_that_is_away_is_told_at_once_and_without_its_password(
    serve: Callable[..., Process],
) -> None:
    server = serve(BROKER_URL=NOBODY)
    told = server.wait_for_line(r"WARNING .* the broker at (\S+) does not take us \((.*)\)")
    assert told[1] == "amqp://me:***@127.0.0.1:1//"
    assert "Connection refused" in told[2]
    assert server.stop() == 0
    assert server.tail(200).count("does not take us") == 1


@pytest.mark.rabbitmq
def test_a_broker_that_is_there_is_not_warned_of(serve: Callable[..., Process], broker_url: str) -> None:
    server = serve(BROKER_URL=broker_url)
    assert server.stop() == 0
    assert "WARNING" not in server.tail(200)


@pytest.mark.parametrize(
    ("environ", "level"), [({}, "INFO"), ({"MAX_CONNECTIONS": "9000"}, "WARNING")], ids=["default", "set"]
)
def test_too_few_files_are_a_warning_only_to_who_asked_for_more(
    redis_url: str, environ: dict[str, str], level: str
) -> None:
    code = "import superhero.commands.serve as s, superhero.config as c; settings = c.from_env(); "
    code += "s._log_to_console(settings); s._allow_connections(settings.max_connections)"
    done = subprocess.run(
        [*superhero_argv()[:1], "-c", code],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 4096)),
    )
    assert f"{level} superhero.commands.serve: MAX_CONNECTIONS is" in done.stderr
