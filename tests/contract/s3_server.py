"""An S3 server of the test session's own, in memory: prints its port, ends when its stdin does. A script.

It answers one request after the other, so that a conditional write is one step, as it is on S3 itself.
"""

from __future__ import annotations

import sys
import threading

from moto.moto_server.werkzeug_app import create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server


class Quiet(WSGIRequestHandler):
    """Says nothing about requests."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""


def main() -> None:
    """Serve until stdin ends."""
    application = create_backend_app("s3")
    server = make_server("127.0.0.1", 0, application, threaded=False, request_handler=Quiet)
    print(server.port, flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main()
