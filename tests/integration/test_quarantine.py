"""`superhero quarantine` on both brokers: look, replay, purge; nothing is lost on the way."""

from __future__ import annotations

import base64
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from conftest import WaitUntil
from worker_bench import CHANNEL, Bench, envelope, ids, task

from superhero.cli import main
from superhero.ops import quarantine
from superhero.ops.processes import Processes
from superhero.ops.quarantine import Selection, look, purge, replay
from superhero.transport.confirmed import ConfirmedSender, RawMessage
from superhero.transport.dead_letters import Reason, condemn
from superhero.transport.topology import DEAD_NAME, DEAD_QUEUE


@pytest.fixture(params=["rabbitmq", "redis"])
def bench(request: pytest.FixtureRequest, processes: Processes, redis_url: str, tmp_path: Path) -> Bench:
    """Give the test a bench on each kind of broker."""
    broker = "broker_url" if request.param == "rabbitmq" else "redis_broker_url"
    return Bench(processes, request.getfixturevalue(broker), redis_url, tmp_path)


def put(bench: Bench, *letters: tuple[RawMessage, str, Reason]) -> None:
    """Put messages into quarantine: (message, channel, reason)."""
    with ConfirmedSender(bench.broker_url) as sender:
        for message, channel, reason in letters:
            letter = condemn(message, channel, reason, f"because of {reason}")
            sender.send(letter, DEAD_NAME, channel, declare=[DEAD_QUEUE])


def superhero(bench: Bench, *arguments: str, **environ: str) -> Result:
    """Run the command."""
    env = {"BROKER_URL": bench.broker_url, **environ}
    return CliRunner().invoke(main, ["quarantine", *arguments], env=env)


def listed(bench: Bench, *options: str) -> list[dict[str, Any]]:
    """Return what `list --json` prints."""
    result = superhero(bench, "list", "--json", *options)
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.output.splitlines()]


def some(bench: Bench) -> None:
    """Put three letters into quarantine."""
    put(
        bench,
        (task([envelope(0), envelope(1)]), CHANNEL, Reason.SINK_REFUSED),
        (RawMessage(b"\x00\xff{", "text/plain", None, {"task": "x", "n": 1}), "other", Reason.UNDECODABLE),
        (task([envelope(2)]), CHANNEL, Reason.STEP_FAILED),
    )


def test_an_empty_quarantine_is_said_to_be_empty(bench: Bench) -> None:
    assert listed(bench) == []
    assert "nothing in quarantine" in superhero(bench, "list").output


def test_letters_are_listed_oldest_first_and_stay_where_they_are(bench: Bench) -> None:
    some(bench)
    for _ in range(30):  # more often than RabbitMQ 4 would bear by default
        assert [each["reason"] for each in listed(bench)] == ["sink-refused", "undecodable", "step-failed"]
    assert listed(bench)[0]["record_ids"] == ids([0, 1])
    assert "because of" in superhero(bench, "list").output


@pytest.mark.parametrize(
    ("options", "sentences"),
    [
        (["--reason", "bogus"], ["'bogus' is no reason; there are bad-envelope, ", "kills-workers"]),
        (["--channel", "nowhere"], []),
        (["--older-than", "1h"], []),
    ],
)
def test_a_list_that_nothing_matches_says_what_is_there(
    bench: Bench, options: list[str], sentences: list[str]
) -> None:
    some(bench)
    output = superhero(bench, "list", *options).output
    there = "no letter matches; 3 in quarantine, for: sink-refused (1), step-failed (1), undecodable (1)"
    for sentence in (there, *sentences):
        assert sentence in output
    assert ("is no reason" in output) == bool(sentences)


def test_a_list_at_80_columns_cuts_no_id_and_no_reason(bench: Bench) -> None:
    long = "shop." + "orders-" * 16
    put(bench, (task([envelope(0)]), long[:120], Reason.PIPELINE_FAILED))
    some(bench)
    whole = {each["id"]: each["reason"] for each in listed(bench)}
    result = superhero(bench, "list", COLUMNS="80")
    cells = [[cell.strip() for cell in line.split("│")] for line in result.output.splitlines()]
    assert {row[1]: row[3] for row in cells if len(row) > 3 and row[1]} == whole
    assert max(map(len, result.output.splitlines())) <= 80
    assert "…" not in result.output
    assert all(f"{name}: because of {reason}" in result.output for name, reason in whole.items())


@pytest.mark.parametrize(
    ("options", "count"),
    [
        (["--channel", CHANNEL], 2),
        (["--reason", "undecodable"], 1),
        (["--channel", CHANNEL, "--reason", "undecodable"], 0),
        (["--older-than", "0s"], 3),
        (["--older-than", "1h"], 0),
    ],
)
def test_letters_are_listed_by_channel_reason_and_age(bench: Bench, options: list[str], count: int) -> None:
    some(bench)
    assert len(listed(bench, *options)) == count


