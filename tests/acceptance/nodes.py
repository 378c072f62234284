"""pytest-celery's nodes, backed by real processes, or by containers where a Docker engine is there."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pytest_celery import CeleryTestContainer, CeleryTestWorker

from superhero.ops.processes import Process

READY = r"[^ ]+@.* ready\."
ROOT = Path(__file__).resolve().parents[2]


class Broker(CeleryTestContainer):
    """A vhost or database made for the test; it cannot be killed, for others live beside it."""

    def __init__(self, url: str) -> None:
        self._url = url

    @property
    def id(self) -> str:
        """What tells it from others."""
        return self._url.rpartition("/")[2]

    @property
    def celeryconfig(self) -> dict[str, Any]:
        """What a Celery app needs to know."""
        return {"url": self._url, "host_url": self._url}

    def ready(self) -> bool:
        """It was there before the test."""
        return True


class Node(CeleryTestContainer):
    """A worker that is a process. `start` starts one, and again after a kill."""

    def __init__(self, name: str, start: Callable[[], Process]) -> None:
        self._name = name
        self._start = start
        self.process = start()

    @property
    def id(self) -> str:
        """What tells it from others."""
        return f"{self._name}-{self.process.pid}"

    @property
    def name(self) -> str:
        """The worker's name."""
        return self._name

    @property
    def status(self) -> str:
        """As Docker says it."""
        return "running" if self.process.running else "exited"

    @property
    def celeryconfig(self) -> dict[str, Any]:
        """Nothing: a worker reads its environment."""
        return {}

    def logs(self, *args: Any, **kwargs: Any) -> str:
        """Return all it logged."""
        return self.process.log_path.read_text(encoding="utf-8", errors="replace")

    def ready(self) -> bool:
        """Wait until it consumes."""
        return bool(self.process.wait_for_line(READY, 60))

    def kill(self, signal: str | int = "SIGKILL") -> None:  # a keyword of pytest-celery
        """Send a signal to the parent; SIGKILL leaves it no time to tell its children."""
        os.kill(self.process.pid, _number(signal))
        self.process.wait(20)

    def children(self) -> list[int]:
        """Return the ids of its pool processes."""
        return self.process.children()

    def restart(self, timeout: int = 10) -> None:
        """Start it again, ended or not."""
        self.process.stop(timeout)
        self.process = self._start()
        self.ready()

    def reload(self) -> None:
        """Nothing to look up anew."""

    def teardown(self) -> None:
        """End it."""
        self.process.stop()


class Container(Node):
    """A worker in a container; the process is `docker run`, which ends with it."""

    def kill(self, signal: str | int = "SIGKILL") -> None:
        """Send a signal to the container's first process."""
        docker("kill", "--signal", str(signal), self._name)
        self.process.wait(20)

    def children(self) -> list[int]:
        """Return the ids, as the host sees them, of the pool processes."""
        listed = [line.split() for line in docker("top", self._name, "-o", "pid,ppid").splitlines()[1:]]
        parent = docker("inspect", "--format", "{{.State.Pid}}", self._name).strip()
        return [int(pid) for pid, ppid in listed if ppid == parent]

    def teardown(self) -> None:
        """Remove it."""
        subprocess.run(["docker", "rm", "--force", self._name], capture_output=True, check=False)
        super().teardown()


class Worker(CeleryTestWorker):
    """A worker node with its own words."""

    container: Node

    def hostname(self) -> str:
        """The worker's name, without a container's."""
        return self.container.name

    def stop(self) -> int | None:
        """Ask it to end, as a supervisor would, and return its exit status."""
        self.kill("SIGTERM")
        return self.container.process.returncode

    def kill_child(self) -> None:
        """Kill -9 a pool process."""
        os.kill(self.container.children()[0], signal.SIGKILL)


def docker(*arguments: str) -> str:
    """Run docker and return what it prints."""
    return subprocess.run(
        ["docker", *arguments], capture_output=True, text=True, timeout=600, check=True
    ).stdout


def why_no_containers() -> str:
    """Return why containers cannot be used here, or nothing."""
    try:
        docker("version", "--format", "{{.Server.Version}}")
    except (OSError, subprocess.SubprocessError):
        return "no Docker engine answers here; the same tests run with processes"
    return ""


def container_argv(name: str, image: str, environ: dict[str, str], folder: Path, *celery: str) -> list[str]:
    """Return the command line of a worker in a container, on the host's network."""
    poison = str(ROOT / "tests" / "acceptance")
    variables = [f"--env={key}={value}" for key, value in {**environ, "PYTHONPATH": "/poison"}.items()]
    mounts = [f"--volume={folder}:{folder}", f"--volume={poison}:/poison:ro"]
    user = f"--user={os.getuid()}:{os.getgid()}"
    run = ["docker", "run", "--rm", f"--name={name}", "--network=host", user, *variables, *mounts, image]
    return [*run, "celery", "-A", "tasks", *celery]


def _number(name: str | int) -> int:
    return name if isinstance(name, int) else signal.Signals[name].value
