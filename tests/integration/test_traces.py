"""One trace from the log call through a real broker and a real worker to the file."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from patience import WaitUntil

from superhero.ops.processes import Process, Processes, celery_argv

PROGRAM = """
import logging, sys
from contextlib import closing
from opentelemetry import trace
from superhero.transport import CeleryHandler, telemetry

telemetry.set_up("console", "shop")
log = logging.getLogger("shop.orders")
with closing(CeleryHandler(broker_url=sys.argv[1])) as handler:
    log.addHandler(handler)
    with trace.get_tracer("shop").start_as_current_span("checkout"):
        log.warning("paid")
    log.warning("not traced")
    assert handler.flush(30)
telemetry.shut_down()
"""


def spans(process: Process) -> dict[str, dict[str, Any]]:
    """Return the spans that a process printed, by name."""
    lines = re.findall(r'^\{"name": .*\}$', process.log_path.read_text(), re.M)
    return {span["name"]: span for span in map(json.loads, lines)}


@pytest.mark.rabbitmq
@pytest.mark.parametrize("broker", ["rabbitmq", "redis"])
def test_a_trace_goes_from_the_log_call_to_the_file(
    broker: str,
    redis_url: str,
    request: pytest.FixtureRequest,
    processes: Processes,
    tmp_path: Path,
    project_root: Path,
    wait_until: WaitUntil,
) -> None:
    url = request.getfixturevalue("broker_url" if broker == "rabbitmq" else "redis_broker_url")
    environment = {
        **{"BROKER_URL": url, "REDIS_URL": redis_url, "OUTPUT_DIR": str(tmp_path / "data")},
        **{"CHANNELS": "shop.orders", "OTEL_TRACES_EXPORTER": "console"},
    }
    worker = processes.start(
        "worker",
        celery_argv("worker", "--concurrency", "1", "--hostname", f"{broker}@%h"),
        environment,
        tmp_path / "worker.log",
        project_root,
    )
    argv = [sys.executable, "-c", PROGRAM, url]
    program = processes.start("program", argv, None, tmp_path / "program.log", tmp_path)
    assert program.wait(60) == 0
    wait_until(lambda: "ingest" in spans(worker), timeout_s=60, every_s=0.1)
    assert worker.stop() == 0
    found = {**spans(program), **spans(worker)}
    assert set(found) == {"checkout", "publish", "ingest", "write"}
    assert len({span["context"]["trace_id"] for span in found.values()}) == 1
    for child, parent in (("publish", "checkout"), ("ingest", "publish"), ("write", "ingest")):
        assert found[child]["parent_id"] == found[parent]["context"]["span_id"]
    assert found["ingest"]["resource"]["attributes"]["service.name"] == "superhero worker"
