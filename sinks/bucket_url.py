"""URLs of buckets, as several sinks take them: s3://bucket/prefix?region=eu-central-1. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

from sinks.errors import SinkError

SCHEMES = ("s3", "s3a", "gs", "az", "abfs", "abfss")


@dataclass(frozen=True, slots=True)
class BucketUrl:
    """Where a bucket is. `options` are for the driver and may hold secrets: they are in no text of ours.

    The drivers know endpoint, region, access_key_id, secret_access_key and more; what is not among the
    options, credentials above all, comes from where the driver looks for it.
    """

    url: str
    options: Mapping[str, str] = field(repr=False)

    @property
    def allows_http(self) -> bool:
        """Whether the endpoint is one without TLS."""
        return self.options.get("endpoint", "").startswith("http://")


def parse_bucket_url(text: str) -> BucketUrl:
    """Return the parts of a bucket's URL. Raise SinkError, without the text, for what is none."""
    parts = urlsplit(text)
    if parts.scheme not in SCHEMES or not parts.netloc or "@" in parts.netloc:
        raise SinkError(f"no bucket; write one of {', '.join(f'{each}://' for each in SCHEMES)} and its name")
    return BucketUrl(f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}", dict(parse_qsl(parts.query)))
