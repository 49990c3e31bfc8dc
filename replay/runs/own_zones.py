"""
Zones of a file in place of an analyst's: an adviser that is not part of this program, scored like one that is.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from math import nan
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.csv as pcsv
import pyarrow.parquet as pq

from agents.recommendation import Advice, Rung, Side, Zone
from agents.zones import stance_of
from analysis.observe import sigma_at
from analysis.parameters import Parameters
from eventlog.store.log import Log
from market.errors import BadNumber
from market.fixed_point import parse_column
from projections.state import BOOK_KINDS, READS, STATE_KINDS, MarketState, TickEntry
from replay.decisions import Decision, Ticks
from replay.errors import BadZones
from runtime.analysis_config import AnalysisConfig
from runtime.loop import ticks_of
from runtime.warm_up import read_instruments, state_of

NAME = "zones"
"""The analyst's name of a run of own zones."""

COLUMNS = ("as_of_seq", "side", "low", "high", "weight")
"""The columns of a file; prices are decimal text or numbers in quote, a weight is a share of the tick's sum."""

_MAX_BYTES = 1 << 30  # bounds memory: some ten million zones
_KINDS = tuple(kind for kind in STATE_KINDS if kind not in BOOK_KINDS)  # σ and the price follow from trades


@dataclass(frozen=True, slots=True)
class OwnZones:
    """
    The zones of a file.

    Attributes:
        digest: of the file. by_seq: by a tick's seq, its zones as side, low, high (1e-8 quote) and weight.
    """

    digest: str
    by_seq: Mapping[int, tuple[tuple[Side, int, int, float], ...]]


