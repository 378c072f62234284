"""Flower as its user sees it, in a real browser, on a RabbitMQ with the management API."""

from __future__ import annotations

import logging
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from patience import WaitUntil
from playwright.sync_api import Page, expect, sync_playwright
from worker_bench import Bench

from superhero.ops.embedded import free_port
from superhero.ops.processes import Process, Processes, superhero_argv
from superhero.ops.rabbitmq import PrivateRabbit, find_server
from superhero.transport import CeleryHandler

pytestmark = [pytest.mark.acceptance, pytest.mark.rabbitmq, pytest.mark.timeout(180)]

LOGIN = ("watcher", "s3cret-of-flower")
RECORDS = 30
READY = r"Visit me at|Connected to"


@dataclass
class Flower:
    """A running Flower and what it takes to run it again."""

    processes: Processes
    environ: dict[str, str]
    folder: Path
    url: str
    process: Process | None = None

    def start(self) -> None:
        """Start it and wait until it serves and hears of tasks."""
        argv = superhero_argv("flower", "--port", self.url.rpartition(":")[2])
        self.process = self.processes.start("flower", argv, self.environ, self.folder / "flower.log")
        self.process.wait_for_line(READY, 40)

    def tasks(self) -> dict[str, dict[str, object]]:
        """Return the tasks that it has seen."""
        with httpx.Client(base_url=self.url, auth=LOGIN, trust_env=False, timeout=10) as http:
            seen: dict[str, dict[str, object]] = http.get("/api/tasks").raise_for_status().json()
        return seen


@pytest.fixture
def flower(processes: Processes, redis_url: str, tmp_path: Path, project_root: Path) -> Iterator[Flower]:
    """Give the test a Flower beside a worker, on a RabbitMQ node of its own."""
    if find_server() is None:
        _needed("rabbitmq-server is not installed (Debian: apt-get install rabbitmq-server)")
    with PrivateRabbit(tmp_path / "rabbitmq", management=True) as node:
        bench = Bench(processes, node.url(), redis_url, tmp_path)
        environ = {
            **{"BROKER_URL": node.url(), "RABBITMQ_MANAGEMENT_URL": node.management_url},
            **{"FLOWER_BASIC_AUTH": ":".join(LOGIN), "FLOWER_DB": str(tmp_path / "flower.db")},
            "PYTHONPATH": str(project_root),
        }
        running = Flower(processes, environ, tmp_path, f"http://127.0.0.1:{free_port()}")
        running.start()
        bench.worker(env={"CHANNELS": "shop.orders"})
        yield running
        processes.stop()


@pytest.fixture
def page() -> Iterator[Page]:
    """Give the test a page in a browser without a window."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        _needed("chromium is not installed (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        # Root may not have Chromium's sandbox.
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        try:
            user, password = LOGIN
            credentials = {"username": user, "password": password}
            yield browser.new_context(http_credentials=credentials).new_page()
        finally:
            browser.close()


def _needed(reason: str) -> None:
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def log_orders(broker_url: str) -> None:
    """Log orders with something in them that is nobody's business, and one record that nobody consumes."""
    handler = CeleryHandler(broker_url=broker_url)
    loggers = [logging.getLogger(name) for name in ("shop.orders", "nobody.reads")]
    try:
        handler.start()
        for logger in loggers:
            logger.addHandler(handler)
            logger.setLevel(logging.INFO)
        for number in range(RECORDS):
            loggers[0].info("order %d", number, extra={"payload": {"card": "4111-1111"}})
        loggers[1].info("hello")
        assert handler.flush(20)
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
        handler.close()


def test_its_pages_show_readable_tasks_and_every_queue_and_keep_them_across_a_restart(
    flower: Flower, page: Page, wait_until: WaitUntil
) -> None:
    wait_until(lambda: "worker" in httpx.get(f"{flower.url}/metrics", trust_env=False).text, 30)
    log_orders(flower.environ["BROKER_URL"])
    wait_until(lambda: records_of(flower.tasks()) == RECORDS, 30, 0.2)
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))

    page.goto(f"{flower.url}/tasks")
    rows = page.locator("#tasks-table tbody tr")
    expect(
        rows.filter(has_text=re.compile(r"superhero\.ingest.*\('shop\.orders', \d+ from \S+:0\)"))
    ).to_be_visible()
    rows.first.get_by_role("link").first.click()
    expect(page.get_by_text("shop.orders").first).to_be_visible()
    assert "4111-1111" not in page.content()

    page.goto(f"{flower.url}/broker")
    names = page.locator("#queue-table tbody tr td:first-child")
    ours = ["superhero.dead", "superhero.game", "superhero.lobby", "superhero.login", "superhero.unrouted"]
    expect(names).to_have_text(["nobody.reads", "shop.orders", *ours])
    waiting = page.locator("#queue-table tr", has_text="nobody.reads").locator("td").nth(3)
    # RabbitMQ counts every five seconds; the page shows it when it is asked again.
    wait_until(lambda: page.reload() and waiting.inner_text() == "1", 30, 0.5)
    assert "guest:guest" not in page.content()

    seen = flower.tasks()
    assert flower.process is not None
    assert flower.process.stop(20) == 0
    flower.start()
    assert flower.tasks().keys() == seen.keys()
    page.goto(f"{flower.url}/tasks")
    expect(rows.filter(has_text="shop.orders").first).to_be_visible()
    assert complaints == []


def records_of(tasks: dict[str, dict[str, object]]) -> int:
    """Return how many records the arguments of finished tasks speak of."""
    args = [str(task["args"]) for task in tasks.values() if task["state"] == "SUCCESS"]
    return sum(int(size) for text in args for size in re.findall(r"\('shop\.orders', (\d+) from ", text))
