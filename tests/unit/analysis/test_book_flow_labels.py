"""What a minute of book flow is called: its label, its divergence and how strong that is, as shown at a tick."""

import pytest

from eventlog.facts.entry import Fact
from eventlog.facts.market import AGG_TRADE
from tests.builders import a_diff, a_snapshot, a_trade
from tests.unit.analysis.flow.test_book_flow import at, compute_flow


def leaning(trend: int, bought: bool, joined: bool, seconds: int = 400) -> list[Fact]:
    """
    Sizes and trades take turns until the last minute. It begins with a move of the quote by some ticks, and every
    second of it one coin is traded and three join the best bid, or the best ask.
    """
    quiet, bid = seconds - 60, 10_000
    facts = [a_snapshot([("100.00", "10")], [("100.01", "10")], update_id=10)]
    for second in range(seconds):
        old, bid = bid, bid + (trend if second == quiet else 0)
        total = 3 * max(0, second + 1 - quiet)
        bids = {old: 0, bid: 10 + second % 2 * 2 + (total if joined else 0)}
        asks = {old + 1: 0, bid + 1: 10 + (0 if joined else total)}
        levels = ([(f"{tick / 100:.2f}", str(size)) for tick, size in side.items()] for side in (bids, asks))
        facts.append(a_diff(11 + second, 11 + second, *levels, at(second + 0.5)))
        seller = not bought if total else second % 2 == 0
        facts.append(a_trade(second + 1, "100.01", "1", at(second + 0.6), seller=seller))
    return facts


@pytest.mark.parametrize(
    ("trend", "bought", "joined", "kind", "label"),
    [
        (-1, True, True, "bullish", "strong_buy"),
        (1, False, False, "bearish", "strong_sell"),
        (-5, True, True, "bullish", "strong_buy"),
        (0, True, True, "none", "strong_buy"),
        (0, False, False, "none", "strong_sell"),
        (0, True, False, "inconsistent", "neutral"),
        (0, False, True, "inconsistent", "neutral"),
    ],
)
def test_what_a_leaning_minute_is_called(trend: int, bought: bool, joined: bool, kind: str, label: str) -> None:
    """Book and trades one way, against price or not, or against each other; the strength follows from what is shown."""
    result = compute_flow(leaning(trend, bought, joined), 400)
    output, fusion = result["divergence"], result["fusion"]
    assert (output["kind"], fusion["label"], fusion["strong"]) == (kind, label, label != "neutral")
    moves = max(2, abs(trend) * 2 * (60 / 300) ** 0.5)  # in halves of a tick, and σ is not below one
    assert output["trend_sigma"] == pytest.approx(2 * trend / moves, abs=1e-4)
    flow = min(1, (0.6 * abs(result["ofi1"]["z"]) + 0.4 * abs(result["cvd"]["z"])) / 2.5)
    price = min(1, abs(output["trend_sigma"]) / 2)
    expected = {"none": None, "inconsistent": flow}.get(kind, (price * flow) ** 0.5)
    assert output["strength"] == (None if expected is None else round(expected, 4))


def test_a_hole_is_no_move_of_the_price() -> None:
    """The quote is elsewhere after a gap in the book: the σ of a trend counts only changes that were seen."""
    full = leaning(-1, bought=True, joined=True)
    early = [a_diff(11 + s, 11 + s, [("50.00", str(10 + s % 2))], [("50.01", "10")], at(s + 0.5)) for s in range(150)]
    again = a_snapshot([("100.00", "10")], [("100.01", "10")], at(200), update_id=210)
    late = [fact for fact in full if fact.recv_ns > at(200) or fact.kind == AGG_TRADE]
    first = a_snapshot([("50.00", "10")], [("50.01", "10")], update_id=10)
    result = compute_flow(sorted([first, *early, again, *late], key=lambda fact: fact.recv_ns), 400)
    assert (result["book"], result["resets"]) == ("live", 1)
    assert 200 < result["whole_s"] < 360
    output = result["divergence"]
    assert (output["kind"], output["trend_sigma"]) == ("bullish", -1.0)
