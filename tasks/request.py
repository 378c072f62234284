"""How the worker's parent sees an ingest task: checked before it goes to a child, and never dropped after."""

from __future__ import annotations

import logging
from typing import Any

from celery.exceptions import InvalidTaskError
from celery.worker.request import Request

from superhero.transport.dead_letters import Reason, sentence
from superhero.transport.envelope import channel_name
from tasks import quarantine

log = logging.getLogger(__name__)


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
        quarantine.set_aside(self._message, Reason.TASK_FAILED, self._failure, self._connection_errors)
        self.send_event("task-rejected", requeue=False)

    def _announce_revoked(self, reason: str, terminated: bool, signum: Any, expired: bool) -> None:
        """Give back what was terminated; Celery would acknowledge it."""
        log.warning("task %s was terminated and goes back to its queue", self.id)
        super().reject(requeue=True)


def check(task_id: object, payload: object) -> None:
    """Raise InvalidTaskError for a task that is none of ours: `payload` is its decoded body."""
    if not (isinstance(task_id, str) and task_id):
        raise InvalidTaskError(f"the task's id must be text, not {task_id!r:.100}")
    if not (isinstance(payload, list) and len(payload) == 3):
        raise InvalidTaskError("the body must be [arguments, keyword arguments, options]")
    args, kwargs, options = payload
    if kwargs != {} or not isinstance(args, list) or len(args) != 2:
        raise InvalidTaskError("the arguments must be a channel and a list of envelopes, by position")
    channel, envelopes = args
    if not (isinstance(channel, str) and channel_name(channel) == channel):
        raise InvalidTaskError(f"{channel!r:.100} is no channel")
    if not isinstance(envelopes, list):
        raise InvalidTaskError("the envelopes must be a list")
    if not isinstance(options, dict) or any(options.values()):
        raise InvalidTaskError("a record has no callbacks, chain or chord")
