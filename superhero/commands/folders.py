"""Where the data, logs and report of a run go."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, TypeVar

import click

from superhero.errors import ServiceError

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


def made(folder: Path) -> Path:
    """Return a folder that is there and can be written to; make it where it is not there yet.

    Raise ServiceError when it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise ServiceError(
            f"cannot write to {folder}: {error.strerror or error}; name a folder that you may write to with "
            "--folder, or start from another one"
        ) from error
