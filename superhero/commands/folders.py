"""Where the data, logs and report of a run go."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def folder_option(command: F) -> F:
    """Add the option that says where they go: a folder that is empty, or not there yet."""
    return click.option(
        "--folder",
        type=click.Path(path_type=Path, file_okay=False),
        callback=_empty,
        help="Where data, logs and the report go. [default: var/trials/<time>]",
    )(command)


def _empty(context: click.Context, parameter: click.Parameter, folder: Path | None) -> Path | None:
    if folder is not None and folder.exists() and any(folder.iterdir()):
        raise click.BadParameter(f"{folder} is not empty: what an earlier run left would be counted again")
    return folder


def a_folder(kind: str = "trials") -> Path:
    """Return where those of a `kind` of run go by default: a new folder at every call."""
    return Path("var") / kind / datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
