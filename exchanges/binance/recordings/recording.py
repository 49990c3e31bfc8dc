"""
Recordings of Binance's own messages, appended to a log: trades, diffs and REST books, each fact once.

`trade` messages become aggTrades of one trade, where there is no `aggTrade` beside them; other messages are counted and
skipped. A bare `{"lastUpdateId": …}` is a REST depth body. Minute ticks are inserted where the receive time crosses a
minute, gaps before the fact that follows them.
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
from exchanges.binance.rising_ids import NewestId, RisingTimes
from exchanges.errors import BadFile
from market.fixed_point import DECIMALS
from market.instrument import Instrument

_SCALES = (DECIMALS, 4, 0)  # decimals that are tried where no instrument says them, finest first


class Recording:
    """
    One recording, as far as it is of one market.

    Args:
        path: of the recording, plain, gzip or zip.
        symbol: upper case; messages of other symbols are skipped.
        on_read: called with the number of bytes read from disk since its last call.

    Raises:
        BadFile: it is no recording, is of a futures market, or has nothing of the symbol.
    """

    def __init__(self, path: Path, symbol: str, on_read: Callable[[int], None] = lambda _: None) -> None:
        self.path = path
        self.symbol = symbol
        self._lines = RecordedLines(path, on_read)
        self.contents: Contents = contents_of(self._lines, symbol)
        expect_any(self._lines, self.contents, (f for f in self.facts() if not f.fault))

    def facts(self) -> Iterator[RecordedFact]:
        """Its facts in the order of their lines, unreadable ones included."""
        return facts_of(self._lines, self.contents)

    def blocks(self, decimals: int) -> Iterator[Block]:
        """Its facts in blocks of columns, quantities in counts of 10^-decimals."""
        return blocks_of(self.facts(), BinanceMapper(self.symbol, decimals))

    def notes(self) -> tuple[str, ...]:
        """Warnings for the user, one line each."""
        notes = [f"{self._lines.truncation}; every whole line was taken"] if self._lines.truncation else []
        return (*self.contents.notes(), *notes)


def append_recording(importer: Importer, path: Path, on_read: Callable[[int], None] = lambda _: None) -> ImportSummary:
    """
    Append a recording to a log, all of it or nothing; facts that the log already has are left out.

    Args:
        importer: of the log.
        path: of the recording, plain, gzip or zip.
        on_read: called with the number of bytes read from disk since its last call.

    Raises:
        BadFile: it is no recording of the log's market. ImportRefused: it is older than the log's end, or its trade
            ids are of another stream than the log's.
    """
    symbol = importer.cold.name.market.symbol
    recording = Recording(path, symbol, on_read)
    _expect_same_stream(importer, recording)
    instrument = parse_instrument(importer.last_row(INSTRUMENT))
    survey = _survey_recording(recording, instrument, importer.last_row(AGG_TRADE))
    if not survey.facts:
        is_coarse = instrument is not None and instrument.quantity_decimals < DECIMALS
        is_finer = is_coarse and "more decimals than" in survey.first_fault
        hint = "; import it into another --storage" if is_finer else ""
        raise BadFile(f"{path}: nothing in it can be read; {survey.first_fault}{hint}")
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
        **entries.counts,
        skipped=recording.contents.skip_count,
        others=recording.contents.foreign_count,
        notes=recording.notes(),
    )


def _expect_same_stream(importer: Importer, recording: Recording) -> None:
    """Single trades and aggTrades have different ids and cannot share a log."""
    last = importer.last_row(AGG_TRADE)
    event = recording.contents.trade_event
    if last is None or not recording.contents.events[event]:
        return
    if (last["source"] == "trade") != (event == "trade"):
        log_event = "`trade`" if last["source"] == "trade" else "`aggTrade`"
        raise ImportRefused(
            f"{recording.path} holds `{event}` messages, and {importer.cold.name} {log_event}, which count trades "
            "otherwise; import into another --storage"
        )


def _expect_later_ids(importer: Importer, recording: Recording) -> None:
    """Messages later than the log's end must have larger ids."""
    contents = recording.contents
    last_trade, last_diff = importer.last_row(AGG_TRADE), importer.last_row(DIFF)
    newest_in_log = {
        contents.trade_event: last_trade and NewestId(importer.last_agg_id or 0, last_trade["trade_time_ns"]),
        "depthUpdate": last_diff and NewestId(last_diff["last_update_id"], last_diff["event_time_ns"]),
    }
    for event, newest_stored in newest_in_log.items():
        newest = contents.newest.get(event)
        if newest_stored and newest and newest_stored.shows_restart(newest.number, newest.time_ns):
            raise ImportRefused(f"{recording.path}: {newest_stored.describe_restart(newest.number, newest.time_ns)}")


@dataclass(slots=True)
class _Survey:
    """What a first pass over all numbers finds."""

    market: ObservedMarket
    times: RisingTimes
    chain: TradeChain = field(default_factory=TradeChain)
    updates: UpdateRanges = field(default_factory=UpdateRanges)
    facts: int = 0
    unreadable_count: int = 0
    overflow_count: int = 0
    first_ns: int = 0
    last_ns: int = 0
    first_fault: str = ""

    def add(self, block: Block) -> None:
        self.unreadable_count += len(block.quarantine)
        self.overflow_count += block.overflow_count
        self.first_ns = self.first_ns or block.recv_ns[0]
        for place in list(block.quarantine)[:1]:
            self.first_fault = self.first_fault or block.quarantine[place][0]
        newest = np.maximum.accumulate(np.array([self.last_ns, *block.recv_ns]))[1:]
        self.last_ns = int(newest[-1])
        for kind, (places, rows) in block.tables.items():
            self.facts += len(places)
            if kind == AGG_TRADE:
                names = ("agg_id", "first_trade_id", "last_trade_id", "trade_time_ns")
                columns = [rows.column(name).to_numpy() for name in names]
                self.chain.add(*columns)
                self.times.add(columns[0], columns[-1])
                times = newest[places]
                self.market.add(times, rows.column("price_e8").to_numpy(), rows.column("quantity_e8").to_numpy())
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


def _survey_recording(
    recording: Recording, instrument: Instrument | None, last_trade: dict[str, Any] | None
) -> _Survey:
    """Read all numbers once, with the most decimals that fit."""
    best: _Survey | None = None
    for decimals in _SCALES if instrument is None else (instrument.quantity_decimals,):
        times = RisingTimes(str(recording.path), last_trade)
        survey = _Survey(ObservedMarket(recording.symbol, decimals, instrument), times)
        for block in recording.blocks(decimals):
            survey.add(block)
        if best is None or survey.unreadable_count < best.unreadable_count:
            best = survey
        if not survey.overflow_count:
            break
    assert best is not None
    best.market.finalize(str(recording.path))
    return best
