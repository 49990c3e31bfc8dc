"""Nothing depends on the order of magnitude of prices: a market at another power of ten is the same market."""

import json
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from agents.rules import RulesAnalyst
from analysis.render.view_json import render_view
from bench.planted import MARKET as PLANTED
from bench.planted import plan_plants
from eventlog.clock import ManualClock
from eventlog.facts.market import AGG_TRADE, DIFF, INSTRUMENT, SNAPSHOT
from eventlog.store.batch import Batch
from projections.state import MarketState
from replay.runs.run import Request, run
from replay.scoring.rules import rules_of
from runtime.analysis_config import analysis_config
from runtime.decide import Decider, TickDecision
from runtime.loop import drive
from runtime.settings.settings import Settings
from simulators.exchange.planted.planted_market import PlantedMarket
from simulators.exchange.playback.record import batches as recorded
from tests.market_builders import MARKET, T0, a_market, batches, write_log
from tests.slices import a_slice

_PRICES = {
    AGG_TRADE: ("price_e8",),
    SNAPSHOT: ("bid_price_e8", "ask_price_e8"),
    DIFF: ("bid_price_e8", "ask_price_e8"),
    INSTRUMENT: ("tick_size_e8",),
}
_IN_QUOTE = {"speed", "walk_speed", "quote_per_base"}
"""Plain numbers that are prices by something."""

POWERS = a_slice((-6, -3, 3), 3)


def times(values: pa.Array, power: int) -> pa.Array:
    """Counts times a power of ten; none is lost."""
    if pa.types.is_list(values.type):
        starts = pc.subtract(values.offsets, values.offsets[0])
        return pa.ListArray.from_arrays(starts, times(values.flatten(), power), type=values.type)
    counts = values.to_numpy(zero_copy_only=False).astype(np.int64)
    if power >= 0:
        return pa.array(counts * 10**power, values.type)
    assert not np.any(counts % 10**-power)
    return pa.array(counts // 10**-power, values.type)


def at_scale(stream: Iterable[Batch], power: int) -> Iterator[Batch]:
    """The same market with every price times a power of ten."""
    for batch in stream:
        tables = {k: r.table().combine_chunks() for k, r in batch.rows.items()}
        for kind in _PRICES.keys() & tables.keys():
            for name in _PRICES[kind]:
                whole = tables[kind]
                place = whole.schema.get_field_index(name)
                column = whole.column(name).combine_chunks()
                column = column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
                tables[kind] = whole.set_column(place, whole.schema.field(name), times(column, power))
        yield Batch.from_tables(batch.first_seq, batch.last_seq, tables)


def decided(stream: Iterable[Batch]) -> list[TickDecision]:
    """Every tick of a log decided by the rules, with the settings of a user who sets nothing."""
    sight = analysis_config(Settings(), "TESTUSDT")
    state = MarketState(sight.windows)
    decider = Decider("TESTUSDT", state, RulesAnalyst(sight.parameters), sight.parameters)
    found: list[TickDecision] = []
    drive(stream, state, lambda tick, now: found.append(decider.decide(tick, now)))
    return found


def walk() -> Iterable[Batch]:
    """Two hours of a random walk about 20,000, where the width of levels changes, with books."""
    return batches(a_market(5, 120))


@cache
def _planted() -> tuple[Batch, ...]:
    market = PlantedMarket(PLANTED, plan_plants(5), 5, T0)
    return tuple(recorded(market, T0, 45, with_diffs=True))


MARKETS = {"a walk": walk, "planted structures, with updates": _planted}


@cache
def as_it_is(name: str) -> list[TickDecision]:
    """A market's decisions at the prices it has."""
    return decided(MARKETS[name]())


def differences(here: Any, there: Any, power: int, path: str) -> Iterator[str]:
    """Where two values differ, but for a price that is a power of ten times the other."""
    if isinstance(here, dict) and isinstance(there, dict):
        for key in dict.fromkeys((*here, *there)):
            if key not in ("state", "parameters"):
                yield from differences(here.get(key), there.get(key), power, f"{path}.{key}")
    elif isinstance(here, list) and isinstance(there, list) and len(here) == len(there):
        for n, (one, two) in enumerate(zip(here, there, strict=True)):
            yield from differences(one, two, power, f"{path}[{n}]")
    elif isinstance(here, float) and isinstance(there, float):
        expected = here * 10.0**power if path.rpartition(".")[2] in _IN_QUOTE else here
        if abs(there - expected) > 2e-4 * abs(expected) + (0 if path.endswith("speed") else 2e-4):
            yield f"{path}: {here} and {there}"
    elif here != there and not _is_scaled(here, there, power):
        yield f"{path}: {here} and {there}"


def _is_scaled(here: Any, there: Any, power: int) -> bool:
    """Whether two texts are prices, of which one is the other times a power of ten, to a count of 1e-8."""
    try:
        one, two = Decimal(here).scaleb(power), Decimal(there)
    except (InvalidOperation, TypeError, ValueError):
        return False
    return abs(one - two) <= max(Decimal("1E-8"), abs(one) * Decimal("1E-9"))


@pytest.mark.slow
@pytest.mark.parametrize("power", POWERS)
@pytest.mark.parametrize("name", MARKETS)
def test_a_scaled_market_is_seen_and_advised_alike(name: str, power: int) -> None:
    """The whole analysis and every zone, tick by tick: figures are equal, prices exactly as many times larger."""
    here, there = as_it_is(name), decided(at_scale(MARKETS[name](), power))
    assert len(here) == len(there)
    assert sum(len(each.advice.zones) for each in here if each.advice) > 3 * len(here) // 2
    wrong: list[str] = []
    for one, two in zip(here, there, strict=True):
        wrong += differences(json.loads(render_view(one.view)), json.loads(render_view(two.view)), power, "analysis")
        zones = [[(z.low_e8, z.high_e8, z.invalidation_e8, *(r.price_e8 for r in z.ladder)) for z in e.advice.zones]
                 if e.advice else [] for e in (one, two)]  # fmt: skip
        factor = 10 ** abs(power)
        larger, smaller = zones if power < 0 else zones[::-1]
        assert [tuple(p * factor for p in each) for each in smaller] == larger
        assert (one.advice and one.advice.stance) == (two.advice and two.advice.stance)
    assert wrong == []


@pytest.mark.slow
@pytest.mark.parametrize("power", POWERS)
def test_a_scaled_market_has_the_same_scores(power: int, tmp_path: Path) -> None:
    """Touched, rejected, filled, and what a fill was worth in basis points, beside its placebo."""
    found = []
    for factor in (0, power):
        (whole,) = at_scale(batches(a_market(5, 120)), factor)
        tables = {kind: rows.columns.table for kind, rows in whole.rows.items()}
        log = write_log(tmp_path / str(factor), tables)
        settings = Settings()
        sight = analysis_config(settings, MARKET.symbol)
        value = settings.scoring.order_value * 10.0**factor  # the same quantities at other prices
        rules = replace(rules_of(settings.scoring, sight.parameters), order_value=value)
        request = Request(str(MARKET), 0, 2**61, sight, rules)
        result = run(lambda log=log: nullcontext(log), request, tmp_path, 1, ManualClock(T0), lambda *_: None)
        assert result.manifest["episodes"] > 8
        found.append(result.scores)
    for one, two in zip(*found, strict=True):
        assert (one["metric"], one["samples"]) == (two["metric"], two["samples"])
        assert one["advice"] == pytest.approx(two["advice"], abs=2e-3), one
