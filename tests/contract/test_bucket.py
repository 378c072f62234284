"""What Parquet in a bucket promises: of two writers that read the same state, one is told and tries again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from sink_kinds import ids, stream
from sink_servers import read_s3, s3_url

from sinks import open_sink
from sinks.bucket import Bucket
from sinks.errors import SinkError, TransientSinkError
from sinks.parquet import TRIES, ParquetSink
from sinks.places import Found, Replacement, Tag

pytestmark = pytest.mark.usefixtures("s3")


def bucket_url(folder: Path) -> str:
    """Return the URL that the sink gives its bucket."""
    return s3_url(folder).removeprefix("parquet:")


class Meddled(Bucket):
    """A bucket in which somebody else writes between our reading and our writing."""

    def __init__(self, url: str, meddle: Callable[[], None]) -> None:
        super().__init__(url)
        self._meddle = meddle

    def replace(self, replacements: Sequence[Replacement]) -> Mapping[str, Tag]:
        """Let somebody else be first."""
        self._meddle()
        return super().replace(replacements)


def test_a_row_that_others_wrote_meanwhile_is_not_overwritten_nor_doubled(tmp_path: Path) -> None:
    others = iter(range(3, 10))
    with open_sink(s3_url(tmp_path)) as other:

        def meddle() -> None:
            if (number := next(others, None)) is not None:
                other.write([stream("p", [0, number])])

        with ParquetSink(Meddled(bucket_url(tmp_path), meddle)) as sink:
            sink.write([stream("p", [0, 1, 2])])
    assert ids(read_s3(tmp_path, "RECORDS")) == ids(stream("p", range(10)).rows)


def test_one_who_always_comes_second_gives_up_for_now(tmp_path: Path) -> None:
    count = iter(range(1, TRIES + 10))
    with open_sink(s3_url(tmp_path)) as other:
        meddled = Meddled(bucket_url(tmp_path), lambda: other.write([stream("p", [next(count)])]))
        with ParquetSink(meddled) as sink, pytest.raises(TransientSinkError, match="came first 50 times"):
            sink.write([stream("p", [0])])
        other.write([stream("p", [0])])
    assert ids(read_s3(tmp_path, "RECORDS")) == ids(stream("p", range(TRIES + 1)).rows)


def test_what_is_known_already_is_not_sent_again(tmp_path: Path) -> None:
    bucket = Bucket(bucket_url(tmp_path))
    tags = bucket.replace([Replacement("a/b", b"content", None)])
    assert bucket.read([("a/b", tags["a/b"]), ("a/b", None), ("a/c", None)]) == [
        Found(tags["a/b"], None),
        Found(tags["a/b"], b"content"),
        None,
    ]
    assert bucket.replace([Replacement("a/b", b"new", None), Replacement("a/c", b"new", "no tag")]) == {}


def test_a_bucket_that_is_not_there_is_transient(tmp_path: Path) -> None:
    elsewhere = s3_url(tmp_path).replace("//tests/", "//nowhere/")
    with open_sink(elsewhere) as sink, pytest.raises(TransientSinkError, match="s3://nowhere/"):
        sink.write([stream("p", [0])])


def test_no_secret_is_in_an_error(tmp_path: Path) -> None:
    away = "parquet:s3://tests/x?endpoint=http://127.0.0.1:9&region=r&access_key_id=key&secret_access_key="
    with open_sink(f"{away}very-secret") as sink, pytest.raises(TransientSinkError) as caught:
        sink.write([stream("p", [0])])
    assert "very-secret" not in f"{caught.value}{caught.value.__cause__!r}"
    with pytest.raises(SinkError) as refused:
        open_sink("parquet:s3://tests/x?no_such_option=very-secret")
    assert "no_such_option" in str(refused.value)
    assert "very-secret" not in str(refused.value)


@pytest.mark.parametrize("url", ["s3://", "ftp://bucket/x", "s3://user:very-secret@bucket/x"])
def test_what_is_no_bucket_is_an_error(url: str) -> None:
    with pytest.raises(SinkError, match="no bucket") as caught:
        open_sink(f"parquet:{url}")
    assert "very-secret" not in str(caught.value)
