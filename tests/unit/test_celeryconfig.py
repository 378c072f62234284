"""Celery's settings: what they promise, how they read the environment, and that both sides agree."""

from __future__ import annotations

import importlib.util
import os
import ssl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from celery import Celery
from celery.utils.functional import maybe_list
from kombu import Connection

from sinks import open_sink
from sinks.errors import SinkError
from superhero import config as superhero_config
from superhero.config import Settings
from superhero.errors import SettingsError
from superhero.transport import topology
from superhero.transport.envelope import INGEST_TASK
from superhero.transport.tls import OPTIONS, secure_connection

ROOT = Path(__file__).resolve().parents[2]
VARIABLES = (
    "BROKER_URL",
    "REDIS_URL",
    "SINKS",
    "OUTPUT_DIR",
    "CHANNELS",
    "GAME_TTL",
    "VISIBILITY_TIMEOUT",
    "LOG_FORMAT",
    "OTEL_TRACES_EXPORTER",
)


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
    assert config.superhero_channels == settings.channels
    assert config.superhero_game_ttl_s == settings.game_ttl_s
    assert config._env["VISIBILITY_TIMEOUT"] == settings.visibility_timeout_s


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


@pytest.fixture
def ca(tmp_path: Path) -> Path:
    """Give a file to name as a CA; nothing reads it here."""
    path = tmp_path / "ca.pem"
    path.touch()
    return path


@pytest.mark.parametrize("query", ["", "?ssl_ca_certs=CA"])
def test_a_broker_s_certificate_is_verified_and_must_be_for_its_host(
    monkeypatch: pytest.MonkeyPatch, ca: Path, query: str
) -> None:
    query, named = query.replace("CA", str(ca)), {"ca_certs": str(ca)} if query else {}
    monkeypatch.setenv("BROKER_URL", f"amqps://me:pw@host//v{query}")
    config = load()
    assert config.broker_url == "amqps://me:pw@host//v"
    assert config.broker_use_ssl == {"cert_reqs": ssl.CERT_REQUIRED, "server_hostname": None, **named}
    assert config.superhero_secret_broker_url == f"amqps://me:pw@host//v{query}"
    if query:  # else `celery`, which takes BROKER_URL for its own option, would use it as it is
        assert config.broker_read_url == config.broker_write_url == config.broker_url
    monkeypatch.setenv("BROKER_URL", f"rediss://:pw@host/1{query}")
    config = load()
    assert config.broker_url == "rediss://:pw@host/1"
    with_prefix = {f"ssl_{name}": value for name, value in named.items()}
    assert config.broker_use_ssl == {
        "ssl_cert_reqs": ssl.CERT_REQUIRED,
        "ssl_check_hostname": True,
        **with_prefix,
    }


def test_both_sides_make_the_same_of_a_broker_s_url(monkeypatch: pytest.MonkeyPatch, ca: Path) -> None:
    for url in (
        "amqp://host//",
        f"amqps://a//;amqps://b//?ssl_ca_certs={ca}",
        f"rediss://host/1?ssl_ca_certs={ca}",
        f"amqps://host//?heartbeat=5&ssl_ca_certs={ca}",
    ):
        monkeypatch.setenv("BROKER_URL", url)
        config, ours = load(), secure_connection(url)
        theirs = Connection(config.broker_url, ssl=config.broker_use_ssl or False)
        assert (theirs.ssl, theirs.as_uri(), theirs.alt) == (ours.ssl, ours.as_uri(), ours.alt)
        assert superhero_config.TLS_OPTIONS == config._TLS_OPTIONS == tuple(f"ssl_{each}" for each in OPTIONS)


