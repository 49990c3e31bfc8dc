"""
A market with its memory: engine, history and ledger together.
"""

import numpy as np

from simulators.exchange.market.engine import MarketEngine, Step
from simulators.exchange.market.parameters import MarketParameters
from simulators.exchange.market.trades import TIME, Trades
from simulators.exchange.venue.history import make_history
from simulators.exchange.venue.ledger import Ledger
from simulators.exchange.venue.queries import AggTradesQuery


class Venue:
    """
    A market that remembers all its trades.

    Args:
        parameters: the market.
        seed: of the history and of the engine, which use separate generators.
        start_ns: where the history ends and the engine starts, ns UTC.
        history_hours: length of the history.
    """

    def __init__(self, parameters: MarketParameters, seed: int, start_ns: int, history_hours: float) -> None:
        history = make_history(parameters, np.random.default_rng([seed, 0]), start_ns, history_hours)
        self.parameters = parameters
        self.engine = MarketEngine(parameters, np.random.default_rng([seed, 1]), start_ns)
        self.ledger = Ledger(int(history.agg_id[0]) if len(history) else parameters.first_agg_id)
        self.ledger.append(history)

    def step(self, now_ns: int, shift_ns: int = 0) -> Step:
        """Make 100 ms of market that end at `now_ns`, all stamps `shift_ns` later; add the trades to the ledger."""
        step = self.engine.step(now_ns)
        if shift_ns:
            columns = step.trades.columns.copy()
            columns[TIME] += shift_ns
            step = Step(step.time_ns + shift_ns, Trades(columns), step.depth)
        self.ledger.append(step.trades)
        return step

    def find(self, query: AggTradesQuery) -> Trades:
        """The aggTrades of a query, oldest first."""
        if query.from_id is not None:
            return self.ledger.select_by_id(query.from_id, query.limit)
        if query.start_ns is not None:
            return self.ledger.select_by_time(query.start_ns, query.end_ns, query.limit)
        if query.end_ns is not None:
            return self.ledger.select_until(query.end_ns, query.limit)
        return self.ledger.select_latest(query.limit)


def warm_up(parameters: MarketParameters) -> None:
    """Compile the hot loop, so that the first step of a market does not wait for it."""
    MarketEngine(parameters, np.random.default_rng(0), 0).run(1)
