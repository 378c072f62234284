"""`superhero verify`: its status, its tables, its JSON, and what it takes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from answered import NOWHERE
from click.testing import CliRunner, Result
from sample_run import GAMES, edit, write_run
from worker_bench import CHANNEL, envelope, task

from sinks import open_sink
from sinks.base import Append
from superhero.cli import main
from superhero.errors import SettingsError
from superhero.ops.datasets import folder_of
from superhero.ops.depths import Waiting
from superhero.ops.expected import read_expected
from superhero.ops.verify import FIGURES
from superhero.transport.confirmed import ConfirmedSender, RawMessage
from superhero.transport.dead_letters import Reason, condemn
from superhero.transport.envelope import with_id
from superhero.transport.segment import Segment
from superhero.transport.topology import DEAD_NAME, DEAD_QUEUE, EXCHANGE_NAME, channel_queue


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder that holds a run."""
    write_run(tmp_path)
    return tmp_path


@pytest.fixture(params=["rabbitmq", "redis"])
def broker(request: pytest.FixtureRequest) -> str:
    """Give the test a broker of each kind."""
    url: str = request.getfixturevalue("broker_url" if request.param == "rabbitmq" else "redis_broker_url")
    return url


def run(*arguments: str, **environ: str) -> Result:
    """Run `superhero verify`, without a broker unless one is given."""
    offline = () if "BROKER_URL" in environ else ("--offline",)
    return CliRunner().invoke(main, ["verify", *arguments, *offline], env={"COLUMNS": "200", **environ})


def send(broker: str, *channels: str) -> None:
    """Send a message into each channel's queue, where no worker takes it."""
    with ConfirmedSender(broker) as sender:
        for channel in channels:
            sender.send(RawMessage(b"[]"), EXCHANGE_NAME, channel, declare=[channel_queue(channel)])


def condemned(broker: str, *messages: RawMessage) -> None:
    """Put messages into quarantine."""
    with ConfirmedSender(broker) as sender:
        for message in messages:
            letter = condemn(message, CHANNEL, Reason.SINK_REFUSED, "no room")
            sender.send(letter, DEAD_NAME, CHANNEL, declare=[DEAD_QUEUE])


def shop(folder: Path, producers: int, channels: int = 1) -> str:
    """Write two records of each of many producers, of the tenth but one and a gap; return the sink's URL."""
    with open_sink(f"json:{folder}") as sink:
        rows = [
            {"record_id": f"p{n}:{k}", "channel": f"shop.orders.{n % channels}", "message": "sold"}
            for n in range(producers)
            for k in (0, 2 if n == 9 else 1)
        ]
        sink.write([Append("RECORDS", rows)])
    return f"json:{folder}"


def test_the_command_s_status_is_0_for_a_clean_sink_and_1_for_another(folder: Path) -> None:
    assert run(f"json:{folder}").exit_code == 0
    edit(folder, "RECORDS/sim-1-login.jsonl", lambda lines: lines[1:])
    result = run(f"json:{folder}")
    assert result.exit_code == 1
    assert "sim-1-login" in result.output
    assert "--quarantine" in result.output


def test_the_command_reads_the_workers_sink(folder: Path) -> None:
    assert run(OUTPUT_DIR=str(folder)).exit_code == 0
    assert run(SINKS=f"json:{folder}", OUTPUT_DIR="elsewhere").exit_code == 0


def test_the_command_prints_json(folder: Path) -> None:
    told: dict[str, Any] = json.loads(run(f"json:{folder}", "--json").output)
    assert told["clean"] is True
    assert told["total"]["lost"] == 0
    assert {line["producer"] for line in told["producers"]} == {"sim-1-login", "sim-1-lobby", "sim-1-game"}
    assert told["games"]["ingested"] == GAMES


def test_the_command_takes_what_producers_say(folder: Path, tmp_path: Path) -> None:
    said = tmp_path / "run.json"
    said.write_text('{"producers": {"sim-1-login": {"emitted": 6, "confirmed": 6}}}')
    assert run(f"json:{folder}", "--expect", str(said)).exit_code == 1
    said.write_text(
        '{"quarantined": ["sim-1-login:5"], "producers": {"sim-1-login": {"emitted": 6, "confirmed": 6}}}'
    )
    assert run(f"json:{folder}", "--expect", str(said)).exit_code == 0


