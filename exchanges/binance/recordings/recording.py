"""
Recordings of the venue's own messages, brought into a log: trades, book changes and REST books, each fact once.

`trade` messages are kept as aggTrades of one trade, where there is no `aggTrade` beside them; what else was recorded is
counted and passed over. A bare `{"lastUpdateId": …}` is a REST depth body. Minute ticks are put in where the receive
time crosses a minute, gaps before what follows a hole.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from eventlog.errors import ImportRefused
from eventlog.facts.market import AGG_TRADE, DIFF, INSTRUMENT
from eventlog.proof.chains import TradeChain
from eventlog.transfer.importing import Importer, ImportSummary
from eventlog.transfer.observed_market import ObservedMarket, parse_instrument
from exchanges.binance.mapper import BinanceMapper
from exchanges.binance.recordings.recorded_updates import UpdateRanges
from exchanges.binance.recordings.recording_blocks import Block, RecordedFact, blocks_of, facts_of
from exchanges.binance.recordings.recording_contents import Contents, contents_of, expect_any
from exchanges.binance.recordings.recording_entries import RecordedEntries
from exchanges.binance.recordings.recording_lines import RecordedLines
from exchanges.binance.rising_ids import Newest, RisingTimes
from exchanges.errors import BadFile
from market.fixed_point import DECIMALS
from market.instrument import Instrument

_SCALES = (DECIMALS, 4, 0)


class Recording:
    """
    One recording, as far as it is of one market.

    Raises:
        BadFile: it is no recording, of a futures market, or holds nothing of the symbol.
    """

    def __init__(self, path: Path, symbol: str, on_read: Callable[[int], None] = lambda _: None) -> None:
        self.path = path
        self.symbol = symbol
        self._lines = RecordedLines(path, on_read)
        self.contents: Contents = contents_of(self._lines, symbol)
        expect_any(self._lines, self.contents, (f for f in self.facts() if not f.fault))

    def facts(self) -> Iterator[RecordedFact]:
        """Its facts in the order of their lines, unreadable ones among them."""
        return facts_of(self._lines, self.contents)

    def blocks(self, decimals: int) -> Iterator[Block]:
        """Its facts as columns, quantities in counts of 10^-decimals."""
        return blocks_of(self.facts(), BinanceMapper(self.symbol, decimals))

    def notes(self) -> tuple[str, ...]:
        """What a person must know of it, a line each."""
        torn = [f"{self._lines.torn}; every whole line was taken"] if self._lines.torn else []
        return (*self.contents.notes(), *torn)


def bring_in(importer: Importer, path: Path, on_read: Callable[[int], None] = lambda _: None) -> ImportSummary:
    """
    Append a recording to a log, whole; what the log holds already is left out.

    Args:
        on_read: told how many bytes of the file were read since.

    Raises:
        BadFile: it is no recording of the log's market. ImportRefused: it is older than the log's end, or its trades
            are counted otherwise than the log's.
    """
    symbol = importer.cold.name.market.symbol
    recording = Recording(path, symbol, on_read)
    _expect_same_stream(importer, recording)
    known = parse_instrument(importer.last_row(INSTRUMENT))
    survey = _surveyed(recording, known, importer.last_row(AGG_TRADE))
    if not survey.facts:
        is_coarse = known is not None and known.quantity_decimals < DECIMALS
        is_finer = is_coarse and "more decimals than" in survey.first_fault
        way_on = "; import it into another --storage" if is_finer else ""
        raise BadFile(f"{path}: nothing in it can be read; {survey.first_fault}{way_on}")
    importer.expect_past(str(path), survey.last_ns)
    _expect_later_ids(importer, recording)
    with importer.draft() as draft:
        ids, event = (survey.chain.runs(), survey.updates.ranges()), recording.contents.trade_event
        entries = RecordedEntries(importer, draft, str(path), survey.market, *ids, survey.first_ns, event)
        for block in recording.blocks(survey.market.decimals):
            entries.add(block)
        entries.flush()
        draft.commit(importer.clock.now_ns())
    return ImportSummary(
        **entries.counts, skipped=recording.contents.skipped, others=recording.contents.foreign, notes=recording.notes()
    )


def _expect_same_stream(importer: Importer, recording: Recording) -> None:
    """Single trades and aggTrades are numbered apart."""
    last = importer.last_row(AGG_TRADE)
    found = recording.contents.trade_event
    if last is None or not recording.contents.events[found]:
        return
    if (last["source"] == "trade") != (found == "trade"):
        held = "`trade`" if last["source"] == "trade" else "`aggTrade`"
        raise ImportRefused(
            f"{recording.path} holds `{found}` messages, and {importer.cold.name} {held}, which count trades "
            "otherwise; import into another --storage"
        )


def _expect_later_ids(importer: Importer, recording: Recording) -> None:
    """What comes later than all of the log has larger ids."""
    contents = recording.contents
    last_trade, last_diff = importer.last_row(AGG_TRADE), importer.last_row(DIFF)
    known = {
        contents.trade_event: last_trade and Newest(importer.last_agg_id or 0, last_trade["trade_time_ns"]),
        "depthUpdate": last_diff and Newest(last_diff["last_update_id"], last_diff["event_time_ns"]),
    }
    for event, held in known.items():
        came = contents.newest.get(event)
        if held and came and held.is_before(came.number, came.at_ns):
            raise ImportRefused(f"{recording.path}: {held.in_words(came.number, came.at_ns)}")


@dataclass(slots=True)
class _Survey:
    """What a first reading of all numbers tells."""

    market: ObservedMarket
    times: RisingTimes
    chain: TradeChain = field(default_factory=TradeChain)
    updates: UpdateRanges = field(default_factory=UpdateRanges)
    facts: int = 0
    unreadable: int = 0
    too_large: int = 0
    first_ns: int = 0
    last_ns: int = 0
    first_fault: str = ""

    def add(self, block: Block) -> None:
        self.unreadable += len(block.aside)
        self.too_large += block.too_large
        self.first_ns = self.first_ns or block.recv_ns[0]
        for place in list(block.aside)[:1]:
            self.first_fault = self.first_fault or block.aside[place][0]
        newest = np.maximum.accumulate(np.array([self.last_ns, *block.recv_ns]))[1:]
        self.last_ns = int(newest[-1])
        for kind, (places, rows) in block.tables.items():
            self.facts += len(places)
            if kind == AGG_TRADE:
                names = ("agg_id", "first_trade_id", "last_trade_id", "trade_time_ns")
                columns = [rows.column(name).to_numpy() for name in names]
                self.chain.add(*columns)
                self.times.add(columns[0], columns[-1])
                at = newest[places]
                self.market.add(at, rows.column("price_e8").to_numpy(), rows.column("quantity_e8").to_numpy())
            else:
                self._add_levels(rows, [int(newest[place]) for place in places])
            if kind == DIFF:
                self.updates.add(*(rows.column(f"{end}_update_id").to_numpy() for end in ("first", "last")))

    def _add_levels(self, rows: pa.Table, times: Sequence[int]) -> None:
        for side in ("bid", "ask"):
            price, quantity = (rows.column(f"{side}_{what}_e8").combine_chunks() for what in ("price", "quantity"))
            offsets = price.offsets.to_numpy()
            prices, quantities = price.values.to_numpy(), quantity.values.to_numpy()
            for time_ns, start, stop in zip(times, offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
                if stop > start:
                    self.market.add_levels(time_ns, prices[start:stop], quantities[start:stop])


def _surveyed(recording: Recording, known: Instrument | None, last_trade: dict[str, Any] | None) -> _Survey:
    """Read all numbers once, as exactly as they fit."""
    best: _Survey | None = None
    for decimals in _SCALES if known is None else (known.quantity_decimals,):
        times = RisingTimes(str(recording.path), last_trade)
        survey = _Survey(ObservedMarket(recording.symbol, decimals, known), times)
        for block in recording.blocks(decimals):
            survey.add(block)
        if best is None or survey.unreadable < best.unreadable:
            best = survey
        if not survey.too_large:
            break
    assert best is not None
    best.market.finalize(str(recording.path))
    return best
