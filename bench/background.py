"""
The simulated market without structures compared with the recorded one: `python -m bench.background`.

Sizes are over the median bin, so that scale drops out. The recordings are one snapshot and one day.
"""

import gzip
import json
import os
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pcsv
import typer

from market.arrays import F64, I64
from market.fixed_point import ONE_E8
from simulators.exchange.market.engine import MarketEngine
from simulators.exchange.market.parameters import MarketParameters
from simulators.exchange.market.trades import join_trades

Side = tuple[I64, I64]

REAL = Path(os.environ.get("REAL_DATA_DIR") or Path(__file__).resolve().parent.parent.parent / "shared" / "data")
BOOK = Path("snapshots") / "btcusdt-spot-2025-04-14-0000.json.gz"
DAY = Path("aggtrades") / "BTCUSDT-aggTrades-2024-01-01.zip"
RECORDED_RATE = 9.993
RECORDED_PRICE_E8 = 83_760 * ONE_E8

OCTAVES = ((2, 4), (4, 8), (8, 16), (16, 32), (32, 64), (64, 128))
PERCENTS = (10, 25, 50, 75, 90, 95, 99)
SPANS_S = (1, 10, 60)
RUNS = (2, 3, 5, 10, 20)
_SECOND_MS = 1_000


def measure_sizes_by_distance(books: Iterable[tuple[Side, Side]]) -> dict[tuple[int, int], F64]:
    """
    Measure in each octave of distance (bp) the percentiles of a $1 bin's size over the median bin, then levels per bin.

    Args:
        books: bids, best first, and asks, best first: prices and quantities, 1e-8.
    """
    distances, sizes, counts = [], [], []
    for bids, asks in books:
        mid = (int(bids[0][0]) + int(asks[0][0])) / 2
        for price_e8, quantity_e8 in (bids, asks):
            number = price_e8 // ONE_E8
            low = int(number.min())
            sizes.append(np.bincount(number - low, quantity_e8.astype(np.float64)))
            counts.append(np.bincount(number - low))
            centres = (np.arange(len(sizes[-1])) + low + 0.5) * ONE_E8
            distances.append(np.abs(centres - mid) / mid * 1e4)
    distance, count = np.concatenate(distances), np.concatenate(counts)
    size: F64 = np.concatenate(sizes).astype(np.float64)
    size = size / np.median(size)
    by_octave = {}
    for near, far in OCTAVES:
        in_octave = (distance >= near) & (distance < far)
        by_octave[near, far] = np.append(np.percentile(size[in_octave], PERCENTS), count[in_octave].mean())
    return by_octave


