"""deploy/cluster.yml and deploy/host.yml held against the compose file, the settings and each other."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from deployment import ROOT, command_of, compose, env_example, filled_in, interpolated, parse

from superhero.config import from_env
from superhero.ops.embedded import server_binary
from superhero.redis_clients import MasterPlace

BASE: dict[str, dict[str, Any]] = compose()["services"]
CLUSTER: dict[str, dict[str, Any]] = compose("deploy/cluster.yml")["services"]
HOST: dict[str, dict[str, Any]] = compose("deploy/host.yml")["services"]
NODES = [name for name in CLUSTER if name.startswith("rabbitmq")]
SERVERS = [name for name in CLUSTER if name.startswith("redis")]
SENTINELS = [name for name in CLUSTER if name.startswith("sentinel")]
OURS = [name for name in CLUSTER if name not in {*NODES, *SERVERS, *SENTINELS}]


def settings_of(service: dict[str, Any]) -> dict[str, str]:
    """Return a service's environment with something in the place of every password."""
    return {name: filled_in(str(value)) for name, value in service["environment"].items()}


def config_made_by(service: dict[str, Any], folder: Path, name: str) -> dict[str, list[str]]:
    """Run a service's script with /data elsewhere and nothing started; return the file that it writes."""
    script = "\n".join(str(word) for word in service["command"][2:]).replace("$$", "$")
    script = script.replace("/data", str(folder)).replace(
        "install -m 600 -o redis -g redis", "install -m 600"
    )
    stub = folder / "docker-entrypoint.sh"
    stub.write_text('#!/bin/sh\necho "$@"\n')
    stub.chmod(0o755)
    environ = {"PATH": f"{folder}:/usr/bin:/bin", "HOSTNAME": service["hostname"], "REDISCLI_AUTH": "s3cret"}
    done = subprocess.run(["sh", "-euc", script], env=environ, capture_output=True, text=True, check=True)
    assert str(folder / name) in done.stdout
    assert "s3cret" not in done.stdout
    assert (folder / name).stat().st_mode & 0o777 == 0o600
    lines = [line.rsplit(" ", 1) for line in (folder / name).read_text().splitlines()]
    return {key: [value for other, value in lines if other == key] for key, _ in lines}


def test_there_are_three_of_each_and_every_one_has_a_name_and_a_volume_of_its_own() -> None:
    volumes = {*compose()["volumes"], *compose("deploy/cluster.yml")["volumes"]}
    for kind in (NODES, SERVERS, SENTINELS):
        assert len(kind) == 3
        for name in kind:
            assert CLUSTER[name]["hostname"] == name, "data and addresses go by this name"
            assert CLUSTER[name]["volumes"][0].split(":")[0] == name
            assert name in volumes
            assert "healthcheck" in CLUSTER[name]
            assert CLUSTER[name]["restart"] == "unless-stopped"


def test_ours_are_the_services_of_the_compose_file_that_use_broker_or_redis() -> None:
    assert set(OURS) == {
        name for name, service in BASE.items() if "REDIS_URL" in service.get("environment", {})
    }


@pytest.mark.parametrize("name", OURS)
def test_ours_know_every_node_and_every_sentinel(name: str) -> None:
    environ = settings_of(CLUSTER[name])
    settings = from_env(environ)
    assert re.findall(r"@([^:]+):5672//", settings.broker_url) == NODES
    assert [host for host, _ in MasterPlace.of(settings.redis_url).sentinels] == SENTINELS
    assert {needed.split("-")[0] for needed in CLUSTER[name]["depends_on"]} == {"rabbitmq", "sentinel"}


