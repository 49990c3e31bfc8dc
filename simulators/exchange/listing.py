"""
One market of the exchange: what it trades, what faults did to it, and what it sends.
"""

from simulators.exchange.faults.conditions import Conditions
from simulators.exchange.faults.script import Occasion
from simulators.exchange.market.parameters import MarketParameters
from simulators.exchange.streams.streams import StreamHub
from simulators.exchange.venue.venue import Venue


class Listing:
    """
    A market that can be stepped.

    Attributes:
        conditions: the script in force for it, and what it did to ids, clock and trading.
        hub: the connections it sends over, and the ledger of its diffs.
        venue: the market; None before it opens.
    """

    def __init__(self, parameters: MarketParameters, conditions: Conditions, hub: StreamHub) -> None:
        self.parameters = parameters
        self.conditions = conditions
        self.hub = hub
        self.venue: Venue | None = None
        self._steps = 0

    def open(self, seed: int, start_ns: int, history_hours: float) -> Venue:
        """Make the history; the market begins where it ends."""
        self.venue = Venue(self.parameters, seed, start_ns, history_hours)
        return self.venue

    def step(self, step_ns: int) -> None:
        """
        Make one step and send what it made.

        Raises:
            RuntimeError: the market is not open.
        """
        venue = self.venue
        if venue is None:
            raise RuntimeError("start the exchange before it is advanced")
        self._steps += 1
        for struck in self.conditions.script.due(Occasion("step", "", self._steps, self._steps)):
            self.conditions.strike(struck, venue.engine.next_agg_id, venue.engine.last_update_id + 1)
        if not self.conditions.stands_still(step_ns):
            self.hub.publish(venue.step(venue.engine.now_ns + step_ns, self.conditions.stamp_shift_ns))