@pytest.mark.parametrize("query", ["ssl_cert_reqs=none", "ssl_check_hostname=false", "ssl_ca_certs=/no/file"])
def test_nothing_in_a_url_makes_it_verify_less(monkeypatch: pytest.MonkeyPatch, query: str) -> None:
    for variable, url in (("BROKER_URL", "amqps://me:s3cret@h//"), ("REDIS_URL", "rediss://:s3cret@h/0")):
        monkeypatch.setenv(variable, f"{url}?{query}")
    with pytest.raises(SystemExit) as caught:
        load()
    assert all(word in str(caught.value) for word in ("BROKER_URL", "REDIS_URL", query.partition("=")[0]))
    assert "s3cret" not in str(caught.value)


def test_all_bad_variables_stand_in_one_error_without_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    bad = {
        "BROKER_URL": "amqp://me:s3cret/and@host",
        "REDIS_URL": "me:s3cret@host",
        "CHANNELS": "fine,../x",
        "GAME_TTL": "0",
        "VISIBILITY_TIMEOUT": "1.5",
    }
    for name, text in bad.items():
        monkeypatch.setenv(name, text)
    with pytest.raises(SystemExit) as caught:
        load()
    assert all(name in str(caught.value) for name in bad)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "texts"),
    [
        ("CHANNELS", ("a b", "fine,../x", ".hidden", "x" * 121)),
        ("GAME_TTL", ("0", "2592001", "1.5")),
        ("VISIBILITY_TIMEOUT", ("1", "86401", "x")),
        ("BROKER_URL", ("http://host", "amqps://host//?ssl_cert_reqs=none", "amqp://me:s3cr/et@host//")),
        ("REDIS_URL", ("amqp://host", "redis://host/notadb", "redis://host:99999", "sentinel://h:x/m/0")),
        ("SINKS", ("nosuch:x", "json:", "delta://lake", "json:/data nosuch:x", "/data")),
    ],
)
def test_every_command_refuses_what_a_worker_refuses(
    monkeypatch: pytest.MonkeyPatch, variable: str, texts: tuple[str, ...]
) -> None:
    for text in texts:
        monkeypatch.setenv(variable, text)
        with pytest.raises(SystemExit, match=variable):
            load()
        with pytest.raises(SettingsError, match=variable):
            superhero_config.from_env()


SINKS = (
    *(
        "json:/data",
        "json:data",
        "json:///data",
        "json:/my data",
        "json:",
        "json://host/x",
        "json:s3://bucket",
    ),
    *("parquet:/lake", "parquet:", "parquet:s3://bucket/lake", "delta://lake", "delta:/lake json:/data"),
    *(
        "sqlite:////base.db",
        "json:/data nosuch:x",
        "nosuch:x",
        "/data",
        "JSON:/data",
        "json:/a\n\tsqlite:///b",
    ),
)


@pytest.mark.parametrize("urls", SINKS)
def test_settings_and_sinks_agree_on_what_a_sink_is(monkeypatch: pytest.MonkeyPatch, urls: str) -> None:
    def is_taken(read: Callable[[], object], refusal: type[BaseException]) -> bool:
        try:
            read()
        except refusal:
            return False
        return True

    monkeypatch.setenv("SINKS", urls)
    by_sinks = is_taken(lambda: open_sink(urls).close(), SinkError)
    assert is_taken(load, SystemExit) == is_taken(superhero_config.from_env, SettingsError) == by_sinks


def test_a_worker_with_bad_settings_ends_with_a_sentence_and_no_traceback() -> None:
    argv = [sys.executable, "-m", "celery", "-A", "tasks", "worker"]
    environ = {**os.environ, "GAME_TTL": "0", "CHANNELS": "a b", "SINKS": "json:"}
    environ["BROKER_URL"] = "amqp://guest:s3cr/et@127.0.0.1:5672//"
    done = subprocess.run(argv, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "Error: settings that cannot be used:",
        "  BROKER_URL: its host and port cannot be read; a port is a number up to 65535 "
        "(a password with / # ? @ must be percent-encoded)",
        "  SINKS: json: names no folder; write json:///absolute or json:relative",
        "  CHANNELS: 'a b' is no channel; letters, digits, '_', '-' and '.' only, 1 to 120",
        "  GAME_TTL: '0' must be a whole number from 1 to 2592000",
    ]


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
