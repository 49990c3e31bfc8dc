"""
What can go wrong with a question.

ResearchError
└── BadQuery        the query is not SQL, names what is not there, or cannot be computed
"""

from market.errors import KnownError


class ResearchError(KnownError):
    """Base of everything this package raises of its own; the message is one line."""


class BadQuery(ResearchError):
    """The query is not SQL, names what is not there, or cannot be computed."""
