"""When a trial counts as clean, how its table looks, and that its report needs nothing but itself."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner
from reports import OUTCOME, Asked
from rich.console import Console

from superhero.commands.experiment import _print, command
from superhero.ops.timeline import rates
from superhero.ops.trials import Outcome
from superhero.reports import files
from superhero.reports.trials import SCHEMA, trials_report


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


def test_a_report_is_one_page_that_fetches_nothing_and_shows_verdict_and_curve() -> None:
    page = trials_report([OUTCOME], "superhero experiment single-worker").page
    asked = Asked(page)
    assert asked.fetched == []
    assert "394 records: 0 lost, 0 doubled" in asked.text
    assert "1 worker killed" in asked.text, "the curve is marked where workers died"
    assert asked.elements.count("svg") == 3 and "polyline" in asked.elements


def test_a_report_of_a_trial_that_lost_says_so_and_what_comes_from_outside_is_no_markup() -> None:
    outcome = replace(
        OUTCOME, tally=replace(OUTCOME.tally, records_lost=2), notes=["<script>alert(1)</script>"]
    )
    report = trials_report([outcome], "superhero experiment single-worker")
    assert 'class="verdict bad"' in report.page and "2 lost" in report.page
    assert "<script>" not in report.page
    assert report.facts["clean"] is False


def test_a_report_s_folder_holds_the_page_the_facts_and_every_plot_as_svg_and_png(tmp_path: Path) -> None:
    report = trials_report([OUTCOME], "superhero experiment single-worker")
    page = files.write(report, tmp_path)
    assert page.read_text(encoding="utf-8") == report.page
    facts = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert facts["schema"] == SCHEMA
    assert facts["outcomes"][0]["tally"]["records_written"] == 394
    for plot in report.plots:
        drawn = ElementTree.parse(tmp_path / "plots" / f"{plot.name}.svg").getroot()
        assert drawn.tag == "{http://www.w3.org/2000/svg}svg"
        assert (tmp_path / "plots" / f"{plot.name}.png").read_bytes()[:4] == b"\x89PNG"


def test_without_matplotlib_a_report_still_has_its_page_and_its_svg(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    files.write(trials_report([OUTCOME], "superhero experiment single-worker"), tmp_path)
    assert (tmp_path / "report.html").is_file()
    assert {path.suffix for path in (tmp_path / "plots").iterdir()} == {".svg"}


def test_rates_are_what_a_running_total_gains_per_second() -> None:
    assert rates([(0.1, 10), (0.5, 30), (1.2, 90)], 1.2, 1.0) == [(1.0, 30.0), (2.0, 60.0)]


def test_a_folder_with_an_earlier_run_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "report.json").touch()
    done = CliRunner().invoke(command, ["single-worker", "--folder", str(tmp_path)])
    assert done.exit_code == 2
    assert "is not empty" in done.output
