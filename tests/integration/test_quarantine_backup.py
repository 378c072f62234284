"""`superhero quarantine save` and `restore`: what was in quarantine can be put back, on either broker."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from worker_bench import CHANNEL, envelope, task

from superhero.cli import main
from superhero.ops.quarantine import Selection, look, purge
from superhero.transport.confirmed import ConfirmedSender, RawMessage
from superhero.transport.dead_letters import Reason, condemn
from superhero.transport.topology import DEAD_NAME, DEAD_QUEUE

NOT_UTF8 = RawMessage(b"\x00\xff{", "text/plain", None, {"task": "x", "n": 1})


@pytest.fixture(params=["rabbitmq", "redis"])
def broker(request: pytest.FixtureRequest) -> str:
    """Give the test a broker of each kind, with letters in quarantine."""
    url: str = request.getfixturevalue("broker_url" if request.param == "rabbitmq" else "redis_broker_url")
    with ConfirmedSender(url) as sender:
        for message, channel in ((task([envelope(0), envelope(1)]), CHANNEL), (NOT_UTF8, "other")):
            letter = condemn(message, channel, Reason.SINK_REFUSED, "no room")
            sender.send(letter, DEAD_NAME, channel, declare=[DEAD_QUEUE])
    return url


def quarantine(broker: str, *arguments: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(main, ["quarantine", *arguments], env={"BROKER_URL": broker})


def letters(broker: str) -> list[tuple[str, str, str, bytes]]:
    """Return what tells the letters in quarantine apart, oldest first."""
    found = list(look(broker, Selection()))
    return [(dead.id, dead.letter.channel, dead.letter.time, dead.message.body) for dead in found]


def test_what_was_saved_can_be_put_back_whole_and_only_once(broker: str, tmp_path: Path) -> None:
    file, before = tmp_path / "letters.jsonl", letters(broker)
    assert quarantine(broker, "save", str(file)).output == f"2 letters in {file}\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert letters(broker) == before, "they stay"
    assert purge(broker, Selection(channel=CHANNEL)) == 1
    again = quarantine(broker, "restore", str(file))
    assert again.output == "1 put back into quarantine, 1 was there already\n"
    assert sorted(letters(broker)) == sorted(before)
    (whole,) = [dead for dead in look(broker, Selection()) if dead.letter.channel == "other"]
    assert (whole.message.content_type, whole.message.headers["n"]) == ("text/plain", 1)


def test_a_backup_is_on_the_disk_under_its_name_before_it_is_said_to_be_there(
    broker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, synced = tmp_path / "letters.jsonl", []

    def fsync(fd: int) -> None:
        synced.append((stat.S_ISDIR(os.fstat(fd).st_mode), file.exists(), os.fstat(fd).st_size > 0))

    monkeypatch.setattr(os, "fsync", fsync)
    assert quarantine(broker, "save", str(file)).exit_code == 0
    assert synced == [(False, False, True), (True, True, True)], "the content, then the name"


def test_what_lies_beside_a_backup_is_neither_written_to_nor_followed(broker: str, tmp_path: Path) -> None:
    file, beside = tmp_path / "letters.jsonl", tmp_path / "letters.jsonl.tmp"
    beside.touch(mode=0o666)
    beside.chmod(0o666)
    file.touch()
    file.chmod(0o644)
    assert quarantine(broker, "save", str(file)).exit_code == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert beside.read_bytes() == b""


def test_a_selection_can_be_saved(broker: str, tmp_path: Path) -> None:
    file = tmp_path / "letters.jsonl"
    assert quarantine(broker, "save", str(file), "--channel", "other").exit_code == 0
    assert [json.loads(line)["channel"] for line in file.read_text().splitlines()] == ["other"]
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_that_holds_no_letters_is_refused_before_anything_is_sent(broker: str, tmp_path: Path) -> None:
    file = tmp_path / "letters.jsonl"
    quarantine(broker, "save", str(file))
    purge(broker, Selection())
    file.write_text(file.read_text() + '{"id": "x"}\n')
    refused = quarantine(broker, "restore", str(file))
    assert refused.exit_code != 0
    assert "line 3 of" in refused.output
    assert letters(broker) == []
    assert quarantine(broker, "restore", str(tmp_path / "nowhere")).exit_code != 0
    assert quarantine(broker, "save", str(tmp_path / "no" / "folder")).exit_code != 0


def test_a_broker_that_is_away_leaves_an_older_backup_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "letters.jsonl"
    file.write_text("older\n")
    refused = quarantine("amqp://127.0.0.1:1//", "save", str(file))
    assert refused.exit_code != 0
    assert list(tmp_path.iterdir()) == [file]
    assert file.read_text() == "older\n"
