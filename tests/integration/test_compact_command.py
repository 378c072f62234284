"""`superhero compact`, and that what it makes is verified, queried and told as before."""

from __future__ import annotations

import json
from pathlib import Path

from answered import ingest, simulated, superhero

from superhero.ops.processes import Processes, project_root, superhero_argv


def run(folder: Path) -> str:
    """Write a run of 40 games; return the sink's URL."""
    records, _ = simulated(folder, "--games", 40)
    ingest(records, f"json:{folder}")
    return f"json:{folder}"


def answers(url: str) -> list[str]:
    """Return what the commands say of a sink."""
    game = json.loads(
        superhero("query", "select min(game_token) as g from GAME_META", "--sink", url, "--json").stdout
    )
    queries = ("select * from GAME_PODIUM order by all", "select count(*) from HEROES")
    return [
        *(superhero("query", each, "--sink", url, "--json").stdout for each in queries),
        superhero("leaderboard", "--sink", url, "--json").stdout,
        superhero("game", game["g"], "--sink", url, "--json").stdout,
    ]


def test_everything_that_reads_finds_the_same_afterwards(tmp_path: Path) -> None:
    url = run(tmp_path)
    before = answers(url)
    done = superhero("compact", "--sink", url, "--grace", 0, "--json")
    merged = {each["dataset"]: (each["objects"], each["segments"]) for each in json.loads(done.stdout)}
    assert merged == {"GAME_META": (40, 1), "GAME_PODIUM": (40, 1), "HEROES": (6, 1)}
    assert answers(url) == before
    verified = superhero("verify", "--offline", url, "--expect", tmp_path / "expected.json")
    assert verified.exit_code == 0, verified.output


def test_verify_finds_what_was_changed_in_a_segment(tmp_path: Path) -> None:
    url = run(tmp_path)
    superhero("compact", "--sink", url, "--grace", 0)
    [path] = (tmp_path / "superhero" / "GAME_PODIUM" / "_compacted").glob("*.jsonl")
    path.write_text(path.read_text().replace('"rank":1', '"rank":3', 1))
    told = json.loads(superhero("verify", "--offline", url, "--json").stdout)
    assert (told["clean"], told["games"]["wrong"], list(told["unreadable"])) == (False, 1, [str(path)])


def test_other_sinks_need_none_and_are_told_so(tmp_path: Path) -> None:
    refused = superhero("compact", "--sink", f"parquet:{tmp_path}")
    assert (refused.exit_code, "files grow by themselves" in refused.output) == (2, True)


def test_a_delta_table_s_files_become_one_and_hold_the_same(tmp_path: Path) -> None:
    records, _ = simulated(tmp_path, "--games", 40)
    url = f"delta:{tmp_path}"
    ingest(records, url)
    before = answers(url)
    done = superhero("compact", "--sink", url, "--json")
    merged = {each["dataset"]: each for each in json.loads(done.stdout)}
    assert merged["RECORDS"]["objects"] > 1 and merged["RECORDS"]["segments"] == 1
    assert "HEROES: 0 files merged, 1 file in all" in superhero("compact", "--sink", url).output
    assert answers(url) == before
    ingest(records, url)  # delivered again
    verified = superhero("verify", "--offline", url, "--expect", tmp_path / "expected.json")
    assert verified.exit_code == 0, verified.output


def test_it_goes_on_until_it_is_told_to_stop(tmp_path: Path, processes: Processes) -> None:
    url = run(tmp_path)
    argv = superhero_argv("compact", "--sink", url, "--every", "600")
    process = processes.start("compact", argv, {}, tmp_path / "compact.log", project_root())
    process.wait_for_line(r"GAME_PODIUM: 40 objects merged", 30)
    assert process.stop() == 0
