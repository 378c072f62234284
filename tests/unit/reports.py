"""Outcomes to report on, and what a page asks for: to tell that it stands by itself."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

from superhero.brokers.bout import TRIALS, Came, Load
from superhero.brokers.comparison import Comparison, Result
from superhero.ops.run import Played
from superhero.ops.tally import Tally
from superhero.ops.timeline import Seen
from superhero.ops.trials import Outcome

OUTCOME = Outcome(
    trial="one worker",
    tally=Tally(
        games_completed=35,
        games_ingested=35,
        games_lost=0,
        games_duplicated=0,
        records_emitted=394,
        records_written=394,
        records_lost=0,
        records_duplicated=0,
        contradictions=0,
    ),
    played=Played(35, 0, 1.0, 2100.0, []),
    seconds=1.9,
    workers=1,
    seen=Seen(
        depths=[(0.0, 0), (0.25, 107), (0.5, 3)],
        curves={
            "logged": [(0.1, 20), (0.5, 394)],
            "published": [(0.1, 10), (0.5, 394)],
            "delivered": [(0.0, 0), (0.2, 200), (0.6, 394)],
            "acknowledged": [(0.0, 0), (0.3, 200), (0.7, 394)],
            "written": [(0.4, 200), (0.8, 394)],
        },
        marks=[(0.3, "1 worker killed")],
        shares={"worker1": 394},
    ),
    dead_letters=0,
    notes=["Broker: one for this run."],
    folder=Path("run"),
)

CAME = Came(
    trial="one worker",
    records=10,
    lost=0,
    duplicated=0,
    seconds=0.5,
    rate=20.0,
    p50_ms=1.5,
    p99_ms=120.0,
    cpu_s=0.25,
    memory_bytes=50_000_000,
    sent=[(0.1, 5), (0.2, 10)],
    written=[(0.1, 4), (0.3, 10)],
    marks=[(0.15, "2 workers killed")],
)
CLEAN = tuple(replace(CAME, trial=trial.name) for trial in TRIALS)
OURS = Result("superhero", "superhero", "as it is", came=CLEAN)
LOSES = Result("redis-pubsub", "Redis Pub/Sub", "", came=(*CLEAN[:2], replace(CAME, lost=3), CLEAN[3]))
SKIPPED = Result("kafka", "Kafka", "", skipped="KAFKA_URL is not set [kafka]")
FOUND = Comparison(Load(10, 5.0, 2, 7), (LOSES, SKIPPED, OURS), ("Broker: one for this run.",))

_FETCHING = {"link", "script", "iframe", "object", "embed", "base", "img"}


class Asked(HTMLParser):
    """What a page would fetch, and the text and elements in it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.fetched: list[str] = [place for place in ("url(", "@import") if place in page]
        self.elements: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element and what it would fetch."""
        self.elements.append(tag)
        self.fetched += [f"{tag} {name}" for name, _ in attrs if name in {"src", "srcset", "data", "poster"}]
        self.fetched += [tag] if tag in _FETCHING else []

    def handle_data(self, data: str) -> None:
        """Gather the text."""
        self.text += data
