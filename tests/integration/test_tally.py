"""The demo's and the trials' table: what players saw against what stands in the files."""

from __future__ import annotations

from pathlib import Path

from sample_run import ATTACKS_A_GAME, GAMES, edit, write_run

from superhero.ops.tally import count_files, count_rows, tally

TOKENS = [f"{game:016x}" for game in range(GAMES)]
RECORDS = 5 + GAMES * (ATTACKS_A_GAME + 1)


def test_a_whole_run_is_clean(tmp_path: Path) -> None:
    write_run(tmp_path)
    found = tally(tmp_path, TOKENS, RECORDS)
    assert found.clean
    assert (found.games_completed, found.games_ingested, found.games_lost) == (GAMES, GAMES, 0)
    assert (found.records_emitted, found.records_written, found.records_lost) == (RECORDS, RECORDS, 0)


def test_what_players_or_the_server_saw_and_no_file_holds_is_lost(tmp_path: Path) -> None:
    write_run(tmp_path)
    found = tally(tmp_path, [*TOKENS, "another"], RECORDS + 2)
    assert (found.games_lost, found.records_lost) == (1, 2)
    assert not found.clean


def test_a_gap_is_a_loss_though_the_figures_agree(tmp_path: Path) -> None:
    write_run(tmp_path)
    edit(tmp_path, "RECORDS/sim-1-login.jsonl", lambda lines: [line for line in lines if ':2"' not in line])
    found = tally(tmp_path, TOKENS, RECORDS - 1)
    assert found.records_lost == 1
    assert not found.clean


def test_a_doubled_row_and_a_contradiction_are_found(tmp_path: Path) -> None:
    write_run(tmp_path)
    edit(tmp_path, "RECORDS/sim-1-login.jsonl", lambda lines: [*lines, lines[0]])
    edit(tmp_path, "ATTACKS/sim-1-game.jsonl", lambda lines: lines[1:])
    found = tally(tmp_path, TOKENS, RECORDS)
    assert (found.records_duplicated, found.contradictions) == (1, 1)
    assert not found.clean


def test_nothing_played_is_not_clean(tmp_path: Path) -> None:
    assert not tally(tmp_path, [], 0).clean


def test_rows_and_files_are_counted(tmp_path: Path) -> None:
    write_run(tmp_path)
    assert count_rows(tmp_path, "RECORDS") == RECORDS
    assert count_files(tmp_path, "GAME_META") == GAMES
    assert count_rows(tmp_path, "NOT_THERE") == count_files(tmp_path, "NOT_THERE") == 0
