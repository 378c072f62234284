"""WIRE: a task's body that is worth it travels compressed, as with Celery's own `task_compression = "zstd"`.

The header `compression` says so; content type and encoding are of what is inside. Records of a channel are
much alike: hundreds of them shrink to a tenth and less, within a fiftieth of the time that logging them takes
and without the interpreter's lock. So much less goes over the network, to the disks of every broker node and
through a worker's pipe to its child.

A few compressed bytes can be gigabytes, so there is an end to what comes out of one; a larger body travels as
it is, and is as large for whoever takes it as for whoever sent it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

HEADER = "compression"
ZSTD = "application/zstd"
WORTH_BYTES = 4096
"""Below it a body goes as it is: there is little to gain, and people can read it where it lies."""
LARGEST_BYTES = 16 * 1024 * 1024
"""How large what is compressed may be: sixteen full tasks."""
_LEVEL = 1  # 3, zstd's own default, takes a third longer and makes these bodies no smaller


def pack(body: bytes, headers: Mapping[str, Any]) -> tuple[bytes, dict[str, Any]]:
    """Return body and headers as they travel: compressed, where that is worth it and not too large."""
    if WORTH_BYTES <= len(body) <= LARGEST_BYTES:
        return compress(body), {**headers, HEADER: ZSTD}
    return body, dict(headers)


def compress(body: bytes) -> bytes:
    """Return a body compressed; `headers[HEADER]` is to be `ZSTD` then."""
    return zstd.compress(body, _LEVEL)


def is_compressed(headers: Mapping[str, Any]) -> bool:
    """Tell whether a message with these headers is one that `decompress` reads."""
    return headers.get(HEADER) == ZSTD


def decompress(body: bytes, largest_bytes: int = LARGEST_BYTES) -> bytes:
    """Return what was compressed. Raise ValueError for what is damaged, not one whole frame, or larger."""
    decompressor = zstd.ZstdDecompressor()
    plain = _first(decompressor, body, largest_bytes + 1)
    if len(plain) > largest_bytes:
        raise ValueError(f"the compressed body holds more than {largest_bytes} bytes")
    if not decompressor.eof or decompressor.unused_data:
        raise ValueError(f"the body is not one whole frame of {ZSTD}")
    return plain


def beginning(body: bytes, size: int) -> bytes:
    """Return the first bytes of what was compressed, `size` at most. Raise ValueError if they are damaged."""
    return _first(zstd.ZstdDecompressor(), body, size)


def readable(body: bytes, headers: Mapping[str, Any]) -> bytes:
    """Return a message's body for whoever looks at it: uncompressed, if it is compressed and can be."""
    if is_compressed(headers):
        with suppress(ValueError):
            return decompress(body)
    return body


def _first(decompressor: zstd.ZstdDecompressor, body: bytes, size: int) -> bytes:
    try:
        return decompressor.decompress(body, size)
    except zstd.ZstdError as error:
        raise ValueError(f"the body is not what its header says, {ZSTD}: {error}") from error
