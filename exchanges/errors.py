"""
What can go wrong with an exchange.

ExchangeError
├── BadFile         a file of exchange data that is not what it claims to be
├── NotProvable     the exchange lacks what a complete recording is proven by
├── BadReply        the exchange answered, but not as documented
├── UnknownSymbol   the exchange does not know the symbol
├── VenueReset      the exchange's ids started again: another market under the same name
├── Refused         the exchange says stop: too many requests (429), a ban (418), a firewall (403)
└── Unreachable     no answer
"""

from market.errors import KnownError


class ExchangeError(KnownError):
    """Base of all errors of an exchange; the message is one line and says what to do."""


class BadFile(ExchangeError):
    """A file of exchange data that is not what it claims to be."""


class NotProvable(ExchangeError):
    """The exchange lacks what a complete recording is proven by."""


class BadReply(ExchangeError):
    """The exchange answered, but not as documented."""


class UnknownSymbol(ExchangeError):
    """The exchange does not know the symbol."""


class VenueReset(ExchangeError):
    """The exchange's ids started again: another market under the same name."""


class Refused(ExchangeError):
    """The exchange says stop; `retry_after_s` is how long, in seconds."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Unreachable(ExchangeError):
    """The exchange did not answer."""
