"""Settings: one place, every bad variable in one error, no password shown."""

from __future__ import annotations

from dataclasses import fields, replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from superhero.cli import main
from superhero.config import Settings, columns, explicit_services, from_env, variable_of, without_password
from superhero.errors import SettingsError

PROXIES = (ip_network("10.0.0.1/32"), ip_network("fd00::/8"))


def test_an_empty_environment_gives_the_defaults() -> None:
    assert from_env({}) == Settings()
    assert from_env({"BROKER_URL": "  ", "SERVER_PORT": ""}) == Settings()


@pytest.mark.parametrize(
    ("variable", "text", "field", "value"),
    [
        ("BROKER_URL", "amqps://me:secret@host//v", "broker_url", "amqps://me:secret@host//v"),
        ("BROKER_URL", "rediss://host/3", "broker_url", "rediss://host/3"),
        ("REDIS_URL", " redis://host:1/2 ", "redis_url", "redis://host:1/2"),
        ("SERVER_HOST", "0.0.0.0", "server_host", "0.0.0.0"),
        ("SERVER_PORT", "0", "server_port", 0),
        ("SERVER_URL", "wss://host/x", "server_url", "wss://host/x"),
        ("LOBBY_TIMEOUT", "0.5", "lobby_timeout_s", 0.5),
        ("TURN_TIMEOUT", "86400", "turn_timeout_s", 86400.0),
        ("MAX_PARTICIPANTS", "255", "max_participants", 255),
        ("SERVER_SECRET", "sixteen-letters!", "server_secret", "sixteen-letters!"),
        ("TRUSTED_PROXIES", "10.0.0.1, fd00::/8", "trusted_proxies", PROXIES),
        ("ARENA_VIEWERS", "0", "arena_viewers", 0),
        ("ARENA_CONTROL", "sixteen-letters!", "arena_control", "sixteen-letters!"),
        ("MAX_CONNECTIONS", "1", "max_connections", 1),
        ("MAX_CONNECTIONS_PER_ADDRESS", "5", "max_connections_per_address", 5),
        ("MAX_REQUESTS_PER_CONNECTION", "10", "max_requests_per_connection", 10),
        ("MAX_REQUESTS_PER_ADDRESS", "1000000", "max_requests_per_address", 1_000_000),
        ("MAX_NEW_USERS_PER_ADDRESS", "7", "max_new_users_per_address", 7),
        ("SPOOL_DIR", "/spool", "spool_dir", Path("/spool")),
        ("OUTPUT_DIR", "/data", "output_dir", Path("/data")),
        ("SINKS", "json:/data", "sinks", "json:/data"),
        ("CHANNELS", " a.b, c ,", "channels", ("a.b", "c")),
        ("GAME_TTL", "60", "game_ttl_s", 60),
        ("VISIBILITY_TIMEOUT", "20", "visibility_timeout_s", 20),
        ("SUPERHERO_API_TOKEN", "t", "superhero_api_token", "t"),
        ("SUPERHERO_API_URL", "http://127.0.0.1:1/api", "superhero_api_url", "http://127.0.0.1:1/api"),
        ("METRICS_HOST", "0.0.0.0", "metrics_host", "0.0.0.0"),
        ("METRICS_PORT", "9126", "metrics_port", 9126),
        ("OTEL_TRACES_EXPORTER", "Console", "otel_traces_exporter", "console"),
        ("LOG_FORMAT", "JSON", "log_format", "json"),
        ("LOG_LEVEL", "debug", "log_level", "DEBUG"),
        ("RABBITMQ_MANAGEMENT_URL", "http://h:1", "rabbitmq_management_url", "http://h:1"),
        ("FLOWER_BASIC_AUTH", "me:a:b", "flower_basic_auth", "me:a:b"),
        ("FLOWER_URL", "http://h:5555", "flower_url", "http://h:5555"),
        ("FLOWER_DB", "/state/f.db", "flower_db", Path("/state/f.db")),
    ],
)
def test_a_variable_sets_its_field_and_no_other(variable: str, text: str, field: str, value: Any) -> None:
    assert from_env({variable: text, "UNRELATED": "x"}) == replace(Settings(), **{field: value})


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("BROKER_URL", "http://host"),
        ("BROKER_URL", "host:5672"),
        ("REDIS_URL", "amqp://host"),
        ("SERVER_PORT", "-1"),
        ("SERVER_PORT", "65536"),
        ("SERVER_PORT", "٣"),
        ("SERVER_PORT", "8765.0"),
        ("SERVER_URL", "http://host"),
        ("LOBBY_TIMEOUT", "0"),
        ("LOBBY_TIMEOUT", "nan"),
        ("LOBBY_TIMEOUT", "inf"),
        ("LOBBY_TIMEOUT", "soon"),
        ("TURN_TIMEOUT", "-3"),
        ("MAX_PARTICIPANTS", "1"),
        ("MAX_PARTICIPANTS", "256"),
        ("SERVER_SECRET", "fifteen-letters"),
        ("SERVER_SECRET", "sixteen letters and a space"),
        ("SERVER_SECRET", "sechzehn-Zeichen-ä"),
        ("TRUSTED_PROXIES", "nginx"),
        ("TRUSTED_PROXIES", "10.0.0.1/8"),
        ("ARENA_VIEWERS", "-1"),
        ("ARENA_CONTROL", "fifteen-letters"),
        ("MAX_CONNECTIONS", "0"),
        ("MAX_REQUESTS_PER_ADDRESS", "1000001"),
        ("MAX_NEW_USERS_PER_ADDRESS", "many"),
        ("BROKER_URL", "amqps://host//?ssl_ca_certs=/no/such/file.pem"),
        ("BROKER_URL", "amqps://host//?ssl_cert_reqs=none"),
        ("BROKER_URL", "amqp://host//;http://host"),
        ("REDIS_URL", "rediss://host/0?ssl_check_hostname=false"),
        ("REDIS_URL", "redis://host:6379/notadb"),
        ("REDIS_URL", "sentinel://one:26379,two:notaport/mymaster/0"),
        ("SERVER_URL", "ws://host:notaport"),
        ("SUPERHERO_API_URL", "https://host:99999/api"),
        ("RABBITMQ_MANAGEMENT_URL", "http://host:notaport"),
        ("KAFKA_URL", "kafka://host:notaport"),
        ("FLOWER_URL", "http://host:-1"),
        ("SINKS", "s3://bucket/lake"),
        ("SINKS", "json:/data parket:/lake"),
        ("SINKS", "json:"),
        ("SINKS", "/data"),
        ("CHANNELS", "fine,../x"),
        ("CHANNELS", "a b"),
        ("GAME_TTL", "0"),
        ("VISIBILITY_TIMEOUT", "x"),
        ("LOG_LEVEL", "LOUD"),
        ("LOG_FORMAT", "xml"),
        ("OTEL_TRACES_EXPORTER", "jaeger"),
        ("RABBITMQ_MANAGEMENT_URL", "host:15672"),
        ("FLOWER_URL", "javascript:alert(1)"),
        ("FLOWER_URL", "http://me:hunter2@h:5555"),
        ("FLOWER_URL", "https://hunter2@h"),
        ("FLOWER_BASIC_AUTH", "password"),
        ("FLOWER_BASIC_AUTH", "user:"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(variable: str, text: str) -> None:
    with pytest.raises(SettingsError, match=variable):
        from_env({variable: text})


def test_all_bad_variables_stand_in_one_error() -> None:
    with pytest.raises(SettingsError) as caught:
        from_env({"BROKER_URL": "x", "SERVER_PORT": "x", "LOG_LEVEL": "x", "REDIS_URL": "redis://fine"})
    message = str(caught.value)
    assert all(name in message for name in ("BROKER_URL", "SERVER_PORT", "LOG_LEVEL"))
    assert "REDIS_URL" not in message


def test_no_password_stands_in_an_error() -> None:
    with pytest.raises(SettingsError) as caught:
        from_env(
            {
                "BROKER_URL": "http://me:s3cret@host",
                "REDIS_URL": "rediss://:s3cret@host/0?ssl_ca_certs=/no/such/file",
                "FLOWER_BASIC_AUTH": "s3cret",
                "FLOWER_URL": "https://s3cret@host",
                "SERVER_SECRET": "s3cret",
                "ARENA_CONTROL": "s3cret",
            }
        )
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "redis://me:s3cr/et@host:6379/0",
        "redis://:s3cr#et@host:6379/0",
        "redis://me:s3cr?et@host:6379/0",
        "redis://me:s3cr[et@host:6379/0",
        "redis://me:[s3cr]et@host:6379/0",
        "redis://me:s3cr;et@host:6379/0",
        "redis://me:s3cr\u2100et@host:6379/0",
        "redis://me:12/s3cr@host:6379/0",
        "redis://me:12#s3cr@host:6379/0",
        "redis://me:12?s3cr@host:6379/0",
        "redis://me:s3cr@host:s3cr/0",
        "redis://me:s3cr@host:99999/0",
        "redis://me:s3cr@host/s3cr",
        "sentinel://:s3/cr@host:26379/mymaster/0",
        "http://me:s3cr/et@host",
        "me:s3cr/et@host",
        "s3cr@host",
    ],
)
def test_no_piece_of_a_url_that_cannot_be_read_stands_in_an_error(url: str) -> None:
    refusal = "percent-encoded|must begin with one of"
    for variable in ("BROKER_URL", "REDIS_URL"):
        with pytest.raises(SettingsError, match=refusal) as caught:
            from_env({variable: url})
        assert variable in str(caught.value)
        assert not any(piece in str(caught.value) for piece in ("s3", "cr@", "et@", "12"))