def test_the_command_s_status_is_2_where_nothing_can_be_told(tmp_path: Path) -> None:
    for arguments in (
        (f"json:{tmp_path}",),
        ("s3://bucket",),
        ("json:",),
        ("json:x", "--expect", "not-there"),
    ):
        assert run(*arguments).exit_code == 2


def test_a_table_has_a_row_per_channel_however_many_the_producers(tmp_path: Path) -> None:
    url = shop(tmp_path, producers=60)
    output = run(url).output
    assert [row.split()[1::2][:3] for row in output.splitlines() if "shop.orders.0" in row] == [
        ["shop.orders.0", "60", "121"]
    ]
    assert "p9:1" in output
    assert "p8" not in output
    assert "p8" in run(url, "--producers").output


@pytest.mark.parametrize("options", [(), ("--producers",)])
def test_nothing_is_cut_at_80_columns(tmp_path: Path, options: tuple[str, ...]) -> None:
    output = run(shop(tmp_path, producers=12, channels=12), *options, COLUMNS="80").output
    tables = [line for line in output.splitlines() if line.startswith(("┃", "│"))]
    assert max(map(len, tables)) <= 80
    assert "…" not in output
    for word in (*FIGURES, *(f"shop.orders.{n}" for n in range(12))):
        assert word in output


def test_of_games_nothing_is_said_where_nobody_played(folder: Path, tmp_path: Path) -> None:
    assert "datasets beside the records" in run(f"json:{folder}").output
    nobody_played = run(shop(tmp_path / "shop", producers=1))
    assert nobody_played.exit_code == 0
    assert "datasets beside the records" not in nobody_played.output


def test_in_json_sums_count_their_producers_and_each_producer_has_its_name(tmp_path: Path) -> None:
    told: dict[str, Any] = json.loads(run(shop(tmp_path, producers=4, channels=2), "--json").output)
    assert [line["producers"] for line in (told["total"], *told["channels"])] == [4, 2, 2]
    assert not any("producer" in line for line in (told["total"], *told["channels"]))
    assert [line["producer"] for line in told["producers"]] == ["p0", "p1", "p2", "p3"]


@pytest.mark.rabbitmq
def test_messages_that_wait_are_not_in_yet(folder: Path, broker: str) -> None:
    url = shop(folder, producers=1)
    assert run(url, BROKER_URL=broker).exit_code == 0
    send(broker, "superhero.game", "superhero.game", "shop.orders.0", "mail", "elsewhere")
    result = run(url, BROKER_URL=broker, CHANNELS="mail")
    assert result.exit_code == 1
    assert "2 messages still wait in superhero.game: not all is in yet." in result.output
    assert "1 message still waits in shop.orders.0: not all is in yet." in result.output
    told = json.loads(run(url, "--json", BROKER_URL=broker, CHANNELS="mail").output)
    assert told["clean"] is False
    assert told["waiting"] == {"mail": 1, "shop.orders.0": 1, "superhero.game": 2}
    assert run(url, "--offline", BROKER_URL=broker).exit_code == 0


@pytest.mark.rabbitmq
def test_what_may_wait_is_not_called_lost(folder: Path, broker_url: str) -> None:
    edit(folder, "RECORDS/sim-1-login.jsonl", lambda lines: lines[1:])
    send(broker_url, "superhero.game")
    surely = run(f"json:{folder}", BROKER_URL=broker_url).output
    assert "Something was lost" in surely
    assert "lost or waiting" not in surely
    send(broker_url, "superhero.login")
    result = run(f"json:{folder}", BROKER_URL=broker_url)
    assert result.exit_code == 1
    assert "1 record may be lost, or in the messages that wait" in result.output
    assert "lost or waiting" in result.output
    assert "Something was lost" not in result.output
    assert json.loads(run(f"json:{folder}", "--json", BROKER_URL=broker_url).output)["perhaps_waiting"] == 1


@pytest.mark.parametrize("at_the_end", [False, True])
def test_what_a_spool_holds_is_not_lost_and_not_in_yet(folder: Path, at_the_end: bool) -> None:
    if not at_the_end:
        edit(folder, "RECORDS/sim-1-login.jsonl", lambda lines: lines[1:])
    number = 5 if at_the_end else next(iter({0, 1, 2, 3, 4} - logins(folder)))
    environ = {"SPOOL_DIR": str(spooled(folder / "spool", f"sim-1-login:{number}", "of the caller's own"))}
    result = run(f"json:{folder}", **environ)
    assert result.exit_code == 1
    assert "1 record in the spool, not confirmed by the broker: not all is in yet." in result.output
    total = json.loads(run(f"json:{folder}", "--json", **environ).output)["total"]
    assert (total["spooled"], total["lost"]) == (1, 0)


