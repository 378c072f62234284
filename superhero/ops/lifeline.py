"""Run a command that dies with whoever started it. Run as a script; imports nothing of ours.

`python lifeline.py PARENT_PID PROGRAM [ARGUMENT...]` asks Linux for SIGKILL once the thread that started it
is gone, however that came, and becomes the program. Elsewhere it only becomes the program.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def main(parent_pid: int, argv: list[str]) -> None:
    """Become `argv`, tied to the parent. Never returns."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent_pid:  # it died before we asked, so no signal will come
            sys.exit(f"process {parent_pid}, which started {argv[0]}, is gone")
    os.execvp(argv[0], argv)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
