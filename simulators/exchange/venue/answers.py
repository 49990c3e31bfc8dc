"""
REST answers about a market: the port that REST uses, and its implementation over a simulated market.
"""

from dataclasses import replace
from typing import Protocol

import numpy as np

from simulators.exchange.faults.conditions import Conditions
from simulators.exchange.market.trades import Trades
from simulators.exchange.venue import wire
from simulators.exchange.venue.queries import AggTradesQuery
from simulators.exchange.venue.venue import Venue
from simulators.exchange.venue.wire import SymbolInfo


class Answers(Protocol):
    """The answers of one market; bodies are JSON in Binance's format."""

    def symbol_info(self) -> tuple[SymbolInfo, str]:
        """The symbol with its grid, and its trading status."""

    def depth(self, limit: int) -> bytes:
        """
        The body of a book, at most `limit` levels per side.

        Raises:
            ApiError: there is no book yet.
        """

    def agg_trades(self, query: AggTradesQuery, skip_newest: int) -> bytes:
        """The body of the aggTrades of a query; the newest `skip_newest` trades of all are left out."""


class MarketAnswers:
    """
    The answers of a simulated market, with its faults.

    Args:
        venue: the market.
        conditions: public ids, trading status, and hidden trades.
    """

    def __init__(self, venue: Venue, conditions: Conditions) -> None:
        self._venue = venue
        self._conditions = conditions

    def symbol_info(self) -> tuple[SymbolInfo, str]:
        """See `Answers.symbol_info`."""
        return self._venue.parameters, self._conditions.status

    def depth(self, limit: int) -> bytes:
        """See `Answers.depth`; a simulated market always has a book."""
        update_id, bids, asks = self._venue.engine.snapshot(limit)
        return wire.depth_body(self._conditions.update_ids.to_public(update_id), bids, asks)

    def agg_trades(self, query: AggTradesQuery, skip_newest: int) -> bytes:
        """See `Answers.agg_trades`."""
        return wire.agg_trade_rows(self._remove_hidden(self._find(query, skip_newest)))

    def _find(self, query: AggTradesQuery, skip_newest: int) -> Trades:
        ledger, jumps = self._venue.ledger, self._conditions.agg_ids
        if query.from_id is not None:
            query = replace(query, from_id=jumps.to_internal(query.from_id))
        elif query.start_ns is None and query.end_ns is None:
            query = replace(query, limit=query.limit + skip_newest)
        trades = self._venue.find(query)
        count = int(np.searchsorted(trades.agg_id, ledger.next_agg_id - skip_newest))
        return self._conditions.publish_trades(trades[:count])

    def _remove_hidden(self, trades: Trades) -> Trades:
        hidden = self._conditions.hidden_agg_ids
        if not hidden:
            return trades
        return Trades(trades.columns[:, ~np.isin(trades.agg_id, list(hidden))])
