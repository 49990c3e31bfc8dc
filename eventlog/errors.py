"""
The errors of a log.

EventLogError
├── LogNotFound        no such log in this storage
├── LogBroken          a gap that no fact names, an unreadable file or bytes that differ: stop, never skip
├── WriterRefused      another writer holds the log, or storage and server belong to different logs
│   └── Fenced         a newer writer took over while this one was running
├── StoreUnavailable   the server does not answer; the same entries may be sent again
├── StoreWiped         the server lost what it had acknowledged
├── StoreFull          no room left on disk or in the server's memory
├── BadEntry           an entry's bytes do not decode to its kind
├── ImportRefused      the file cannot be brought into this log as it stands
└── ServerFailed       the embedded server could not be started
"""

from market.errors import KnownError


class EventLogError(KnownError):
    """Base of everything this package raises; the message is one line and names the fix."""


class LogNotFound(EventLogError):
    """No such log in this storage."""


class LogBroken(EventLogError):
    """A gap that no fact names, an unreadable file or bytes that differ."""


class WriterRefused(EventLogError):
    """Another writer holds the log, or storage and server belong to different logs."""


class Fenced(WriterRefused):
    """A newer writer took over while this one was running."""


class StoreUnavailable(EventLogError):
    """The server does not answer; the same entries may be sent again."""


class StoreWiped(EventLogError):
    """The server lost what it had acknowledged."""


class StoreFull(EventLogError):
    """No room left on disk or in the server's memory."""


class BadEntry(EventLogError):
    """An entry's bytes do not decode to its kind."""


class ImportRefused(EventLogError):
    """The file cannot be brought into this log as it stands."""


class ServerFailed(EventLogError):
    """The embedded server could not be started."""


def first_line(error: BaseException, max_length: int = 160) -> str:
    """The first line of an error's text, cut to `max_length` characters; its class name where the text is empty."""
    return (str(error) or type(error).__name__).splitlines()[0][:max_length]
