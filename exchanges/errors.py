"""
What can go wrong with a venue.

ExchangeError
├── BadFile         a file of the venue's that cannot be read as it claims
├── BadReply        the venue answered, but not as documented
├── UnknownSymbol   the venue does not know the symbol
├── VenueReset      the venue's ids began anew: another market under the same name
├── Refused         the venue says stop: too many requests (429), a ban (418), a firewall (403)
└── Unreachable     no answer
"""

from market.errors import KnownError


class ExchangeError(KnownError):
    """Base of everything a venue does to us; the message is one line and names the mend."""


class BadFile(ExchangeError):
    """A file of the venue's that cannot be read as it claims."""


class BadReply(ExchangeError):
    """The venue answered, but not as documented."""


class UnknownSymbol(ExchangeError):
    """The venue does not know the symbol."""


class VenueReset(ExchangeError):
    """The venue's ids began anew: another market under the same name."""


class Refused(ExchangeError):
    """The venue says stop; `retry_after_s` is how long."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Unreachable(ExchangeError):
    """No answer."""
