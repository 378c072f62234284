"""`superhero demo` and `superhero experiment` as their user runs them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from superhero.ops.processes import superhero_argv
from superhero.ops.tally import count_rows

pytestmark = pytest.mark.acceptance


def _run(root: Path, *arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        superhero_argv(*arguments), cwd=root, capture_output=True, text=True, timeout=110, check=False
    )
    return done.returncode, done.stdout or done.stderr


def _facts(output: str) -> Any:
    return json.loads(output)


@pytest.mark.rabbitmq
def test_the_demo_ends_with_nothing_missing_and_nothing_doubled(
    broker_url: str, redis_url: str, tmp_path: Path, project_root: Path
) -> None:
    urls = ("--broker", broker_url, "--redis", redis_url)
    status, output = _run(
        project_root, "demo", "--games", "3", "--workers", "1", *urls, "--folder", str(tmp_path), "--json"
    )
    assert status == 0, output
    facts = _facts(output)
    assert facts["games_completed"] == facts["games_ingested"] > 0
    assert facts["records_emitted"] == facts["records_written"] > facts["games_completed"]
    rows = {dataset: count_rows(tmp_path / "data", dataset) for dataset in ("PLAYERS", "GAME_PODIUM")}
    assert rows["PLAYERS"] == rows["GAME_PODIUM"] > 0, "everybody is rated after each of its games"
    assert "***" in " ".join(facts["notes"]), "a password is shown as ***"


def test_the_demo_needs_no_broker_and_no_redis(tmp_path: Path, project_root: Path) -> None:
    options = ("--embedded", "--games", "3", "--workers", "1", "--folder", str(tmp_path))
    status, output = _run(project_root, "demo", *options)
    assert status == 0, output
    assert "what went in, what came out" in output
    assert len(list((tmp_path / "data/superhero/GAME_PODIUM").glob("*.jsonl"))) > 0


def test_the_demo_says_which_service_it_cannot_reach(tmp_path: Path, project_root: Path) -> None:
    url = "redis://127.0.0.1:1/0"
    status, output = _run(project_root, "demo", "--redis", url, "--folder", str(tmp_path))
    assert status == 2
    assert "REDIS_URL is redis://127.0.0.1:1/0, but there: " in output


@pytest.mark.rabbitmq
@pytest.mark.timeout(180)
def test_dead_workers_lose_nothing_be_they_killed_or_never_born(
    broker_url: str, tmp_path: Path, project_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROKER_URL", broker_url)
    options = ("--games", "30", "--workers", "2", "--folder", str(tmp_path), "--json")
    status, output = _run(project_root, "experiment", "dead-workers", *options)
    assert status == 0, output
    killed, none_before = _facts(output)
    assert (killed["trial"], none_before["trial"]) == ("killed, back", "none before")
    for outcome in (killed, none_before):
        assert outcome["clean"]
        assert outcome["tally"]["games_completed"] == outcome["tally"]["games_ingested"] > 0
    # Killed workers may not have got to tell what they did; those that end in peace tell all.
    written = none_before["tally"]["records_written"]
    assert none_before["seen"]["curves"]["delivered"][-1][1] == written
    assert sum(none_before["seen"]["shares"].values()) == written
    marks = [what for _, what in killed["seen"]["marks"]]
    assert marks == ["2 workers killed", "bots done, 2 workers come"]
    assert max(depth for _, depth in none_before["seen"]["depths"]) > 0, "the broker kept what no worker took"
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "0 lost, 0 doubled" in page and "2 workers killed" in page
