"""The error tree of the `superhero` package.

SuperheroError
├── SettingsError          a variable or flag has a value we cannot use
├── RuleViolation          an action the rules of the game do not allow (`status` is what API v1 answers)
├── BadRequest             a message API v1 cannot act on (`status` is what API v1 answers)
├── RosterError            a hero file or the hero API gave something that is not a hero
├── StoreError             Redis is out of reach or holds something we did not write
├── TransportError         the logging transport cannot do what was asked
│   ├── BrokerUnavailable  nothing was sent; try again later
│   ├── TopologyMismatch   a queue or exchange exists with other arguments
│   ├── SpoolError         the spool's folder cannot be used
│   └── RecordsDropped     there was no room for a record (logged and counted, never raised)
└── ServiceError           a service or process that a command needs is missing or did not start
"""


class SuperheroError(Exception):
    """Any error of this package; its text says what happened, with which value, and what to do."""


class SettingsError(SuperheroError):
    """Settings that cannot be used. Names every bad variable, not only the first."""


class RuleViolation(SuperheroError):
    """An action that the rules do not allow. `status` is the STATUS text that API v1 answers."""

    def __init__(self, status: str) -> None:
        super().__init__(status)
        self.status = status


class BadRequest(SuperheroError):
    """A request that cannot be acted on. `status` is the STATUS text that API v1 answers."""

    def __init__(self, status: str) -> None:
        super().__init__(status)
        self.status = status


class RosterError(SuperheroError):
    """A hero record, hero file or hero API answer that is not what Super Hero API serves."""


class StoreError(SuperheroError):
    """Redis cannot be reached, or holds something that this package did not write."""


class TransportError(SuperheroError):
    """The logging transport cannot do what was asked."""


class BrokerUnavailable(TransportError):
    """The broker cannot be reached or refused; whatever was not confirmed is still ours."""


class TopologyMismatch(TransportError):
    """A queue or exchange exists on the broker with arguments other than ours."""


class SpoolError(TransportError):
    """The folder of a spool cannot be used: not there, not ours, read-only or full."""


class RecordsDropped(TransportError):
    """Records found no room in the transport's buffer; they are gone, and their numbers are missing."""


class PayloadsCut(TransportError):
    """Records went with a stand-in for their payload, which was too large or cannot be JSON."""


class ServiceError(SuperheroError):
    """A service or process that a command needs is missing, or did not come up in time."""
