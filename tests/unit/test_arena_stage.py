"""The Arena's stage: which fights are shown, for how long, and what a frame tells of them."""

from __future__ import annotations

from typing import Any

import pytest

from superhero.errors import StoreError
from superhero.events import AttackMade, Event, GameCompleted, GameStarted, PlayerRated, Standing
from superhero.game import rules
from superhero.game.rules import Attack, Fighter, GameState
from superhero.server.arena.leaders import Leaders
from superhero.server.arena.rate import Rate
from superhero.server.arena.stage import HOLD_S, PLACES, ROWS, SILENT_S, TOLD_S, Stage
from superhero.server.arena.watch import SOME_ATTACK, read_step
from superhero.server.snapshot import COMPLETE, OPEN, STARTED, Snapshot, Status

NAMES = {1: "Alma", 2: "Bruno", 3: "Carla"}


def begun(game: str = "g", users: str = "ab", health: int = 100) -> GameState:
    """Return a game that has just started; a blow takes 40."""
    return rules.start(game, [Fighter(user, n + 1, 40, health) for n, user in enumerate(users)])[0]


def snapshot(state: GameState, status: Status | None = None) -> Snapshot:
    """Return what is loaded of a game."""
    return Snapshot(1, status or (COMPLETE if state.winner else STARTED), len(state.fighters), False, state)


def on_stage(stage: Stage, state: GameState, now: float = 0.0) -> None:
    """Let a game be seen, asked for, and loaded."""
    started = GameStarted(state.game_token, list(state.order), {})
    assert stage.hear(state.game_token, [started], now)
    stage.show(state.game_token, snapshot(state), now)


def fight(stage: Stage, game: str = "g", now: float = 0.0) -> dict[str, Any]:
    """Return how a fight is shown."""
    (found,) = (each for each in stage.frame(NAMES, now)["fights"] if each["game"] == game)
    return dict(found)


def played(state: GameState, *moves: tuple[str, str]) -> tuple[GameState, list[list[Event]]]:
    """Return a game after some attacks, and each step's events."""
    steps = []
    for user, enemy in moves:
        state, events = rules.apply(state, Attack(user, enemy))
        steps.append(events)
    return state, steps


ALL_OF_IT = (("a", "b"), ("b", "a"), ("a", "b"), ("b", "a"), ("a", "b"))


def test_a_fight_is_shown_blow_by_blow_to_its_end() -> None:
    stage = Stage()
    on_stage(stage, begun())
    for events in played(begun(), *ALL_OF_IT)[1]:
        assert not stage.hear("g", events, 0.1)
    shown = fight(stage)
    assert shown["over"] and shown["winner"] == "a" and shown["turn"] == 5 and shown["standing"] == 1
    assert [blow[:2] for blow in shown["blows"]] == [[1, "a"], [2, "b"], [3, "a"], [4, "b"], [5, "a"]]
    assert [(f["hero"], f["health"], f["full"]) for f in shown["fighters"]] == [
        ("Alma", 20, 100),
        ("Bruno", 0, 100),
    ]


def test_what_happens_while_a_fight_is_loaded_is_neither_lost_nor_taken_twice() -> None:
    stage = Stage()
    assert stage.hear("g", [GameStarted("g", ["a", "b"], {})], 0.0)
    after_two, steps = played(begun(), *ALL_OF_IT[:3])
    for events in steps:
        assert not stage.hear("g", events, 0.0), "it is asked for already"
    stage.show("g", snapshot(played(begun(), *ALL_OF_IT[:2])[0]), 0.0)
    shown = fight(stage)
    assert [f["health"] for f in shown["fighters"]] == [60, 20] and shown["turn"] == after_two.turn
    assert len(shown["blows"]) == 3, "every blow is told, so that it can be played"


def test_there_are_so_many_places_and_a_finished_fight_gives_its_own_up_after_a_while() -> None:
    stage = Stage()
    games = [f"g{number}" for number in range(PLACES)]
    for game in games:
        on_stage(stage, begun(game))
    another = [GameStarted("another", ["a", "b"], {})]
    assert not stage.hear("another", another, 0.0)
    for events in played(begun("g3"), *ALL_OF_IT)[1]:
        stage.hear("g3", events, 1.0)
    assert not stage.hear("another", another, 1.0 + HOLD_S / 2), "its winner is looked at yet"
    assert stage.hear("another", another, 1.0 + HOLD_S)
    assert "g3" not in stage.fights
    assert not stage.hear("a third", another, 1.0 + HOLD_S), "an awaited game has its place"


def test_finished_fights_are_replaced_one_after_another() -> None:
    stage = Stage()
    for number in range(PLACES):
        on_stage(stage, begun(f"g{number}"))
        for events in played(begun(f"g{number}"), *ALL_OF_IT)[1]:
            stage.hear(f"g{number}", events, 0.0)
    tenths = [HOLD_S + tenth / 10 for tenth in range(10 * int(HOLD_S))]
    wanted = [now for now in tenths if stage.hear(f"new {now}", [GameStarted("", [], {})], now)]
    assert len(wanted) == PLACES and wanted[-1] - wanted[0] > HOLD_S / 2


def test_a_blow_is_told_for_as_long_as_a_viewer_may_miss_frames() -> None:
    stage = Stage()
    on_stage(stage, begun())
    stage.hear("g", played(begun(), *ALL_OF_IT[:1])[1][0], 5.0)
    assert len(fight(stage, now=5.0 + TOLD_S / 2)["blows"]) == 1
    assert fight(stage, now=5.0 + TOLD_S)["blows"] == []


