"""Brokers side by side: how arrivals are counted, and what table and report make of them."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import click
import pytest
from amqp.exceptions import InternalError
from click.testing import CliRunner
from reports import CAME, CLEAN, FOUND, OURS, Asked

from superhero.brokers.arms import ARMS, Place
from superhero.brokers.arms.rabbitmq import RabbitQuorum
from superhero.brokers.arrivals import Arrivals
from superhero.brokers.records import number_and_time, records
from superhero.commands import brokers as brokers_command
from superhero.reports.brokers import SCHEMA, brokers_report


def test_the_same_seed_gives_the_same_records_numbered_from_0() -> None:
    first = records(7, 50)
    assert first == records(7, 50) and first != records(8, 50)
    assert [row["number"] for row in first] == list(range(50))
    assert json.loads(json.dumps(first)) == first, "they are JSON as they are"


def test_a_row_is_known_by_its_number_be_it_bare_or_in_a_record_s_payload() -> None:
    assert number_and_time('{"number": 3, "sent": 1.5, "payload": {"number": 9}}') == (3, 1.5)
    assert number_and_time('{"record_id": "a:0", "payload": {"number": 3, "sent": 1.5}}') == (3, 1.5)
    assert [number_and_time(line) for line in ("", "{", "[]", '{"payload": null}')] == [None] * 4


def test_arrivals_count_each_record_once_and_every_further_row_as_a_double(tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    arrivals = Arrivals(lambda: [rows])
    arrivals.look()
    line = json.dumps({"number": 0, "sent": time.time() - 1.0})
    rows.write_text(f'{line}\n{line}\n{{"number": 1, "sent": 0}}\n{{"number": 2', encoding="utf-8")
    arrivals.look()
    assert (arrivals.arrived, arrivals.duplicated) == (2, 1)
    assert min(arrivals.latencies_s) >= 1.0


def test_the_report_fetches_nothing_tells_who_lost_and_draws_a_curve_for_each() -> None:
    report = brokers_report(FOUND, "superhero experiment brokers")
    asked = Asked(report.page)
    assert asked.fetched == []
    assert "superhero: 0 lost, 0 doubled in 4 trials; 1 of 1 others lost or doubled some" in asked.text
    assert "Skipped: KAFKA_URL is not set [kafka]." in asked.text
    assert 'class="bad">3 / 0' in report.page
    assert {plot.name for plot in report.plots if plot.kind == "lines"} == {
        "brokers-killed-redis-pubsub",
        "brokers-killed-superhero",
    }


def test_the_report_s_json_is_whole() -> None:
    facts = json.loads(json.dumps(brokers_report(FOUND, "superhero experiment brokers").facts))
    assert facts["schema"] == SCHEMA
    assert set(facts) == {
        *("schema", "made", "command", "machine", "ours_clean", "load", "trials", "notes", "brokers"),
    }
    assert facts["brokers"][0]["came"][2]["lost"] == 3
    assert not facts["brokers"][0]["clean"] and facts["brokers"][2]["clean"] and facts["ours_clean"]


def test_ours_that_lost_makes_a_bad_verdict() -> None:
    lost = replace(OURS, came=(replace(CAME, lost=1), *CLEAN[1:]))
    found = replace(FOUND, results=(lost,))
    assert not found.ours_clean
    assert 'class="verdict bad"' in brokers_report(found, "").page


def test_the_table_shows_every_broker_that_ran_and_says_why_one_did_not(
    capsys: pytest.CaptureFixture[str],
) -> None:
    brokers_command._print(FOUND)
    text = capsys.readouterr().out
    assert "Redis Pub/Sub" in text and "3 / 0" in text and "skipped: KAFKA_URL is not set [kafka]" in text
    assert "…" not in text


def test_a_broker_that_nobody_knows_is_told_with_those_there_are() -> None:
    done = CliRunner().invoke(brokers_command.command, ["--brokers", "rabbitmq"])
    assert done.exit_code == click.UsageError.exit_code
    assert "rabbitmq-quorum" in done.output


@pytest.mark.parametrize("name", ARMS)
def test_every_arm_says_how_it_is_set_up(name: str) -> None:
    assert ARMS[name].name == name and ARMS[name].settings.endswith((".", ")"))


def test_a_worker_that_rabbitmq_turns_away_as_the_queue_is_made_comes_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    outcomes = iter([InternalError(), InternalError(), SystemExit()])

    def consume_all(arm: RabbitQuorum, write: object, ready: object) -> None:
        raise next(outcomes)

    monkeypatch.setattr(RabbitQuorum, "_consume_all", consume_all)
    with pytest.raises(SystemExit):
        RabbitQuorum(Place("rabbitmq-quorum", "", "", "q", "", 1)).consume(0, lambda row: None, lambda: None)
    assert list(outcomes) == []
