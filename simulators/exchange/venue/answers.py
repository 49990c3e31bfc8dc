"""
What the exchange answers about its market: the port REST asks, and the simulated market behind it.
"""

from dataclasses import replace
from typing import Protocol

import numpy as np

from simulators.exchange.faults.conditions import Conditions
from simulators.exchange.market.trades import Trades
from simulators.exchange.venue import wire
from simulators.exchange.venue.queries import AggTradesQuery
from simulators.exchange.venue.venue import Venue
from simulators.exchange.venue.wire import Listed


class Answers(Protocol):
    """A market that can be asked; bodies are Binance's own."""

    def listed(self) -> tuple[Listed, str]:
        """The symbol with its grid, and its state."""

    def depth(self, limit: int) -> bytes:
        """
        The book.

        Raises:
            ApiError: there is none yet.
        """

    def agg_trades(self, query: AggTradesQuery, unknown: int) -> bytes:
        """The aggTrades asked for, the newest `unknown` of all left out."""


class MarketAnswers:
    """
    Answers from a simulated market, as faults left it.

    Args:
        venue: the market. conditions: ids and status as given out, and what is hidden.
    """

    def __init__(self, venue: Venue, conditions: Conditions) -> None:
        self._venue = venue
        self._conditions = conditions

    def listed(self) -> tuple[Listed, str]:
        """See `Answers.listed`."""
        return self._venue.parameters, self._conditions.status

    def depth(self, limit: int) -> bytes:
        """See `Answers.depth`; a simulated market always has a book."""
        update_id, bids, asks = self._venue.engine.snapshot(limit)
        return wire.depth_body(self._conditions.update_ids.outer(update_id), bids, asks)

    def agg_trades(self, query: AggTradesQuery, unknown: int) -> bytes:
        """See `Answers.agg_trades`."""
        return wire.agg_trade_rows(self._without_hidden(self._found(query, unknown)))

    def _found(self, query: AggTradesQuery, unknown: int) -> Trades:
        ledger, jumps = self._venue.ledger, self._conditions.agg_ids
        if query.from_id is not None:
            query = replace(query, from_id=jumps.inner(query.from_id))
        elif query.start_ns is None and query.end_ns is None:
            query = replace(query, limit=query.limit + unknown)
        found = self._venue.find(query)
        known = int(np.searchsorted(found.agg_id, ledger.next_agg_id - unknown))
        return self._conditions.trades(found[:known])

    def _without_hidden(self, trades: Trades) -> Trades:
        hidden = self._conditions.hidden
        if not hidden:
            return trades
        return Trades(trades.columns[:, ~np.isin(trades.agg_id, list(hidden))])
