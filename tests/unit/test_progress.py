"""Progress of long commands: rate and remaining time on a terminal, silence elsewhere."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys

import pytest

PROGRAM = """
import sys
from superhero.commands.progress import BYTES, progress
with progress("copying", total=4, unit=sys.argv[1]) as shown:
    for number in range(4):
        shown.add()
    shown.to(3, 5)
    shown.say("[still] copying")
print("done: in /somewhere")
"""


def on_a_terminal(unit: str) -> str:
    """Run the program with stderr on a terminal, and return what it drew; stdout goes elsewhere."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    argv = [sys.executable, "-c", PROGRAM, unit]
    with subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, stderr=theirs) as running:
        os.close(theirs)
        drawn = b""
        while chunk := _read(ours):
            drawn += chunk
        assert running.stdout is not None
        assert running.stdout.read() == b"done: in /somewhere\n"
        assert running.wait(30) == 0
    os.close(ours)
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", drawn.decode())


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux's way to say that nobody has the other end
        return b""


@pytest.mark.parametrize(("unit", "shown"), [("records", "3/5"), ("bytes", "3/5 bytes"), ("", "3/5")])
def test_on_a_terminal_it_shows_how_far_it_is_and_how_long_it_takes(unit: str, shown: str) -> None:
    drawn = on_a_terminal(unit)
    assert "[still] copying" in drawn
    assert shown in drawn
    assert re.search(r"\d:\d\d:\d\d", drawn)


def test_elsewhere_it_is_silent() -> None:
    argv = [sys.executable, "-c", PROGRAM, "records"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done: in /somewhere\n", "")
