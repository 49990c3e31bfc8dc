"""The record of a planted market is what its snapshots, diffs and trades show."""

from functools import cache

import numpy as np
import pytest

from market.arrays import I64
from market.fixed_point import ONE_E8
from market.timestamps import MINUTE_NS
from simulators.exchange.market.engine import MarketEngine, Step
from simulators.exchange.market.parameters import MarketParameters
from simulators.exchange.market.planting import Hazard, Plant, PlantRecord
from simulators.exchange.market.trades import Trades, join_trades
from simulators.exchange.planted.planted_market import PlantedMarket

START_NS = 1_767_600_000_000_000_000
BARE = MarketParameters(natural_walls=False, trades_per_second=10.0)
STILL = MarketParameters(natural_walls=False, trades_per_second=10.0, daily_volatility=0.0)

Side = tuple[I64, I64]


def a_market(*plants: Plant, seed: int = 1, parameters: MarketParameters = BARE) -> PlantedMarket:
    return PlantedMarket(parameters, list(plants), seed, START_NS)


def trades_of(steps: list[Step]) -> Trades:
    return join_trades([step.trades for step in steps])


def within(side: Side, low_e8: int, high_e8: int) -> int:
    return int(side[1][(side[0] >= low_e8) & (side[0] <= high_e8)].sum())


def corridor(side: Side, mid: float) -> int:
    return int(side[1][np.abs(side[0] - mid) <= mid * 90e-4].sum())


def side_of(market: PlantedMarket, record: PlantRecord) -> tuple[Side, float]:
    _, bids, asks = market.snapshot()
    return (bids if record.side == "bid" else asks), (int(bids[0][0]) + int(asks[0][0])) / 2


def bytes_of(steps: list[Step]) -> list[bytes]:
    return [s.trades.columns.tobytes() + b"".join(c.tobytes() for c in (*s.depth.bids, *s.depth.asks)) for s in steps]


@cache
def everything() -> tuple[Plant, ...]:
    return (
        Plant("wall", "ask", 1, 0.05, distance_bp=6.0),
        Plant("wall", "bid", 1, 0.03, distance_bp=20.0, hazard=Hazard(0.3)),
        Plant("wall", "bid", 1, 0.04, distance_bp=30.0, minutes=2, fate="moved"),
        Plant("band", "ask", 1, 3.0, distance_bp=15.0, minutes=4),
        Plant("vacuum", "bid", 1, 0.2, distance_bp=40.0, minutes=4),
        Plant("iceberg", "ask", 2, 0.02, distance_bp=3.0, minutes=5),
        Plant("absorption", "bid", 3, 4.0),
        Plant("sweep", "ask", 4, 12.0),
        Plant("poc", "bid", 5, 1.0, minutes=2),
    )


def test_a_market_without_plants_is_the_engine() -> None:
    """Nothing planted, or strengths that plant nothing: the same bytes as the engine alone."""
    bare = MarketEngine(BARE, np.random.default_rng([1, 1]), START_NS).run(1_300)
    none = Plant("wall", "ask", 0, 0.0, distance_bp=5.0), Plant("vacuum", "bid", 0, 1.0, distance_bp=5.0)
    market = a_market(*none, Plant("absorption", "bid", 1, 0.0))
    assert bytes_of(market.run(1_300)) == bytes_of(bare)
    assert [r.ending for r in market.records] == ["absent"] * 3


def test_a_seed_decides_everything() -> None:
    """The same seed gives the same bytes and the same record in any batches; another seed gives others."""
    one, two, other = (a_market(*everything(), seed=seed) for seed in (5, 5, 6))
    batch = bytes_of(one.run(4_200))
    parts = [b for _ in range(42) for b in bytes_of(two.run(100))]
    assert batch == parts
    assert one.records == two.records
    assert bytes_of(other.run(4_200)) != batch


def test_snapshots_diffs_and_trades_agree_whatever_is_planted() -> None:
    """The first snapshot and the diffs make the last, the book never crosses, agg ids have no gap."""
    market = a_market(*everything())
    _, *sides = market.snapshot()
    books = [dict(zip(p.tolist(), q.tolist(), strict=True)) for p, q in sides]
    update, ids, crossings = market.engine.last_update_id, [], 0
    for _ in range(8):
        for step in market.run(600):
            assert step.depth.first_update_id == update + 1
            update = step.depth.last_update_id
            for book, (price, quantity) in zip(books, (step.depth.bids, step.depth.asks), strict=True):
                book.update(zip(price.tolist(), quantity.tolist(), strict=True))
            ids += step.trades.agg_id.tolist()
        books = [{p: q for p, q in book.items() if q} for book in books]
        _, *sides = market.snapshot()
        assert books == [dict(zip(p.tolist(), q.tolist(), strict=True)) for p, q in sides]
        crossings += max(books[0]) >= min(books[1])
    assert crossings == 0
    assert ids == list(range(ids[0], ids[0] + len(ids)))


