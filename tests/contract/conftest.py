"""A sink's server for the tests that run over it; where it is missing they are skipped with a reason."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sink_servers
from sink_kinds import Kind


@pytest.fixture(scope="session")
def s3() -> Iterator[None]:
    """Serve S3 to the session."""
    with sink_servers.s3_server():
        yield


@pytest.fixture(autouse=True)
def _server_of_kind(request: pytest.FixtureRequest) -> Iterator[None]:
    """Have the server of the test's kind of sink, and leave nothing of the test on it."""
    callspec = getattr(request.node, "callspec", None)
    kind = callspec.params.get("kind") if callspec else None
    if isinstance(kind, Kind):
        if kind.is_s3:
            request.getfixturevalue("s3")
        if kind.server is not None and (reason := sink_servers.missing(kind.server)):
            if sink_servers.is_required(kind.server):
                pytest.fail(reason)
            pytest.skip(reason)
    yield
    sink_servers.drop_what_was_made()