def logins(folder: Path) -> set[int]:
    """Return the numbers of the logins that are in a sink."""
    lines = (folder / "superhero" / "RECORDS" / "sim-1-login.jsonl").read_text().splitlines()
    return {int(json.loads(line)["record_id"].rpartition(":")[2]) for line in lines}


def spooled(spool_dir: Path, *record_ids: str) -> Path:
    """Write records into a spool as a process does that was killed; return the spool's directory."""
    folder = spool_dir / "dead"
    folder.mkdir(parents=True)
    segment = Segment(folder / "00000000.log", 0, new=True)
    segment.limit = 1 << 20
    for record_id in record_ids:
        segment.append(with_id(record_id, b'{"channel":"superhero.login"}'))
    segment.close()
    return spool_dir


@pytest.mark.rabbitmq
def test_a_sink_without_records_is_told_from_one_that_waits_for_them(tmp_path: Path, broker_url: str) -> None:
    send(broker_url, "superhero.login")
    result = run(f"json:{tmp_path}", BROKER_URL=broker_url)
    assert result.exit_code == 2
    assert "Messages still wait: 1 in superhero.login" in result.output


def test_without_a_promise_no_more_is_claimed_than_is_known(folder: Path) -> None:
    output = run(f"json:{folder}").output
    assert "Nothing was lost" not in output
    assert "No gap among what arrived" in output
    assert "what may be missing at the end cannot be told without --expect" in output
    assert "No broker" not in output


def test_a_broker_that_was_named_and_does_not_answer_leaves_untold_what_waits(folder: Path) -> None:
    result = run(f"json:{folder}", BROKER_URL=NOWHERE)
    assert result.exit_code == 2
    assert "No gap among what arrived" in result.output
    assert "The broker at BROKER_URL did not answer" in result.output
    assert "--offline" in result.output
    told = json.loads(run(f"json:{folder}", "--json", BROKER_URL=NOWHERE).output)
    assert (told["clean"], told["waiting"]) == (False, None)
    assert run(f"json:{folder}", "--offline", BROKER_URL=NOWHERE).exit_code == 0


@pytest.mark.rabbitmq
@pytest.mark.parametrize("ending", ["-of-nobody", None])
def test_a_broker_that_does_not_let_us_in_leaves_untold_what_waits(
    folder: Path, broker_url: str, ending: str | None
) -> None:
    refused = f"{broker_url}{ending}" if ending else re.sub("://[^@]*@", "://guest:wrong@", broker_url)
    result = run(f"json:{folder}", BROKER_URL=refused)
    assert (result.exit_code, "did not answer" in result.output) == (2, True)


