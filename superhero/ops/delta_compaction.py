"""Merge the small files of a Delta table by Delta Lake's own OPTIMIZE; remove them once nobody needs them.

OPTIMIZE is one commit that changes no row: killed before it, nothing has happened, and who reads the table as
it was goes on doing so, for the files stay KEPT_HOURS. A writer whose commit comes in between looks again; we
give way, and leave the rest to the next run.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from superhero.errors import StoreError
from superhero.ops.compaction import Compacted
from superhero.ops.lakes import not_installed

KEPT_HOURS = 7 * 24


def compact_table(root: Path, dataset: str) -> Compacted | None:
    """Merge a dataset's files below `root`; None when writers came first. Raise StoreError, ServiceError."""
    try:
        from deltalake import DeltaTable
        from deltalake.exceptions import CommitFailedError, DeltaError
    except ModuleNotFoundError as error:
        raise not_installed(error, "delta") from error
    place = root / dataset
    try:
        table = DeltaTable(str(place))
        merged = table.optimize.compact()["numFilesRemoved"]
        if merged:
            _make_safe(place, table.version())
        removed = table.vacuum(retention_hours=KEPT_HOURS, dry_run=False)
        return Compacted(dataset, merged, len(table.file_uris()), len(removed))
    except CommitFailedError:
        return None
    except (DeltaError, OSError) as error:
        raise StoreError(f"cannot compact {place}: {error}") from error


def _make_safe(place: Path, version: int) -> None:
    """Sync what a commit added, and the commit: the driver does not."""
    commit = place / "_delta_log" / f"{version:020}.json"
    actions = [json.loads(line) for line in commit.read_bytes().splitlines()]
    files = [place / action["add"]["path"] for action in actions if "add" in action]
    for path in (*files, commit, *{file.parent for file in files}, commit.parent):
        fd = os.open(path, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
