"""Put a run's figures where they are read: JSON, the tables in docs/performance.md, and pictures beside it.

In the document a table stands between two marks, `<!-- figures: NAME -->` and `<!-- end -->`; whatever was
there is replaced. So every number in a table is of one run, the latest that measured it.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.figures import Figures, Table
from benchmarks.report import markdown
from benchmarks.stage import peers_python
from superhero.errors import ServiceError
from superhero.ops.processes import project_root

_PLACE = re.compile(r"(<!-- figures: (?P<name>[a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def write_json(path: Path, found: Mapping[str, Figures], began_on: Mapping[str, Any]) -> None:
    """Write everything that was found; what an earlier run of other benchmarks found stays."""
    before = json.loads(path.read_text(encoding="utf-8"))["suites"] if path.exists() else {}
    suites = {**before, **{name: asdict(figures) for name, figures in found.items()}}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"machine": began_on, "suites": suites}, indent=1) + "\n", encoding="utf-8")


def fill_in(document: Path, results: Path) -> None:
    """Put the tables into the document. A mark without a table of its name is left as it is."""
    said = json.loads(results.read_text(encoding="utf-8"))
    tables = {
        each["name"]: markdown(Table(**each)) for suite in said["suites"].values() for each in suite["tables"]
    }
    targets = [list(each.values()) for suite in said["suites"].values() for each in suite["targets"]]
    rows = [[what, reach, measured, "yes" if met else "no"] for what, reach, measured, met in targets]
    tables["targets"] = markdown(Table("targets", "", ("what", "reach", "measured", "reached"), rows))
    tables["machine"] = ", ".join(
        f"{name.replace('_', ' ')} {value}" for name, value in said["machine"].items()
    )

    def replaced(found: re.Match[str]) -> str:
        table = tables.get(found["name"])
        return found[0] if table is None else f"{found[1]}{table}\n{found[3]}"

    text = document.read_text(encoding="utf-8")
    document.write_text(_PLACE.sub(replaced, text), encoding="utf-8")


def draw(results: Path, folder: Path) -> None:
    """Draw the pictures. Raise ServiceError if that cannot be."""
    python = peers_python()
    if python is None:
        raise ServiceError("pictures need matplotlib, which `make bench` installs beside the peers")
    argv = [str(python), "-m", "benchmarks.pictures", str(results.resolve()), str(folder.resolve())]
    subprocess.run(argv, cwd=project_root(), check=True)
