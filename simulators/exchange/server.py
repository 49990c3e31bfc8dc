"""
The exchange as a process part: one loopback port for REST and WebSocket, and markets that trade on the wall's time.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from market.timestamps import floor_to
from simulators.exchange.clock import Clock, WallClock
from simulators.exchange.faults.conditions import Conditions
from simulators.exchange.faults.script import Script
from simulators.exchange.listing import Listing
from simulators.exchange.local_exchange import LocalExchange
from simulators.exchange.market.parameters import STEP_NS, MarketParameters
from simulators.exchange.rest.hooks import Hooks
from simulators.exchange.rest.rest import RestApi
from simulators.exchange.streams.connection import ConnectionRules
from simulators.exchange.streams.streams import StreamHub
from simulators.exchange.venue.answers import MarketAnswers
from simulators.exchange.venue.limits import WeightMeter
from simulators.exchange.venue.venue import Venue, warm_up

_STEPS_AT_ONCE = 20


class SimulatedExchange(LocalExchange):
    """
    A local Binance.

    Args:
        parameters: the market; of several, the first one is what hooks and scripts speak of.
        seed: decides everything that is traded.
        clock: the wall, or a test's.
        history_hours: aggTrades before the start.
        speed: market seconds in a second of the clock; at 0 the market stands still and only `advance` moves it.
        weight_limit: request weight a minute.
        rules: what WebSocket connections must keep to.
        script: faults from the start on.

    Attributes:
        conditions: the script in force, and what it did to ids, clock and trading.
        hub: the connections, and the ledger of diffs.
    """

    def __init__(
        self,
        parameters: MarketParameters | Sequence[MarketParameters] | None = None,
        seed: int = 7,
        clock: Clock | None = None,
        history_hours: float = 72.0,
        speed: float = 1.0,
        weight_limit: int = 6_000,
        rules: ConnectionRules | None = None,
        script: Script | None = None,
    ) -> None:
        self._seed = seed
        self._clock = clock or WallClock()
        self._history_hours = history_hours
        self._speed = speed
        self._step_ns = round(STEP_NS / speed) if speed > 0 else STEP_NS
        self._meter = WeightMeter(weight_limit)
        several = parameters if isinstance(parameters, Sequence) else (parameters or MarketParameters(),)
        of_one = rules or ConnectionRules()
        of_all = replace(of_one, queue_size=of_one.queue_size * len(several))
        self.listings: list[Listing] = []
        for each in several:
            conditions = Conditions(self._clock, None if self.listings else script)
            beside = self.listings[0].hub if self.listings else None
            hub = StreamHub(each.symbol, conditions, of_all, beside)
            self.listings.append(Listing(each, conditions, hub))
        super().__init__(self.listings[0].conditions, self.listings[0].hub, seed)

    @property
    def venue(self) -> Venue | None:
        """The first market; None before the start."""
        return self.listings[0].venue

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """
        Make the history, open the port, and begin to trade.

        Args:
            host: the address to bind to.
            port: 0 for any free one.

        Raises:
            PortError: where the address cannot be bound.
        """
        warm_up(self.listings[0].parameters)
        start_ns = floor_to(self._clock.now_ns(), STEP_NS)
        for place, each in enumerate(self.listings):
            each.open(self._seed + place, start_ns, self._history_hours)
        app = self._app(RestApi(self._answers(), self.conditions, self._clock, self._meter))
        Hooks(self.listings).add_to(app)
        await self._open(app, host, port)
        if self._speed > 0:
            self._going_on = asyncio.create_task(self._trade(start_ns))

    def advance(self, steps: int) -> None:
        """Make that many steps of market now and send what they made; each is 100 ms of the market's time."""
        for _ in range(steps):
            for each in self.listings:
                each.step(self._step_ns)

    def _answers(self) -> dict[str, MarketAnswers]:
        open_ones = [(each, each.venue) for each in self.listings if each.venue is not None]
        return {each.parameters.symbol: MarketAnswers(venue, each.conditions) for each, venue in open_ones}

    async def _trade(self, start_ns: int) -> None:
        done = 0
        while True:
            # Steps are counted from the start, so lateness is caught up and never adds up.
            due = (self._clock.now_ns() - start_ns) // self._step_ns
            steps = max(0, min(due - done, _STEPS_AT_ONCE))
            self.advance(steps)
            done += steps
            wait_ns = start_ns + (done + 1) * self._step_ns - self._clock.now_ns()
            await asyncio.sleep(max(0, wait_ns) / 1e9)