@pytest.mark.parametrize("strength", [0.0025, 0.02, 0.1])
def test_a_wall_has_the_share_it_was_given(strength: float) -> None:
    """One step after planting, the bin holds that share of its side's depth, nine tenths of it at one price."""
    market = a_market(Plant("wall", "ask", 1, strength, distance_bp=25.0))
    market.run(601)
    (record,) = market.records
    side, mid = side_of(market, record)
    quantity = within(side, record.low_e8, record.high_e8)
    assert quantity / corridor(side, mid) == pytest.approx(strength, rel=0.1)
    assert record.actual_strength == pytest.approx(strength, rel=0.01)
    assert record.high_e8 - record.low_e8 == ONE_E8 - 1_000_000
    assert record.heavy_price_e8 is not None
    heavy = within(side, record.heavy_price_e8, record.heavy_price_e8)
    assert heavy / quantity == pytest.approx(0.9, abs=0.02)
    assert (record.heavy_price_e8 - mid) / mid * 1e4 == pytest.approx(25.0, abs=0.3)
    assert (record.ending, record.start_ns) == ("standing", START_NS + MINUTE_NS)


def test_a_wall_is_minuted_as_snapshots_show_it() -> None:
    """Share and distance on record at each minute are those of that minute's snapshot."""
    market = a_market(Plant("wall", "bid", 0, 0.03, distance_bp=40.0))
    (record,) = market.records
    snapshots = []
    for _ in range(5):
        market.run(600)
        side, mid = side_of(market, record)
        assert record.heavy_price_e8 is not None
        snapshots.append(
            (within(side, record.low_e8, record.high_e8), mid - record.heavy_price_e8, corridor(side, mid), mid)
        )
    rows = record.minutes[1:]
    assert [row.time_ns for row in rows] == [START_NS + m * MINUTE_NS for m in range(1, 6)]
    shares = [quantity / depth for quantity, _, depth, _ in snapshots]
    distances = [offset / mid * 1e4 for _, offset, _, mid in snapshots]
    assert [row.share for row in rows] == [pytest.approx(share, rel=1e-3) for share in shares]
    assert [row.distance_bp for row in rows] == [pytest.approx(distance, abs=1e-3) for distance in distances]
    assert len({quantity for quantity, *_ in snapshots}) == 1


def test_a_wall_pulled_on_plan_goes_without_a_trade() -> None:
    """After its minutes nothing stands at the heavy price and nothing has traded there."""
    market = a_market(Plant("wall", "bid", 0, 0.03, distance_bp=40.0, minutes=2, fate="pulled"))
    steps = market.run(1_201)
    (record,) = market.records
    side, _ = side_of(market, record)
    assert (record.ending, record.end_ns) == ("pulled", START_NS + 2 * MINUTE_NS)
    assert within(side, record.low_e8, record.high_e8) < 0.05 * record.actual_strength * side[1].sum()
    assert record.heavy_price_e8 not in trades_of(steps).price_e8.tolist()
    assert [row.alive for row in record.minutes] == [True, True, True, False]


def test_a_wall_that_moves_goes_on_near_by() -> None:
    """Nearly the same size stands within three bins, under a record that names its parent."""
    market = a_market(Plant("wall", "bid", 0, 0.03, distance_bp=40.0, minutes=1, fate="moved"))
    market.run(599)
    first = market.records[0]
    side, _ = side_of(market, first)
    before = within(side, first.low_e8, first.high_e8)
    market.run(2)
    first, second = market.records
    side, _ = side_of(market, second)
    after = within(side, second.low_e8, second.high_e8)
    assert (first.ending, second.parent, second.ending) == ("moved", first.id, "standing")
    assert 1 <= abs(second.low_e8 - first.low_e8) // ONE_E8 <= 3
    assert after / before == pytest.approx(1.0, abs=0.1)


