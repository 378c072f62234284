"""Say on stdout that something has begun; where the log is JSON, as a line of it."""

from __future__ import annotations

import logging

import click

from superhero.loglines import in_json

_log = logging.getLogger("superhero")


def announce(text: str) -> None:
    """Say it."""
    if in_json():
        _log.info("%s", text)
    else:
        click.echo(text)
