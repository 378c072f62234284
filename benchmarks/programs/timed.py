"""Run a command of superhero's to its end; print its exit status, seconds, processor time and peak memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

from superhero.ops.processes import superhero_argv


def main() -> None:
    """The arguments are the command's; what it prints is shown if it failed."""
    began = time.monotonic()
    with subprocess.Popen(
        superhero_argv(*sys.argv[1:]), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as child:
        output = child.stdout.read() if child.stdout else b""
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.monotonic() - began
    if child.returncode:
        print(output.decode(errors="replace"))
    said = {
        "status": child.returncode,
        "seconds": seconds,
        "cpu_s": used.ru_utime + used.ru_stime,
        "peak_bytes": used.ru_maxrss * 1024,
    }
    print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main()
