"""One tick is looked at once, advised on only while trades are live, and never with unlawful advice."""

import pytest

from agents.recommendation import Advice
from agents.rules import RulesAnalyst
from analysis.view import MarketView
from projections.state import MarketState, TickEntry
from runtime.decide import Decider, UnsoundAdvice
from runtime.loop import drive
from tests.market_builders import SMALL, SMALL_WINDOWS, a_market, a_tick, a_zone, an_advice, batches


class Stubborn:
    """An analyst that always says the same."""

    name = "stubborn"

    def __init__(self, advice: Advice) -> None:
        self.advice = advice
        self.asked = 0

    def decide(self, view: MarketView) -> Advice:
        self.asked += 1
        return self.advice


@pytest.mark.parametrize("trades", ["catching_up", "down"])
def test_no_advice_while_trades_are_not_live(trades: str) -> None:
    """The tick is analysed; the analyst is not even asked."""
    state, analyst = MarketState(SMALL_WINDOWS), Stubborn(an_advice())
    decision = Decider("TESTUSDT", state, analyst, SMALL).decide(a_tick(trades=trades), state)
    assert decision.advice is None
    assert decision.view.trades == trades
    assert analyst.asked == 0


def test_live_trades_get_advice() -> None:
    """The advice is the analyst's own, for the view of that tick."""
    state, analyst = MarketState(SMALL_WINDOWS), Stubborn(an_advice())
    decision = Decider("TESTUSDT", state, analyst, SMALL).decide(a_tick(seq=7), state)
    assert decision.advice == analyst.advice
    assert decision.view.as_of_seq == 7


def test_unlawful_advice_stops_the_process() -> None:
    """An analyst that breaks a law is our bug: an error with the tick's seq, and nothing published."""
    state = MarketState(SMALL_WINDOWS)
    decider = Decider("TESTUSDT", state, Stubborn(an_advice(a_zone())), SMALL)
    with pytest.raises(UnsoundAdvice, match=r"tick at seq 7: .*evidence nobody gave"):
        decider.decide(a_tick(seq=7), state)


def test_a_random_market_is_decided_lawfully() -> None:
    """Two hours with books: every live tick has advice from its own view, most with zones, the rest with a reason."""
    state = MarketState(SMALL_WINDOWS)
    decider = Decider("TESTUSDT", state, RulesAnalyst(SMALL), SMALL)
    decisions = []

    def on_tick(tick: TickEntry, now: MarketState) -> None:
        decisions.append(decider.decide(tick, now))

    drive(batches(a_market(11, 120)), state, on_tick)
    assert len(decisions) == 120
    assert {d.tick.trades for d in decisions if d.advice is None} == {"catching_up"}
    advices = [d.advice for d in decisions if d.advice is not None]
    assert sum(bool(a.zones) for a in advices) > 80
    assert all(a.reason for a in advices if not a.zones)
    assert any("wall" in z.basis for a in advices for z in a.zones)
