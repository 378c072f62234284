"""`superhero query`, `leaderboard` and `game`: the same answers from whatever sink the workers wrote to."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sample_run import ATTACKS_A_GAME, GAMES, a_run, writes_of

from sinks import open_sink
from sinks.base import Append, Put
from superhero.cli import main
from superhero.errors import SettingsError
from superhero.ops.sources import Source, source_of

KINDS = ("json", "parquet", "delta")
GAME = f"{7:016x}"


@pytest.fixture(scope="module", params=KINDS)
def sink(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the URL of a sink that holds a run, once per kind of sink."""
    url = f"{request.param}:{tmp_path_factory.mktemp(request.param)}"
    write(url)
    return url


def write(url: str) -> None:
    """Write a run as the workers do."""
    with open_sink(url) as sink:
        sink.write([write for event, record_id in a_run() for write in writes_of(event, record_id)])


def run(command: str, *arguments: str, **environ: str) -> Result:
    """Run a command of superhero's."""
    return CliRunner().invoke(main, [command, *arguments], env={"COLUMNS": "200", **environ})


def rows(sql: str, sink: str) -> list[dict[str, Any]]:
    """Return what a query answers."""
    done = run("query", sql, "--sink", sink, "--json")
    assert done.exit_code == 0, done.output
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_without_a_query_the_datasets_and_their_columns_are_shown(sink: str) -> None:
    shown = run("query", "--sink", sink).output
    assert all(name in shown for name in ("GAME_META", "GAME_PODIUM", "ATTACKS", "RECORDS"))
    assert "payload JSON" in shown


def test_rows_can_be_counted_joined_and_looked_into(sink: str) -> None:
    counted = rows("select event, count(*) as n from RECORDS group by 1 order by 1", sink)
    assert counted == [
        {"event": "game.attack", "n": GAMES * ATTACKS_A_GAME},
        {"event": "game.completed", "n": GAMES},
        {"event": "user.logged_in", "n": 5},
    ]
    joined = rows(
        "select superhero_id as hero, count(*) as won from GAME_META "
        "join GAME_PODIUM using (game_token, user_token) where rank = 1 group by 1",
        sink,
    )
    assert joined == [{"hero": 7, "won": GAMES}]
    looked = rows("select payload->>'user' as who from RECORDS where record_id = 'sim-1-login:3'", sink)
    assert looked == [{"who": "user3"}]


def test_times_are_times_whatever_the_sink(sink: str) -> None:
    found = rows("select typeof(time) as kind, max(time) as last from ATTACKS group by 1", sink)
    assert found == [{"kind": "TIMESTAMP", "last": "2026-01-01T00:00:00"}]


def test_csv_has_a_head_line_and_a_line_a_row(sink: str) -> None:
    done = run(
        "query", "select rank, user_token from GAME_PODIUM order by all limit 2", "--sink", sink, "--csv"
    )
    assert list(csv.reader(done.stdout.splitlines())) == [
        ["rank", "user_token"],
        ["1", "user1"],
        ["1", "user1"],
    ]


def test_a_query_may_come_from_stdin(sink: str) -> None:
    done = CliRunner().invoke(main, ["query", "-", "--sink", sink, "--csv"], input="select 1 as one")
    assert done.stdout == "one\n1\n"


@pytest.mark.parametrize(
    "sql",
    [
        "create table x (y int)",
        "copy RECORDS to 'x.csv'",
        "install httpfs",
        "select 1; select 2",
        "attach 'x'",
    ],
)
def test_a_query_changes_nothing(sink: str, sql: str) -> None:
    refused = run("query", sql, "--sink", sink)
    assert (refused.exit_code, "a query is one SELECT" in refused.output) == (2, True)


