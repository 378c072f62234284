"""Read the files that run the system: Procfile, compose file, .env.example; and check a command line."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import yaml
from celery import Celery
from celery.bin.base import CLIContext
from celery.bin.celery import celery

from superhero.cli import main

ROOT = Path(__file__).resolve().parents[2]


def compose(file: str = "docker-compose.yml") -> dict[str, Any]:
    """Return a compose file as it is written, merges done and variables not."""
    loaded: dict[str, Any] = yaml.safe_load((ROOT / file).read_text(encoding="utf-8"))
    return loaded


def manifests() -> dict[str, list[dict[str, Any]]]:
    """Return what stands in each file of deploy/kubernetes."""
    files = sorted((ROOT / "deploy/kubernetes").glob("*.yaml"))
    return {file.name: list(yaml.safe_load_all(file.read_text(encoding="utf-8"))) for file in files}


def env_example(file: str = ".env.example") -> dict[str, str]:
    """Return the variables of .env.example, or of another such file."""
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name: value for name, _, value in pairs}


def procfile() -> dict[str, str]:
    """Return honcho's commands by name."""
    lines = (ROOT / "Procfile").read_text(encoding="utf-8").splitlines()
    pairs = (line.partition(":") for line in lines if line and not line.startswith("#"))
    return {name: command.strip() for name, _, command in pairs}


def by_shell(command: str, environ: Mapping[str, str]) -> list[str]:
    """Return the words that a shell makes of `exec command`."""
    words = command.removeprefix("exec ")
    script = f"set -- {words}\nfor word; do printf '%s\\n' \"$word\"; done"
    done = subprocess.run(
        ["sh", "-euc", script], env=dict(environ), capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def interpolated(text: str) -> Iterator[tuple[str, str | None]]:
    """Yield (variable, default) of every `${VARIABLE:-default}` or `${VARIABLE:?reason}` in a text."""
    for name, default in re.findall(r"\$\{(\w+)(?::-([^{}]*))?[^{}]*\}", text):
        yield name, default or None


def filled_in(value: str) -> str:
    """Return a compose value with its defaults in place, and `x` for what has none."""

    def fill(found: re.Match[str]) -> str:
        return "x" if found[2] is None else found[2]

    return re.sub(r"\$\{(\w+)(?::-([^}]*))?[^}]*\}", fill, value).replace("$$", "$")


def command_of(service: Mapping[str, Any]) -> list[str]:
    """Return a compose service's command line."""
    return [filled_in(str(word)) for word in service.get("command", [])]


def health_check_of(service: Mapping[str, Any]) -> list[str]:
    """Return a compose service's health check as words."""
    kind, *words = service["healthcheck"]["test"]
    return shlex.split(filled_in(words[0])) if kind == "CMD-SHELL" else [filled_in(word) for word in words]


def parse(argv: Sequence[str]) -> click.Context:
    """Parse a command line of `superhero` or `celery -A tasks` with its real options; raise click errors."""
    program, *arguments = argv
    if program == "celery":
        app_option, app, name, *arguments = arguments
        if (app_option, app) != ("-A", "tasks"):
            raise click.UsageError(f"celery without -A tasks: {argv}")
        obj = CLIContext(app=Celery(set_as_current=False), no_color=True, workdir=None, quiet=False)
        parent = click.Context(celery, obj=obj)
        context: click.Context = celery.commands[name].make_context(name, arguments, parent=parent)
        return context
    if program != "superhero":
        raise click.UsageError(f"neither superhero nor celery: {argv}")
    command: click.Command = main
    parent = click.Context(main)
    while isinstance(command, click.Group):
        name, *arguments = arguments
        found = command.get_command(parent, name)
        if found is None:
            raise click.UsageError(f"superhero has no command {name}")
        command = found
    return command.make_context(command.name, arguments, parent=parent)
