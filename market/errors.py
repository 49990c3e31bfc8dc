"""
Errors of this package, and the root of all errors that a person reads in one line.

KnownError      of every package: the message says what was found, what was expected, and what to do
└── MarketError
    ├── BadNumber    a price or quantity text that is no exact positive decimal
    ├── BadTime      a timestamp outside 2009 to 2099
    ├── BadMarket    a market name that is not `venue:SYMBOL`
    └── SumOverflow  an exact sum that no longer fits; never wrapped
"""


class KnownError(Exception):
    """
    Base of expected errors: a person at a terminal reads the message, one line, and no traceback.

    Any other exception is a bug of ours.
    """


class MarketError(KnownError, ValueError):
    """Base of all errors of this package."""


class BadNumber(MarketError):
    """A price or quantity text that is no exact positive decimal."""

    def __init__(self, text: str, reason: str, row: int | None = None) -> None:
        excerpt = text if len(text) <= 40 else text[:37] + "..."
        where = "" if row is None else f" in row {row}"
        super().__init__(f"{excerpt!r}{where} {reason}")
        self.text = text
        self.reason = reason
        self.row = row


class BadTime(MarketError):
    """A timestamp outside 2009 to 2099; `row` is its index among several."""

    def __init__(self, message: str, row: int | None = None) -> None:
        super().__init__(message)
        self.row = row


class BadMarket(MarketError):
    """A market name that is not `venue:SYMBOL`."""


class SumOverflow(MarketError):
    """
    An exact sum passed 2^62: a log keeps the quantity decimals that its first file or its instrument gave it.

    Args:
        subject: whose sum, e.g. "a minute's quantity".
    """

    def __init__(self, subject: str) -> None:
        super().__init__(
            f"{subject} passes 2^62: fewer quantity decimals are needed; "
            "import the day with the largest volume first, into an empty storage"
        )
