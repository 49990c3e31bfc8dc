"""Book flow as an analyst reads it: exact figures of a made market, and nulls with a reason wherever there are none."""

import json
import math
from collections.abc import Iterator
from random import Random
from statistics import fmean, pstdev
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.flow.book_flow import book_flow
from analysis.parameters import BookFlowParameters
from analysis.render.flow_groups import book_flow_group
from eventlog.facts.entry import Fact
from eventlog.store.batch import Batch
from market.timestamps import SECOND_NS
from projections.book.order_book import OrderBook
from projections.flow.book_flow import BookFlow
from tests.builders import T0, a_batch, a_diff, a_snapshot, a_trade

PARAMETERS = BookFlowParameters()
TICK = 10**6
GROUPS = ["quote", "ofi1", "ofi5", "mlofi", "ofi_v13", "cvd", "fusion", "divergence", "vpin", "kyle", "explains"]
BIDS, ASKS = [("100.00", "10"), ("99.99", "5")], [("100.01", "10"), ("100.02", "5")]


def compute_flow(facts: list[Fact], seconds: int, window: int = 600, **more: Any) -> dict[str, Any]:
    """Book flow at the end of some seconds, from its JSON."""
    return result_of(a_batch(facts), seconds, window, **more)


def result_of(batch: Batch, seconds: int, window: int = 600, **more: Any) -> dict[str, Any]:
    """As `compute_flow`, from facts that are a batch already."""
    book, flow = OrderBook(), BookFlow(window)
    flow.apply(batch, book.apply(batch))
    flow.close(T0 + seconds * SECOND_NS)
    return json.loads(msgspec.json.encode(book_flow_group(book_flow(flow, book.status, TICK, PARAMETERS, **more))))


def at(second: float) -> int:
    """A time."""
    return T0 + round(second * SECOND_NS)


def breathing(seconds: int, extra: dict[int, str] | None = None) -> list[Fact]:
    """The best bid's size goes between 10 and 11 by the second, and half a coin is bought and sold in turn."""
    facts = [a_snapshot(BIDS, ASKS, update_id=10, at_ns=T0)]
    for second in range(seconds):
        size = (extra or {}).get(second, "11" if second % 2 else "10")
        facts.append(a_diff(11 + second, 11 + second, [("100.00", size)], [], at(second + 0.5)))
        facts.append(a_trade(second + 1, "100.01", "0.5", at(second + 0.6), seller=second % 2 == 0))
    return facts


