"""The error tree of the `sinks` package; who catches them decides about retry by type alone.

SinkError
├── TransientSinkError   try again later: disk full, directory read-only, database away
└── TerminalSinkError    trying again cannot help: a row or name that the sink can never hold
    └── UnsafeName       a dataset, key or record id that must not become part of a path
"""


class SinkError(Exception):
    """Any error of a sink; its text says what happened, with which value, and what to do."""


class TransientSinkError(SinkError):
    """The same batch may succeed later; what of it is in the sink by now will not stand there twice."""


class TerminalSinkError(SinkError):
    """The write can never succeed as it is."""


class UnsafeName(TerminalSinkError):
    """A name from outside that must not become part of a path."""
