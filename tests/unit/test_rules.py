"""The rules, over games of any size played in any way."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from superhero.errors import RuleViolation
from superhero.events import AttackMade, Event, GameCompleted, GameStarted
from superhero.game import rules
from superhero.game.rules import Attack, Fighter, Forfeit, GameState

points = st.integers(1, 10**7)


@st.composite
def fighters(draw: st.DrawFn, health: st.SearchStrategy[int] = points) -> list[Fighter]:
    """Draw fighters of 2 to 6 users, each with a hero of its own."""
    size = draw(st.integers(2, 6))
    return [Fighter(f"u{n}", n, draw(points), draw(health)) for n in range(size)]


def play(data: st.DataObject, players: list[Fighter], forfeits: bool) -> tuple[list[GameState], list[Event]]:
    """Play a game with moves drawn from what is allowed; return every state and every event."""
    state, events = rules.start("g", players)
    states = [state]
    while state.whose_turn is not None:
        user = state.whose_turn
        if forfeits and data.draw(st.integers(0, 4)) == 0:
            move: rules.Action = Forfeit(data.draw(st.sampled_from(state.order)))
        else:
            move = Attack(user, data.draw(st.sampled_from([each for each in state.order if each != user])))
        state, happened = rules.apply(state, move)
        states.append(state)
        events += happened
    return states, events


@given(st.data(), fighters(), st.booleans())
def test_health_is_never_negative_and_never_grows(
    data: st.DataObject, players: list[Fighter], forfeits: bool
) -> None:
    states, _ = play(data, players, forfeits)
    for before, after in itertools.pairwise(states):
        for user, fighter in after.fighters.items():
            assert 0 <= fighter.health <= before.fighters[user].health


@given(st.data(), fighters(), st.booleans())
def test_a_game_has_one_winner_and_one_completion_with_ranks_from_1_to_n(
    data: st.DataObject, players: list[Fighter], forfeits: bool
) -> None:
    states, events = play(data, players, forfeits)
    completions = [event for event in events if isinstance(event, GameCompleted)]
    assert len(completions) == 1 and events[-1] is completions[0]
    podium = completions[0].podium
    assert [standing.rank for standing in podium] == list(range(1, len(players) + 1))
    assert {standing.user for standing in podium} == {player.user for player in players}
    assert podium[0].user == states[-1].winner
    assert [standing.user for standing in podium[::-1]] == [*states[-1].fallen, *states[-1].order]


@given(st.data(), fighters(), st.booleans())
def test_the_podium_adds_up_to_the_attacks(
    data: st.DataObject, players: list[Fighter], forfeits: bool
) -> None:
    _, events = play(data, players, forfeits)
    attacks = [event for event in events if isinstance(event, AttackMade)]
    completion = events[-1]
    assert isinstance(completion, GameCompleted)
    assert completion.attacks == len(attacks) == sum(each.rounds for each in completion.podium)
    assert [attack.turn for attack in attacks] == list(range(1, len(attacks) + 1))
    for standing in completion.podium:
        assert standing.damage_delivered == sum(a.damage for a in attacks if a.user == standing.user)
        assert standing.damage_received == sum(a.damage for a in attacks if a.enemy == standing.user)


@given(st.data(), fighters())
def test_turns_go_round_in_the_order_of_the_start(data: st.DataObject, players: list[Fighter]) -> None:
    states, _ = play(data, players, forfeits=False)
    for before, after in itertools.pairwise(states):
        if after.winner is None:
            expected = [*before.order[1:], before.order[0]]
            assert list(after.order) == [user for user in expected if user in after.order]


@given(fighters(health=st.just(10**12)))
def test_no_game_is_endless(players: list[Fighter]) -> None:
    state, _ = rules.start("g", players)
    for _ in range(rules.ROUND_LIMIT * len(players)):
        assert state.whose_turn is not None
        state, events = rules.apply(state, Attack(state.order[0], state.order[1]))
    assert isinstance(events[-1], GameCompleted) and events[-1].reason == rules.REACHED_ROUND_LIMIT
    assert state.winner is not None
    left = {user: fighter.health for user, fighter in state.fighters.items()}
    assert left[state.winner] == max(left.values())


@given(st.data(), fighters(), st.text(max_size=4), st.text(max_size=4))
def test_what_is_not_allowed_changes_nothing(
    data: st.DataObject, players: list[Fighter], user: str, enemy: str
) -> None:
    states, _ = play(data, players, forfeits=True)
    state = data.draw(st.sampled_from(states))
    names = st.sampled_from([*state.fighters, user, enemy])
    action = Attack(data.draw(names), data.draw(names))
    standing = set(state.order) if state.winner is None else set()
    allowed = action.user == state.whose_turn and action.enemy in standing - {action.user}
    if allowed:
        rules.apply(state, action)
    else:
        with pytest.raises(RuleViolation) as refused:
            rules.apply(state, action)
        assert refused.value.status == refused.value.status.upper()


def test_whoever_forfeits_falls_at_once_and_the_last_one_wins() -> None:
    state, started = rules.start("g", [Fighter(user, n, 1, 1) for n, user in enumerate("abc")])
    assert started == [GameStarted("g", ["a", "b", "c"], {"a": 0, "b": 1, "c": 2})]
    state, nothing = rules.apply(state, Forfeit("a"))
    assert nothing == [] and state.whose_turn == "b"
    state, events = rules.apply(state, Forfeit("b"))
    assert state.winner == "c"
    assert isinstance(events[0], GameCompleted) and events[0].reason == rules.ABANDONED
    assert [(standing.user, standing.rank) for standing in events[0].podium] == [("c", 1), ("b", 2), ("a", 3)]


@pytest.mark.parametrize("users", [[], ["a"], ["a", "a"]])
def test_a_game_needs_two_different_fighters(users: list[str]) -> None:
    with pytest.raises(ValueError, match=r"fighters|twice"):
        rules.start("g", [Fighter(user, 1, 1, 1) for user in users])