def read_own_zones(path: Path) -> OwnZones:
    """
    Read a file of zones: CSV with a header, or Parquet, with the columns of `COLUMNS`.

    Raises:
        BadZones: no such file, other columns, or a row that is no zone; the message names the row.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise BadZones(f"{path} cannot be read: {error.strerror or error}") from error
    if len(content) > _MAX_BYTES:
        raise BadZones(f"{path} is longer than {_MAX_BYTES:,} bytes")
    table = _parse(path, content)
    absent = [name for name in COLUMNS if name not in table.column_names]
    if absent:
        raise BadZones(f"{path} has no column {', '.join(absent)}; it needs {', '.join(COLUMNS)}")
    by_seq: dict[int, list[tuple[Side, int, int, float]]] = {}
    for seq, zone in _rows(path, table):
        by_seq.setdefault(seq, []).append(zone)
    digest = blake2b(content, digest_size=16).hexdigest()
    return OwnZones(digest, {seq: tuple(zones) for seq, zones in by_seq.items()})


def decide_own_zones(
    log: Log, ticks: Ticks, zones: OwnZones, config: AnalysisConfig, on_progress: Callable[[int], None]
) -> Iterator[Decision]:
    """
    The decisions of own zones at each tick: nothing is analysed but σ and the price, from trades.

    Args:
        log: the market log.
        ticks: at which zones may stand.
        zones: of a file.
        config: the symbol, windows and thresholds.
        on_progress: called with the number of ticks done since the last call.

    Raises:
        BadZones: a seq of the file is none of these ticks', or a price is off the tick grid.
    """
    unknown = sorted(set(zones.by_seq) - set(ticks.seq.tolist()))
    if unknown:
        raise BadZones(
            f"as_of_seq {unknown[0]} is no tick of this stretch ({len(unknown)} such); `liquidity sql` on the log's"
            " ticks lists their seqs"
        )
    state = state_of(log, config.windows)
    first, last = int(ticks.seq[0]), int(ticks.seq[-1])
    after = log.seq_before(int(ticks.boundary_ns[0]) - config.windows.warmup_ns)
    for instruments in read_instruments(log, after):
        state.apply(instruments)
    for tick in ticks_of(log.read(after, last, _KINDS, READS), state):
        if first <= tick.seq <= last:
            yield _decision(tick, state, zones, config)
            on_progress(1)


def _parse(path: Path, content: bytes) -> pa.Table:
    try:
        if content[:4] == b"PAR1":
            table = pq.read_table(pa.BufferReader(content))
        else:
            as_text = pcsv.ConvertOptions(column_types={name: pa.string() for name in COLUMNS})
            table = pcsv.read_csv(pa.BufferReader(content), convert_options=as_text)
    except pa.ArrowException as error:
        raise BadZones(f"{path} is neither CSV with a header nor Parquet: {str(error).splitlines()[0]}") from error
    return table


def _rows(path: Path, table: pa.Table) -> Iterator[tuple[int, tuple[Side, int, int, float]]]:
    try:
        low, high = (parse_column(_texts(table, name)) for name in ("low", "high"))
    except BadNumber as error:
        raise BadZones(f"{path}, row {(error.row or 0) + 1}: {BadNumber(error.text, error.reason)}") from error
    seqs, sides, weights = (_texts(table, name) for name in ("as_of_seq", "side", "weight"))
    for n, (seq, side, weight) in enumerate(zip(seqs, sides, weights, strict=True)):
        problem = _problem(seq, side, weight, int(low[n]), int(high[n]))
        if problem:
            raise BadZones(f"{path}, row {n + 1}: {problem}")
        yield int(seq), (cast(Side, side), int(low[n]), int(high[n]), float(weight))


def _problem(seq: str, side: str, weight: str, low_e8: int, high_e8: int) -> str:
    if not (seq.isascii() and seq.isdigit() and len(seq) < 19):
        return f"as_of_seq is a whole number, not {seq[:40]!r}"
    if side not in ("buy", "sell"):
        return f"side is buy or sell, not {side[:40]!r}"
    if low_e8 > high_e8:
        return "low is above high"
    try:
        number = float(weight)
    except ValueError:
        number = np.nan
    return "" if 0 < number < 1e12 else f"weight is a number above 0, not {weight[:40]!r}"


def _texts(table: pa.Table, name: str) -> list[str]:
    return ["" if value is None else str(value) for value in table.column(name).to_pylist()]


def _decision(tick: TickEntry, state: MarketState, zones: OwnZones, config: AnalysisConfig) -> Decision:
    reference, sigma = state.buckets.last_price_e8(), sigma_at(state, config.parameters)
    own = zones.by_seq.get(tick.seq, ()) if tick.trades == "live" else ()
    unit = (reference or 0) * (sigma or 0.0)
    total = sum(weight for _, _, _, weight in own)
    advised = tuple(_zone(n, zone, total, unit, config.parameters, state) for n, zone in enumerate(own))
    stance = stance_of(advised)
    advice = Advice(
        symbol=config.symbol, as_of_ns=tick.boundary_ns, as_of_seq=tick.seq, mid_e8=None, reference_e8=reference,
        sigma=sigma, stance=stance, reason="" if advised else "no zone in the file", zones=advised, analyst=NAME,
        model=None, prompt_digest=None, evidence_digest=zones.digest[:16], warnings=(),
    )  # fmt: skip
    body = advice.render() if tick.trades == "live" else None
    return Decision(tick.seq, tick.boundary_ns, reference, sigma, "", stance if body else None, len(advised), body)


def _zone(
    number: int, zone: tuple[Side, int, int, float], total: float, unit: float, parameters: Parameters,
    state: MarketState,
) -> Zone:  # fmt: skip
    side, low_e8, high_e8, weight = zone
    grid = state.tick_size_e8
    if grid is not None and (low_e8 % grid or high_e8 % grid):
        raise BadZones(f"a {side} zone of the file is off the tick grid of {grid / 1e8:g}: no order can stand there")
    beyond = max(1, round(parameters.beyond_sigma * unit))
    near, invalidation = (high_e8, max(1, low_e8 - beyond)) if side == "buy" else (low_e8, high_e8 + beyond)
    share = weight / total
    return Zone(side, low_e8, high_e8, share, nan, ("own",), (f"Z{number}",), invalidation,
                (Rung(near, share),))  # fmt: skip


def describe(zones: OwnZones) -> dict[str, Any]:
    """What identifies them in a run's inputs."""
    return {"digest": zones.digest, "zones": sum(len(own) for own in zones.by_seq.values())}
