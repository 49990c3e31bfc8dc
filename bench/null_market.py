"""
Whether the simulated null market is a martingale, and whether a planted edge is found with its size.

`python -m bench.null_market --markets 8 --hours 12` prints variance ratios, what past flow says of later returns, and
how often levels that are placed without knowledge are rejected beside a martingale's rate. With `--edge 0.4` zones with
that edge are planted, and the rate is theirs.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fills.trade_tape import TradeTape
from market.arrays import F64, I64
from market.fixed_point import ONE_E8
from market.timestamps import HOUR_NS, MINUTE_NS, SECOND_NS
from replay.inference import blocks
from replay.inference.blocks import BlockSums, Samples
from replay.recorded.price_path import PricePath
from replay.scoring import figures
from replay.scoring.outcomes import Levels, outcomes_at
from replay.scoring.scoring import expected_rejections
from simulators.exchange.market.engine import MarketEngine
from simulators.exchange.market.parameters import MarketParameters
from simulators.exchange.market.planting import Plant, PlantRecord, Side
from simulators.exchange.market.trades import Trades, join_trades
from simulators.exchange.planted.planted_market import PlantedMarket

PARAMETERS = MarketParameters(start_price_e8=42_500 * ONE_E8, trades_per_second=10.0, daily_volatility=0.018)
_STEPS_PER_MINUTE = 600
_SPANS_S = (1, 10, 60, 300, 900)
_FLOW_S = (10, 60, 300)
_LAG_S = 2  # quotes have followed the value by then
_WARM_UP_MIN = 61  # an hour of returns gives σ
_SIGMAS = 2.0  # from a zone to where it is rejected or broken, as the shipped rules have it
_BLOCK_NS = 6 * HOUR_NS  # zones of one block are one observation
_EDGE_EVERY_MIN = 45  # planted zones, one after the other: the turn of one must not hold another
_EDGE_DISTANCE_BP = 8.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean and its standard error."""

    mean: float
    error: float

    @property
    def z(self) -> float:
        """The mean in standard errors."""
        return self.mean / self.error


@dataclass(frozen=True, slots=True)
class Zones:
    """n zones: side, prices (1e-8 quote), the first moment of a touch, and σ of a minute as a price distance."""

    is_buy: I64
    low_e8: I64
    high_e8: I64
    start_ns: I64
    unit_e8: F64


def simulate(seed: int, hours: float) -> PricePath:
    """The trades of a null market."""
    engine = MarketEngine(PARAMETERS, np.random.default_rng(seed), 0)
    parts = [step.trades for _ in range(round(hours * 60)) for step in engine.run(_STEPS_PER_MINUTE)]
    return path_of(join_trades(parts))


def simulate_edges(seed: int, hours: float, edge: float) -> tuple[PricePath, tuple[PlantRecord, ...]]:
    """The trades of a market with an edge planted every 45 minutes, and the records of those edges."""
    sides: tuple[Side, Side] = ("bid", "ask")
    minutes = range(_WARM_UP_MIN, round(hours * 60) - 90, _EDGE_EVERY_MIN)
    plants = [
        Plant("edge", sides[i % 2], m, edge, distance_bp=_EDGE_DISTANCE_BP, minutes=60) for i, m in enumerate(minutes)
    ]
    market = PlantedMarket(PARAMETERS, plants, seed, 0)
    parts = [step.trades for _ in range(round(hours * 60)) for step in market.run(_STEPS_PER_MINUTE)]
    return path_of(join_trades(parts)), market.records


def path_of(trades: Trades) -> PricePath:
    """Trades as the scores read them."""
    sign = np.where(trades.buyer_is_maker == 1, -1, 1)
    tape = TradeTape.from_columns(trades.time_ns, trades.price_e8, trades.quantity_e8, sign)
    return PricePath.from_tape(tape, np.arange(len(sign)))