def test_a_player_that_left_is_seen_by_looking_at_the_game_again() -> None:
    stage = Stage()
    on_stage(stage, begun(users="abc"))
    after, events = rules.apply(begun(users="abc"), rules.Forfeit("a"))
    assert stage.hear("g", events, 0.0) == (not events)
    stage.show("g", snapshot(after), 0.0)
    assert [f["user"] for f in fight(stage)["fighters"]] == ["a", "b", "c"], "everybody keeps its place"
    assert fight(stage)["standing"] == 2


def test_of_a_large_fight_those_who_stand_are_shown_first() -> None:
    stage = Stage()
    users = "abcdefghij"
    on_stage(stage, begun(users=users, health=40))
    stage.hear("g", played(begun(users=users, health=40), ("a", "b"))[1][0], 0.0)
    shown = fight(stage)
    assert [f["user"] for f in shown["fighters"]] == list("acdefg")[:ROWS]
    assert (shown["size"], shown["standing"]) == (10, 9)


def test_a_fight_of_which_nothing_is_heard_is_looked_at_again_and_goes_when_it_is_gone() -> None:
    stage = Stage()
    on_stage(stage, begun())
    assert stage.silent(SILENT_S - 1) == [] and stage.silent(SILENT_S) == ["g"]
    assert stage.want("g", SILENT_S)
    stage.show("g", None, SILENT_S)
    assert stage.frame(NAMES, SILENT_S)["fights"] == []


def test_a_game_that_is_not_being_played_is_not_shown() -> None:
    stage = Stage()
    assert stage.want("g", 0.0)
    stage.show("g", snapshot(begun(), OPEN), 0.0)
    assert stage.frame({}, 0.0)["fights"] == []


def test_a_game_that_ends_by_its_round_limit_leaves_those_who_stand_their_health() -> None:
    stage = Stage()
    on_stage(stage, begun())
    podium = [Standing("b", 2, 1, 1, 1, 1), Standing("a", 1, 2, 1, 1, 1)]
    stage.hear("g", [GameCompleted("g", 200, rules.REACHED_ROUND_LIMIT, podium)], 0.0)
    assert [f["health"] for f in fight(stage)["fighters"]] == [100, 100]
    assert fight(stage)["winner"] == "b"


def test_figures_count_games_that_are_not_shown_too() -> None:
    stage = Stage()
    for number in range(PLACES + 20):
        for events in played(begun(f"g{number}"), *ALL_OF_IT)[1]:
            stage.hear(f"g{number}", events, number / 10)
    frame = stage.frame(NAMES, (PLACES + 20) / 10)
    assert frame["completed"] == PLACES + 20
    assert frame["games_per_minute"] == pytest.approx(600, rel=0.1)
    assert frame["attacks_per_s"] == pytest.approx(50, rel=0.1)


def test_a_rate_is_of_the_last_seconds_and_dies_down() -> None:
    rate = Rate()
    assert rate.per_s(0.0) == 0.0
    for tenth in range(200):
        rate.count(tenth / 10)
    assert rate.per_s(20.0) == pytest.approx(10, rel=0.11)
    assert rate.per_s(40.0) == 0.0


def ended(winner: str, loser: str) -> list[Event]:
    """Return what the step that ends a game of two says."""
    podium = [Standing(winner, 1, 1, 3, 90, 10), Standing(loser, 2, 2, 3, 10, 90)]
    return [
        GameCompleted("g", 6, rules.LAST_ONE_STANDING, podium),
        PlayerRated("g", winner, 1, 1000, 1016, 1),
        PlayerRated("g", loser, 2, 1000, 984, 1),
    ]


def test_the_best_rated_come_first() -> None:
    leaders = Leaders()
    for _ in range(3):
        leaders.hear(ended("winner", "loser"))
    first, second = leaders.best()
    assert first == {"user": "winner", "rating": 1016, "games": 3, "won": 3, "damage": 270}
    assert second["user"] == "loser" and leaders.games == 3


def test_leaders_do_not_grow_without_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("superhero.server.arena.leaders.MOST", 4)
    leaders = Leaders()
    for number in range(20):
        leaders.hear(ended(f"winner {number}", f"loser {number}"))
    assert len(leaders.best()) <= 6


@pytest.mark.parametrize(
    "text",
    [
        *("", "{}", "[]", "[1]", '["g", {"event": "x"}]'),
        '["g", {"event": "game.attack", "payload": {}}]',
        '["g", {"event": "game.attack", "payload": []}]',
    ],
)
def test_a_step_that_we_did_not_tell_is_a_store_error(text: str) -> None:
    for followed in ({"g"}, {"another"}):
        with pytest.raises(StoreError, match="feed"):
            read_step(text, followed.__contains__)


def test_a_step_is_read_as_it_is_told() -> None:
    attack = AttackMade("g", 1, "a", "b", 40, 100, 60)
    text = (
        '["g",{"event":"game.attack","time":1.5,"payload":{"game_token":"g","turn":1,"user":"a","enemy":"b",'
        '"damage":40,"enemy_health_prior":100,"enemy_health_post":60}}]'
    )
    assert read_step(text, {"g"}.__contains__) == ("g", [attack])
    assert read_step(text, {"another"}.__contains__) == ("g", [SOME_ATTACK]), "it is only counted"


def test_a_stage_follows_what_it_shows_and_what_it_waits_for() -> None:
    stage = Stage()
    assert not stage.follows("g")
    assert stage.hear("g", [SOME_ATTACK], 0.0) and stage.awaited == {"g": []}
    assert stage.follows("g")
    stage.show("g", snapshot(begun()), 0.0)
    assert stage.follows("g") and not stage.follows("another")
