"""
The server of the simulated exchange: one port for REST and WebSocket, and markets that trade in real time.
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

_MAX_STEPS = 20  # steps made before clients are served again


class SimulatedExchange(LocalExchange):
    """
    A local exchange with Binance's API over simulated markets.

    Args:
        parameters: the market or several; hooks and scripts apply to the first. None for one with default parameters.
        seed: of all trades and books.
        clock: None for the wall clock.
        history_hours: length of the history of aggTrades before the start.
        speed: market seconds per second of the clock; at 0 the market moves only by `advance`.
        weight_limit: request weight per minute.
        rules: the limits of WebSocket connections; None for Binance's.
        script: the faults from the start on; None for none.

    Attributes:
        conditions: of the first market: the script of faults, and the state that they change.
        hub: of the first market: the connections, and the ledger of diffs.
        listings: the markets.
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
        markets = parameters if isinstance(parameters, Sequence) else (parameters or MarketParameters(),)
        one_market = rules or ConnectionRules()
        all_markets = replace(one_market, queue_size=one_market.queue_size * len(markets))
        self.listings: list[Listing] = []
        for market in markets:
            conditions = Conditions(self._clock, None if self.listings else script)
            primary = self.listings[0].hub if self.listings else None
            hub = StreamHub(market.symbol, conditions, all_markets, primary)
            self.listings.append(Listing(market, conditions, hub))
        super().__init__(self.listings[0].conditions, self.listings[0].hub, seed)

    @property
    def venue(self) -> Venue | None:
        """The first market; None before the start."""
        return self.listings[0].venue

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """
        Make the history, open the port, and start to trade.

        Args:
            host: the address to bind to.
            port: 0 for any free one.

        Raises:
            PortError: the address cannot be bound.
        """
        warm_up(self.listings[0].parameters)
        start_ns = floor_to(self._clock.now_ns(), STEP_NS)
        for i, listing in enumerate(self.listings):
            listing.open(self._seed + i, start_ns, self._history_hours)
        app = self._app(RestApi(self._answers(), self.conditions, self._clock, self._meter))
        Hooks(self.listings).add_routes(app)
        await self._open(app, host, port)
        if self._speed > 0:
            self._task = asyncio.create_task(self._trade(start_ns))

    def advance(self, steps: int) -> None:
        """Advance all markets by a number of steps of 100 ms and send their messages."""
        for _ in range(steps):
            for listing in self.listings:
                listing.step(self._step_ns)

    def _answers(self) -> dict[str, MarketAnswers]:
        markets = [(listing, listing.venue) for listing in self.listings if listing.venue is not None]
        return {listing.parameters.symbol: MarketAnswers(venue, listing.conditions) for listing, venue in markets}

    async def _trade(self, start_ns: int) -> None:
        step_count = 0
        while True:
            # Steps are counted from the start, so a delay is caught up and does not accumulate.
            due = (self._clock.now_ns() - start_ns) // self._step_ns
            steps = max(0, min(due - step_count, _MAX_STEPS))
            self.advance(steps)
            step_count += steps
            wait_ns = start_ns + (step_count + 1) * self._step_ns - self._clock.now_ns()
            await asyncio.sleep(max(0, wait_ns) / 1e9)
