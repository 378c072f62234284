"""Draw the pictures of a run: `python -m benchmarks.pictures RESULTS.json FOLDER`.

Run under the peers' environment, which has matplotlib; ours does not need it for anything else.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from superhero.reports.pictures import draw


def main() -> None:
    """Draw every plot as PNG and as SVG."""
    suites = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["suites"].values()
    draw((plot for suite in suites for plot in suite["plots"]), Path(sys.argv[2]))


if __name__ == "__main__":
    main()
