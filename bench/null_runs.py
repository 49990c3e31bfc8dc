"""
Markets without any edge through the command line: how often intervals cover 0, and how often something is concluded.

`python -m bench.null_runs --markets 20 --days 1`: each market is written as archive files, imported, replayed with the
rules and with three files of zones. The figures of all runs are printed as a table.
"""

import argparse
import csv
import json
import sys
import tempfile
import zipfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from typer.testing import CliRunner

from cli.main import app
from market.fixed_point import ONE_E8, format_e8
from market.instrument import Market
from market.timestamps import DAY_NS, iso
from replay.decisions import ticks_between
from replay.recorded.price_path import PricePath
from runtime.open_log import open_log
from tests.null_markets import Adviser, a_martingale, advise, clustered, even, one_sided

MARKET = "binance:BTCUSDT"
ADVISERS: dict[str, Adviser] = {"even": even, "one-sided": one_sided, "clustered": clustered}
FOUND_BELOW = 0.05


def liquidity(*arguments: str | Path) -> str:
    """What the command prints; its libraries are loaded once for all markets."""
    done = CliRunner().invoke(app, list(map(str, arguments)))
    if done.exit_code:
        raise SystemExit(f"{' '.join(map(str, arguments))}: {done.output}")
    return done.stdout


def write_archive(path: PricePath, folder: Path) -> list[Path]:
    """The trades as the venue archives them, a file a day."""
    files = []
    for day in np.unique(path.at_ns // DAY_NS).tolist():
        name = f"BTCUSDT-aggTrades-{iso(day * DAY_NS)[:10]}"
        rows = np.flatnonzero(path.at_ns // DAY_NS == day)
        lines = "".join(
            f"{n + 1},{format_e8(int(path.price_e8[n]))},{format_e8(ONE_E8)},{n + 1},{n + 1},"
            f"{int(path.at_ns[n]) // 10**6},{'true' if path.tape.sign[n] < 0 else 'false'},true\n"
            for n in rows.tolist()
        )
        with zipfile.ZipFile(folder / f"{name}.zip", "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr(f"{name}.csv", lines)
        files.append(folder / f"{name}.zip")
    return files


def write_zones(path: PricePath, seed: int, days: int, adviser: Adviser, storage: Path, file: Path) -> None:
    """An adviser's zones at the ticks of the imported log."""
    with open_log(storage, Market.parse(MARKET)) as log:
        ticks = ticks_between(log, 0, 2**62)
    seq_at = dict(zip(ticks.boundary_ns.tolist(), ticks.seq.tolist(), strict=True))
    with file.open("w", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(("as_of_seq", "side", "low", "high", "weight"))
        for publication in advise(path, seed, adviser, days):
            seq = seq_at.get((publication.published_ns // (60 * 10**9)) * 60 * 10**9)
            for zone in publication.advice.zones if seq is not None else ():
                rows.writerow((seq, zone.side, format_e8(zone.low_e8), format_e8(zone.high_e8), zone.weight))


def runs_of(seed: int, days: int) -> dict[str, list[dict[str, Any]]]:
    """One market: the score table of each adviser."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = a_martingale(seed, days)
        storage = folder / "storage"
        liquidity("log", "import", "binance-aggtrades", *write_archive(path, folder), "--market", MARKET,
                  "--storage", storage)  # fmt: skip
        common = ("--market", MARKET, "--storage", storage, "--out", folder / "runs", "--json")
        tables = {"rules": json.loads(liquidity("replay", "run", *common))["scores"]}
        for adviser, draw in ADVISERS.items():
            write_zones(path, seed, days, draw, storage, folder / f"{adviser}.csv")
            answer = liquidity("replay", "run", "--zones", folder / f"{adviser}.csv", *common)
            tables[adviser] = json.loads(answer)["scores"]
    return tables


def table(runs: dict[str, list[list[dict[str, Any]]]]) -> list[str]:
    """A line for each adviser and figure: coverage of 0, mean in its standard errors, and whether p is uniform."""
    lines = [f"{'adviser':<10} {'figure':<28} {'fills':<8} {'runs':>5} {'cover 0':>8} {'mean/se':>8} {'KS p':>6}"]
    for adviser, tables in runs.items():
        figures: dict[tuple[str, str], list[tuple[float, bool, float | None]]] = defaultdict(list)
        for row in (row for rows in tables for row in rows if row["low"] is not None):
            key = row["metric"], row["model"] or ""
            figures[key].append((row["difference"], row["low"] <= 0 <= row["high"], row["p"]))
        for (metric, model), values in figures.items():
            if model not in ("", "all", "touch", "through"):
                continue
            means, covered, p = (list(column) for column in zip(*values, strict=True))
            error = np.std(means, ddof=1) / len(means) ** 0.5 if len(means) > 1 else np.nan
            stated = [value for value in p if value is not None]
            uniform = f"{uniform_p(stated):>6.3f}" if stated else ""
            lines.append(
                f"{adviser:<10} {metric:<28} {model:<8} {len(means):>5} {np.mean(covered):>8.3f}"
                f" {np.mean(means) / error:>+8.2f} {uniform:>6}"
            )
        found = [any((row["p_corrected"] or 1) < FOUND_BELOW for row in rows) for rows in tables]
        lines.append(f"{adviser:<10} runs in which something is concluded: {sum(found)} of {len(found)}")
    return lines


def uniform_p(values: Sequence[float]) -> float:
    """Kolmogorov's probability that values from 0 to 1 as uneven as these come from a uniform distribution."""
    own, n = np.sort(np.array(values)), len(values)
    rank = np.arange(n + 1) / n
    distance = float(np.maximum(rank[1:] - own, own - rank[:-1]).max())
    scaled = (n**0.5 + 0.12 + 0.11 / n**0.5) * distance
    k = np.arange(1, 101)
    return float(np.clip(2 * np.sum((-1.0) ** (k - 1) * np.exp(-2 * k**2 * scaled**2)), 0.0, 1.0))


def main(arguments: Sequence[str]) -> None:
    """Run markets one after the other; the table so far after every tenth."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--markets", type=int, default=20)
    parser.add_argument("--days", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--rows", type=Path, help="a file that the score tables are added to, a line of JSON each")
    asked = parser.parse_args(arguments)
    runs: dict[str, list[list[dict[str, Any]]]] = defaultdict(list)
    for n, seed in enumerate(range(asked.first, asked.first + asked.markets), 1):
        for adviser, rows in runs_of(seed, asked.days).items():
            runs[adviser].append(rows)
            if asked.rows is not None:
                with asked.rows.open("a") as file:
                    file.write(json.dumps({"seed": seed, "adviser": adviser, "rows": rows}) + "\n")
        print(f"{n} of {asked.markets} markets", file=sys.stderr, flush=True)
        if n % 10 == 0 or n == asked.markets:
            print("\n".join(table(runs)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
