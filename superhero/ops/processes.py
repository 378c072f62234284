"""Real processes, each with a log of its own, ended by id and never left behind.

Each process leads a session and process group of its own, so that a Ctrl-C in the terminal reaches only us
and that it can be killed with or without its children. On Linux it also dies with us when we are killed -9;
its children (pool processes of a worker) notice that by themselves.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self

from superhero.errors import ServiceError

_LIFELINE = Path(__file__).with_name("lifeline.py")
_LAST_WORDS_S = 0.2  # how long its children may keep a process's output open before it counts as ended


def project_root(start: Path | None = None) -> Path:
    """Return the folder that holds celeryconfig.py: `start` (default: here), one above, or ours."""
    start = (start or Path.cwd()).resolve()
    for folder in (start, *start.parents, Path(__file__).resolve().parents[2]):
        if (folder / "celeryconfig.py").is_file():
            return folder
    raise ServiceError(
        f"no celeryconfig.py in {start} or above it: run this in the project's root folder, "
        "the one with celeryconfig.py and tasks/"
    )


def superhero_argv(*arguments: str) -> list[str]:
    """Return the command line of our own program, under the Python that runs us."""
    return [sys.executable, "-m", "superhero", *arguments]


def celery_argv(*arguments: str) -> list[str]:
    """Return the command line of Celery with our app; run it in `project_root()`."""
    return [sys.executable, "-m", "celery", "-A", "tasks", *arguments]


def become(argv: Sequence[str], env: Mapping[str, str], cwd: Path) -> NoReturn:
    """Replace this process by `argv`, run in `cwd` with `env` added to our environment."""
    os.chdir(cwd)
    sys.stdout.flush()
    os.execve(argv[0], list(argv), {**os.environ, **env})


class Process:
    """One running process; `Processes.start` makes it. Safe to use from many threads."""

    def __init__(
        self, name: str, argv: Sequence[str], env: Mapping[str, str] | None, log_path: Path, cwd: Path | None
    ) -> None:
        if shutil.which(argv[0]) is None:
            raise ServiceError(f"{name}: there is no program {argv[0]!r} to run")
        self.name = name
        self.log_path = log_path
        self._log_start = log_path.stat().st_size
        self._argv = [sys.executable, "-I", "-S", str(_LIFELINE), str(os.getpid()), *argv]
        self._env = {**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})}
        self._cwd = cwd
        self._changed = threading.Condition()
        self._popen: subprocess.Popen[bytes] | None = None
        self._start_error: OSError | None = None
        self._over = False
        # The thread that forks must outlive the child: Linux takes its end for the parent's.
        threading.Thread(target=self._run, name=f"process-{name}", daemon=True).start()
        with self._changed:
            self._changed.wait_for(lambda: self._popen is not None or self._over)
        if self._start_error is not None:
            raise ServiceError(f"{name} did not start: {self._start_error}") from self._start_error

    @property
    def pid(self) -> int:
        """The process's id, which is also that of its group."""
        return self._child.pid

    @property
    def returncode(self) -> int | None:
        """Exit status, -N when signal N ended it, None while it runs."""
        return self._child.returncode if self._over else None

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return not self._over

    def wait(self, timeout_s: float) -> int | None:
        """Wait until it has ended and return its exit status; None when it still runs after `timeout_s`."""
        with self._changed:
            self._changed.wait_for(lambda: self._over, timeout_s)
        return self.returncode

    def wait_for_line(self, pattern: str, timeout_s: float = 30.0) -> re.Match[str]:
        """Wait until a line it logged or logs matches. Raise ServiceError if it ends or time is up before."""
        deadline = time.monotonic() + timeout_s
        with self._changed, self.log_path.open(encoding="utf-8", errors="replace") as log:
            log.seek(self._log_start)
            line = ""
            while True:
                line += log.readline()
                ended = line.endswith("\n")
                # A line that is still being written may match and lack its end, the port of an address say.
                if (ended or self._over) and (found := re.search(pattern, line)):
                    return found
                if ended:
                    line = ""
                elif self._over:
                    raise ServiceError(f"{self.name} ended with status {self.returncode}{self._tail_text()}")
                elif time.monotonic() > deadline:
                    raise ServiceError(
                        f"{self.name} did not log {pattern!r} within {timeout_s:g} s{self._tail_text()}"
                    )
                else:
                    self._changed.wait(deadline - time.monotonic())

    def children(self) -> list[int]:
        """Return the ids of its child processes, grandchildren not included."""
        return [child for child, parent in _parents() if parent == self.pid]

    def stop(self, timeout_s: float = 10.0) -> int:
        """Ask it to end, kill it after `timeout_s`, and kill what it left in its group. Return its status.

        Only the process itself is asked, so that a worker can let its children finish their tasks.
        """
        if self.running:
            self._child.terminate()
            self.wait(timeout_s)
        return self.kill9()

    def kill9(self, *, with_children: bool = True) -> int:
        """Kill it at once, with its whole group unless told otherwise, and return its status (-9)."""
        if with_children:
            self._kill_group()
        elif self.running:
            self._child.kill()
        with self._changed:
            self._changed.wait_for(lambda: self._over)
        return self._child.returncode

    def tail(self, lines: int = 20) -> str:
        """Return the last lines of its log."""
        return "\n".join(self.log_path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])

    @property
    def _child(self) -> subprocess.Popen[bytes]:
        if self._popen is None:
            raise ServiceError(f"{self.name} did not start")
        return self._popen

    def _kill_group(self) -> None:
        if self._over and _exists(self.pid):
            return  # the id went to somebody else, so nobody of the group is left
        # ProcessLookupError: nobody of the group is left.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def _run(self) -> None:
        """Start the process, then wait for its end, on a thread of its own."""
        try:
            child = subprocess.Popen(
                self._argv,
                env=self._env,
                cwd=self._cwd,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            with self._changed:
                self._start_error, self._over = error, True
                self._changed.notify_all()
            return
        copier = threading.Thread(target=self._copy_output, args=(child,), daemon=True)
        with self._changed:
            self._popen = child
            self._changed.notify_all()
        copier.start()
        child.wait()
        copier.join(_LAST_WORDS_S)
        with self._changed:
            self._over = True
            self._changed.notify_all()

    def _copy_output(self, child: subprocess.Popen[bytes]) -> None:
        """Copy what it prints to its log, waking whoever waits for a line."""
        if child.stdout is None:
            return
        with child.stdout as output, self.log_path.open("ab", buffering=0) as log:
            while chunk := os.read(output.fileno(), 65536):
                log.write(chunk)
                with self._changed:
                    self._changed.notify_all()

    def _tail_text(self) -> str:
        return f"; the end of {self.log_path}:\n{self.tail()}"


class Processes:
    """Processes that end together, the last one started first. A context manager."""

    def __init__(self) -> None:
        self._started: list[Process] = []

    def start(
        self,
        name: str,
        argv: Sequence[str],
        env: Mapping[str, str] | None = None,
        log_path: Path | None = None,
        cwd: Path | None = None,
    ) -> Process:
        """Start a process. `env` is added to ours; output is appended to `log_path`, else `<name>.log`."""
        log_path = log_path or Path(f"{name}.log")
        log_path.parent.mkdir(parents=True, exist_ok=True)
        log_path.touch()
        process = Process(name, argv, env, log_path, cwd)
        self._started.append(process)
        return process

    def running(self) -> list[Process]:
        """Return those that have not ended yet."""
        return [process for process in self._started if process.running]

    def stop(self, timeout_s: float = 10.0) -> None:
        """Stop every process, the last one started first; each may take `timeout_s`."""
        while self._started:
            self._started.pop().stop(timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # somebody else's
    return True


def _parents() -> list[tuple[int, int]]:
    """Return (process id, parent's id) of every process that can be seen."""
    if Path("/proc/self/stat").exists():
        found = []
        for status in Path("/proc").glob("[0-9]*/stat"):
            try:
                # "pid (name, which may hold spaces) state ppid ..."
                found.append((int(status.parent.name), int(status.read_text().rpartition(")")[2].split()[1])))
            except (FileNotFoundError, ProcessLookupError):
                continue  # it ended while we looked
        return found
    listing = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True)
    return [(int(pid), int(parent)) for pid, parent in (line.split() for line in listing.stdout.splitlines())]
