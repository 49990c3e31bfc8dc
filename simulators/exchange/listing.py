"""
One market of the exchange, with its faults and its streams.
"""

from simulators.exchange.faults.conditions import Conditions
from simulators.exchange.faults.script import Occasion
from simulators.exchange.market.parameters import MarketParameters
from simulators.exchange.streams.streams import StreamHub
from simulators.exchange.venue.venue import Venue


class Listing:
    """
    A market that is advanced step by step.

    Attributes:
        parameters: of the market.
        conditions: its script of faults, and the state that they change.
        hub: its streams and the connections they go over, and the ledger of its diffs.
        venue: the market itself; None before it opens.
    """

    def __init__(self, parameters: MarketParameters, conditions: Conditions, hub: StreamHub) -> None:
        self.parameters = parameters
        self.conditions = conditions
        self.hub = hub
        self.venue: Venue | None = None
        self._steps = 0

    def open(self, seed: int, start_ns: int, history_hours: float) -> Venue:
        """
        Make the history and open the market, which begins where the history ends.

        Args:
            seed: of history and market.
            start_ns: when the market begins, ns UTC.
            history_hours: length of the history; 0 for none.
        """
        self.venue = Venue(self.parameters, seed, start_ns, history_hours)
        return self.venue

    def step(self, step_ns: int) -> None:
        """
        Advance the market by one step of 100 ms and send its messages; `step_ns` is its length on the clock.

        Raises:
            RuntimeError: the market is not open.
        """
        venue = self.venue
        if venue is None:
            raise RuntimeError("start the exchange before it is advanced")
        self._steps += 1
        for fault in self.conditions.script.trigger(Occasion("step", "", self._steps, self._steps)):
            self.conditions.apply(fault, venue.engine.next_agg_id, venue.engine.last_update_id + 1)
        if not self.conditions.halts(step_ns):
            self.hub.publish(venue.step(venue.engine.now_ns + step_ns, self.conditions.stamp_shift_ns))
