"""The record ids of an append are split alike, whether they are a run or not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.base import Append, split_record_id, split_record_ids
from sinks.errors import UnsafeName

ids = st.builds("{}:{}".format, st.sampled_from(["p", "q-1.2"]), st.integers(0, 4) | st.just(10**18))


@given(st.lists(ids, max_size=4), st.integers(0, 10**18), st.integers(0, 20))
def test_ids_are_split_as_each_would_be(some: list[str], first: int, length: int) -> None:
    for record_ids in (some, [f"p:{first + n}" for n in range(length)]):
        assert split_record_ids(record_ids) == [split_record_id(each) for each in record_ids]


def test_a_run_ends_where_its_numbers_get_too_long() -> None:
    with pytest.raises(UnsafeName):
        split_record_ids([f"p:{10**19 - 1}", f"p:{10**19}"])


@pytest.mark.parametrize("bad", ["p:02", "p:+2", "p: 2", "p:2_0", "p:٢", "../p:2", "p", "", None, 2, b"p:2"])
@pytest.mark.parametrize("at", [0, 1, 2])
def test_an_append_with_a_bad_id_anywhere_is_none(bad: object, at: int) -> None:
    record_ids: list[object] = ["p:1", "p:2", "p:3"]
    record_ids[at] = bad
    with pytest.raises(UnsafeName):
        Append("A", [{"record_id": each} for each in record_ids])
