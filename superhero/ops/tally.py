"""Hold what a run's players and server saw against what stands in the files; `verify` does the counting."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from superhero.ops.datasets import files
from superhero.ops.games import Games
from superhero.ops.verify import Verdict, verify


@dataclass(frozen=True, slots=True)
class Tally:
    """What came out beside what went in.

    games_completed     games that the players saw end with a winner
    games_ingested      of those, how many stand whole in GAME_META and GAME_PODIUM, as their record says
    games_lost          of those, how many do not
    games_duplicated    games of which a row stands twice, or that were completed twice
    records_emitted     records the server logged
    records_written     different record ids in RECORDS
    records_lost        emitted - written, or the gaps in the record ids where those are more
    records_duplicated  rows whose record id stood in RECORDS already
    contradictions      whatever else `superhero verify` finds: torn files, attacks never logged, ...
    """

    games_completed: int
    games_ingested: int
    games_lost: int
    games_duplicated: int
    records_emitted: int
    records_written: int
    records_lost: int
    records_duplicated: int
    contradictions: int

    @property
    def clean(self) -> bool:
        """Whether something was played, and nothing of it is missing, doubled or contradictory."""
        losses = (self.games_lost, self.games_duplicated, self.records_lost, self.records_duplicated)
        return self.games_completed > 0 and not any(losses) and not self.contradictions


def tally(output_dir: Path, completed: Iterable[str], records_emitted: int) -> Tally:
    """Hold the datasets under `output_dir` against the games completed and the number of records logged."""
    games = Games(output_dir)
    verdict, completed = verify(output_dir, games=games), set(completed)
    total = verdict.total()
    ingested = completed & games.ingested
    return Tally(
        games_completed=len(completed),
        games_ingested=len(ingested),
        games_lost=len(completed - ingested),
        games_duplicated=verdict.games.duplicated,
        records_emitted=records_emitted,
        records_written=total.written,
        records_lost=max(records_emitted - total.written, total.lost),
        records_duplicated=total.duplicated,
        contradictions=_contradictions(verdict),
    )


def count_rows(output_dir: Path, dataset: str) -> int:
    """Return how many lines a dataset has, without looking at their content."""
    return sum(path.read_bytes().count(b"\n") for path in files(output_dir, dataset))


def count_files(output_dir: Path, dataset: str) -> int:
    """Return how many files a dataset has."""
    return len(files(output_dir, dataset))


def _contradictions(verdict: Verdict) -> int:
    games, attacks = verdict.games, verdict.attacks
    of_attacks = attacks.lost + attacks.duplicated + attacks.unexpected
    return games.wrong + games.unexpected + of_attacks + len(verdict.torn) + len(verdict.unreadable)