def numbers_in(value: Any) -> Iterator[float]:
    """Every number of a result."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from numbers_in(item)
    elif isinstance(value, int | float):
        yield value


def test_nothing_recorded_nothing_said() -> None:
    """A window in which nothing happened."""
    reason = "no trade and no update of the book in the window"
    assert compute_flow([a_snapshot()], 60) == {"id": "F", "found": "nothing", "reason": reason}


def test_trades_without_a_book_are_half_the_story() -> None:
    """CVD and VPIN stand; everything of the book is null, and says so."""
    trades = [a_trade(i + 1, "100", "2", at(i / 2), seller=i % 4 == 3) for i in range(600)]
    result = compute_flow(trades, 300)
    reason = "no whole book in the window"
    assert result["book"] == "no_book"
    assert result["ofi1"] == {"id": "F.ofi1", "minute": None, "z": None, "reason": reason}
    assert result["mlofi"] == {"id": "F.mlofi", "minute": None, "reason": reason}
    assert result["fusion"]["reason"] == result["divergence"]["reason"] == reason
    assert result["quote"]["reason"] == "no quote at the end of the window"
    assert (result["cvd"]["minute"], result["cvd"]["window"]) == (120.0, 600.0)  # each second 4, or 2 less 2
    assert (result["cvd"]["z"], result["vpin"]["value"], result["vpin"]["buckets"]) == (0.0, 0.5, 50)
    assert result["kyle"] == {"id": "F.kyle", "quote_per_base": None, "reason": "0 of 30 whole intervals"}


def test_the_figures_of_a_made_market() -> None:
    """Sixty seconds of +1 and -1 cancel out; one bid of 16 in the last minute makes its second strong."""
    result = compute_flow(breathing(400, {389: "16"}), 400)
    assert list(result) == ["id", "book", "window_s", "whole_s", "updates", "resets", "note", *GROUPS]
    assert (result["book"], result["window_s"], result["whole_s"]) == ("live", 600, 399)
    assert (result["updates"], result["resets"]) == (400, 0)
    flow = [1 if second % 2 else -1 for second in range(100, 400)]
    flow[389 - 100], flow[390 - 100] = 6, -6
    assert result["ofi1"] == {"id": "F.ofi1", "minute": 0.0, "z": round(-60 * fmean(flow) / 60**0.5 / pstdev(flow), 4)}
    assert result["mlofi"]["minute"] == [0.0] * 5
    assert result["ofi_v13"]["minute"] == 0.0
    assert result["cvd"]["z"] == 0.0
    assert result["divergence"] == {
        "id": "F.divergence",
        "kind": "none",
        "strength": None,
        "trend_bp": 0.0,
        "trend_sigma": 0.0,
    }
    assert (result["fusion"]["strong"], result["fusion"]["label"]) == (False, "neutral")
    up_to = [1 if second % 2 else -1 for second in range(90, 390)]
    up_to[-1] = 6
    z = round((6 - fmean(up_to)) / pstdev(up_to), 4)
    assert result["fusion"]["strong_seconds"] == 0  # one trade as usual: the two do not agree
    assert z > 4


def test_a_second_is_strong_when_book_and_trades_agree() -> None:
    """A large bid and a large buy in one second of the minute, named by its time."""
    facts = [*breathing(400, {389: "16", 390: "10"}), a_trade(401, "100.01", "4", at(389.7))]
    result = compute_flow(facts, 400)
    flow = [1 if second % 2 else -1 for second in range(90, 389)] + [6]
    signed = [0.5 if second % 2 else -0.5 for second in range(90, 389)] + [4.5]
    scores = [round((x[-1] - fmean(x)) / pstdev(x), 4) for x in (flow, signed)]
    value = round(0.6 * scores[0] + 0.4 * scores[1], 4)
    assert result["fusion"]["strong_seconds"] == 1
    assert (result["fusion"]["strong_buy_seconds"], result["fusion"]["strong_sell_seconds"]) == (1, 0)
    assert result["fusion"]["strongest"] == [["00:06:29", value, round(min(scores) / max(scores), 4)]]
    assert result["fusion"]["uses"] == "ofi1"
    assert result["cvd"]["minute"] == 4.0


def test_the_quote_at_the_end() -> None:
    """12 at 99.99 against 4 at 100.01; a mid that hardly moves has no micro-price of its own."""
    facts = [
        a_snapshot([("99.99", "1")], [("100.01", "4")], update_id=10),
        a_diff(11, 11, [("99.99", "12")], [], at(57)),
    ]
    assert compute_flow(facts, 60)["quote"] == {
        "id": "F.quote",
        "bid": "99.99",
        "ask": "100.01",
        "mid": "100",
        "spread_bp": 2.0,
        "imbalance": 0.5,
        "weighted_mid": "100.005",
        "micro_price": "100.005",
        "micro_by": "weighted mid: 2 of 300 steps",
        "age_s": 2,
    }
    quote = compute_flow(breathing(400), 400)["quote"]
    assert quote["micro_by"] == "weighted mid: the mid moved 0 of 30 times"


def test_a_mid_that_moves_has_a_micro_price() -> None:
    """After a large bid the quote moves up a tick two times of three, after a small one down: one tick is expected."""
    chance, level, large = Random(7), 10_000, True
    facts = [a_snapshot([("100.00", "30")], [("100.01", "10")], update_id=10)]
    for second in range(500):
        old = level
        level += (1 if large else -1) if chance.random() < 2 / 3 else 0
        large = chance.random() < 0.5
        bids = [(f"{old / 100:.2f}", "0"), (f"{level / 100:.2f}", "30" if large else "10")]
        asks = [(f"{old / 100 + 0.01:.2f}", "0"), (f"{level / 100 + 0.01:.2f}", "10" if large else "30")]
        facts.append(a_diff(11 + second, 11 + second, bids, asks, at(second + 0.5)))
    quote = compute_flow(facts, 500)["quote"]
    assert quote["micro_by"].startswith("Markov chain of 499 seconds, 3")
    expected = level / 100 + 0.005 + (0.01 if large else -0.01)
    assert abs(float(quote["micro_price"]) - expected) < 0.005  # the weighted mid is 0.0075 away


def test_a_wide_spread_takes_five_levels() -> None:
    """Above one basis point the sum stands for the flow."""
    wide = [a_snapshot([("100.00", "10")], [("100.10", "10")], update_id=10)]
    wide += [a_diff(11 + i, 11 + i, [("100.00", str(10 + i % 2))], [], at(i + 0.5)) for i in range(90)]
    assert compute_flow(wide, 90)["fusion"]["uses"] == "ofi5"


def test_a_hole_in_the_last_minute_is_named() -> None:
    """Nothing is said of a minute in which the book was not whole."""
    facts = [*breathing(300), a_diff(900, 901, [("100.00", "3")], [], at(301))]
    result = compute_flow(facts, 310)
    assert (result["book"], result["resets"]) == ("gap", 1)
    reason = "the book was not whole throughout the last minute"
    assert result["ofi5"] == {"id": "F.ofi5", "minute": None, "z": None, "reason": reason}
    assert result["explains"]["1s"]["n"] == 299


def test_silence_and_steadiness_have_no_score() -> None:
    """Half a minute without an update may be the stream's silence; and flows that are all alike have no spread."""
    assert compute_flow(breathing(100), 200)["ofi1"]["reason"] == "no update of the book for 100 s"
    assert compute_flow(breathing(371), 400)["ofi1"]["z"] is not None
    assert compute_flow(breathing(370), 400)["ofi1"]["reason"] == "no update of the book for 30 s"
    growing = [a_snapshot(BIDS, ASKS, update_id=10)]
    growing += [a_diff(11 + i, 11 + i, [("100.00", str(11 + i))], [], at(i)) for i in range(400)]
    result = compute_flow(growing, 400)
    assert result["ofi1"] == {"id": "F.ofi1", "minute": 60.0, "z": None, "reason": "no spread: all intervals are equal"}
    assert result["fusion"]["reason"] == "no z of ofi1"
    assert result["divergence"] == {
        "id": "F.divergence",
        "kind": None,
        "strength": None,
        "reason": "no z of both flows",
    }
    assert result["fusion"]["label"] is None
    assert compute_flow(breathing(61), 61)["ofi1"] == {
        "id": "F.ofi1",
        "minute": 0.0,
        "z": 0.0,
    }