def test_the_nodes_that_form_the_cluster_are_those_that_there_are() -> None:
    text = (ROOT / "deploy/rabbitmq-cluster.conf").read_text(encoding="utf-8")
    assert re.findall(r"nodes\.\d = rabbit@(\S+)", text) == NODES
    assert "cluster_partition_handling = pause_minority" in text
    for name in NODES:
        assert any(
            "rabbitmq-cluster.conf:/etc/rabbitmq/conf.d/" in mount for mount in CLUSTER[name]["volumes"]
        )
        assert CLUSTER[name]["image"] == BASE["rabbitmq"]["image"]
        assert set(BASE["rabbitmq"]["volumes"][1:]) <= set(CLUSTER[name]["volumes"])
        assert "CLUSTER_COOKIE" in CLUSTER[name]["environment"]
    mounted = {mount.split(":")[0] for name in NODES for mount in CLUSTER[name]["volumes"] if mount[0] == "."}
    assert all((ROOT / path).is_file() for path in mounted)


@pytest.mark.parametrize("name", SERVERS)
def test_a_redis_says_whom_it_follows_once_and_lets_the_sentinels_say_it_later(
    name: str, tmp_path: Path
) -> None:
    made = config_made_by(CLUSTER[name], tmp_path, "replicated.conf")
    assert made["requirepass"] == made["masterauth"] == ["s3cret"]
    assert made["replica-announce-ip"] == [name]
    assert made.get("replicaof redis") == (None if name == "redis" else ["6379"])
    changed = tmp_path / "replicated.conf"
    changed.write_text("rewritten by a Sentinel\n")
    config_made_by(CLUSTER[name], tmp_path, "replicated.conf")
    assert changed.read_text() == "rewritten by a Sentinel\n"


@pytest.mark.parametrize("name", SENTINELS)
def test_a_sentinel_watches_the_master_that_ours_ask_for(name: str, tmp_path: Path) -> None:
    made = config_made_by(CLUSTER[name], tmp_path, "sentinel.conf")
    wanted = MasterPlace.of(settings_of(CLUSTER["server"])["REDIS_URL"])
    assert made[f"sentinel monitor {wanted.name} redis 6379"] == ["2"]
    assert made["port"] == [str(port) for port in {port for _, port in wanted.sentinels}]
    assert made["sentinel announce-ip"] == [name]


def test_a_real_redis_takes_what_the_services_write(tmp_path: Path) -> None:
    config_made_by(CLUSTER["redis"], tmp_path, "replicated.conf")
    argv = [str(server_binary()), str(tmp_path / "replicated.conf"), "--port", "0", "--dir", str(tmp_path)]
    # Without a port it has nobody to serve and ends with a word; a bad line ends it before that.
    done = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)
    assert "FATAL CONFIG FILE ERROR" not in done.stdout + done.stderr, done.stderr


@pytest.mark.parametrize("name", HOST)
def test_a_further_host_runs_what_the_compose_file_runs(name: str) -> None:
    host, base = HOST[name], BASE[name]
    for part in (
        "image",
        "command",
        "healthcheck",
        "stop_grace_period",
        "read_only",
        "cap_drop",
        "restart",
        "user",
    ):
        assert host.get(part) == base.get(part), f"{part} differs"
    if name != "nginx":
        parse(command_of(host))
        given = {variable for variable in host["environment"] if variable != "OUTPUT_DIR"}
        assert given == {variable for variable in base["environment"] if variable != "OUTPUT_DIR"}


def test_a_further_host_asks_for_what_its_example_has_and_listens_on_loopback_unless_told_otherwise() -> None:
    text = (ROOT / "deploy/host.yml").read_text(encoding="utf-8")
    example = env_example("deploy/host.env.example")
    assert {name for name, _ in interpolated(text)} == set(example)
    for name, default in interpolated(text):
        assert default is None or default == example[name]
    assert HOST["nginx"]["ports"] == ["${LISTEN:-127.0.0.1}:8765:8080"]
    assert not any(example[name] for name in ("BROKER_URL", "REDIS_URL", "SINKS", "SERVER_SECRET"))


def test_the_image_can_be_built_with_the_drivers_of_a_sink() -> None:
    docker = (ROOT / "deploy/Dockerfile").read_text(encoding="utf-8")
    assert docker.count('ARG EXTRAS=""') == 2, "each stage knows only its own"
    for services in (BASE, HOST):
        assert services["worker"]["build"]["args"] == {"EXTRAS": "${EXTRAS:-}"}