def test_a_letter_is_shown_whole(bench: Bench, wait_until: WaitUntil) -> None:
    some(bench)
    letter_id = listed(bench, "--reason", "undecodable")[0]["id"]

    def show(*options: str) -> str:
        # On RabbitMQ a look may come before the one ahead of it has put all back.
        result = superhero(bench, "show", *options)
        return result.output if result.exit_code == 0 else ""

    shown = json.loads(wait_until(lambda: show(letter_id[:6], "--json")))
    assert base64.b64decode(shown["body_base64"]) == b"\x00\xff{"
    assert shown["content_type"] == "text/plain"
    assert shown["headers"]["n"] == 1
    assert "because of undecodable" in wait_until(lambda: show(letter_id))


def test_an_unknown_letter_is_an_error_that_says_what_to_do(bench: Bench) -> None:
    result = superhero(bench, "show", "nope")
    assert result.exit_code != 0
    assert "superhero quarantine list" in result.output


@pytest.mark.parametrize("verb", [["show"], ["replay"], ["purge", "--yes"]])
@pytest.mark.parametrize("nothing", ["", " "])
def test_an_empty_id_is_no_id_and_not_that_of_all(bench: Bench, verb: list[str], nothing: str) -> None:
    some(bench)
    told = superhero(bench, *verb, nothing)
    assert told.exit_code == 2
    assert f"{nothing!r} is no letter's id" in told.stderr
    assert len(listed(bench)) == 3


@pytest.mark.parametrize("verb", [["show"], ["replay"], ["purge", "--yes"], ["purge"]])
def test_an_id_with_which_several_begin_is_refused_and_they_are_named(bench: Bench, verb: list[str]) -> None:
    # There are 16 digits to begin with.
    put(bench, *((task([envelope(n)]), CHANNEL, Reason.STEP_FAILED) for n in range(17)))
    there = sorted(each["id"] for each in listed(bench))
    (digit, many), *_ = Counter(name[0] for name in there).most_common(1)
    told = superhero(bench, *verb, digit)
    assert told.exit_code == 1
    assert f"{many} ids begin with {digit!r}, write more of one: " in told.stderr
    assert all(name in told.stderr for name in [name for name in there if name[0] == digit][:10])
    assert sorted(each["id"] for each in listed(bench)) == there


@pytest.mark.parametrize(("verb", "said"), [(["replay"], "2 replayed"), (["purge", "--yes"], "2 purged")])
def test_equal_letters_are_one_candidate(bench: Bench, verb: list[str], said: str) -> None:
    letter = condemn(task([envelope(0)]), CHANNEL, Reason.STEP_FAILED, "twice the same")
    with ConfirmedSender(bench.broker_url) as sender:
        for _ in range(2):
            sender.send(letter, DEAD_NAME, CHANNEL, declare=[DEAD_QUEUE])
    (name,) = {each["id"] for each in listed(bench)}
    assert superhero(bench, "show", name[:4]).exit_code == 0
    assert said in superhero(bench, *verb, name[:4]).output
    assert listed(bench) == []


@pytest.mark.parametrize("verb", [["replay"], ["purge", "--yes"]])
def test_everything_must_be_asked_for(bench: Bench, verb: list[str]) -> None:
    some(bench)
    assert superhero(bench, *verb).exit_code != 0
    assert len(listed(bench)) == 3
    assert superhero(bench, *verb, "--all").exit_code == 0
    assert listed(bench) == []


@pytest.mark.parametrize("verb", [["replay"], ["purge", "--yes"]])
@pytest.mark.parametrize("named", [["--reason", "nosuch"], ["--channel", "nowhere"], ["nope"]])
def test_who_names_what_is_not_there_is_told_what_is(bench: Bench, verb: list[str], named: list[str]) -> None:
    some(bench)
    told = superhero(bench, *verb, *named)
    assert told.exit_code == 1
    there = "no letter matches; 3 in quarantine, for: sink-refused (1), step-failed (1), undecodable (1)"
    assert there in told.stderr
    assert ("'nosuch' is no reason; there are" in told.stderr) == ("nosuch" in named)
    assert superhero(bench, *verb, "--older-than", "1h").exit_code == 0
    assert superhero(bench, *verb, "--channel", CHANNEL, "--older-than", "1h").exit_code == 0
    assert 0 in json.loads(superhero(bench, *verb, *named, "--json").stdout).values()
    assert len(listed(bench)) == 3


def test_what_was_replayed_is_ingested_once_however_often(bench: Bench, wait_until: WaitUntil) -> None:
    some(bench)
    twice = task([envelope(0), envelope(1)])
    put(bench, (twice, CHANNEL, Reason.SINK_REFUSED), (twice, CHANNEL, Reason.SINK_REFUSED))
    result = superhero(bench, "replay", "--channel", CHANNEL, "--json")
    assert json.loads(result.output) == {"replayed": 4, "kept": []}
    bench.worker()
    wait_until(lambda: bench.record_ids() == ids([0, 1, 2]))
    assert [each["reason"] for each in listed(bench)] == ["undecodable"]