def test_a_broker_that_nobody_named_need_not_answer(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("superhero.commands.verify.waiting", lambda *_: Waiting(error="nobody is there"))
    for url in ("", " "):
        result = run(f"json:{folder}", BROKER_URL=url)
        assert result.exit_code == 0
        assert "No broker said whether messages still wait: nobody is there" in result.output
    told = json.loads(run(f"json:{folder}", "--json", BROKER_URL="").output)
    assert (told["clean"], told["waiting"]) == (True, None)


def test_nothing_was_lost_is_said_where_every_producer_says_how_much_it_emitted(
    folder: Path, tmp_path: Path
) -> None:
    said = {line["producer"]: line["attempted"] for line in all_producers(folder)}
    path = tmp_path / "run.json"
    for names, sentence in (
        (said, "Nothing was lost"),
        (["sim-1-login"], "missing at the end of 2 producers cannot be told, for --expect"),
    ):
        told = {name: {"emitted": said[name], "confirmed": said[name]} for name in names}
        path.write_text(json.dumps({"producers": told}))
        result = run(f"json:{folder}", "--expect", str(path))
        assert (result.exit_code, sentence in result.output) == (0, True)


def test_what_is_expected_of_a_sink_without_records_is_not_only_called_lost(tmp_path: Path) -> None:
    said, sink = tmp_path / "run.json", tmp_path / "sink"
    said.write_text(json.dumps({"producers": {"p": {"emitted": 5, "confirmed": 5}}}))
    missing = run(f"json:{sink}", "--expect", str(said))
    assert missing.exit_code == 2
    where = (
        f"there are no records under {sink}, for there is no such folder; is that where the workers write?"
    )
    assert where in missing.output
    sink.mkdir()
    empty = run(f"json:{sink}", "--expect", str(said))
    assert empty.exit_code == 1
    assert empty.output.startswith(f"there are no records under {sink}; is that where the workers write?")
    assert "Something was lost" in empty.output
    told = json.loads(run(f"json:{sink}", "--expect", str(said), "--json").output)
    assert (told["total"]["lost"], "no records" in told["nothing"]) == (5, True)


@pytest.mark.parametrize(
    ("emitted", "sentence"),
    [
        (
            {"sim-1-login": 10},
            "5 records were logged and never confirmed, and did not arrive: their producer did",
        ),
        ({"sim-1-login": 6}, "1 record was logged and never confirmed, and did not arrive: its producer did"),
        (
            {"sim-1-login": 6, "b": 1},
            "2 records were logged and never confirmed, and did not arrive: their producers did",
        ),
        ({"sim-1-login": 5}, ""),
    ],
)
def test_what_nobody_promised_and_did_not_arrive_is_said_and_not_lost(
    folder: Path, tmp_path: Path, emitted: dict[str, int], sentence: str
) -> None:
    said = tmp_path / "run.json"
    confirmed = {"sim-1-login": 3}
    told = {name: {"emitted": count, "confirmed": confirmed.get(name, 0)} for name, count in emitted.items()}
    said.write_text(json.dumps({"producers": told}))
    result = run(f"json:{folder}", "--expect", str(said))
    assert result.exit_code == 0
    assert sentence in result.output
    assert ("never confirmed" in result.output) == bool(sentence)


def all_producers(folder: Path) -> list[dict[str, Any]]:
    """Return what `--json` says of each producer."""
    lines: list[dict[str, Any]] = json.loads(run(f"json:{folder}", "--json").output)["producers"]
    return lines


@pytest.mark.rabbitmq
def test_what_is_in_quarantine_is_accounted_for_and_said(folder: Path, broker: str) -> None:
    edit(folder, "RECORDS/sim-1-login.jsonl", lambda lines: lines[1:])
    assert run(f"json:{folder}", BROKER_URL=broker).exit_code == 1
    nameless = RawMessage(b"\x00", "text/plain", None, {"task": "x"})
    condemned(broker, task([envelope(0, producer="sim-1-login")]), nameless)
    result = run(f"json:{folder}", "--quarantine", BROKER_URL=broker)
    assert result.exit_code == 0
    assert "1 record in quarantine: see `superhero quarantine list`" in result.output
    assert "1 letter in quarantine without a record id" in result.output
    told = json.loads(run(f"json:{folder}", "--quarantine", "--json", BROKER_URL=broker).output)
    assert told["letters"] == {"all": 2, "without_record_ids": 1}
    assert run(f"json:{folder}", "--quarantine", "--offline", BROKER_URL=broker).exit_code == 2


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "not JSON",
        '{"producers": []}',
        '{"producers": 3}',
        '{"producers": {"p": 3}}',
        '{"quarantined": 3}',
        '{"producers": {"p": {"emitted": 1}}}',
        '{"producers": {"p": {"emitted": -1, "confirmed": 1}}}',
        '{"producers": {"p": {"emitted": true, "confirmed": 1}}}',
        '{"quarantined": ["p"]}',
    ],
)
def test_a_file_that_does_not_say_what_is_expected_is_an_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "run.json"
    path.write_text(text)
    with pytest.raises(SettingsError, match=r"run\.json") as caught:
        read_expected(path)
    assert "Error(" not in str(caught.value)


def test_a_sink_is_named_as_the_workers_name_it() -> None:
    assert folder_of("json:///data") == Path("/data")
    assert folder_of("json:var/data") == Path("var/data")
    assert folder_of(" parquet:lake json:my data sqlite:///x.db ") == Path("my data")
    for url in ("json://host/x", "json:", "", "/data", "postgresql://me:s3cret@host/db"):
        with pytest.raises(SettingsError, match="only JSON Lines") as caught:
            folder_of(url)
        assert "s3cret" not in str(caught.value)
