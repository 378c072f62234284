"""A body that is worth it is compressed, as Celery does it; what comes out again has an end that is known."""

from __future__ import annotations

import json

import kombu.compression
import pytest
from hypothesis import given
from hypothesis import strategies as st

from superhero.transport.compression import (
    HEADER,
    LARGEST_BYTES,
    WORTH_BYTES,
    ZSTD,
    beginning,
    compress,
    decompress,
    is_compressed,
    pack,
    readable,
)
from superhero.transport.envelope import task_body
from superhero.transport.leases import Lease
from superhero.transport.sender import body_and_headers

BODY = task_body("shop", [b'{"n":%d}' % number for number in range(1000)])


def lease(size_bytes: int) -> Lease:
    """Return a lease of one record of so many bytes."""
    return Lease("an-id", "shop", "p:0", [b'"' + b"x" * (size_bytes - 2) + b'"'])


@given(st.binary(max_size=5000))
def test_what_comes_out_is_what_went_in(body: bytes) -> None:
    assert decompress(compress(body)) == body
    assert beginning(compress(body), 100) == body[:100]


def test_a_message_says_that_it_is_compressed_in_the_words_of_celery() -> None:
    body, headers = body_and_headers(lease(WORTH_BYTES), compress=True)
    assert headers[HEADER] == ZSTD == kombu.compression.get_encoder("zstd")[1]
    assert kombu.compression.decompress(body, headers[HEADER]) == task_body(
        "shop", lease(WORTH_BYTES).encoded
    )
    assert len(body) < WORTH_BYTES / 10


@pytest.mark.parametrize(("size_bytes", "compress"), [(WORTH_BYTES, False), (WORTH_BYTES // 2, True)])
def test_what_is_not_worth_it_or_not_wanted_goes_as_it_is(size_bytes: int, compress: bool) -> None:
    body, headers = body_and_headers(lease(size_bytes), compress=compress)
    assert body == task_body("shop", lease(size_bytes).encoded)
    assert not is_compressed(headers)


def test_the_same_lease_is_the_same_message_whenever_it_is_sent() -> None:
    assert body_and_headers(lease(9999), compress=True) == body_and_headers(lease(9999), compress=True)


def test_what_nobody_would_unpack_is_not_packed() -> None:
    assert pack(bytes(LARGEST_BYTES), {})[1] == {HEADER: ZSTD}
    assert pack(bytes(LARGEST_BYTES + 1), {"n": 1}) == (bytes(LARGEST_BYTES + 1), {"n": 1})


def test_more_than_may_come_out_is_refused_however_little_it_was() -> None:
    assert decompress(compress(bytes(1000)), 1000) == bytes(1000)
    with pytest.raises(ValueError, match="more than 999 bytes"):
        decompress(compress(bytes(1000)), 999)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        compress(BODY)[:-1],
        compress(BODY) + b"\0",
        compress(BODY) + compress(BODY),
        compress(BODY)[:40] + b"\xff" * 40,
    ],
)
def test_what_is_not_one_whole_frame_is_an_error(body: bytes) -> None:
    with pytest.raises(ValueError):
        decompress(body)
    assert readable(body, {HEADER: ZSTD}) == body


def test_whoever_looks_at_a_message_sees_what_is_inside() -> None:
    assert json.loads(readable(compress(BODY), {HEADER: ZSTD})) == json.loads(BODY)
    assert readable(BODY, {}) == BODY
