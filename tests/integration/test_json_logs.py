"""LOG_FORMAT=json: a line of JSON for whatever our own processes log, and no credential in it."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Any

import pytest

from superhero.loglines import JsonLines
from superhero.ops.processes import Processes, celery_argv, superhero_argv


def lines(path: Path) -> list[dict[str, Any]]:
    """Return a log, every line of which must be an object with what each has."""
    found = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    assert all({"time", "level", "logger", "message", "process"} <= each.keys() for each in found)
    return found


def test_a_server_and_a_command_log_json_and_nothing_else(
    redis_url: str, tmp_path: Path, processes: Processes
) -> None:
    environment = {
        **{"BROKER_URL": "amqp://me:s3cret@127.0.0.1:1//", "REDIS_URL": redis_url, "LOG_FORMAT": "json"},
        "METRICS_PORT": "0",
    }
    argv = superhero_argv("serve", "--port", "0")
    server = processes.start("server", argv, environment, tmp_path / "server.log")
    server.wait_for_line("does not take us")
    server.wait_for_line("listening on ws://")
    assert server.stop() == 0
    said = lines(server.log_path)
    assert {"INFO", "WARNING"} <= {each["level"] for each in said}
    assert any("metrics at http://" in each["message"] for each in said)
    text = server.log_path.read_text()
    assert "s3cret" not in text
    assert "amqp://me:***@" in text

    away = {**environment, "REDIS_URL": "redis://:s3cret@127.0.0.1:1/0"}
    top = processes.start("top", superhero_argv("top"), away, tmp_path / "top.log")
    assert top.wait(30) == 2
    (complaint,) = lines(top.log_path)
    assert (complaint["level"], "s3cret" in complaint["message"]) == ("CRITICAL", False)


@pytest.mark.rabbitmq
def test_a_worker_logs_json_and_nothing_else_but_celery_s_banner(
    broker_url: str, redis_url: str, tmp_path: Path, processes: Processes, project_root: Path
) -> None:
    environment = {
        **{"BROKER_URL": broker_url, "REDIS_URL": redis_url, "LOG_FORMAT": "json"},
        # Celery warns of itself when root runs it.
        **{"OUTPUT_DIR": str(tmp_path / "data"), "PYTHONWARNINGS": "ignore"},
    }
    argv = celery_argv("--quiet", "worker", "--concurrency", "1", "--loglevel", "INFO", "--hostname", "j@%h")
    worker = processes.start("worker", argv, environment, tmp_path / "worker.log", project_root)
    worker.wait_for_line(r" ready\.")
    assert worker.stop() == 0
    path = tmp_path / "of-json.log"
    of_json = [line for line in worker.log_path.read_text().splitlines() if line.startswith("{")]
    path.write_text("\n".join(of_json), encoding="utf-8")
    said = lines(path)
    assert any("ready as j@" in each["message"] for each in said)
    rest = [line for line in worker.log_path.read_text().splitlines() if line and not line.startswith("{")]
    assert rest in ([], ["worker: Warm shutdown (MainProcess)"])


def test_a_line_holds_what_a_record_holds() -> None:
    try:
        raise ValueError("no\nsuch")
    except ValueError:
        error = sys.exc_info()
    record = logging.LogRecord("shop", logging.ERROR, __file__, 1, "order %s\n", (17,), error)
    record.__dict__.update(event="order.paid", payload={"at": Path("/x"), "é": 1}, task_id="???")
    line = JsonLines().format(record)
    assert "\n" not in line
    said = json.loads(line)
    assert said["message"] == "order 17\n"
    assert (said["event"], said["payload"]) == ("order.paid", {"at": "/x", "é": 1})
    assert "ValueError: no\nsuch" in said["exception"]
    assert "task" not in said