def test_quantities_keep_the_market_s_decimals() -> None:
    """Counts of another scale are the same coins."""
    result = compute_flow(breathing(400), 400, decimals=6)
    assert result["cvd"]["window"] == 0.0
    assert compute_flow([a_trade(1, "100", "2", T0)], 60, decimals=6)["cvd"]["window"] == 200.0


@st.composite
def markets(draw: Any) -> list[Fact]:
    """Books, gaps, one-sided and crossed books, trades and silence."""
    facts, last, time = [a_snapshot(BIDS, ASKS, update_id=10, at_ns=T0)], 10, 0.0
    prices = st.sampled_from(["99.98", "99.99", "100.00", "100.01", "100.02", "150"])
    change = st.lists(st.tuples(prices, st.sampled_from(["0", "1", "7.5", "40000"])), max_size=3)
    for number in range(1, draw(st.integers(1, 90))):
        time += draw(st.sampled_from([0.1, 1.0, 1.0, 1.0, 20.0]))
        first = last + 1 + draw(st.sampled_from([0] * 30 + [4]))
        last = first
        facts.append(a_diff(first, last, draw(change), draw(change), at(time)))
        if draw(st.booleans()):
            facts.append(a_trade(number, draw(prices), draw(st.sampled_from(["0.1", "3"])), at(time)))
        if not draw(st.integers(0, 20)):
            facts.append(a_snapshot(BIDS, ASKS, update_id=last, at_ns=at(time)))
    return facts


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(facts=markets(), end=st.sampled_from([1, 30, 61, 120, 400]), window=st.sampled_from([1, 59, 60, 61, 600]))
def test_any_market_gives_numbers_or_reasons(facts: list[Fact], end: int, window: int) -> None:
    """No NaN, no exception, within the budget; a group without its figure says why."""
    result = compute_flow(facts, end, window)
    assert all(math.isfinite(number) for number in numbers_in(result))
    assert len(msgspec.json.encode(result)) <= 2_500
    if "found" not in result:
        assert [result[group]["id"] for group in GROUPS] == [f"F.{group}" for group in GROUPS]
        main = {"quote": "bid", "ofi1": "z", "ofi5": "z", "ofi_v13": "z", "cvd": "z", "fusion": "value"}
        main |= {"mlofi": "minute", "divergence": "kind", "vpin": "value", "kyle": "quote_per_base"}
        for group, figure in main.items():
            assert (result[group][figure] is None) == ("reason" in result[group])
        cvd, fusion, against = result["cvd"], result["fusion"], result["divergence"]
        averages = [cvd[f"ema_{what}{span}s"] for span in (60, 300) for what in ("", "slope_", "side_")]
        assert (None in [*averages, cvd["ema_cross"]]) == ("ema_reason" in cvd)
        assert (fusion["label"] is None) == (fusion["value"] is None)
        assert (against["strength"] is None) == (against["kind"] in (None, "none"))
        assert 0 <= (against["strength"] or 0) <= 1
