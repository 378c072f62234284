"""`superhero heroes publish`: the heroes of live games become the dataset HEROES, too."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from kombu import Connection

from sinks import open_sink
from superhero.cli import main
from superhero.events import HeroesListed
from superhero.ops.readers import open_reader
from superhero.roster import shipped, store
from superhero.transport.topology import channel_queue
from tasks.batches import sort_out, writes_of
from tasks.registry import REGISTRY, discover


def publish(*arguments: object, **environ: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(main, ["heroes", "publish", *map(str, arguments)], env=environ)


def ingest(broker_url: str, sink_url: str) -> None:
    """Write what waits at the broker, as a worker does."""
    discover()
    with Connection(broker_url) as connection, connection.channel() as channel, open_sink(sink_url) as sink:
        queue = channel_queue(HeroesListed.channel)(channel)
        while (message := queue.get(no_ack=True)) is not None:
            (_, envelopes), _, _ = json.loads(message.body)
            batch = sort_out(REGISTRY, envelopes)
            assert not batch.bad
            sink.write(writes_of(REGISTRY, batch.good))


@pytest.mark.rabbitmq
def test_heroes_published_twice_stand_there_once(broker_url: str, redis_url: str, tmp_path: Path) -> None:
    heroes = shipped()[:150]
    store(redis_url, heroes)
    for _ in range(2):
        done = publish(BROKER_URL=broker_url, REDIS_URL=redis_url)
        assert (done.exit_code, done.output) == (0, "150 heroes published\n")
    ingest(broker_url, f"json:{tmp_path}")
    rows = list(open_reader(f"json:{tmp_path}").rows("HEROES"))
    assert [(row["superhero_id"], row["name"], row["health"], row["attack"]) for row in rows] == [
        (hero.id, hero.name, hero.health, hero.attack) for hero in heroes
    ]


def test_where_there_are_none_it_says_how_to_get_some(redis_url: str) -> None:
    refused = publish(REDIS_URL=redis_url)
    assert (refused.exit_code, "superhero heroes load" in refused.output) == (2, True)


def test_a_broker_that_is_away_is_told(tmp_path: Path) -> None:
    heroes = tmp_path / "heroes.json"
    heroes.write_text(json.dumps([{"id": "1", "name": "Somebody", "powerstats": {}}]))
    refused = publish(heroes, "--patience", 0.5, BROKER_URL="amqp://me:s3cret@127.0.0.1:1//")
    assert (refused.exit_code, "did not confirm" in refused.output, "s3cret" in refused.output) == (
        2,
        True,
        False,
    )
