"""How the worker's parent sees an ingest task: checked before it goes to a child, and never dropped after.

What it checks of a body that looks like our publisher's are its ends, see tasks/bodies.py. If the rest turns
out to be none the task fails, in the child, and only then the parent looks into it, to say why.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from celery.exceptions import InvalidTaskError
from celery.worker.request import Request
from celery.worker.strategy import default
from kombu.message import Message

from superhero.transport.dead_letters import Reason, sentence
from tasks import quarantine
from tasks.bodies import check, parsed, unparsed

log = logging.getLogger(__name__)


def strategy(task: Any, app: Any, consumer: Any) -> Callable[..., Any]:
    """Return what Celery calls with every ingest message, in the parent."""
    handle = default(task, app, consumer)

    def handle_unparsed(message: Message, body: object, *callbacks: Any) -> Any:
        message._decoded_cache = unparsed(message)  # None: Celery parses it
        return handle(message, body, *callbacks)

    return handle_unparsed


class IngestRequest(Request):  # type: ignore[misc]  # Celery has no types
    """Celery's request, but for what it acknowledges away or rejects without a word.

    A record does not expire, is not revoked, has no time limit and no callbacks: each of these would let a
    message end without being written. A task that failed all the same goes to quarantine with its reason.
    """

    def __init__(self, message: Any, **options: Any) -> None:
        """Raise InvalidTaskError, or whatever else Celery raises, for a message of the wrong shape."""
        super().__init__(message, **options)
        self.acknowledged: bool = False
        check(self.id, self._payload)
        # What is parsed so far goes to the child once, as its arguments, and not as text and as context too.
        self._body, self._content_type, self._content_encoding = self._payload, None, None
        self._request_dict["args"] = ()
        self._expires = self._eta = None
        self.time_limits = (None, None)
        self._failure = "the task was rejected"

    def revoked(self) -> bool:
        """Never: a revoked message is acknowledged unseen."""
        return False

    def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> Any:
        """Remember what went wrong, for `reject`."""
        self._failure = sentence(exc_info.exception)
        return super().on_failure(exc_info, send_failed_event=send_failed_event, return_ok=return_ok)

    def reject(self, requeue: bool = False) -> None:
        """Give the message back, or put it into quarantine and acknowledge it."""
        if requeue or self.acknowledged:
            super().reject(requeue=requeue)
            return
        self.acknowledged = True
        quarantine.set_aside(self._message, *self._why(), self._connection_errors)
        self.send_event("task-rejected", requeue=False)

    def _why(self) -> tuple[Reason, str]:
        """Say why the task failed; parse for that what was handed on unparsed."""
        try:
            check(self.id, parsed(self._message))
        except InvalidTaskError as error:
            return Reason.BAD_TASK, sentence(error)
        except Exception as error:  # whatever a parser makes of bytes from outside
            return Reason.UNDECODABLE, sentence(error)
        return Reason.TASK_FAILED, self._failure

    def _announce_revoked(self, reason: str, terminated: bool, signum: Any, expired: bool) -> None:
        """Give back what was terminated; Celery would acknowledge it."""
        log.warning("task %s was terminated and goes back to its queue", self.id)
        super().reject(requeue=True)
