"""
The errors of queries.

ResearchError
└── BadQuery        the query is not SQL, names what is not there, or cannot be computed
"""

from market.errors import KnownError


class ResearchError(KnownError):
    """Base of this package's own errors; the message is one line."""


class BadQuery(ResearchError):
    """The query is not SQL, names what is not there, or cannot be computed."""
