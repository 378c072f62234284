"""A process that compacts a dataset and is told to die on the way. Run as a script.

Arguments: folder, dataset, and the call of the system just before which it ends by SIGKILL; 0: none.
"""

from __future__ import annotations

import sys
from pathlib import Path

from sink_child import die_at

from superhero.ops.compaction import compact

if __name__ == "__main__":
    folder, dataset, step = sys.argv[1:]
    die_at(int(step))
    compact(Path(folder), dataset, grace_s=0, segment_bytes=200)