def test_a_wall_the_price_wants_through_is_eaten_by_trades() -> None:
    """The price stands before it until trades at the heavy price add up to all that stood there."""
    wild = MarketParameters(natural_walls=False, trades_per_second=10.0, daily_volatility=0.1)
    market = a_market(Plant("wall", "ask", 0, 0.02, distance_bp=2.0), parameters=wild, seed=2)
    market.run(1)
    (record,) = market.records
    heavy = record.heavy_price_e8
    assert heavy is not None
    side, _ = side_of(market, record)
    size, volume, highest = within(side, heavy, heavy), 0, 0
    while record.ending == "standing" and market.engine.now_ns < START_NS + 60 * MINUTE_NS:
        trades = trades_of(market.run(10))
        volume += int(trades.quantity_e8[trades.price_e8 == heavy].sum())
        if record.ending == "standing":
            highest = max(highest, int(trades.price_e8.max(initial=0)))
    assert record.ending == "filled"
    assert volume == size
    assert highest <= heavy
    assert record.touched_ns is not None
    assert record.end_ns is not None
    assert record.touched_ns <= record.end_ns


@pytest.mark.slow
def test_a_hazard_pulls_as_often_as_it_says() -> None:
    """Of 240 wall minutes at a chance of 1 - exp(-0.2), the number of pulls lies within four deviations."""
    plants = [Plant("wall", "bid", m, 0.005, distance_bp=50.0, hazard=Hazard(0.2)) for m in range(40)]
    pulls = minutes = 0
    for seed in (1, 2):
        market = a_market(*plants, seed=seed, parameters=STILL)
        market.run(60 * 600)
        for record in market.records:
            pulls += record.ending == "pulled"
            minutes += sum(row.alive for row in record.minutes)
    chance = 1.0 - np.exp(-0.2)
    assert minutes > 240
    assert abs(pulls - chance * minutes) < 4.0 * np.sqrt(minutes * chance * (1.0 - chance))


