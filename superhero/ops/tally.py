"""Count what stands in the output folder and hold it against what happened.

Reads the JSON Lines files as anyone could: one line is one row. Records are told apart by their ids,
`<producer>:<sequence>`, games by their tokens.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Tally:
    """What came out beside what went in.

    games_completed     games that the players saw end with a winner
    games_ingested      of those, how many stand whole in GAME_META and GAME_PODIUM
    games_lost          of those, how many do not
    games_duplicated    games of which a row stands twice
    records_emitted     records the server logged
    records_written     different record ids in RECORDS
    records_lost        emitted - written
    records_duplicated  rows whose record id stood in RECORDS already
    """

    games_completed: int
    games_ingested: int
    games_lost: int
    games_duplicated: int
    records_emitted: int
    records_written: int
    records_lost: int
    records_duplicated: int

    @property
    def clean(self) -> bool:
        """Whether something was played, and nothing of it is missing or doubled."""
        losses = (self.games_lost, self.games_duplicated, self.records_lost, self.records_duplicated)
        return self.games_completed > 0 and not any(losses)


def tally(output_dir: Path, completed: Iterable[str], records_emitted: int) -> Tally:
    """Hold the datasets under `output_dir` against the games completed and the number of records logged."""
    completed = set(completed)
    meta = Counter((row["game_token"], row["user_token"]) for row in rows(output_dir, "GAME_META"))
    podium = Counter((row["game_token"], row["user_token"]) for row in rows(output_dir, "GAME_PODIUM"))
    ingested = completed & {game for game, _ in meta} & {game for game, _ in podium}
    doubled = {game for counts in (meta, podium) for (game, _), times in counts.items() if times > 1}
    ids = Counter(row["record_id"] for row in rows(output_dir, "RECORDS"))
    return Tally(
        games_completed=len(completed),
        games_ingested=len(ingested),
        games_lost=len(completed - ingested),
        games_duplicated=len(doubled),
        records_emitted=records_emitted,
        records_written=len(ids),
        records_lost=max(records_emitted - len(ids), 0),
        records_duplicated=ids.total() - len(ids),
    )


def rows(output_dir: Path, dataset: str) -> Iterator[dict[str, Any]]:
    """Yield every row of a dataset; nothing where the dataset does not exist yet."""
    for path in sorted((output_dir / "superhero" / dataset).glob("*.jsonl")):
        with path.open(encoding="utf-8") as lines:
            yield from (json.loads(line) for line in lines)


def count_rows(output_dir: Path, dataset: str) -> int:
    """Return how many lines a dataset has, without reading their content."""
    return sum(
        path.read_bytes().count(b"\n") for path in (output_dir / "superhero" / dataset).glob("*.jsonl")
    )


def count_files(output_dir: Path, dataset: str) -> int:
    """Return how many files a dataset has."""
    return sum(1 for _ in (output_dir / "superhero" / dataset).glob("*.jsonl"))
