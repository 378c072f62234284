"""The verdict on a sink: every way in which somebody may have tampered with it is found."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from sample_run import ATTACKS_A_GAME, GAMES, a_run, edit, write_run, writes_of

from sinks import open_sink
from sinks.base import Append, Put
from superhero.events import GameCompleted
from superhero.ops.expected import Expected, Promise
from superhero.ops.verify import Line, Verdict, verify


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder that holds a run."""
    write_run(tmp_path)
    return tmp_path


def line_of(verdict: Verdict, producer: str) -> Line:
    """Return the verdict on one producer."""
    return next(line for line in verdict.producers if line.producer == producer)


def number_in(line: str) -> int:
    """Return the sequence of a row's record id."""
    return int(json.loads(line)["record_id"].rpartition(":")[2])


def test_a_whole_run_is_clean_and_counted(folder: Path) -> None:
    verdict = verify(folder)
    assert verdict.clean
    total = verdict.total()
    expected = 5 + GAMES * (ATTACKS_A_GAME + 1)
    assert (total.attempted, total.acknowledged, total.written) == (expected, expected, expected)
    assert [line.channel for line in verdict.channels()] == [
        "superhero.game",
        "superhero.lobby",
        "superhero.login",
    ]
    assert (verdict.games.completed, verdict.games.ingested) == (GAMES, GAMES)
    assert verdict.attacks.recorded == verdict.attacks.written == GAMES * ATTACKS_A_GAME


def test_a_line_deleted_by_hand_is_found(folder: Path) -> None:
    edit(folder, "RECORDS/sim-1-login.jsonl", lambda lines: [line for line in lines if ':2"' not in line])
    verdict = verify(folder)
    assert not verdict.clean
    assert verdict.total().lost == 1
    assert line_of(verdict, "sim-1-login").examples == ["sim-1-login:2"]


def test_a_line_doubled_by_hand_is_found(folder: Path) -> None:
    edit(folder, "RECORDS/sim-1-login.jsonl", lambda lines: [*lines, lines[0]])
    verdict = verify(folder)
    assert not verdict.clean
    assert (verdict.total().lost, verdict.total().duplicated) == (0, 1)
    assert line_of(verdict, "sim-1-login").examples[0].endswith(" twice")


def test_lines_doubled_in_another_producer_s_file_are_found(folder: Path) -> None:
    path = folder / "superhero" / "RECORDS" / "sim-1-login.jsonl"
    (path.parent / "copy.jsonl").write_bytes(path.read_bytes())
    assert line_of(verify(folder), "sim-1-login").duplicated == 5


def test_a_file_cut_in_half_is_found(folder: Path) -> None:
    path = folder / "superhero" / "RECORDS" / "sim-1-lobby.jsonl"
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    verdict = verify(folder)
    assert not verdict.clean
    assert verdict.torn == [str(path)]
    assert verdict.games.unexpected > 0


def test_a_file_cut_between_two_lines_is_found_by_the_games_and_attacks_it_told_of(folder: Path) -> None:
    for name in ("lobby", "game"):
        edit(
            folder,
            f"RECORDS/sim-1-{name}.jsonl",
            lambda lines: sorted(lines, key=number_in)[: len(lines) // 2],
        )
    verdict = verify(folder)
    assert verdict.total().lost == 0
    assert verdict.games.unexpected == GAMES // 2
    assert verdict.attacks.unexpected == GAMES * ATTACKS_A_GAME // 2
    assert not verdict.clean


def test_a_line_cut_within_the_file_is_found(folder: Path) -> None:
    def cut(lines: list[str]) -> list[str]:
        return [*lines[:1], lines[1][:60], *lines[2:]]

    edit(folder, "RECORDS/sim-1-game.jsonl", cut)
    verdict = verify(folder)
    assert list(verdict.unreadable.values()) == [1]
    assert not verdict.clean


def test_lines_that_are_no_rows_are_found(folder: Path) -> None:
    edit(folder, "RECORDS/sim-1-game.jsonl", lambda lines: ["by hand\n", "7\n", "{}\n", *lines, "\n"])
    verdict = verify(folder)
    assert list(verdict.unreadable.values()) == [4]
    assert verdict.total().lost == 0


def test_rows_in_another_layout_are_counted_all_the_same(folder: Path) -> None:
    def spread(lines: list[str]) -> list[str]:
        return [json.dumps(dict(reversed(json.loads(line).items()))) + "\n" for line in lines]

    for name in ("login", "lobby", "game"):
        edit(folder, f"RECORDS/sim-1-{name}.jsonl", spread)
    edit(folder, "ATTACKS/sim-1-game.jsonl", spread)
    assert verify(folder).clean
    assert verify(folder).games.completed == GAMES


@pytest.mark.parametrize("dataset", ["GAME_META", "GAME_PODIUM"])
@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (lambda lines: lines[:1], "lost"),
        (lambda lines: [], "lost"),
        (lambda lines: [lines[0], lines[1][:-9]], "lost"),
        (lambda lines: [lines[0], "not JSON\n"], "lost"),
        (lambda lines: [*lines, lines[1]], "duplicated"),
        (lambda lines: [lines[0], lines[1].replace('user_token":"user2"', 'user_token":"user3"')], "lost"),
        (lambda lines: [lines[0].replace("0000", "0001", 1), lines[1]], "wrong"),
    ],
)
def test_a_game_that_stands_otherwise_than_its_record_says_is_found(
    folder: Path, dataset: str, change: Callable[[list[str]], list[str]], finding: str
) -> None:
    edit(folder, f"{dataset}/{3:016x}.jsonl", change)
    verdict = verify(folder)
    assert getattr(verdict.games, finding) == 1
    assert not verdict.clean