@pytest.mark.parametrize(("side", "strength"), [("ask", 1.5), ("bid", 8.0)])
def test_a_band_multiplies_what_would_stand_there(side: str, strength: float) -> None:
    """Many bins hold the extra quantity, as much as its strength says, and no bin dominates."""
    with_band, without = (
        a_market(Plant("band", side, 1, s, distance_bp=20.0, minutes=3), parameters=STILL)  # type: ignore[arg-type]
        for s in (strength, 1.0)
    )
    for market in (with_band, without):
        market.run(601)
    (record,) = with_band.records
    band_side, _ = side_of(with_band, record)
    bare, _ = side_of(without, record)
    extra = within(band_side, record.low_e8, record.high_e8) - within(bare, record.low_e8, record.high_e8)
    usual = with_band._scene.planter.background_e8(record.side, record.low_e8 // 1_000_000, record.high_e8 // 1_000_000)
    assert extra / usual == pytest.approx(strength - 1.0, rel=0.25)
    assert (record.high_e8 - record.low_e8) / 1e5 / ONE_E8 * 1e4 >= 9.0
    bins = np.arange(record.low_e8, record.high_e8, ONE_E8)
    extras = [within(band_side, b, b + ONE_E8 - 1) - within(bare, b, b + ONE_E8 - 1) for b in bins]
    assert len(bins) >= 100
    assert max(extras) < 0.1 * extra


def test_a_vacuum_stays_empty_and_then_fills() -> None:
    """Its depth is cut to a fifth, stays there for its minutes, and comes back."""
    market = a_market(Plant("vacuum", "bid", 1, 0.2, distance_bp=24.0, minutes=3), parameters=STILL)
    market.run(600)
    side = market.snapshot()[1]
    depth = [side]
    for count in (1, 599, 600, 599, 2):
        market.run(count)
        depth.append(market.snapshot()[1])
    (record,) = market.records
    quantities = [within(side, record.low_e8, record.high_e8) for side in depth]
    assert (record.high_e8 + 1_000_000 - record.low_e8) // ONE_E8 >= 90
    assert record.actual_strength == pytest.approx(0.2, abs=0.01)
    assert quantities[1] / quantities[0] == pytest.approx(0.2, abs=0.02)
    assert max(quantities[1:5]) < 0.4 * quantities[0]
    assert quantities[5] > 2.5 * quantities[4]
    assert record.ending == "done"


@pytest.mark.parametrize("strength", [2.0, 8.0])
def test_absorption_meets_aggressors_and_holds(strength: float) -> None:
    """For its minute sellers trade at one price that is filled up again, and nothing trades below."""
    market = a_market(Plant("absorption", "bid", 12, strength))
    market.run(12 * 600)
    _, deviation = market._scene.volumes.stats(1)
    trades = trades_of(market.run(600))
    market.run(1)
    (record,) = market.records
    sold = (trades.buyer_is_maker == 1) & (trades.price_e8 == record.heavy_price_e8)
    assert trades.price_e8.min() >= record.heavy_price_e8
    assert int(trades.quantity_e8[sold].sum()) >= record.actual_strength * deviation
    assert record.actual_strength == pytest.approx(strength, rel=0.1)
    assert record.ending == "done"


@pytest.mark.parametrize(("side", "levels"), [("ask", 3), ("bid", 12), ("ask", 30)])
def test_a_sweep_is_one_run_of_levels(side: str, levels: int) -> None:
    """So many consecutive agg ids share a millisecond and an aggressor and walk away from the touch."""
    market = a_market(Plant("sweep", side, 1, levels))  # type: ignore[arg-type]
    market.run(600)
    trades = trades_of(market.run(1))
    market.run(9)
    (record,) = market.records
    run = trades[len(trades) - levels :]
    assert np.unique(run.time_ns).size == 1
    assert np.unique(run.buyer_is_maker).tolist() == [int(side == "bid")]
    assert np.all(np.diff(run.price_e8) * (1 if side == "ask" else -1) > 0)
    assert run.quantity_e8.sum() >= levels * 0.53 * ONE_E8
    assert (record.actual_strength, record.ending) == (levels, "done")
    assert (record.low_e8, record.high_e8) <= (run.price_e8.min(), run.price_e8.max())
    assert record.high_e8 == run.price_e8.max() or side == "bid"


def test_an_iceberg_shows_little_and_sells_much() -> None:
    """What is displayed never exceeds its tip; what trades at its price until it is gone is its total."""
    wild = MarketParameters(natural_walls=False, trades_per_second=10.0, daily_volatility=0.1)
    market = a_market(Plant("iceberg", "ask", 0, 0.03, distance_bp=2.0, minutes=60), parameters=wild, seed=2)
    depth = corridor(market.snapshot()[2], float(market.engine.fair_price_e8))
    market.run(1)
    (record,) = market.records
    assert record.heavy_price_e8 is not None
    volume, snapshots = 0, []
    while record.ending == "standing" and market.engine.now_ns < START_NS + 59 * MINUTE_NS:
        side, _ = side_of(market, record)
        snapshots.append(within(side, record.low_e8, record.high_e8))
        trades = trades_of(market.run(1))
        volume += int(trades.quantity_e8[trades.price_e8 == record.heavy_price_e8].sum())
    assert record.ending == "filled"
    assert max(snapshots) == BARE.typical_quantity_e8
    assert volume == pytest.approx(record.actual_strength * depth, rel=0.01)
    assert volume > 20 * max(snapshots)


def test_a_poc_trades_on_both_sides_of_one_row() -> None:
    """Its row trades far more than any other meanwhile, bought and sold alike."""
    market = a_market(Plant("poc", "bid", 2, 2.0, minutes=10))
    market.run(1_200)
    trades = trades_of(market.run(6_000))
    market.run(1)
    (record,) = market.records
    row = trades.price_e8 // (10 * ONE_E8)
    volume = np.bincount(row - row.min(), trades.quantity_e8)
    inside = (trades.price_e8 >= record.low_e8) & (trades.price_e8 <= record.high_e8)
    sold = trades.quantity_e8[inside] @ trades.buyer_is_maker[inside] / trades.quantity_e8[inside].sum()
    assert (int(np.argmax(volume)) + row.min()) * 10 * ONE_E8 == record.low_e8
    assert 0.3 < sold < 0.7
    assert record.actual_strength == pytest.approx(2.0, abs=0.4)


def test_a_certain_edge_is_never_broken() -> None:
    """With a chance of 1 the price comes to zones on both sides and does not trade beyond them while they last."""
    wild = MarketParameters(natural_walls=False, trades_per_second=10.0, daily_volatility=0.1)
    edges = [Plant("edge", side, 0, 1.0, distance_bp=8.0, minutes=60) for side in ("ask", "bid")]  # type: ignore[arg-type]
    market = a_market(*edges, parameters=wild, seed=2)
    lowest, highest = [], []
    while all(r.ending in ("waiting", "standing") for r in market.records) and len(lowest) < 1_800:
        prices = trades_of(market.run(10)).price_e8
        lowest, highest = [*lowest, int(prices.min(initial=2**62))], [*highest, int(prices.max(initial=0))]
    ask, bid = market.records
    slack = ask.high_e8 * 5e-4  # orders walk beyond it for a moment: a fifth of what this market moves in a minute
    assert max(ask.actual_strength, bid.actual_strength) == 1.0
    assert "breached" not in (ask.ending, bid.ending)
    assert max(highest) < ask.high_e8 + slack
    assert min(lowest) > bid.low_e8 - slack


def test_an_edge_without_a_chance_is_absent() -> None:
    """Strength 0 plants nothing: the null market."""
    market = a_market(Plant("edge", "ask", 0, 0.0, distance_bp=2.0))
    market.run(10)
    assert market.records[0].ending == "absent"