@pytest.mark.parametrize(
    ("arguments", "environ"),
    [
        (["doctor"], {"BROKER_URL": "amqp://guest:s3cr/et@127.0.0.1:5672//"}),
        (["quarantine", "list"], {"BROKER_URL": "amqp://127.0.0.1:s3cr//"}),
        (["heroes", "list"], {"REDIS_URL": "redis://:s3cr@127.0.0.1:99999"}),
        (["demo", "--broker", "amqp://guest:s3cr/et@127.0.0.1:5672//"], {}),
        (["demo", "--redis", "redis://127.0.0.1:6379/s3cr"], {}),
        (["play", "--url", "ws://127.0.0.1:s3cr"], {}),
    ],
)
def test_a_command_with_a_url_that_cannot_be_read_ends_with_a_sentence(
    arguments: list[str], environ: dict[str, str]
) -> None:
    done = CliRunner().invoke(main, arguments, env=environ)
    assert done.exit_code == 2
    assert "a password with / # ? @ must be percent-encoded" in done.stderr
    assert "s3cr" not in done.output


@pytest.mark.parametrize(
    "url",
    [
        *("redis://host", "redis://host/", "redis://host:6379/15", "rediss://me:p%2Fss@[::1]:6379//1"),
        *("sentinel://:p@one:26379,two/mymaster/0?sentinel_password=p@ss", "redis://h/0?password=p@ss"),
    ],
)
def test_a_url_that_can_be_read_is_taken(url: str) -> None:
    assert from_env({"REDIS_URL": url}).redis_url == url