def returns_by_second(path: PricePath) -> F64:
    """Log returns of the last trade from second to second."""
    seconds = np.arange(path.at_ns[0] // SECOND_NS + 1, path.end_ns // SECOND_NS) * SECOND_NS
    result: F64 = np.diff(np.log(path.price_at(seconds)))
    return result


def variance_ratios(returns: F64) -> list[float]:
    """The variance per second of returns over each of the spans, over that of a minute."""
    variance = [float((_sum(returns, span) ** 2).mean()) / span for span in _SPANS_S]
    return [value / variance[_SPANS_S.index(60)] for value in variance]


def flow_products(path: PricePath, span_s: int) -> F64:
    """Signs of trades summed over a span, times the return of as long a span that begins two seconds after it."""
    returns = returns_by_second(path)
    second = path.at_ns // SECOND_NS - path.at_ns[0] // SECOND_NS - 1
    inside = (second >= 0) & (second < len(returns))
    flow = np.bincount(second[inside], path.tape.sign[inside], minlength=len(returns)).astype(np.float64)
    later = returns[_LAG_S:]
    count = len(later) // span_s - 1
    result: F64 = _sum(flow, span_s)[:count] * _sum(later, span_s)[1 : count + 1]
    return result


def zones_without_knowledge(path: PricePath, seed: int) -> Zones:
    """A zone a minute on each side, 1 to 6 σ from the price, 0.2 to 0.8 σ wide."""
    chance = np.random.default_rng([seed, 3])
    ends = np.arange(path.at_ns[0] // MINUTE_NS + 1, path.end_ns // MINUTE_NS) * MINUTE_NS
    unit = _sigma_e8(path, ends)
    rows = np.repeat(np.arange(_WARM_UP_MIN, len(ends) - 65), 2)
    is_buy, close = np.arange(len(rows)) % 2, path.price_at(ends)[rows]
    distance = (chance.uniform(1.0, 6.0, len(rows)) * unit[rows]).astype(np.int64)
    width = (chance.uniform(0.2, 0.8, len(rows)) * unit[rows]).astype(np.int64)
    low = np.where(is_buy == 1, close - distance - width, close + distance)
    return Zones(is_buy, low, low + width, ends[rows], unit[rows])


def zones_of(records: Sequence[PlantRecord], path: PricePath) -> Zones:
    """The zones of planted edges that began."""
    begun = [r for r in records if r.start_ns is not None]
    start = np.array([r.start_ns for r in begun], np.int64)
    is_buy = np.array([r.side == "bid" for r in begun], np.int64)
    low, high = (np.array([getattr(r, name) for r in begun], np.int64) for name in ("low_e8", "high_e8"))
    ends = np.arange(path.at_ns[0] // MINUTE_NS + 1, path.end_ns // MINUTE_NS) * MINUTE_NS
    place = np.minimum(np.searchsorted(ends, start), len(ends) - 1)
    return Zones(is_buy, low, high, start, _sigma_e8(path, ends)[place])


def rejections(path: PricePath, zones: Zones) -> tuple[F64, F64, I64]:
    """Of the decided zones: rejected (1) or broken (0), a martingale's rate, and the block each lies in."""
    count = len(zones.low_e8)
    reach = np.ceil(_SIGMAS * zones.unit_e8).astype(np.int64)
    is_buy = zones.is_buy == 1
    stop, no_seq = zones.start_ns + HOUR_NS, np.full(count, -1)
    levels = Levels(is_buy, zones.low_e8, zones.high_e8, reach, reach, zones.start_ns, stop, no_seq)
    outcomes = outcomes_at(path, levels)
    rejected = figures.rejections(outcomes)
    decided = ~np.isnan(rejected)
    return rejected[decided], expected_rejections(levels, outcomes)[decided], (zones.start_ns // _BLOCK_NS)[decided]


def jackknife(values: F64, block: I64) -> Estimate:
    """The mean and its standard error, leaving out one block after the other."""
    mean, error, _, _ = blocks.jackknife(BlockSums.of(Samples(values, block)).surpluses)
    return Estimate(mean, error)


def _sum(values: F64, span: int) -> F64:
    count = len(values) // span
    result: F64 = values[: count * span].reshape(count, span).sum(axis=1)
    return result


def _sigma_e8(path: PricePath, ends_ns: I64) -> F64:
    # Per minute, of the 60 minutes before; 0 until there are so many.
    close = path.price_at(ends_ns)
    squares = np.concatenate([[0.0], np.cumsum(np.diff(np.log(close)) ** 2)])
    sigma = np.zeros(len(ends_ns))
    sigma[60:] = np.sqrt(np.maximum(squares[60:] - squares[:-60], 0.0) / 60.0)
    result: F64 = sigma * close
    return result


def main(arguments: Sequence[str]) -> None:
    """Simulate markets one after the other, then print the figures of all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--markets", type=int, default=8)
    parser.add_argument("--hours", type=float, default=12.0)
    parser.add_argument("--first", type=int, default=31, help="the first seed; 1 to 3 are those of the fit")
    parser.add_argument("--edge", type=float, default=0.0, help="chance that a touch which would break is turned back")
    asked = parser.parse_args(arguments)
    ratios, products, columns = [], {span: list[F64]() for span in _FLOW_S}, list[tuple[F64, F64, I64]]()
    for seed in range(asked.first, asked.first + asked.markets):
        if asked.edge > 0.0:
            path, records = simulate_edges(seed, asked.hours, asked.edge)
            zones = zones_of(records, path)
        else:
            path = simulate(seed, asked.hours)
            zones = zones_without_knowledge(path, seed)
        ratios.append(variance_ratios(returns_by_second(path)))
        for span in _FLOW_S:
            products[span].append(flow_products(path, span))
        rejected, expected, block = rejections(path, zones)
        columns.append((rejected, expected, block + 1_000_000 * seed))
        print(f"seed {seed}: {len(path):,} trades, {len(rejected):,} zones", file=sys.stderr, flush=True)
    rejected, expected, block = (np.concatenate(column) for column in zip(*columns, strict=True))
    _print(np.array(ratios), products, rejected, expected, block, asked.edge)


def _print(ratios: F64, products: dict[int, list[F64]], rejected: F64, expected: F64, block: I64, edge: float) -> None:
    if len(ratios) > 1:
        for span, ratio in zip(_SPANS_S, ratios.T, strict=True):
            error = ratio.std(ddof=1) / len(ratio) ** 0.5
            print(f"variance per second, {span} s over 60 s: {ratio.mean():.3f} ± {error:.3f}")
    for span, parts in products.items():
        product = np.concatenate(parts)
        print(f"return after flow of {span} s, from 2 s on: z {product.sum() / (product**2).sum() ** 0.5:+.2f}")
    excess = jackknife(rejected - expected, block)
    print(f"rejected {rejected.mean():.3f}, a martingale {expected.mean():.3f} of {len(rejected):,} zones")
    print(f"rejected less a martingale's rate: {excess.mean:+.4f} ± {excess.error:.4f}")
    if edge > 0.0:
        print(f"planted: {edge * (1.0 - expected.mean()):+.4f}")


if __name__ == "__main__":
    main(sys.argv[1:])
