"""A game as it stands in Redis, and back."""

from __future__ import annotations

import pytest

from superhero.errors import StoreError
from superhero.game import rules
from superhero.game.rules import Attack, Fighter
from superhero.server.snapshot import COMPLETE, OPEN, STARTED, News, Snapshot, step

ROWS = [["1", "5", "100", "0", "0", "0"], ["2", "7", "90", "1", "10", "0"]]
REPLY = ["3", "STARTED", "2", 0, 1, ["b", "a"], [], [ROWS[1], ROWS[0]]]


def test_a_game_is_read_as_it_was_written() -> None:
    snapshot = Snapshot.from_reply("g", REPLY)
    assert (snapshot.version, snapshot.status, snapshot.size, snapshot.due) == (3, STARTED, 2, False)
    assert snapshot.full and snapshot.state.whose_turn == "b" and snapshot.state.turn == 1
    assert snapshot.state.fighters["b"] == Fighter("b", 2, 7, 90, 1, 10, 0)


def test_the_last_one_standing_of_a_complete_game_is_its_winner() -> None:
    reply = ["9", "COMPLETE", "2", 0, 1, ["a"], ["b"], ROWS]
    assert Snapshot.from_reply("g", reply).state.winner == "a"


@pytest.mark.parametrize(
    "reply",
    [
        [],
        [*REPLY[:1], "PAUSED", *REPLY[2:]],
        [*REPLY[:7], ROWS[:1]],
        [*REPLY[:7], [ROWS[0], [None] * 6]],
        [*REPLY[:7], [ROWS[0], ["x"] * 6]],
        [None, *REPLY[1:]],
    ],
)
def test_what_we_did_not_write_is_a_store_error(reply: list[object]) -> None:
    with pytest.raises(StoreError, match="game g"):
        Snapshot.from_reply("g", reply)


def test_a_step_writes_the_fighters_that_changed_and_no_other() -> None:
    fighters = [Fighter(user, n, 10, 100) for n, user in enumerate("abc")]
    before = Snapshot(4, STARTED, 3, False, rules.start("g", fighters)[0])
    after, _ = rules.apply(before.state, Attack("a", "c"))
    fields = step(before, after, STARTED, [], "log", 15.0)
    assert fields["order"] == ("b", "c", "a") and fields["log"] == "log" and fields["deadline_s"] == 15.0
    assert fields["fighters"] == [
        ["health", 100, "rounds", 1, "damage_delivered", 10, "damage_received", 0],
        ["health", 90, "rounds", 0, "damage_delivered", 0, "damage_received", 10],
    ]
    assert News.decode(fields["feed"]) == News(5, STARTED, "b", None)


def test_the_start_tells_everybody_who_fights() -> None:
    fighters = (Fighter("a", 1, 10, 100), Fighter("b", 2, 20, 200))
    before = Snapshot(3, OPEN, 2, False, rules.GameState("g", {f.user: f for f in fighters}, ("a", "b")))
    after, _ = rules.start("g", fighters[::-1])
    assert News.decode(step(before, after, STARTED, [], None, 1.0)["feed"]) == News(
        4, STARTED, "b", fighters[::-1]
    )


def test_news_of_a_finished_game_name_nobody_to_move() -> None:
    snapshot = Snapshot.from_reply("g", ["9", "COMPLETE", "2", 0, 1, ["a"], ["b"], ROWS])
    news = News.of(snapshot)
    assert (news.version, news.status, news.turn_of) == (9, COMPLETE, None)
    assert [fighter.user for fighter in news.fighters or ()] == ["a", "b"]


@pytest.mark.parametrize("text", ["", "{}", "[1]", "[1,2,3,4,5]", '[1,"STARTED",null,[1]]'])
def test_a_feed_that_brings_something_else_is_a_store_error(text: str) -> None:
    with pytest.raises(StoreError, match="feed"):
        News.decode(text)
