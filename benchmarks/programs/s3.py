"""An S3 server in memory; one request after the other, so that a conditional write is one step."""

from __future__ import annotations

from moto.moto_server.werkzeug_app import create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server


class Quiet(WSGIRequestHandler):
    """Says nothing about requests."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""


def main() -> None:
    """Serve until killed; print the port."""
    server = make_server("127.0.0.1", 0, create_backend_app("s3"), threaded=False, request_handler=Quiet)
    print(f"listening on {server.port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
