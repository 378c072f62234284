"""Procfile, compose file, image, CI script and settings held against each other and the real commands."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import click
import pytest
from deployment import (
    ROOT,
    by_shell,
    command_of,
    compose,
    env_example,
    filled_in,
    health_check_of,
    interpolated,
    parse,
    procfile,
)

from superhero import config
from superhero.cli import COMMANDS
from superhero.config import Settings, from_env

SERVICES: dict[str, dict[str, Any]] = compose()["services"]
OURS = {name: service for name, service in SERVICES.items() if service.get("image") == "superhero:local"}
ONE_SHOT = {"heroes"}
# They serve nobody, so nobody waits for them; one that ends is started again.
WITHOUT_HEALTH_CHECK = {*ONE_SHOT, "player"}
KNOBS = {"PLAYERS", "SERVERS", "WORKER_CONCURRENCY", "FLOWER_PORT"}

READ_BY_SETTINGS = {variable for variable, _ in config._VARIABLES.values()}
READ_BY_WORKERS = set(importlib.import_module("celeryconfig")._VARIABLES)
READ_BY_OTHERS = {
    "redis": {"REDISCLI_AUTH"},
    "rabbitmq": {"RABBITMQ_DEFAULT_USER", "RABBITMQ_DEFAULT_PASS"},
    "grafana": {
        "GF_SECURITY_ADMIN_PASSWORD",
        "GF_ANALYTICS_REPORTING_ENABLED",
        "GF_ANALYTICS_CHECK_FOR_UPDATES",
        "GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH",
    },
}


@pytest.mark.parametrize("name", procfile())
def test_a_line_of_the_procfile_is_a_command_that_exists_with_options_that_exist(name: str) -> None:
    command = procfile()[name]
    assert command.startswith("exec "), "without exec a signal reaches a shell and not the process"
    parse(by_shell(command, {"HONCHO_PROCESS_NAME": f"{name}.1"}))


def test_the_procfile_s_processes_find_each_other() -> None:
    def options(name: str, process: str, **environ: str) -> dict[str, Any]:
        return parse(by_shell(procfile()[name], {"HONCHO_PROCESS_NAME": process, **environ})).params

    assert options("server", "server.1")["port"] == Settings().server_port
    assert options("server", "server.2")["port"] == Settings().server_port + 1
    assert options("player", "player.3")["urls"] == (Settings().server_url,)
    assert options("server", "server.1", SERVER_PORT="9000")["port"] == 9000
    assert options("player", "player.1", SERVER_PORT="9000")["urls"] == ("ws://127.0.0.1:9000",)
    elsewhere = options("player", "player.1", SERVER_URL="ws://b:1")
    assert elsewhere["urls"] == (), "it reads SERVER_URL by itself"
    both = tuple(f"ws://127.0.0.1:{options('server', f'server.{number}')['port']}" for number in (1, 2))
    assert options("player", "player.1", SERVERS="2")["urls"] == both
    names = {options("worker", f"worker.{number}")["hostname"] for number in (1, 2)}
    assert len(names) == 2


def test_the_procfile_reads_only_variables_that_mean_something() -> None:
    known = READ_BY_SETTINGS | KNOBS | {"HONCHO_PROCESS_NAME"}
    for command in procfile().values():
        assert {name for name, _ in interpolated(command)} <= known


def test_knobs_have_one_default_everywhere() -> None:
    text = "\n".join(procfile().values()) + (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    for name, default in interpolated(text):
        if default is not None and name in env_example():
            assert default == env_example()[name], f"{name} has another default in .env.example"


@pytest.mark.parametrize("name", OURS)
def test_a_service_of_ours_runs_a_command_that_exists_with_options_that_exist(name: str) -> None:
    parse(command_of(OURS[name]))


def test_a_misspelt_option_would_be_noticed() -> None:
    for argv in (
        ["superhero", "serve", "--prot", "1"],
        ["celery", "-A", "tasks", "worker", "--concurency", "2"],
    ):
        with pytest.raises(click.NoSuchOption):
            parse(argv)
    for argv in (["superhero", "sevre"], ["celery", "-A", "task", "worker"]):
        with pytest.raises(click.UsageError):
            parse(argv)


def test_the_worker_s_health_check_asks_the_worker_itself() -> None:
    context = parse(health_check_of(SERVICES["worker"]))
    assert context.params["destination"] == ["celery@$HOSTNAME"]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_given_only_variables_that_it_reads(name: str) -> None:
    given = set(SERVICES[name].get("environment", {}))
    by_worker = command_of(SERVICES[name])[:1] == ["celery"]
    ours = READ_BY_WORKERS if by_worker else READ_BY_SETTINGS
    assert given <= (ours if name in OURS else READ_BY_OTHERS.get(name, set()))


@pytest.mark.parametrize("name", OURS)
def test_the_settings_that_a_service_is_given_can_be_used(name: str) -> None:
    environ = {key: filled_in(str(value)) for key, value in OURS[name]["environment"].items()}
    from_env({**environ, "FLOWER_BASIC_AUTH": "me:secret"})


def test_the_first_variables_of_env_example_are_those_that_compose_wants_a_value_of() -> None:
    compose_file, example = (
        (ROOT / name).read_text("utf-8") for name in ("docker-compose.yml", ".env.example")
    )
    assert "give the first three a value" in example
    assert set(list(env_example())[:3]) == set(re.findall(r"\$\{(\w+):\?", compose_file))


def test_the_compose_files_ask_for_what_env_example_has_and_for_nothing_else() -> None:
    files = ("docker-compose.yml", "deploy/cluster.yml")
    text = "".join((ROOT / file).read_text(encoding="utf-8") for file in files)
    assert {name for name, _ in interpolated(text)} == set(env_example())


def test_no_password_is_written_down() -> None:
    secrets = {
        *("RABBITMQ_PASSWORD", "REDIS_PASSWORD", "SERVER_SECRET", "ARENA_CONTROL", "GRAFANA_PASSWORD"),
        *("FLOWER_BASIC_AUTH", "CLUSTER_COOKIE"),
    }
    assert {name for name, value in env_example().items() if not value} >= secrets
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    assert all(default is None for name, default in interpolated(text) if name in secrets)


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_comes_back_by_itself_and_says_whether_it_is_well(name: str) -> None:
    service = SERVICES[name]
    assert service["restart"] == ("on-failure" if name in ONE_SHOT else "unless-stopped")
    assert ("healthcheck" in service) != (name in WITHOUT_HEALTH_CHECK)


def test_a_service_waits_for_what_it_needs_until_that_is_well() -> None:
    for name, service in SERVICES.items():
        for needed, how in service.get("depends_on", {}).items():
            once = needed in ONE_SHOT
            assert how["condition"] == ("service_completed_successfully" if once else "service_healthy"), name
            assert once or "healthcheck" in SERVICES[needed]


def test_what_must_outlive_a_container_is_on_a_volume() -> None:
    mounts = {
        name: [mount.split(":") for mount in service.get("volumes", []) if not mount.startswith("./")]
        for name, service in SERVICES.items()
    }
    named = {mount[0] for of_service in mounts.values() for mount in of_service}
    assert named == set(compose()["volumes"])
    for name, variable in (("worker", "OUTPUT_DIR"), ("flower", "FLOWER_DB"), ("server", "SPOOL_DIR")):
        place = Path(SERVICES[name]["environment"][variable])
        assert any(place.is_relative_to(folder) for _, folder in mounts[name]), (
            f"{variable} is lost with {name}"
        )
    assert mounts["redis"] == [["redis", "/data"]]
    assert mounts["rabbitmq"] == [["rabbitmq", "/var/lib/rabbitmq"]]


def test_a_container_of_ours_may_do_little() -> None:
    for service in OURS.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
    for service in SERVICES.values():
        assert "no-new-privileges:true" in service["security_opt"]


def test_nothing_is_reached_from_other_machines() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_ports_agree() -> None:
    port, nginx = str(Settings().server_port), (ROOT / "deploy/nginx.conf").read_text(encoding="utf-8")
    listens = re.findall(r"listen (\d+);", nginx)
    assert re.findall(r"server server:(\d+) ", nginx) == [port]
    assert SERVICES["nginx"]["ports"] == [f"127.0.0.1:{port}:{listens[0]}"]
    assert SERVICES["player"]["environment"]["SERVER_URL"] == f"ws://nginx:{listens[0]}"
    assert f"127.0.0.1:{listens[0]}/healthz" in " ".join(health_check_of(SERVICES["nginx"]))
    assert f"127.0.0.1:{port}/healthz" in " ".join(health_check_of(SERVICES["server"]))
    flower = str(parse(["superhero", "flower"]).params["port"])
    assert SERVICES["flower"]["ports"] == [f"127.0.0.1:{flower}:{flower}"]
    assert f"127.0.0.1:{flower}/" in " ".join(health_check_of(SERVICES["flower"]))


def test_files_that_are_mounted_are_there() -> None:
    mounts = [mount for service in SERVICES.values() for mount in service.get("volumes", [])]
    files = [mount.split(":")[0] for mount in mounts if mount.startswith("./")]
    assert files
    assert all((ROOT / path).is_file() for path in files)


def test_what_the_image_copies_is_let_through_and_all_of_ours_is_copied() -> None:
    lines = (ROOT / "deploy/Dockerfile").read_text(encoding="utf-8").splitlines()
    copied = {word.rstrip("/") for line in lines if line.startswith("COPY ") for word in line.split()[1:-1]}
    ignore = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert copied == {line.removeprefix("!") for line in ignore if line.startswith("!")}
    assert copied >= {"setup.cfg", "pyproject.toml", "celeryconfig.py", "superhero", "tasks", "sinks"}


def test_the_image_has_every_folder_that_a_volume_is_mounted_on_and_its_user_owns_it() -> None:
    text = (ROOT / "deploy/Dockerfile").read_text(encoding="utf-8")
    made = re.findall(r"install --directory --owner superhero --group superhero (.+)$", text, re.M)[0].split()
    mounts = [mount for service in OURS.values() for mount in service.get("volumes", [])]
    assert set(made) == {mount.split(":")[1] for mount in mounts}


def test_bots_show_the_secret_that_servers_want() -> None:
    of_server, of_player = (SERVICES[name]["environment"]["SERVER_SECRET"] for name in ("server", "player"))
    assert of_server == of_player == "${SERVER_SECRET:-}"


def test_the_server_believes_nginx_about_addresses_and_nginx_believes_nobody() -> None:
    trusted = from_env({"TRUSTED_PROXIES": SERVICES["server"]["environment"]["TRUSTED_PROXIES"]})
    assert trusted.trusted_proxies
    nginx = (ROOT / "deploy/nginx.conf").read_text(encoding="utf-8")
    assert re.findall(r"X-Forwarded-For (\S+);", nginx) == ["$remote_addr"]


def test_the_image_does_not_run_as_root() -> None:
    text = (ROOT / "deploy/Dockerfile").read_text(encoding="utf-8")
    users = re.findall(r"^USER (\S+)$", text, re.M)
    assert users
    assert users[-1] not in {"0", "root"}


def test_a_wheel_holds_every_module_and_every_file_of_ours() -> None:
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    assert {"superhero*", "tasks*", "sinks*"} == set(setup["options.packages.find"]["include"].split())
    for package in ("superhero", "tasks", "sinks"):
        folder, patterns = ROOT / package, re.split(r"[,\n]\s*", setup["options.package_data"][package])
        found = {path for path in folder.rglob("*") if path.is_file() and path.parent.name != "__pycache__"}
        modules = {path for path in found if path.suffix == ".py"}
        without = {path.parent for path in modules if not (path.parent / "__init__.py").is_file()}
        assert not without, f"folders with modules and no __init__.py: {without}"
        shipped = {path for pattern in patterns if pattern for path in folder.glob(pattern)}
        left_out = sorted(str(path.relative_to(ROOT)) for path in found - modules - shipped)
        assert not left_out, f"not in package_data of setup.cfg: {left_out}"


def test_every_command_in_the_help_is_there() -> None:
    for name, entry in COMMANDS.items():
        assert isinstance(importlib.import_module(entry.module).command, click.Command), name


def test_continuous_integration_runs_targets_that_exist() -> None:
    script = ROOT / ".ci/run"
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", str(script)], check=True)
    wanted = set(re.findall(r"^make (\w+)\b", script.read_text(encoding="utf-8"), re.M))
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    assert wanted == {"lint", "types", "test", "audit"}
    assert wanted <= targets


@pytest.mark.parametrize(
    "files", [["docker-compose.yml"], ["docker-compose.yml", "deploy/cluster.yml"], ["deploy/host.yml"]]
)
def test_docker_compose_takes_the_files(files: list[str]) -> None:
    try:
        probe = subprocess.run(["docker", "compose", "version"], capture_output=True, text=True, timeout=30)
    except FileNotFoundError:
        pytest.skip("docker is not installed; nothing but this test needs it")
    if probe.returncode:
        pytest.skip("docker has no compose plugin; nothing but this test needs it")
    variables = {**env_example(), **env_example("deploy/host.env.example")}
    environ = {**os.environ, **{name: value or "me:secret" for name, value in variables.items()}}
    given = [word for file in files for word in ("--file", str(ROOT / file))]
    argv = ["docker", "compose", *given, "config", "--quiet"]
    done = subprocess.run(argv, env=environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