def test_a_podium_that_disagrees_with_its_record_is_found(folder: Path) -> None:
    edit(
        folder,
        f"GAME_PODIUM/{3:016x}.jsonl",
        lambda lines: [line.replace('"rank":2', '"rank":1') for line in lines],
    )
    verdict = verify(folder)
    assert (verdict.games.wrong, verdict.games.ingested) == (1, GAMES - 1)
    assert not verdict.clean


def test_a_game_whose_files_are_missing_or_have_no_record_is_found(folder: Path) -> None:
    for dataset in ("GAME_META", "GAME_PODIUM"):
        place = folder / "superhero" / dataset / f"{3:016x}.jsonl"
        place.rename(place.with_name("another.jsonl"))
    verdict = verify(folder)
    assert (verdict.games.lost, verdict.games.unexpected) == (1, 1)


def test_a_game_that_was_completed_twice_is_found(folder: Path) -> None:
    event, _ = next(each for each in a_run() if isinstance(each[0], GameCompleted))
    with open_sink(f"json:{folder}") as sink:
        sink.write(list(writes_of(event, f"sim-1-lobby:{GAMES}")))
    assert verify(folder).games.duplicated == 1


def test_a_game_by_a_hostile_name_is_looked_for_nowhere(folder: Path) -> None:
    row = {
        "record_id": f"sim-1-lobby:{GAMES}",
        "channel": "superhero.lobby",
        "event": "game.completed",
        "message": "",
    }
    with open_sink(f"json:{folder}") as sink:
        sink.write([Append("RECORDS", [{**row, "payload": {"game_token": "../../x", "podium": []}}])])
    assert verify(folder).games.lost == 1


def test_attacks_that_are_missing_doubled_or_made_up_are_found(folder: Path) -> None:
    attack = "ATTACKS/sim-1-game.jsonl"
    edit(
        folder, attack, lambda lines: [*lines[3:], lines[5], lines[5].replace("sim-1-game:", "sim-1-game:9")]
    )
    found = verify(folder).attacks
    assert (found.lost, found.duplicated, found.unexpected) == (2, 1, 1)


def test_what_producers_say_shows_what_is_missing_at_the_end(folder: Path) -> None:
    verdict = verify(folder, Expected({"sim-1-login": Promise(8, 8), "gone": Promise(3, 3)}))
    assert line_of(verdict, "sim-1-login").lost == 3
    assert line_of(verdict, "sim-1-login").examples == ["sim-1-login:5..7"]
    assert line_of(verdict, "gone").lost == 3


def test_what_was_never_acknowledged_is_not_lost_and_recovered_where_it_is_there(folder: Path) -> None:
    verdict = verify(folder, Expected({"sim-1-login": Promise(8, 4)}))
    line = line_of(verdict, "sim-1-login")
    assert (line.attempted, line.acknowledged, line.written) == (8, 4, 5)
    assert (line.lost, line.recovered) == (0, 1)
    assert verdict.clean


def test_what_a_spool_holds_excuses_nothing_that_is_missing(folder: Path) -> None:
    edit(folder, "RECORDS/sim-1-login.jsonl", lambda lines: lines[1:])
    missing = next(number for number in range(5) if f"sim-1-login:{number}" not in ids_in(folder))
    spooled = [f"sim-1-login:{number}" for number in range(5, 10)]
    promise = Expected({"sim-1-login": Promise(10, 5)}, spooled=spooled)
    line = line_of(verify(folder, promise), "sim-1-login")
    assert (line.spooled, line.lost, line.recovered) == (5, 1, 0)
    assert f"sim-1-login:{missing}" in line.examples


def ids_in(folder: Path) -> set[str]:
    """Return the ids of the logins that are in a sink."""
    lines = (folder / "superhero" / "RECORDS" / "sim-1-login.jsonl").read_text().splitlines()
    return {json.loads(line)["record_id"] for line in lines}


def test_a_record_that_was_never_emitted_is_unexpected(folder: Path) -> None:
    verdict = verify(folder, Expected({"sim-1-login": Promise(3, 3)}))
    assert line_of(verdict, "sim-1-login").unexpected == 2
    assert not verdict.clean


def test_a_record_in_quarantine_is_accounted_for_once(folder: Path) -> None:
    edit(folder, "RECORDS/sim-1-login.jsonl", lambda lines: [line for line in lines if ':2"' not in line])
    verdict = verify(folder, Expected(quarantined=["sim-1-login:2", "sim-1-login:3", "other:0"]))
    assert line_of(verdict, "sim-1-login").quarantined == 1
    assert line_of(verdict, "other").quarantined == 1
    assert verdict.total().lost == 0
    assert verdict.clean


def test_an_empty_sink_is_clean_and_has_nothing(tmp_path: Path) -> None:
    verdict = verify(tmp_path)
    assert verdict.clean
    assert verdict.total().attempted == 0


def test_memory_is_taken_for_gaps_and_not_for_records(tmp_path: Path) -> None:
    folder = tmp_path / "superhero" / "RECORDS"
    folder.mkdir(parents=True)
    with (folder / "p.jsonl").open("w") as file:
        for number in range(100_000):
            if number != 54_321:
                file.write(f'{{"record_id":"p:{number}","channel":"shop","time":"","payload":null}}\n')
    tracemalloc.start()
    verdict = verify(tmp_path)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert verdict.producers == [Line("p", "shop", 100_000, 100_000, 99_999, lost=1, examples=["p:54321"])]
    assert peak_bytes < 8 << 20


def test_an_object_that_is_no_game_s_is_let_be(folder: Path) -> None:
    with open_sink(f"json:{folder}") as sink:
        sink.write([Put("OTHER", "x", [{"a": 1}])])
    assert verify(folder).clean
