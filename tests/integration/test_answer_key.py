"""The answer key: what it says of a run is what the pipelines write of it, into whatever sink."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from answered import FAULTS, ingest, simulated, superhero
from sample_run import edit

from superhero.ops.sources import READABLE

KINDS = {kind: f"{kind}:{{}}/{kind}" for kind in READABLE} | {"sqlite": "sqlite:///{}/superhero.db"}
GAMES = ("--games", 40, "--players", 20)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder that holds a run's answer key and, in JSON Lines, what the workers made of the run."""
    records, _ = simulated(tmp_path, *GAMES)
    ingest(records, f"json:{tmp_path}")
    return tmp_path


def verify(folder: Path, url: str = "") -> int:
    """Return the status of `superhero verify` with the answer key in a folder."""
    return superhero(
        "verify", "--offline", url or f"json:{folder}", "--expect", folder / "expected.json"
    ).exit_code


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("faults", [(), FAULTS], ids=["as it should be", "with every fault"])
def test_the_pipelines_write_what_the_key_says(tmp_path: Path, kind: str, faults: tuple[object, ...]) -> None:
    records, key = simulated(tmp_path, *GAMES, *faults)
    url = KINDS[kind].format(tmp_path)
    assert ingest(records, url) == key["quarantined"]
    assert bool(key["quarantined"]) == bool(faults)
    verified = superhero("verify", "--offline", url, "--expect", tmp_path / "expected.json")
    assert verified.exit_code == 0, verified.output
    assert set(key["datasets"]) == {"RECORDS", "ATTACKS", "GAME_META", "GAME_PODIUM", "PLAYERS", "HEROES"}


def test_the_key_counts_what_is_in_the_stream(tmp_path: Path) -> None:
    records, key = simulated(tmp_path, *GAMES, *FAULTS)
    sent = [json.loads(line) for line in records.read_text().splitlines()]
    assert key["sent"] == len(sent)
    assert sum(each["emitted"] for each in key["producers"].values()) == len({each["id"] for each in sent})
    assert len(sent) - len({each["id"] for each in sent}) == len(key["faults"]["duplicated"])
    assert sum(key["winners"].values()) == key["games"] == key["records"]["superhero.lobby"]["game.completed"]
    labels = {
        "late",
        "out_of_order",
        "duplicated",
        "malformed",
        "schema_added",
        "schema_renamed",
        "skewed_clock",
    }
    assert set(key["faults"]) == labels
    refused = {*key["faults"]["malformed"], *key["faults"]["schema_renamed"]}
    assert key["quarantined"] == sorted(refused)


def test_the_same_run_has_the_same_key(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        simulated(tmp_path / name, *GAMES, *FAULTS)
    for name in ("records.jsonl", "expected.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes()


@pytest.mark.parametrize("dataset", ["RECORDS", "ATTACKS", "PLAYERS", "GAME_META", "GAME_PODIUM", "HEROES"])
@pytest.mark.parametrize(
    "change",
    [
        lambda lines: lines[1:],
        lambda lines: [*lines, lines[0]],
        lambda lines: [lines[0].replace("}\n", ',"by":"hand"}\n'), *lines[1:]],
    ],
    ids=["lost", "doubled", "changed"],
)
def test_a_row_lost_doubled_or_changed_is_found(
    folder: Path, dataset: str, change: Callable[[list[str]], list[str]]
) -> None:
    assert verify(folder) == 0
    path = next(iter(sorted((folder / "superhero" / dataset).glob("*.jsonl"))))
    edit(folder, f"{dataset}/{path.name}", change)
    assert verify(folder) == 1


def test_what_differs_is_told(folder: Path) -> None:
    next((folder / "superhero" / "GAME_META").glob("*.jsonl")).unlink()
    arguments = ("verify", "--offline", f"json:{folder}", "--expect", folder / "expected.json")
    told = json.loads(superhero(*arguments, "--json").stdout)
    assert told["clean"] is False
    assert [each["dataset"] for each in told["key"]["datasets"] if not each["same"]] == ["GAME_META"]
    assert "Not as the key says." in superhero(*arguments).output


@pytest.mark.parametrize("kind", KINDS)
def test_where_another_run_wrote_too_that_is_why(tmp_path: Path, kind: str) -> None:
    url = KINDS[kind].format(tmp_path)
    records, _ = simulated(tmp_path, *GAMES)
    ingest(records, url)
    other = tmp_path / "other"
    other.mkdir()
    ingest(simulated(other, "--games", 3, "--players", 10)[0], url)
    arguments = ("verify", "--offline", url, "--expect", tmp_path / "expected.json")
    verified = superhero(*arguments)
    assert verified.exit_code == 1
    assert ", 3 whole games among them, that the key does not know" in verified.output
    assert "a sink of its own" in verified.output
    assert "not in RECORDS" not in verified.output
    key = json.loads(superhero(*arguments, "--json").stdout)["key"]
    assert (key["missing"], key["foreign_games"]) == (0, 3)


def test_what_of_the_run_is_not_there_is_counted(folder: Path) -> None:
    path = next(iter(sorted((folder / "superhero" / "RECORDS").glob("*login*.jsonl"))))
    edit(folder, f"RECORDS/{path.name}", lambda lines: lines[2:])
    verified = superhero("verify", "--offline", f"json:{folder}", "--expect", folder / "expected.json")
    assert "2 records of the key's run are not in RECORDS." in verified.output
    assert "does not know" not in verified.output


def test_a_sink_that_holds_no_records_is_told_by_its_own_name(tmp_path: Path) -> None:
    refused = superhero("verify", "--offline", f"parquet:{tmp_path}")
    assert refused.exit_code == 2
    assert "there are no records in the sink parquet:; is that where the workers write?" in refused.output


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_s_sink_without_records_is_told_from_one_that_lost_them(tmp_path: Path, kind: str) -> None:
    simulated(tmp_path, "--games", 1)
    url, key = KINDS[kind].format(tmp_path / "sink"), tmp_path / "expected.json"
    arguments = ("verify", "--offline", url, "--expect", key)
    if kind != "sqlite":
        missing = superhero(*arguments)
        assert (missing.exit_code, "there is no such folder" in missing.output) == (2, True)
    (tmp_path / "sink" / kind).mkdir(parents=True)
    empty = superhero(*arguments)
    assert (empty.exit_code, empty.output.startswith("there are no records ")) == (1, True)


@pytest.mark.parametrize("text", ['{"datasets": 1}', '{"datasets": {}, "version": 9}', "[]", "no JSON"])
def test_a_file_that_is_no_key_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "expected.json").write_text(text)
    refused = superhero("verify", "--offline", f"json:{tmp_path}", "--expect", tmp_path / "expected.json")
    assert refused.exit_code == 2
    assert "Error(" not in refused.output
