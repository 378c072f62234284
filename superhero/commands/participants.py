"""The option `--participants` that `play` and `simulate` share: "3" or "2-4"."""

from __future__ import annotations

import re

import click

MAX_PARTICIPANTS = 255
_SIZES = re.compile(r"([0-9]{1,3})(?:-([0-9]{1,3}))?")


def sizes(ctx: click.Context | None, param: click.Parameter | None, value: str) -> tuple[int, int]:
    """Return the smallest and the largest game; a click callback."""
    found = _SIZES.fullmatch(value)
    if found is None:
        raise click.BadParameter(f"{value!r} must be a number like 3 or a range like 2-4")
    smallest, largest = int(found[1]), int(found[2] or found[1])
    if not 2 <= smallest <= largest <= MAX_PARTICIPANTS:
        raise click.BadParameter(f"{value!r} must lie within 2 to {MAX_PARTICIPANTS}, the smaller first")
    return smallest, largest


participants_option = click.option(
    "--participants",
    metavar="N or N-M",
    callback=sizes,
    default="2-4",
    show_default=True,
    help="How many play in a game: a number, or the smallest and the largest.",
)
