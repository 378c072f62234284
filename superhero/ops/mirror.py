"""Copy what a sink of another kind holds into JSON Lines, so that one counting serves all of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from superhero.ops.datasets import RECORD_ID, Row
from superhero.ops.games import META, PODIUM, SAFE_NAME
from superhero.ops.readers import Reader
from superhero.ops.verify import ATTACKS, RECORDS

_UNNAMED = "rows-without-a-name"


@contextmanager
def mirrored(reader: Reader, on_row: Callable[[], None] = lambda: None) -> Iterator[Path]:
    """Yield a folder that holds the sink's rows as a JSON Lines sink would; it is gone afterwards.

    `on_row` is called for each row.

    Takes as much disk as the rows do, and no memory to speak of.
    """
    with TemporaryDirectory(prefix="superhero-verify-") as folder:
        for dataset in (RECORDS, ATTACKS):
            for row in reader.rows(dataset):
                found = RECORD_ID.fullmatch(str(row.get("record_id")))
                _add(Path(folder), dataset, found[1] if found else _UNNAMED, row)
                on_row()
        for dataset in (META, PODIUM):
            for row in reader.rows(dataset):
                name = str(row.get("game_token"))
                _add(Path(folder), dataset, name if SAFE_NAME.fullmatch(name) else _UNNAMED, row)
                on_row()
        yield Path(folder)


def _add(folder: Path, dataset: str, name: str, row: Row) -> None:
    place = folder / "superhero" / dataset
    place.mkdir(parents=True, exist_ok=True)
    with (place / f"{name}.jsonl").open("a", encoding="utf-8", errors="replace") as file:
        file.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n")
