"""A simulated model in a thread of its own, an analyst that asks it, and minutes of a simulated market to ask about."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from agents.llm.client.budget import Budget, Limits
from agents.llm.client.client import ModelClient
from agents.llm.client.endpoint import Endpoint
from agents.llm.client.prices import PeakHours, Price, PriceList
from agents.llm.conversation.dialogue import ModelOptions
from agents.llm.conversation.prompts import load
from agents.llm.deepseek import ModelAnalyst
from agents.recommendation import Advice
from agents.rules import RulesAnalyst
from analysis.observe import Observer
from analysis.parameters import Parameters
from analysis.view import MarketView
from bench.planted import MARKET, START_NS, WINDOWS, plan_plants
from eventlog.clock import ManualClock
from eventlog.facts.entry import Fact
from market.timestamps import SECOND_NS
from projections.state import MarketState, TickEntry
from runtime.loop import drive
from simulators.exchange.planted.planted_market import PlantedMarket
from simulators.exchange.playback.record import batches
from simulators.model.model import SimulatedModel
from simulators.model.server import ModelServer

KEY = "sk-never-to-be-seen-5f0c9a7e"
PARAMETERS = Parameters()


@cache
def minutes(count: int, first: int = 20) -> tuple[MarketView, ...]:
    """What is known at some minutes of a simulated market with structures in it, one after the other."""
    state = MarketState(WINDOWS)
    observer = Observer(MARKET.symbol, state, PARAMETERS)
    seen: list[MarketView] = []

    def on_tick(tick: TickEntry, now: MarketState) -> None:
        if first <= (tick.boundary_ns - START_NS) // (60 * SECOND_NS):
            seen.append(observer.observe(tick, now))

    drive(batches(PlantedMarket(MARKET, plan_plants(5), 5, START_NS), START_NS, first + count), state, on_tick)
    return tuple(seen[:count])


def shortened(view: MarketView, seconds: float) -> MarketView:
    """The same minute, with an interval so short that a test can wait for its deadline."""
    return replace(view, interval_ns=int(seconds * SECOND_NS))


@contextmanager
def model_server(**options: Any) -> Iterator[ModelServer]:
    """A simulated model on a loopback port, in a thread of its own."""
    server = ModelServer(SimulatedModel(seed=3), **options)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(server.start(), loop).result(10)
    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


@dataclass
class Asked:
    """An analyst, the clock it goes by, and what it has handed out for the log."""

    analyst: ModelAnalyst
    clock: ManualClock
    budget: Budget
    calls: list[Fact]

    def decide(self, view: MarketView) -> Advice:
        """Have a minute decided; how it ended is kept behind its calls."""
        advice = self.analyst.decide(view)
        ending = self.analyst.take_ending()
        assert ending is not None
        self.calls.append(ending)
        return advice

    def facts(self) -> list[Fact]:
        """Calls and endings since last asked."""
        taken = list(self.calls)
        del self.calls[: len(taken)]
        return taken


@contextmanager
def asking(base_url: str, how: ModelOptions, language: Any = "en", limits: Limits | None = None) -> Iterator[Asked]:
    """An analyst that asks a server; its clock stands at the first minute."""
    clock = ManualClock(minutes(1)[0].as_of_ns)
    prices = PriceList({how.model: Price.from_usd_per_million(0.003, 0.15, 0.6, 2)}, PeakHours())
    budget = Budget(limits or Limits(), prices, how.model)
    client = ModelClient(Endpoint(base_url, KEY, grace_s=1.0), budget, clock)
    rules = RulesAnalyst(PARAMETERS)
    calls: list[Fact] = []
    analyst = ModelAnalyst(
        client, budget, load("default", language), how, rules, PARAMETERS, clock, lambda: False, calls.append
    )
    try:
        yield Asked(analyst, clock, budget, calls)
    finally:
        analyst.close()


def at(asked: Asked, view: MarketView) -> MarketView:
    """Set the clock to a minute's tick."""
    asked.clock.advance(view.as_of_ns - asked.clock.now_ns())
    return view