def test_no_password_or_token_stands_in_the_representation() -> None:
    settings = from_env(
        {
            "BROKER_URL": "amqp://me:s3cret@host//",
            "REDIS_URL": "redis://:s3cret@host/0",
            "RABBITMQ_MANAGEMENT_URL": "http://me:s3cret@host:15672",
            "FLOWER_BASIC_AUTH": "me:s3cret",
            "SUPERHERO_API_TOKEN": "s3cret",
            "SERVER_SECRET": "s3cret-and-long-enough",
            "ARENA_CONTROL": "s3cret-and-long-enough",
        }
    )
    assert "s3cret" not in repr(settings)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("amqp://me:secret@host:5672//v", "amqp://me:***@host:5672//v"),
        ("redis://:sec@ret@host/0", "redis://:***@host/0"),
        ("redis://host/0", "redis://host/0"),
        ("amqp://me@host", "amqp://me@host"),
        ("rediss://:p@[::1]:6379/1", "rediss://:***@[::1]:6379/1"),
        ("amqp://a:p@h1//;amqp://b:q@h2//", "amqp://a:***@h1//;amqp://b:***@h2//"),
        ("amqp://h1;amqp://b:q@h2:5672", "amqp://h1;amqp://b:***@h2:5672"),
        ("redis://h/0?ssl_ca_certs=/ca&password=p", "redis://h/0?ssl_ca_certs=/ca&password=***"),
        ("amqp://me@host:5672//v@w", "amqp://me@host:5672//v@w"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    assert without_password(url) == shown


def test_every_setting_is_documented_and_has_a_variable() -> None:
    for field in fields(Settings):
        assert f"    {field.name} " in (Settings.__doc__ or ""), f"{field.name} is not in the docstring"
    bad = {variable_of(field.name): "\0" for field in fields(Settings)}
    with pytest.raises(SettingsError) as caught:
        from_env(bad)
    free_text = {
        "SERVER_HOST",
        "METRICS_HOST",
        "OUTPUT_DIR",
        "SUPERHERO_API_TOKEN",
        "FLOWER_DB",
        "SPOOL_DIR",
    }
    assert all(name in str(caught.value) for name in bad.keys() - free_text)


def test_columns_says_how_wide_output_is_or_nothing() -> None:
    said = ("120", "", "0", "wide", "-80", "٣")
    assert [columns({"COLUMNS": text}) for text in said] == [120, None, None, None, None, None]


def test_services_are_explicit_once_the_user_named_one() -> None:
    assert not explicit_services({"BROKER_URL": " "})
    assert explicit_services({"BROKER_URL": "amqp://host"})
    assert explicit_services({"REDIS_URL": "redis://host"})
