"""Celery's settings: what they promise, how they read the environment, and that both sides agree."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from celery import Celery
from celery.exceptions import ImproperlyConfigured
from celery.utils.functional import maybe_list

from superhero.config import Settings
from superhero.transport import topology
from superhero.transport.envelope import INGEST_TASK

ROOT = Path(__file__).resolve().parents[2]
VARIABLES = ("BROKER_URL", "REDIS_URL", "SINKS", "OUTPUT_DIR", "CHANNELS", "GAME_TTL", "VISIBILITY_TIMEOUT")


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def load() -> ModuleType:
    """Run celeryconfig.py in the environment as it is now, under a name of the test's own."""
    spec = importlib.util.spec_from_file_location("celeryconfig_under_test", ROOT / "celeryconfig.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_celery_takes_every_setting() -> None:
    app = Celery("under-test", set_as_current=False)
    app.config_from_object(load())
    assert app.conf.task_acks_late
    assert app.conf.superhero_secret_sinks == "json:var/data"


def test_settings_that_would_lose_tasks_are_not_in_force() -> None:
    config = load()
    assert config.task_acks_late
    assert config.task_reject_on_worker_lost
    assert config.task_acks_on_failure is config.task_acks_on_timeout is False
    assert config.broker_connection_max_retries is None
    assert config.task_create_missing_queues is False
    assert config.task_default_queue_type == "quorum"
    assert config.broker_transport_options == {"confirm_publish": True}


def test_only_json_is_taken() -> None:
    config = load()
    assert config.accept_content == ["json"]
    assert {config.task_serializer, config.result_serializer, config.event_serializer} == {"json"}


def test_its_defaults_are_those_of_the_simulator() -> None:
    config, settings = load(), Settings()
    assert config.broker_url == settings.broker_url
    assert config.superhero_secret_redis_url == settings.redis_url
    assert config.superhero_secret_sinks == f"json:{settings.output_dir}"


def test_its_names_are_those_of_the_topology() -> None:
    config = load()
    assert config.task_default_exchange == topology.EXCHANGE_NAME
    assert config.task_default_exchange_type == topology.EXCHANGE.type
    assert config.task_default_queue == topology.UNROUTED_NAME


def test_a_task_sent_by_name_goes_to_its_channel() -> None:
    (route,) = maybe_list(load().task_routes)
    to_channel = {"exchange": topology.EXCHANGE_NAME, "exchange_type": "topic", "routing_key": "shop.orders"}
    assert route(INGEST_TASK, ("shop.orders", []), {}, {}) == to_channel
    assert route(INGEST_TASK, ("shop.orders", []), {}, {"exchange": "elsewhere"}) is None
    assert route(INGEST_TASK, (), {}, {}) is None
    assert route("another.task", ("shop.orders",), {}, {}) is None


@pytest.mark.parametrize(
    ("environ", "setting", "value"),
    [
        ({"OUTPUT_DIR": "/data"}, "superhero_secret_sinks", "json:/data"),
        ({"OUTPUT_DIR": "/data", "SINKS": "json:/other"}, "superhero_secret_sinks", "json:/other"),
        ({"CHANNELS": " a.b, c ,"}, "superhero_channels", ("a.b", "c")),
        ({"GAME_TTL": "60"}, "superhero_game_ttl_s", 60),
        ({"REDIS_URL": "rediss://host/1"}, "superhero_secret_redis_url", "rediss://host/1"),
        ({"BROKER_URL": "redis://host/1"}, "superhero_broker_is_redis", True),
        ({}, "superhero_broker_is_redis", False),
    ],
)
def test_a_variable_is_read(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], setting: str, value: object
) -> None:
    for name, text in environ.items():
        monkeypatch.setenv(name, text)
    assert getattr(load(), setting) == value


def test_a_redis_broker_hands_tasks_out_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROKER_URL", "redis://host/1")
    monkeypatch.setenv("VISIBILITY_TIMEOUT", "20")
    options: dict[str, Any] = load().broker_transport_options
    assert options == {"visibility_timeout": 20, "unacked_restore_interval": 1, "unacked_restore_throttle": 1}


def test_all_bad_variables_stand_in_one_error_without_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    bad = {
        "BROKER_URL": "http://me:s3cret@host",
        "REDIS_URL": "me:s3cret@host",
        "CHANNELS": "fine,../x",
        "GAME_TTL": "0",
        "VISIBILITY_TIMEOUT": "1.5",
    }
    for name, text in bad.items():
        monkeypatch.setenv(name, text)
    with pytest.raises(ImproperlyConfigured) as caught:
        load()
    assert all(name in str(caught.value) for name in bad)
    assert "s3cret" not in str(caught.value)


def test_every_variable_stands_in_the_table_with_its_default() -> None:
    config = load()
    rows = {
        cells[0]: cells[1]
        for line in (config.__doc__ or "").splitlines()
        if line.startswith("| ") and len(cells := [cell.strip() for cell in line.strip("|").split("|")]) == 3
    }
    for name, (default, _) in config._VARIABLES.items():
        shown = {"SINKS": "json:<OUTPUT_DIR>", "CHANNELS": "(none)"}.get(name, default)
        assert rows[name] == shown