def measure_clustering(time_ms: I64, quantity: F64, seller: npt.NDArray[np.bool_], seconds: int) -> dict[str, float]:
    """
    Measure how trades cluster: rate, shared milliseconds, runs, Fano factors, autocorrelation, and their sizes.

    Args:
        time_ms: (n,) trade times, ms, rising.
        quantity: (n,) in base coins.
        seller: (n,) whether the seller was the aggressor.
        seconds: length of the record.
    """
    per_second = np.bincount((time_ms - time_ms[0]) // _SECOND_MS, minlength=seconds)[:seconds].astype(np.float64)
    same = np.diff(time_ms) == 0
    starts = np.flatnonzero(np.append(True, ~(same & (np.diff(seller.astype(np.int8)) == 0))))
    runs = np.diff(np.append(starts, len(time_ms)))
    figures = {"trades/s": len(time_ms) / seconds, "same ms": float(same.mean())}
    figures |= {f"runs >= {k}": float((runs >= k).mean()) for k in RUNS}
    for span in SPANS_S:
        counts = per_second[: len(per_second) // span * span].reshape(-1, span).sum(axis=1)
        figures[f"Fano {span} s"] = float(counts.var() / counts.mean())
    deviations = per_second - per_second.mean()
    for lag in SPANS_S:
        figures[f"autocorrelation {lag} s"] = float((deviations[:-lag] * deviations[lag:]).mean() / deviations.var())
    median = np.median(quantity)
    figures |= {f"size P{p:g}": float(np.percentile(quantity, p) / median) for p in (*PERCENTS, 99.9)}
    return figures


def load_recorded_book(folder: Path) -> tuple[Side, Side]:
    """Load the recorded snapshot."""
    with gzip.open(folder / BOOK) as file:
        body = json.load(file)
    sides = [np.array(body[name], np.float64).T for name in ("bids", "asks")]
    bids, asks = ((np.rint(p * ONE_E8).astype(np.int64), np.rint(q * ONE_E8).astype(np.int64)) for p, q in sides)
    return bids, asks


def measure_recorded_clustering(folder: Path) -> dict[str, float]:
    """Measure the clustering of the recorded day."""
    with zipfile.ZipFile(folder / DAY) as file:
        text = file.read(file.namelist()[0])
    day = pcsv.read_csv(pa.BufferReader(text), read_options=pcsv.ReadOptions(autogenerate_column_names=True))
    seller = day.column(6).to_numpy().astype(bool)
    return measure_clustering(day.column(5).to_numpy(), day.column(2).to_numpy(), seller, 86_400)


def measure_simulated(minutes: int, seeds: Sequence[int]) -> tuple[dict[tuple[int, int], F64], dict[str, float]]:
    """Measure the same figures in markets without natural walls at the recorded rate and price; medians over seeds."""
    parameters = MarketParameters(
        start_price_e8=RECORDED_PRICE_E8, trades_per_second=RECORDED_RATE, natural_walls=False
    )
    books: list[tuple[Side, Side]] = []
    flows = []
    for seed in seeds:
        engine = MarketEngine(parameters, np.random.default_rng(seed), 0)
        parts = []
        for minute in range(minutes):
            parts += [step.trades for step in engine.run(600)]
            if minute % 5 == 4:
                books.append(engine.snapshot(5_000)[1:])
        trades = join_trades(parts)
        seller = trades.buyer_is_maker.astype(bool)
        flows.append(measure_clustering(trades.time_ns // 1_000_000, trades.quantity_e8 / ONE_E8, seller, minutes * 60))
    return measure_sizes_by_distance(books), {
        name: float(np.median([flow[name] for flow in flows])) for name in flows[0]
    }


def build_table(folder: Path = REAL, minutes: int = 720, seeds: Sequence[int] = (1, 2, 3)) -> list[str]:
    """
    Compare recorded with simulated figures, one per line; the difference is the logarithm of simulated over recorded.

    Args:
        folder: of the recordings.
        minutes: of each simulated market.
        seeds: one market each.
    """
    book, flow = measure_sizes_by_distance([load_recorded_book(folder)]), measure_recorded_clustering(folder)
    simulated_book, simulated_flow = measure_simulated(minutes, seeds)
    lines = [f"{'size of a $1 bin over the median bin':<40} {'recorded':>10} {'simulated':>10} {'ln':>6}"]
    names: list[Any] = [*(f"P{p}" for p in PERCENTS), "levels a bin"]
    for near, far in OCTAVES:
        rows = zip(names, book[near, far], simulated_book[near, far], strict=True)
        lines += [_format_line(f"{near}-{far} bp {name}", recorded, simulated) for name, recorded, simulated in rows]
    lines += [_format_line(name, recorded, simulated_flow[name]) for name, recorded in flow.items()]
    return lines


def _format_line(name: str, recorded: float, simulated: float) -> str:
    return f"{name:<40} {recorded:>10.4g} {simulated:>10.4g} {np.log(simulated / recorded):>+6.2f}"


def main(minutes: int = 720) -> None:
    """Print the table."""
    for line in build_table(minutes=minutes):
        print(line)


if __name__ == "__main__":
    typer.run(main)
