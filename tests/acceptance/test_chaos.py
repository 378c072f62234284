"""`superhero chaos` as its user runs it: each fault once, small, and plain Celery beside it."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from superhero.chaos.faults import FAULTS
from superhero.ops.processes import superhero_argv
from superhero.ops.rabbitmq import find_server

pytestmark = [pytest.mark.acceptance, pytest.mark.rabbitmq]

ON_A_CLUSTER = [fault.name for fault in FAULTS.values() if fault.clustered]
ON_A_NODE = [fault.name for fault in FAULTS.values() if not (fault.clustered or fault.needs_sql)]
SMALL = ("--records", "50", "--rate", "50", "--hold", "0.4")


@pytest.fixture(autouse=True)
def _needs_rabbitmq() -> None:
    if find_server() is not None:
        return
    reason = "rabbitmq-server is not installed (Debian: apt-get install rabbitmq-server)"
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def _chaos(root: Path, folder: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    argv = superhero_argv("chaos", *arguments, "--folder", str(folder), "--json")
    done = subprocess.run(argv, cwd=root, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def _unclean(told: dict[str, Any]) -> list[dict[str, Any]]:
    return [window for window in told["windows"] if not window["clean"]]


@pytest.mark.timeout(900)
def test_the_pipeline_bears_each_fault_once(project_root: Path, tmp_path: Path) -> None:
    status, told = _chaos(project_root, tmp_path, *ON_A_NODE, *SMALL, "--no-vanilla")
    assert _unclean(told) == []
    assert told["by_record_id"][0]["clean"], told["by_record_id"]
    assert [window["faults"] for window in told["windows"]] == [[name] for name in ON_A_NODE]
    assert all(window["records"] and window["evidence"] for window in told["windows"])
    assert status == 0


@pytest.mark.timeout(300)
def test_the_pipeline_bears_that_of_three_broker_nodes_one_is_killed_one_cut_off_and_both_at_once(
    project_root: Path, tmp_path: Path
) -> None:
    status, told = _chaos(project_root, tmp_path, *ON_A_CLUSTER, *SMALL, "--no-vanilla")
    assert (status, _unclean(told)) == (0, [])


@pytest.mark.timeout(300)
def test_plain_celery_loses_what_the_pipeline_keeps(project_root: Path, tmp_path: Path) -> None:
    names = ("worker-child", "all-workers", "sink-unwritable", "poison", "malformed")
    status, told = _chaos(project_root, tmp_path, *names, *SMALL)
    assert (status, _unclean(told)) == (0, [])
    lost = {window["faults"][0]: window["plain"]["lost"] for window in told["windows"]}
    assert all(lost[name] > 0 for name in names), lost


@pytest.mark.timeout(300)
def test_faults_drawn_by_chance_are_borne_too(project_root: Path, tmp_path: Path) -> None:
    names = ("worker-child", "worker-parent", "producer-kill", "redis-restart", "clock-back")
    chance = ("--minutes", "0.3", "--seed", "7")
    status, told = _chaos(project_root, tmp_path, *names, *SMALL, *chance, "--no-vanilla")
    assert (status, _unclean(told)) == (0, [])
    assert len(told["windows"]) > 1


@pytest.fixture
def schema_url() -> Iterator[str]:
    """Give the test an empty schema of its own on the reachable PostgreSQL."""
    url = sa.make_url(os.environ.get("POSTGRESQL_URL") or "postgresql://postgres@127.0.0.1:5432/test")
    engine = sa.create_engine(url.set(drivername="postgresql+psycopg"), poolclass=sa.NullPool)
    name = f"chaos_{secrets.token_hex(6)}"
    try:
        with engine.begin() as connection:
            connection.execute(sa.text(f"CREATE SCHEMA {name}"))
    except sa.exc.OperationalError as error:
        if "POSTGRESQL_URL" in os.environ:
            raise
        pytest.skip(f"no PostgreSQL at {url!r}: {error.orig}")
    yield url.update_query_dict({"options": f"-csearch_path={name}"}).render_as_string(hide_password=False)
    with engine.begin() as connection:
        connection.execute(sa.text(f"DROP SCHEMA {name} CASCADE"))


@pytest.mark.timeout(300)
def test_a_database_that_was_away_has_every_record_in_the_end(
    project_root: Path, tmp_path: Path, schema_url: str
) -> None:
    sql = ("--sql", schema_url, "--no-vanilla")
    status, told = _chaos(project_root, tmp_path, "sql-sink-down", *SMALL, *sql)
    assert (status, _unclean(told), told["not_in_sql"]) == (0, [], 0)


def test_a_fault_that_nobody_knows_is_refused_by_name(project_root: Path) -> None:
    argv = superhero_argv("chaos", "no-such-fault")
    done = subprocess.run(argv, cwd=project_root, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no-such-fault" in done.stderr
