"""Verify a folder; print how long that took and how much memory it needed."""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

from superhero.ops.verify import verify


def main() -> None:
    """The argument is the sink's folder."""
    before = _peak_bytes()
    began = time.monotonic()
    verdict = verify(Path(sys.argv[1]))
    seconds = time.monotonic() - began
    said = {"seconds": seconds, "grown_bytes": _peak_bytes() - before, "clean": verdict.clean}
    print(json.dumps(said), flush=True)


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
