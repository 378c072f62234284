"""The example that goes from nothing to a plot goes there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

pytestmark = pytest.mark.acceptance


@pytest.mark.timeout(240)
def test_the_example_plays_ingests_verifies_and_draws(tmp_path: Path, project_root: Path) -> None:
    argv = [sys.executable, str(project_root / "examples" / "ratings-plot" / "plot.py"), str(tmp_path)]
    done = subprocess.run(argv, cwd=project_root, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    drawn = ElementTree.parse(tmp_path / "ratings.svg").getroot()
    assert len(drawn.findall("{http://www.w3.org/2000/svg}polyline")) == 8
