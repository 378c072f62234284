"""How the worker's parent sees an ingest task: checked before it goes to a child, and never dropped after.

Celery parses a body in the parent, sends what it made of it to the child, together with the text, and parses
that once more: most of what a batch costs. So of a body that looks like our publisher's the parent takes the
two ends for granted and hands on what is in between unparsed; the child parses it, once, with a fast parser.
A compressed one it unpacks for that look, which takes a moment, and hands on whole as it came: so much less
for the pipe between them. If it turns out to be no JSON the task fails, and only then the parent looks into
it, to say why.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from celery.exceptions import InvalidTaskError
from celery.worker.request import Request
from celery.worker.strategy import default
from kombu.exceptions import DecodeError
from kombu.message import Message
from kombu.serialization import loads

from superhero.transport.compression import decompress, is_compressed
from superhero.transport.dead_letters import Reason, sentence
from superhero.transport.envelope import channel_name, envelopes_in
from tasks import quarantine

_OTHERS_BYTES = 1024 * 1024
"""How large a compressed body of others may be: it is parsed here, and all children wait for that."""

log = logging.getLogger(__name__)


def strategy(task: Any, app: Any, consumer: Any) -> Callable[..., Any]:
    """Return what Celery calls with every ingest message, in the parent."""
    handle = default(task, app, consumer)

    def handle_unparsed(message: Message, body: object, *callbacks: Any) -> Any:
        message._decoded_cache = _unparsed(message)  # None: Celery parses it
        return handle(message, body, *callbacks)

    return handle_unparsed


def _unparsed(message: Message) -> list[Any] | None:
    """Return the body as Celery would see it but for the envelopes, which are bytes still; None for others'.

    Raise DecodeError for a compressed one that cannot be read.
    """
    body, packed = _plain(message), is_compressed(message.headers)
    is_ours = message.content_type == "application/json" and message.content_encoding == "utf-8"
    found = envelopes_in(body) if is_ours else None
    if found is not None:
        return [(found[0], message.body) if packed else found, {}, {}]
    if packed and len(body) > _OTHERS_BYTES:
        raise DecodeError(f"the compressed body holds more than {_OTHERS_BYTES} bytes")
    return _parsed(message, body) if packed else None


def _parsed(message: Message, body: Any) -> Any:
    return loads(body, message.content_type, message.content_encoding, accept=message.accept)


def _plain(message: Message) -> Any:
    """Return a body uncompressed. Raise DecodeError if it cannot be read."""
    if not is_compressed(message.headers):
        return message.body
    try:
        return decompress(message.body)
    except ValueError as error:
        raise DecodeError(str(error)) from error


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
            check(self.id, _parsed(self._message, _plain(self._message)))
        except InvalidTaskError as error:
            return Reason.BAD_TASK, sentence(error)
        except Exception as error:  # whatever a parser makes of bytes from outside
            return Reason.UNDECODABLE, sentence(error)
        return Reason.TASK_FAILED, self._failure

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
    if kwargs != {} or not isinstance(args, list | tuple) or len(args) != 2:
        raise InvalidTaskError("the arguments must be a channel and a list of envelopes, by position")
    channel, envelopes = args
    if not (isinstance(channel, str) and channel_name(channel) == channel):
        raise InvalidTaskError(f"{channel!r:.100} is no channel")
    if not isinstance(envelopes, list | bytes):
        raise InvalidTaskError("the envelopes must be a list")
    if not isinstance(options, dict) or any(options.values()):
        raise InvalidTaskError("a record has no callbacks, chain or chord")
