"""The dials of `simulate`: how busy it is, who plays and how, and what goes wrong."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import reduce
from typing import Any, TypeVar

import click

from superhero.generator.faults import LATE_S, REORDERED_BY, SKEWED_S, Shares
from superhero.generator.population import HERO_MIXES, SKILLS, Habits
from superhero.generator.rates import SHAPES, Rate

F = TypeVar("F", bound=Callable[..., Any])

_SPEED = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,3})?)x?")
_SHARE = click.FloatRange(0, 1)
_FAULTS = {
    "late": f"sent up to {LATE_S} s after their time",
    "out_of_order": f"overtaken by up to {REORDERED_BY} others",
    "duplicated": "sent twice, under one record id",
    "malformed": "with a field missing: they end in quarantine",
    "schema_changed": "with a field more (taken) or one renamed (quarantine)",
    "skewed_clock": f"dated wrong by up to {SKEWED_S} s",
}


def _speed(ctx: click.Context | None, param: click.Parameter | None, value: str) -> float | None:
    """Return simulated seconds in a real one, None for as fast as it goes; a click callback."""
    found = _SPEED.fullmatch(value)
    if value != "max" and (found is None or float(found[1]) == 0):
        raise click.BadParameter(f"{value!r} must be max or a factor like 1x or 60x")
    return float(found[1]) if found else None


_OPTIONS = [
    click.option(
        "--speed",
        default="max",
        show_default=True,
        callback=_speed,
        metavar="1x...1000x|max",
        help="How fast the run's clock goes.",
    ),
    click.option(
        "--rate",
        default=Rate().per_second,
        show_default=True,
        type=click.FloatRange(0.001, 100_000),
        help="Records a second of the run's clock, on the mean.",
    ),
    click.option(
        "--shape",
        default=Rate().shape,
        show_default=True,
        type=click.Choice(SHAPES),
        help="How the rate goes up and down.",
    ),
    click.option(
        "--skill",
        default=Habits().skill,
        show_default=True,
        type=click.Choice(SKILLS),
        help="How well the players choose whom they attack.",
    ),
    click.option(
        "--hero-mix",
        default=Habits().heroes,
        show_default=True,
        type=click.Choice(HERO_MIXES),
        help="Whether all heroes are played alike.",
    ),
    click.option(
        "--session-games",
        default=Habits().session_games,
        show_default=True,
        type=click.IntRange(0),
        help="Games a player stays for, on the mean; 0: nobody leaves.",
    ),
    *(
        click.option(
            f"--{name.replace('_', '-')}",
            default=0.0,
            type=_SHARE,
            metavar="SHARE",
            help=f"Share of the records, 0 to 1, that are {text}.",
        )
        for name, text in _FAULTS.items()
    ),
]


def dials(function: F) -> F:
    """Give a command all dials; their values come as keyword arguments, for `Dials.of`."""
    return reduce(lambda decorated, option: option(decorated), reversed(_OPTIONS), function)


@dataclass(frozen=True, slots=True)
class Dials:
    """Where the dials stand; `speed` is simulated seconds in a real one, None as fast as it goes."""

    speed: float | None
    rate: Rate
    habits: Habits
    shares: Shares

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Dials:
        """Return the dials from the values of the options that `dials` gave."""
        return cls(
            values["speed"],
            Rate(values["rate"], values["shape"]),
            Habits(values["skill"], values["hero_mix"], values["session_games"]),
            Shares(**{each.name: values[each.name] for each in fields(Shares)}),
        )
