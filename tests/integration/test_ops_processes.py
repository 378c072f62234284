"""Real processes: what they log, in which order they end, and that none is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from superhero.errors import ServiceError
from superhero.ops.processes import Process, Processes
from superhero.ops.processes import project_root as find_root

Wait = Callable[..., object]

# Says that it is there and ends when it is asked to, after a word about it in the file of argv[2].
POLITE = (
    "import signal, sys\n"
    "def end(*_):\n"
    "    with open(sys.argv[2], 'a') as file:\n"
    "        file.write(sys.argv[1] + '\\n')\n"
    "    sys.exit(0)\n"
    "signal.signal(signal.SIGTERM, end)\n"
    "print('ready', sys.argv[1], flush=True)\n"
    "while True:\n"
    "    signal.pause()\n"
)
STUBBORN = (
    "import signal\n"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "print('ready', flush=True)\n"
    "signal.pause()\n"
)
WITH_CHILD = (
    "import signal, subprocess, sys\n"
    "child = subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()'])\n"
    "print('child', child.pid, flush=True)\n"
    "signal.pause()\n"
)


def python(script: str, *arguments: str) -> list[str]:
    """Return the command line of a script."""
    return [sys.executable, "-c", script, *arguments]


def alive(pid: int) -> bool:
    """Tell whether a process is there and no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.fixture
def start(processes: Processes, tmp_path: Path) -> Callable[..., Process]:
    """Start a script whose log is the test's own."""

    def start(name: str, script: str, *arguments: str) -> Process:
        return processes.start(name, python(script, *arguments), log_path=tmp_path / f"{name}.log")

    return start


def test_what_a_process_prints_is_in_its_log(start: Callable[..., Process]) -> None:
    process = start("p", "import sys; print('out 17'); print('err', file=sys.stderr)")
    assert process.wait_for_line(r"out (\d+)", 10)[1] == "17"
    assert process.wait(10) == 0
    assert set(process.tail().splitlines()) == {"out 17", "err"}


def test_a_process_that_ends_before_its_line_is_an_error_with_its_last_words(
    start: Callable[..., Process],
) -> None:
    ended = start("ended", "print('last words'); raise SystemExit(3)")
    with pytest.raises(ServiceError, match=r"(?s)ended with status 3.*last words"):
        ended.wait_for_line("nothing", 10)


def test_a_line_that_does_not_come_in_time_is_an_error(start: Callable[..., Process], tmp_path: Path) -> None:
    silent = start("silent", POLITE, "silent", str(tmp_path / "ended"))
    silent.wait_for_line("ready", 10)
    with pytest.raises(ServiceError, match=r"silent did not log 'nothing' within 0\.1 s"):
        silent.wait_for_line("nothing", 0.1)


def test_a_line_counts_once_it_is_whole(start: Callable[..., Process]) -> None:
    script = (
        "import sys, time\n"
        "for part in ('port 1', '23', '4\\n'):\n"
        "    print(part, end='', flush=True)\n"
        "    time.sleep(0.05)\n"
    )
    assert start("p", script).wait_for_line(r"port (\d+)", 10)[1] == "1234"
    assert start("q", "print('port 5', end='')").wait_for_line(r"port (\d+)", 10)[1] == "5"


def test_lines_of_an_earlier_process_in_the_same_log_do_not_count(start: Callable[..., Process]) -> None:
    assert start("p", "print('ready')").wait(10) == 0
    second = start("p", "pass")
    with pytest.raises(ServiceError, match="ended with status 0"):
        second.wait_for_line("ready", 10)


def test_a_program_that_is_not_there_is_an_error_that_names_it(processes: Processes, tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="no program '/not/there'"):
        processes.start("p", ["/not/there"], log_path=tmp_path / "p.log")


def test_a_folder_that_is_not_there_is_an_error(processes: Processes, tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="p did not start"):
        processes.start("p", python(""), log_path=tmp_path / "p.log", cwd=tmp_path / "none")


def test_environment_and_folder_are_given_to_the_process(processes: Processes, tmp_path: Path) -> None:
    script = "import os; print(os.environ['GIVEN'], os.getcwd())"
    process = processes.start("p", python(script), {"GIVEN": "x"}, tmp_path / "p.log", tmp_path)
    assert process.wait_for_line(r"x (.*)", 10)[1].strip() == str(tmp_path.resolve())


def test_stop_lets_a_process_end_by_itself(start: Callable[..., Process], tmp_path: Path) -> None:
    process = start("p", POLITE, "p", str(tmp_path / "ended"))
    process.wait_for_line("ready", 10)
    assert process.stop(10) == 0
    assert not process.running
    assert (tmp_path / "ended").read_text() == "p\n"


def test_stop_kills_a_process_that_does_not_end(start: Callable[..., Process]) -> None:
    process = start("p", STUBBORN)
    process.wait_for_line("ready", 10)
    assert process.stop(0.1) == process.returncode == -signal.SIGKILL


def test_processes_end_last_first(
    start: Callable[..., Process], processes: Processes, tmp_path: Path
) -> None:
    for name in ("first", "second", "third"):
        start(name, POLITE, name, str(tmp_path / "ended")).wait_for_line("ready", 10)
    processes.stop()
    assert (tmp_path / "ended").read_text().split() == ["third", "second", "first"]


def test_kill9_takes_the_children_along(start: Callable[..., Process], wait_until: Wait) -> None:
    process = start("p", WITH_CHILD)
    child = int(process.wait_for_line(r"child (\d+)", 10)[1])
    assert process.children() == [child]
    assert process.kill9() == -signal.SIGKILL
    wait_until(lambda: not alive(child))


def test_kill9_can_leave_the_children_and_stop_finds_them(
    start: Callable[..., Process], wait_until: Wait
) -> None:
    process = start("p", WITH_CHILD)
    child = int(process.wait_for_line(r"child (\d+)", 10)[1])
    process.kill9(with_children=False)
    assert alive(child)
    process.stop()
    wait_until(lambda: not alive(child))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
def test_a_process_dies_with_us_when_we_are_killed(tmp_path: Path, wait_until: Wait) -> None:
    starter = (
        "import signal, sys\n"
        "from pathlib import Path\n"
        "from superhero.ops.processes import Processes\n"
        "argv = [sys.executable, '-c', 'import signal; signal.pause()']\n"
        "print(Processes().start('p', argv, log_path=Path(sys.argv[1])).pid, flush=True)\n"
        "signal.pause()\n"
    )
    argv = python(starter, str(tmp_path / "p.log"))
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=find_root()) as parent:
        assert parent.stdout is not None
        grandchild = int(parent.stdout.readline())
        assert alive(grandchild)
        parent.kill()
        wait_until(lambda: not alive(grandchild))


def test_a_process_leads_a_group_of_its_own(start: Callable[..., Process], tmp_path: Path) -> None:
    process = start("p", POLITE, "p", str(tmp_path / "ended"))
    process.wait_for_line("ready", 10)
    assert os.getpgid(process.pid) == process.pid != os.getpgid(0)


def test_the_project_s_root_is_found_from_below_it(project_root: Path, tmp_path: Path) -> None:
    assert find_root(project_root / "tests" / "unit") == project_root
    (tmp_path / "celeryconfig.py").touch()
    assert find_root(tmp_path) == tmp_path.resolve()
