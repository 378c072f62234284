"""Make the pictures of the Arena in docs/arena anew: `make screenshots`.

A real server, workers and bots on real services, looked at in a real browser. Not a test.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from acceptance.browser import DESK, PHONE, chromium, find_chromium, looking
from PIL import Image

from superhero.config import explicit_services, from_env
from superhero.ops.run import PipelineRun
from superhero.ops.services import open_services

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "arena"
PICTURES = {"dark": (DESK, "dark"), "light": (DESK, "light"), "phone": (PHONE, "dark")}
ENOUGH_S = 30
"""Seconds of games before the first picture, so that the chart has something to show."""

WORTH_A_PICTURE = """
document.querySelectorAll('.fight').length === 8 &&
document.querySelectorAll('.fall').length >= 6 &&
document.querySelectorAll('.fighter.strikes').length >= 1 &&
document.querySelectorAll('.fighter.won').length >= 1 &&
document.querySelector('#out-rate').innerText.length > 2
"""


def main() -> None:
    """Take every picture."""
    executable = find_chromium()
    if executable is None:
        sys.exit("pictures need Chromium (Debian: apt-get install chromium)")
    FOLDER.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="superhero-pictures-") as folder,
        open_services(from_env(), workdir=Path(folder), explicit=explicit_services(), fresh=True) as services,
        PipelineRun(services, Path(folder)) as run,
        chromium(executable) as browser,
    ):
        run.start_server()
        run.start_workers(2, concurrency=1)
        run.start_bots(players=12, games=1_000_000, seed=7)
        origin = urlsplit(run.health_url).netloc
        with looking(browser, origin) as first:
            first.page.wait_for_timeout(1000 * ENOUGH_S)
            for name, (size, scheme) in PICTURES.items():
                with looking(browser, origin, size=size, scheme=scheme) as look:
                    look.wait_for(WORTH_A_PICTURE, 60)
                    path = FOLDER / f"{name}.png"
                    look.page.screenshot(path=path)
                    _shrink(path)
                    print(f"{path.relative_to(FOLDER.parent.parent)}: {path.stat().st_size / 1000:.0f} kB")


def _shrink(path: Path) -> None:
    """Keep as many colours as a page has that is drawn in few."""
    with Image.open(path) as picture:
        few = picture.convert("RGB").quantize(128, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    few.save(path, optimize=True)


if __name__ == "__main__":
    main()