def test_a_replay_that_was_interrupted_loses_nothing_and_can_be_repeated(
    bench: Bench, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    some(bench)
    absolve = quarantine.absolve

    def interrupted(letter: RawMessage) -> RawMessage:
        if letter.headers["x-superhero-reason"] == "step-failed":
            raise KeyboardInterrupt
        return absolve(letter)

    monkeypatch.setattr(quarantine, "absolve", interrupted)
    with pytest.raises(KeyboardInterrupt):
        replay(bench.broker_url, Selection(channel=CHANNEL))
    monkeypatch.undo()
    assert [each.letter.reason for each in look(bench.broker_url, Selection())] == [
        "undecodable",
        "step-failed",
    ]
    assert replay(bench.broker_url, Selection(channel=CHANNEL)).replayed == 1
    bench.worker()
    wait_until(lambda: bench.record_ids() == ids([0, 1, 2]))


def test_what_names_no_channel_is_kept(bench: Bench) -> None:
    put(bench, (RawMessage(b"x"), "no channel", Reason.NOT_A_TASK))
    done = replay(bench.broker_url, Selection())
    assert done.replayed == 0
    assert len(done.kept) == 1
    assert len(listed(bench)) == 1


def test_who_does_not_say_what_to_purge_is_told_so_before_being_asked(bench: Bench) -> None:
    some(bench)
    told = superhero(bench, "purge")
    assert told.exit_code != 0 and "say which" in told.output and "gone for ever" not in told.output
    asked = superhero(bench, "purge", "--all")
    assert asked.exit_code != 0 and "gone for ever" in asked.output
    assert len(listed(bench)) == 3


@pytest.mark.parametrize(
    ("selection", "question"),
    [
        (["--all"], "3 letters, all there are: what is purged is gone for ever"),
        (["--channel", CHANNEL], f"2 letters, channel {CHANNEL}: what"),
        (
            ["--all", "--reason", "undecodable", "--older-than", "0s"],
            "1 letter, reason undecodable, older than 0 s: what",
        ),
        (["ID"], "1 letter, id ID: what"),
    ],
)
def test_who_is_asked_is_told_how_many_letters_and_which(
    bench: Bench, selection: list[str], question: str
) -> None:
    some(bench)
    name = listed(bench)[0]["id"]
    asked = superhero(bench, "purge", *(name[:8] if each == "ID" else each for each in selection))
    assert asked.exit_code == 1
    assert question.replace("ID", name) in asked.output
    assert len(listed(bench)) == 3


def test_exactly_what_was_meant_is_purged(bench: Bench) -> None:
    some(bench)
    letter_id = listed(bench, "--reason", "undecodable")[0]["id"]
    assert "1 purged" in superhero(bench, "purge", letter_id, "--yes").output
    assert [each["reason"] for each in listed(bench)] == ["sink-refused", "step-failed"]


def test_more_letters_than_a_page_are_all_found_and_all_purged(bench: Bench) -> None:
    put(bench, *((task([envelope(n)]), CHANNEL, Reason.STEP_FAILED) for n in range(250)))
    found = [each.record_ids[0] for each in look(bench.broker_url, Selection())]
    assert found == ids(range(250))
    assert purge(bench.broker_url, Selection()) == 250
    assert list(look(bench.broker_url, Selection())) == []


def test_a_broker_that_is_away_is_one_sentence_without_a_password() -> None:
    url = "amqp://me:secret@127.0.0.1:1//"
    result = CliRunner().invoke(main, ["quarantine", "list"], env={"BROKER_URL": url})
    assert result.exit_code == 2
    assert "amqp://me:***@127.0.0.1:1//" in result.output
    assert "secret" not in result.output


@pytest.mark.parametrize("broker", ["amqp://guest:guest@127.0.0.1:1//", "redis://127.0.0.1:1/0"])
@pytest.mark.parametrize(
    "verb", ["list", "show 3f9a", "replay --all", "purge --all --yes", "save FILE", "restore FILE"]
)
def test_a_broker_that_is_away_is_one_sentence_and_status_2(verb: str, broker: str, tmp_path: Path) -> None:
    file = tmp_path / "letters.jsonl"
    file.touch()
    arguments = verb.replace("FILE", str(file)).split()
    result = CliRunner().invoke(main, ["quarantine", *arguments], env={"BROKER_URL": broker})
    assert result.exit_code == 2
    (sentence,) = result.output.splitlines()
    assert sentence.startswith("Error: the quarantine at ")
    assert "refused" in sentence
