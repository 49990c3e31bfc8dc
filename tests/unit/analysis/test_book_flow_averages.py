"""Moving averages of CVD at a tick: against exact fractions, and unknown where there is too little."""

import math
from fractions import Fraction

import msgspec
import pytest

from eventlog.facts.entry import Fact
from eventlog.facts.market import AGG_TRADE
from market.timestamps import SECOND_NS
from tests.builders import T0, a_diff, a_snapshot, a_trade
from tests.market_builders import batches, numbered, trade_columns
from tests.unit.analysis.flow.test_book_flow import ASKS, BIDS, at, compute_flow, numbers_in, result_of


def trades_of(signed: list[int]) -> list[Fact]:
    """One trade a second of so many coins, bought where positive; none where 0."""
    trades = [(second, size) for second, size in enumerate(signed) if size]
    return [
        a_trade(n + 1, "100", str(abs(size)), at(second), seller=size < 0) for n, (second, size) in enumerate(trades)
    ]


def exact_average(level: list[int], span: int) -> list[Fraction]:
    """The same average in exact fractions."""
    mean, means = Fraction(level[0]), []
    for value in level:
        mean += Fraction(2, span + 1) * (value - mean)
        means.append(mean)
    return means


def test_moving_averages_of_cvd() -> None:
    """Sold for five minutes, bought for one and a half: the short average has turned, the long one not, they cross."""
    signed = [-1] * 310 + [5] * 90
    level = [sum(signed[: n + 1]) for n in range(400)]
    short, long = exact_average(level, 60), exact_average(level, 300)
    cvd = compute_flow(trades_of(signed), 400)["cvd"]
    assert (cvd["window"], cvd["minute"]) == (140.0, 300.0)
    for name, mean in (("60s", short), ("300s", long)):
        assert cvd[f"ema_{name}"] == pytest.approx(float(mean[-1]), abs=1e-4)
        assert cvd[f"ema_slope_{name}"] == pytest.approx(float(mean[-1] - mean[-61]), abs=1e-4)
        assert cvd[f"ema_side_{name}"] == "above"
    assert short[-61] < long[-61]
    assert short[-1] > long[-1]
    assert (cvd["ema_cross"], "ema_reason" in cvd) == ("up", False)
    mirror = compute_flow(trades_of([-value for value in signed]), 400)["cvd"]
    assert (mirror["ema_60s"], mirror["ema_slope_60s"]) == (-cvd["ema_60s"], -cvd["ema_slope_60s"])
    assert (mirror["ema_side_300s"], mirror["ema_cross"]) == ("below", "down")


def test_a_steady_level_is_its_own_average() -> None:
    """One purchase and then nothing: the level is at both averages, which do not cross, at any later time."""
    for seconds in (361, 600, 2000):
        cvd = compute_flow(trades_of([7]), seconds, 4000)["cvd"]
        assert {name: value for name, value in cvd.items() if name.startswith("ema")} == {
            **{"ema_60s": 7.0, "ema_slope_60s": 0.0, "ema_side_60s": "at"},
            **{"ema_300s": 7.0, "ema_slope_300s": 0.0, "ema_side_300s": "at"},
            "ema_cross": "none",
        }


def test_an_average_that_came_near_enough_is_there() -> None:
    """Long after one sale both averages lie within half a count: what rounding leaves is no side and no crossing."""
    cvd = compute_flow(trades_of([3, *[0] * 5, -2]), 30_000, 30_000)["cvd"]
    assert (cvd["ema_60s"], cvd["ema_300s"], cvd["ema_cross"]) == (1.0, 1.0, "none")
    assert (cvd["ema_side_60s"], cvd["ema_side_300s"]) == ("at", "at")


def test_too_little_for_a_moving_average() -> None:
    """A span and a minute are needed for each; without a trade there is nothing to average."""
    for seconds, spans in ((119, ()), (120, ("60s",)), (359, ("60s",)), (360, ("60s", "300s"))):
        cvd = compute_flow(trades_of([1]), seconds)["cvd"]
        assert [cvd[f"ema_{span}"] is not None for span in ("60s", "300s")] == ["60s" in spans, "300s" in spans]
        assert (cvd["ema_cross"] is None) == ("300s" not in spans)
        reason = f"{seconds} seconds; an EMA needs its span and 60 more"
        assert cvd.get("ema_reason") == (None if "300s" in spans else reason)
    quiet = [a_snapshot(BIDS, ASKS, update_id=10)]
    quiet += [a_diff(11 + i, 11 + i, [("100.00", str(11 + i % 2))], [], at(i)) for i in range(400)]
    cvd = compute_flow(quiet, 400)["cvd"]
    assert (cvd["ema_60s"], cvd["ema_side_300s"], cvd["ema_cross"]) == (None, None, None)
    assert cvd["ema_reason"] == "no trade in the window"


def test_an_average_begins_where_its_window_does() -> None:
    """What was traded before the window has no part in it; one that is shorter than its span stays unknown."""
    signed = [9] * 500 + [1, -1] * 200
    cvd = compute_flow(trades_of(signed), 900, 400)["cvd"]
    assert cvd["window"] == 0.0
    alone = compute_flow([a_trade(901, "100", "1", at(500)), *_later(trades_of(signed[501:]), 501)], 900, 400)["cvd"]
    assert alone == cvd
    assert compute_flow(trades_of(signed), 900, 359)["cvd"]["ema_300s"] is None


def _later(trades: list[Fact], seconds: int) -> list[Fact]:
    """The same trades so many seconds later."""
    changes = []
    for trade in trades:
        body = msgspec.json.decode(trade.data)
        body["T"] += seconds * 1000
        changes.append(Fact(trade.kind, trade.recv_ns + seconds * SECOND_NS, msgspec.json.encode(body)))
    return changes


@pytest.mark.parametrize("decimals", [0, 8])
def test_quantities_near_the_largest(decimals: int) -> None:
    """One trade of almost 2^62 counts: its average is finite, and every figure of the result."""
    row = trade_columns([T0, T0 + SECOND_NS], [100 * 10**8] * 2, [2**62 - 5, 4], [False, True])
    (batch,) = batches(numbered({AGG_TRADE: row}))
    result = result_of(batch, 400, decimals=decimals)
    assert all(math.isfinite(number) for number in numbers_in(result))
    for span in ("60s", "300s"):
        assert result["cvd"][f"ema_{span}"] == pytest.approx((2**62 - 9) / 10**decimals)
