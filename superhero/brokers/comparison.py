"""Put brokers side by side: each arm in each trial, with the same records, one after the other."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from superhero.brokers.arms import ARMS, Arm, Place
from superhero.brokers.arms.kafka import missing_kafka
from superhero.brokers.bout import TRIALS, Bout, Came, Load, Trial
from superhero.config import Settings
from superhero.ops.claims import claimed_database
from superhero.ops.services import Services, open_services

Say = Callable[[str], object]
"""Called with what happens next, a few words, before each trial of each broker."""


@dataclass(frozen=True, slots=True)
class Result:
    """How one broker did. `skipped` says why it was not run, and is empty when it was.

    The rate, processor time and memory that are shown are of the first trial, the latency of the second.
    """

    name: str
    title: str
    settings: str
    skipped: str = ""
    came: tuple[Came, ...] = ()

    @property
    def clean(self) -> bool:
        """Whether it was run, and nothing was lost or doubled in any trial."""
        return bool(self.came) and not any(came.lost or came.duplicated for came in self.came)


@dataclass(frozen=True, slots=True)
class Comparison:
    """All brokers, what they were given, and where they ran."""

    load: Load
    results: tuple[Result, ...]
    notes: tuple[str, ...]

    @property
    def ours_clean(self) -> bool:
        """Whether ours lost and doubled nothing; true where ours was not among them."""
        return all(result.clean for result in self.results if result.name == "superhero" and result.came)


def compare(
    names: Sequence[str], load: Load, settings: Settings, folder: Path, *, explicit: bool, say: Say
) -> Comparison:
    """Run the arms of these names in all trials. Raise ServiceError when something did not start."""
    with open_services(settings, workdir=folder / "services", explicit=explicit, fresh=True) as services:
        results = []
        for name in names:
            arm = ARMS[name]
            missing = _missing(arm, services, settings.kafka_url)
            came = () if missing else tuple(_all_trials(arm, load, services, settings, folder, say))
            results.append(Result(name, arm.title, arm.settings, missing, came))
        return Comparison(load, tuple(results), tuple(services.notes))


def _all_trials(
    arm: type[Arm], load: Load, services: Services, settings: Settings, folder: Path, say: Say
) -> Iterator[Came]:
    for trial in TRIALS:
        say(f"{arm.title}: {trial.name}")
        place = folder / arm.name / trial.name.replace(", ", "-").replace(" ", "-")
        with _broker(arm, services, settings.kafka_url) as url:
            yield run_bout(arm, trial, load, url, services.redis_url, place)


def run_bout(arm: type[Arm], trial: Trial, load: Load, url: str, redis_url: str, folder: Path) -> Came:
    """Run one trial of one arm on the broker at `url`."""
    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    workers = load.workers if trial.several else 1
    queue = f"trial.{secrets.token_hex(4)}"
    place = Place(arm.name, url, redis_url, queue, str(data.resolve()), workers)
    place.save()
    try:
        return Bout(arm(place), trial, load, folder / "logs").run()
    finally:
        place.file.unlink()


@contextmanager
def _broker(arm: type[Arm], services: Services, kafka_url: str) -> Iterator[str]:
    """Yield the URL of what an arm needs; of Redis a database a trial, as Celery leaves things there."""
    if arm.broker == "redis":
        with claimed_database(services.redis_url) as url:
            yield url
    else:
        yield kafka_url if arm.broker == "kafka" else services.broker_url


def _missing(arm: type[Arm], services: Services, kafka_url: str) -> str:
    """Return why an arm cannot be run here, or nothing."""
    if arm.broker == "rabbitmq" and not services.kind.endswith("rabbitmq"):
        return "no RabbitMQ answers here, and rabbitmq-server is not installed"
    return missing_kafka(kafka_url) if arm.broker == "kafka" else ""
