"""`superhero flower`: nobody in without the password, which stands in no list of processes."""

from __future__ import annotations

import socket
import stat
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner, Result

from superhero.cli import main
from superhero.commands import flower as module
from superhero.commands.flower import flower_environ, kept_password
from superhero.config import Settings
from superhero.errors import ServiceError
from superhero.ops.embedded import free_port
from superhero.ops.processes import Process, Processes, superhero_argv

READY = r"Visit me at|Connected to"


def test_a_password_is_made_up_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "var" / "flower-password"
    password = kept_password(path)
    assert len(password) >= 20
    assert kept_password(path) == password
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_a_password_file_that_is_empty_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "flower-password"
    path.write_text("\n")
    with pytest.raises(ServiceError, match="holds no password"):
        kept_password(path)


def test_flower_is_told_everything_by_its_environment(tmp_path: Path) -> None:
    settings = Settings(
        flower_basic_auth="me:secret",
        flower_db=tmp_path / "f.db",
        rabbitmq_management_url="http://guest:guest@127.0.0.1:15672/",
    )
    assert flower_environ(settings, tmp_path, 5556, "127.0.0.1") == {
        "FLOWER_BASIC_AUTH": "me:secret",
        "FLOWER_PORT": "5556",
        "FLOWER_ADDRESS": "127.0.0.1",
        "FLOWER_PERSISTENT": "true",
        "FLOWER_DB": str(tmp_path / "f.db"),
        "FLOWER_STATE_SAVE_INTERVAL": "60000",
        "FLOWER_MAX_TASKS": "10000",
        "FLOWER_TASKS_COLUMNS": "name,args,state,received,runtime,worker",
        "FLOWER_BROKER_API": "http://guest:guest@127.0.0.1:15672/api/",
    }


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run `superhero flower` in a project folder of the test's own, without becoming Flower."""
    (tmp_path / "celeryconfig.py").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "become", lambda *arguments: None)

    def run(*arguments: str, **environ: str) -> Result:
        return CliRunner().invoke(main, ["flower", *arguments], env={"FLOWER_BASIC_AUTH": "me:pw", **environ})

    return run


def test_a_port_that_is_taken_is_told_in_a_line(run: Callable[..., Result]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run("--port", str(port))
    assert result.exit_code == 2
    assert result.output == (
        f"Error: Flower cannot listen on 127.0.0.1:{port}: Address already in use; "
        "give another --port or --address\n"
    )


@pytest.mark.parametrize("place", ["file/flower.db", "text"])
def test_a_database_that_cannot_be_used_is_told_in_a_line(
    run: Callable[..., Result], tmp_path: Path, place: str
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "text").write_text("no database\n" * 100)
    result = run("--port", str(free_port()), FLOWER_DB=place)
    assert result.exit_code == 2
    assert result.output.startswith(f"Error: FLOWER_DB {tmp_path / place} cannot be used: ")
    assert len(result.output.splitlines()) == 1


@pytest.mark.acceptance
def test_flower_answers_only_who_knows_the_password_and_keeps_its_state(
    processes: Processes, broker_url: str, tmp_path: Path, project_root: Path
) -> None:
    root = tmp_path / "project"  # so that the password is kept here
    root.mkdir()
    (root / "celeryconfig.py").symlink_to(project_root / "celeryconfig.py")
    port = free_port()
    environ = {"BROKER_URL": broker_url, "PYTHONPATH": str(project_root)}

    def start() -> Process:
        argv = superhero_argv("flower", "--port", str(port))
        process = processes.start("flower", argv, environ, tmp_path / "flower.log", root)
        process.wait_for_line(READY, 30)
        return process

    flower = start()
    login = ("superhero", (root / "var" / "flower-password").read_text())
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=10) as http:
        for path in ("/", "/workers", "/tasks", "/broker", "/api/tasks", "/api/workers"):
            assert http.get(path).status_code == 401, path
        assert http.get("/tasks", auth=("superhero", "wrong")).status_code == 401
        assert http.get("/tasks", auth=login).status_code == 200
        assert http.get("/healthcheck").status_code == 200
    assert login[1] not in Path(f"/proc/{flower.pid}/cmdline").read_text()
    assert login[1] not in flower.log_path.read_text()
    assert flower.stop(20) == 0
    assert list((root / "var").glob("flower.db*"))
    start()