def test_a_query_reads_nothing_but_the_sink(sink: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("password\nhush\n")
    refused = run("query", f"select * from read_csv('{secret}')", "--sink", sink)
    assert refused.exit_code == 2
    assert "hush" not in refused.output


def test_a_name_that_is_not_there_is_told_with_those_that_are(sink: str) -> None:
    refused = run("query", "select * from GAMES", "--sink", sink)
    assert refused.exit_code == 2
    assert "Datasets here: ATTACKS, GAME_META, GAME_PODIUM, RECORDS" in refused.output


def test_the_leaderboard_ranks_by_games_replayed_where_nobody_wrote_ratings(sink: str) -> None:
    board = json.loads(run("leaderboard", "--sink", sink, "--json").stdout)
    assert [(each["place"], each["user_token"], each["won"]) for each in board] == [
        (1, "user1", GAMES),
        (2, "user2", 0),
    ]
    assert board[0]["rating"] - 1000 == 1000 - board[1]["rating"] > 0
    assert "user1" in run("leaderboard", "--sink", sink).output


def test_a_game_is_told_turn_by_turn(sink: str) -> None:
    told = json.loads(run("game", GAME, "--sink", sink, "--json").stdout)
    assert [blow["health_post"] for blow in told["blows"]] == [15, 10, 5, 0]
    assert [(place["user"], place["rank"]) for place in told["podium"]] == [("user1", 1), ("user2", 2)]
    shown = run("game", GAME, "--sink", sink).output
    assert "falls" in shown
    assert "15 of 20" in shown


def test_in_a_pipe_nothing_is_cut_or_folded_and_no_line_ends_in_blanks(sink: str) -> None:
    wide = "x" * 300
    for shown in (
        run(
            "query", f"select '{wide}' as a, record_id as b from RECORDS limit 3", "--sink", sink, COLUMNS=""
        ),
        run("game", GAME, "--sink", sink, COLUMNS=""),
        run("leaderboard", "--sink", sink, COLUMNS=""),
    ):
        assert shown.exit_code == 0, shown.output
        assert "…" not in shown.output
        assert [line for line in shown.output.splitlines() if line != line.rstrip()] == []
    told = run("query", f"select '{wide}' as a from RECORDS limit 3", "--sink", sink, COLUMNS="").output
    assert sum(wide in line for line in told.splitlines()) == 3
    assert max(map(len, run("leaderboard", "--sink", sink, COLUMNS="40").output.splitlines())) <= 40


def test_a_game_that_is_not_there_is_told(sink: str) -> None:
    refused = run("game", "0" * 16 + "x", "--sink", sink)
    assert (refused.exit_code, "no game" in refused.output) == (2, True)


def test_a_line_without_its_end_is_passed_over(tmp_path: Path) -> None:
    write(f"json:{tmp_path}")
    with (tmp_path / "superhero" / "RECORDS" / "sim-1-login.jsonl").open("a") as file:
        file.write('{"record_id":"sim-1-login:5","chan')
    assert rows("select count(*) as n from RECORDS where record_id like '%login%'", f"json:{tmp_path}") == [
        {"n": 5}
    ]


def test_a_dataset_of_anybody_s_is_there_too(tmp_path: Path) -> None:
    with open_sink(f"json:{tmp_path}") as sink:
        order = {"record_id": "shop:0", "cents": 4200, "paid": True, "rank": "high", "lines": [{"sku": "x"}]}
        sink.write([Append("ORDERS", [order]), Put("OTHERS", "k", [{"o'k": 1}])])
    found = rows("select cents, paid, rank, lines->0->>'sku' as sku from ORDERS", f"json:{tmp_path}")
    assert found == [{"cents": 4200, "paid": True, "rank": "high", "sku": "x"}]


def test_the_sink_is_the_workers_when_none_is_named(tmp_path: Path) -> None:
    write(f"json:{tmp_path}")
    assert run("query", "select 1", OUTPUT_DIR=str(tmp_path)).exit_code == 0
    assert run("query", "select 1", SINKS=f"sqlite:///x.db json:{tmp_path}").exit_code == 0


def test_an_empty_folder_is_told(tmp_path: Path) -> None:
    refused = run("query", "select 1", "--sink", f"json:{tmp_path}")
    assert (refused.exit_code, "no datasets under" in refused.output) == (2, True)


def test_a_sink_is_named_as_the_workers_name_it() -> None:
    assert source_of("json:///data") == Source("json", Path("/data"))
    assert source_of("sqlite:///x.db parquet:my lake json:x") == Source("parquet", Path("my lake"))
    for url in ("parquet:s3://bucket/x", "postgresql://me:s3cret@host/db", "", "json:"):
        with pytest.raises(SettingsError, match="only folders") as caught:
            source_of(url)
        assert "s3cret" not in str(caught.value)
