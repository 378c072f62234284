"""The Arena's files over HTTP: read once, from the package, and sent with headers that allow nothing else.

The page loads what lies beside it and nothing from anywhere else, runs no inline script, and stands in no
frame. Nothing in the files is secret: what is, comes over the WebSocket (viewers.py).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from http import HTTPStatus
from importlib import resources

from websockets.datastructures import Headers
from websockets.http11 import Request, Response

INDEX = ("/", "/arena")
"""Where the page is; its files lie below /arena/."""

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Kept, and asked for again each time: after an upgrade nobody runs an old script on a new server.
    "Cache-Control": "no-cache",
    "Connection": "close",
}
_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "woff2": "font/woff2",
    "txt": "text/plain; charset=utf-8",
}


@dataclass(frozen=True, slots=True)
class _File:
    body: bytes
    kind: str
    tag: str


class Pages:
    """Every file of the page, by its path."""

    def __init__(self) -> None:
        folder = resources.files("superhero.server.arena") / "page"
        files = {entry.name: _file(entry.name, entry.read_bytes()) for entry in folder.iterdir()}
        self._files = {f"/arena/{name}": file for name, file in files.items()}
        self._files |= dict.fromkeys(INDEX, files["index.html"])

    def knows(self, path: str) -> bool:
        """Whether there is a file of this path."""
        return path in self._files

    def answer(self, path: str, request: Request) -> Response:
        """Return the file, or word that the browser has it already."""
        file = self._files[path]
        headers = Headers(_HEADERS)
        headers["ETag"] = file.tag
        if file.tag in request.headers.get_all("If-None-Match"):
            return Response(HTTPStatus.NOT_MODIFIED, HTTPStatus.NOT_MODIFIED.phrase, headers)
        headers["Content-Type"] = file.kind
        headers["Content-Length"] = str(len(file.body))
        return Response(HTTPStatus.OK, HTTPStatus.OK.phrase, headers, file.body)


def _file(name: str, body: bytes) -> _File:
    return _File(body, _TYPES[name.rpartition(".")[2]], f'"{hashlib.sha256(body).hexdigest()[:32]}"')
