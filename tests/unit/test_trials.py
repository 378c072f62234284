"""When a trial counts as clean, and how its table looks."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from superhero.commands.experiment import _print
from superhero.ops.run import Played
from superhero.ops.tally import Tally
from superhero.ops.trials import Outcome

OUTCOME = Outcome(
    trial="one worker",
    tally=Tally(
        games_completed=35,
        games_ingested=35,
        games_lost=0,
        games_duplicated=0,
        records_emitted=394,
        records_written=394,
        records_lost=0,
        records_duplicated=0,
        contradictions=0,
    ),
    played=Played(35, 0, 1.0, 2100.0, []),
    seconds=1.9,
    depths=[(0.0, 0), (0.25, 107), (0.5, 3)],
    dead_letters=0,
    notes=["Broker: one for this run."],
    folder=Path("run"),
)


def _table(outcomes: list[Outcome]) -> str:
    written = io.StringIO()
    console = Console(file=written, width=80, color_system="standard", force_terminal=True)
    _print(outcomes, console, Path("run"))
    return written.getvalue()


@pytest.mark.parametrize(
    "changed", [{"games_lost": 1}, {"games_duplicated": 1}, {"records_lost": 2}, {"records_duplicated": 3}]
)
def test_a_trial_that_lost_or_doubled_is_not_clean_and_its_table_says_so(changed: dict[str, int]) -> None:
    outcome = replace(OUTCOME, tally=replace(OUTCOME.tally, **changed))
    assert OUTCOME.clean and not outcome.clean
    assert "\x1b[1;31m" in _table([outcome]), "what should be 0 and is not stands out"
    assert "\x1b[1;31m" not in _table([OUTCOME])


def test_a_trial_with_dead_letters_is_not_clean() -> None:
    assert not replace(OUTCOME, dead_letters=1).clean


def test_the_table_of_all_trials_fits_a_terminal_of_80_characters() -> None:
    names = ("one worker", "many workers", "killed, back", "none before")
    text = _table([replace(OUTCOME, trial=name) for name in names])
    assert "records duplicated" in text and "depth over time" in text
    assert "…" not in text
