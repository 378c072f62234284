"""Opening sinks by URL: several at a time, drivers that are missing, sinks of other packages."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from sinks import open_sink, shown
from sinks.base import Append, Put, Write
from sinks.errors import SinkError, TerminalSinkError, TransientSinkError
from sinks.jsonlines import JsonLinesSink
from sinks.several import SeveralSinks

ROOT = Path(__file__).resolve().parents[2]
BATCH: Sequence[Write] = [
    Put("GAME_META", "g", [{"game_token": "g"}]),
    Append("RECORDS", [{"record_id": "p:0"}]),
]


class Scripted:
    """A sink that refuses by script, and knows what it was given."""

    def __init__(self, *script: SinkError | None) -> None:
        self.script = list(script)
        self.written: list[Write] = []
        self.closed = 0

    def write(self, writes: Sequence[Write]) -> None:
        """Do as the script says; take everything once it is at its end."""
        if self.script and (error := self.script.pop(0)):
            raise error
        self.written += writes

    def close(self) -> None:
        """Count."""
        self.closed += 1

    def __enter__(self) -> Scripted:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def test_several_urls_are_one_sink_that_writes_to_all(tmp_path: Path) -> None:
    with open_sink(f" json:{tmp_path}/a \n json:{tmp_path}/b b\tjson:{tmp_path}/c ") as sink:
        sink.write(BATCH)
    for name in ("a", "b b", "c"):
        assert (tmp_path / name / "superhero" / "RECORDS" / "p.jsonl").read_text() == '{"record_id":"p:0"}\n'


def test_one_url_is_that_sink_itself() -> None:
    assert isinstance(open_sink("json:/data/with a space"), JsonLinesSink)


def test_one_bad_url_of_several_is_an_error() -> None:
    with pytest.raises(SinkError, match="no sink is called 'nothing'"):
        open_sink("json:/data nothing:/data")


def test_a_batch_is_refused_if_one_sink_refuses_and_the_others_have_it_all_the_same() -> None:
    first, second, third = Scripted(), Scripted(TransientSinkError("away")), Scripted()
    with SeveralSinks([first, second, third]) as sink:
        with pytest.raises(TransientSinkError, match="away"):
            sink.write(BATCH)
        assert (len(first.written), len(second.written), len(third.written)) == (2, 0, 2)
        sink.write(BATCH)
        assert len(second.written) == 2
    assert [each.closed for each in (first, second, third)] == [1, 1, 1]


def test_what_may_pass_comes_before_what_never_will_and_tells_of_it() -> None:
    sink = SeveralSinks([Scripted(TerminalSinkError("never")), Scripted(TransientSinkError("away"))])
    with pytest.raises(TransientSinkError, match="away") as caught:
        sink.write(BATCH)
    assert caught.value.__notes__ == ["and another sink: never"]


@pytest.mark.parametrize(
    ("url", "driver", "extra"),
    [
        ("parquet:/lake", "pyarrow", "parquet"),
        ("parquet:s3://bucket/lake", "obstore", "s3"),
        ("sqlite:////lake.db", "sqlalchemy", "sql"),
        ("postgresql://host/db", "psycopg", "postgresql"),
        ("mariadb://host/db", "pymysql", "mariadb"),
    ],
)
def test_a_missing_driver_names_what_to_install(url: str, driver: str, extra: str) -> None:
    code = (
        "import sys\n"
        f"sys.modules[{driver!r}] = None\n"
        "from sinks import open_sink\n"
        "open_sink('json:/data')\n"
        "try:\n"
        f"    open_sink({url!r})\n"
        "except Exception as error:\n"
        "    print(type(error).__name__, error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, cwd=ROOT, check=True
    )
    assert done.stdout.startswith("SinkError ")
    assert f"needs {driver}, which is not installed: pip install -e '.[{extra}]' in the pro" in done.stdout


def test_opening_one_sink_imports_no_other_ones_driver() -> None:
    code = "import sys; from sinks import open_sink; open_sink('json:/data'); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, cwd=ROOT, check=True
    )
    assert not {"pyarrow", "sqlalchemy", "obstore", "psycopg", "pymysql"} & set(done.stdout.split())


def test_a_sink_of_another_package_is_found_by_its_entry_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "somebodys.py").write_text(
        "from sinks.jsonlines import JsonLinesSink\n"
        "from pathlib import Path\n"
        "def open_it(rest): return JsonLinesSink(Path(rest))\n"
    )
    installed = tmp_path / "somebodys-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: somebodys\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text("[superhero.sinks]\nsomebodys = somebodys:open_it\n")
    monkeypatch.syspath_prepend(tmp_path)
    with open_sink(f"somebodys:{tmp_path}") as sink:
        sink.write(BATCH)
    assert (tmp_path / "superhero" / "GAME_META" / "g.jsonl").exists()
    with pytest.raises(SinkError, match=r"json:.*somebodys:"):
        open_sink("nobodys:x")


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("json:var/data", f"json:{Path.cwd()}/var/data"),
        ("json:///data parquet:lake", f"json:/data parquet:{Path.cwd()}/lake"),
        ("delta:s3://bucket/lake?access_key_id=SECRET&secret_access_key=SECRET", "delta:s3://bucket/lake"),
        ("postgresql://user:SECRET@host:5432/db?password=SECRET", "postgresql://host/db"),
        ("mariadb://user:a/SECRET@host/db", "mariadb://user"),
        ("sqlite:////var/data/a.db?key=SECRET", "sqlite:/var/data/a.db"),
        ("sqlite:///a.db", f"sqlite:{Path.cwd()}/a.db"),
        ("others:SECRET", "others:..."),
    ],
)
def test_where_a_sink_writes_to_is_shown_without_what_may_be_secret(url: str, text: str) -> None:
    assert shown(url) == text
