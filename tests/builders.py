"""What tests are made of: facts as the venue and the recorder write them, logs that hold them, and how to compare."""

import gzip
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from eventlog.clock import ManualClock
from eventlog.codec import decode_entries
from eventlog.facts.analysis import (
    ANALYSIS,
    ANALYZER_SESSION,
    RECOMMENDATION,
    Analysis,
    AnalyzerSession,
    Recommendation,
)
from eventlog.facts.capture import (
    BOOK_AUDIT,
    BOOK_RESET,
    CLOCK_OFFSET,
    GAP,
    QUARANTINE,
    SESSION,
    TICK,
    BookAudit,
    BookReset,
    ClockOffset,
    Gap,
    Quarantine,
    Session,
    Tick,
)
from eventlog.facts.entry import Entry, Fact
from eventlog.facts.market import AGG_TRADE, DIFF, INSTRUMENT, SNAPSHOT
from eventlog.facts.model import MODEL_CALL, MODEL_DECISION, ModelCall, ModelDecision
from eventlog.names import LogName
from eventlog.store import hot
from eventlog.store.batch import Batch
from eventlog.store.cold import ColdLog
from eventlog.store.hot import HotLog
from eventlog.store.log import Log
from eventlog.store.writer import LogWriter
from eventlog.transfer.importing import Importer, ImportSummary
from eventlog.transfer.trade_import import import_trades
from exchanges.binance.archives.archive import Archive
from exchanges.binance.mapper import BinanceMapper
from exchanges.binance.messages import pack_snapshot
from market.instrument import Market
from market.timestamps import MINUTE_NS

MARKET = Market("binance", "BTCFDUSD")
EVENTS = LogName("events", MARKET)
MAPPER = BinanceMapper(MARKET.symbol)
T0 = 1_704_067_200_000_000_000
"""2024-01-01T00:00:00Z."""
NOW = T0 + 400 * 24 * 60 * MINUTE_NS


def a_trade(
    agg_id: int = 1,
    price: str = "100",
    quantity: str = "1",
    at_ns: int = T0,
    *,
    seller: bool = False,
    recv_ns: int | None = None,
    first_id: int | None = None,
    last_id: int | None = None,
) -> Fact:
    """An aggTrade event; `seller` says that the seller was the aggressor."""
    first = agg_id if first_id is None else first_id
    body = {
        "e": "aggTrade",
        "E": at_ns // 10**6,
        "s": MARKET.symbol,
        "a": agg_id,
        "p": price,
        "q": quantity,
        "f": first,
        "l": first if last_id is None else last_id,
        "T": at_ns // 10**6,
        "m": seller,
        "M": True,
    }
    return Fact(AGG_TRADE, at_ns if recv_ns is None else recv_ns, msgspec.json.encode(body))


def a_rest_trade(agg_id: int = 1, price: str = "100", quantity: str = "1", at_ns: int = T0) -> Fact:
    """A row of REST aggTrades, which lacks event, event time and symbol."""
    body = {
        "a": agg_id,
        "p": price,
        "q": quantity,
        "f": agg_id,
        "l": agg_id,
        "T": at_ns // 10**6,
        "m": False,
        "M": True,
    }
    return Fact(AGG_TRADE, at_ns, msgspec.json.encode(body))


def a_snapshot(
    bids: Sequence[tuple[str, str]] = (("99.5", "2"), ("99", "1")),
    asks: Sequence[tuple[str, str]] = (("100.5", "2"), ("101", "3")),
    at_ns: int = T0,
    *,
    update_id: int = 10,
    limit: int = 5000,
    recv_ns: int | None = None,
) -> Fact:
    """A REST depth body as the recorder packs it."""
    body = msgspec.json.encode({"lastUpdateId": update_id, "bids": bids, "asks": asks})
    return Fact(SNAPSHOT, at_ns if recv_ns is None else recv_ns, pack_snapshot(at_ns, at_ns + 10**6, limit, body))


def a_diff(
    first: int = 11,
    last: int = 12,
    bids: Sequence[tuple[str, str]] = (("99", "0"),),
    asks: Sequence[tuple[str, str]] = (("101", "4"),),
    at_ns: int = T0,
) -> Fact:
    """A depthUpdate event."""
    body = {"e": "depthUpdate", "E": at_ns // 10**6, "s": MARKET.symbol, "U": first, "u": last, "b": bids, "a": asks}
    return Fact(DIFF, at_ns, msgspec.json.encode(body))


def a_tick(boundary_ns: int = T0 + MINUTE_NS, **more: Any) -> Fact:
    """A minute's tick with both streams live."""
    told = {"interval_ns": MINUTE_NS, "trades": "live", "depth": "live", **more}
    return Tick(boundary_ns=boundary_ns, **told).fact(TICK, boundary_ns)


def a_gap(first: int, last: int, what: str = "agg_ids", state: str = "open", at_ns: int = T0) -> Fact:
    """A word on what is missing."""
    return Gap(what, first, last, "disconnect", state).fact(GAP, at_ns)  # type: ignore[arg-type]


def a_session(event: str = "started", at_ns: int = T0) -> Fact:
    """A recorder that came or went."""
    return Session(event, "detail", "code", "{}").fact(SESSION, at_ns)  # type: ignore[arg-type]


def a_quarantine(data: bytes = b"\xff{", agg_id: int | None = None, at_ns: int = T0) -> Fact:
    """Bytes that nobody could read."""
    return Quarantine("no JSON", "stream", data, agg_id).fact(QUARANTINE, at_ns)


def a_book_audit(missing: int = 0, at_ns: int = T0) -> Fact:
    """A word on how the rebuilt book compares with the venue's."""
    examples = ["ask 101 missing"] * missing
    body = BookAudit(10, 12, 4, 1, missing, 0, 0, 0, [0, missing], [missing, 0], examples, not missing)
    return body.fact(BOOK_AUDIT, at_ns)


def a_book_reset(first: int = 13, last: int = 14, at_ns: int = T0) -> Fact:
    """A word on updates that nobody saw."""
    return BookReset("diff_missing", first, last).fact(BOOK_RESET, at_ns)


def a_clock_offset(offset_ns: int = -3_000_000, at_ns: int = T0) -> Fact:
    """A word on the venue's clock."""
    return ClockOffset(offset_ns, 500_000, 7).fact(CLOCK_OFFSET, at_ns)


def an_instrument(tick: str = "0.01", step: str = "0.00001", at_ns: int = T0, largest: str = "9000.0") -> Fact:
    """A symbol object of exchangeInfo."""
    body = {
        "symbol": MARKET.symbol,
        "status": "TRADING",
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "1000000.0", "tickSize": tick},
            {"filterType": "LOT_SIZE", "minQty": step, "maxQty": largest, "stepSize": step},
            {"filterType": "NOTIONAL", "minNotional": "5.00000000"},
        ],
    }
    return Fact(INSTRUMENT, at_ns, msgspec.json.encode(body))


def one_of_each_market_kind() -> list[Fact]:
    """A short market log in which every kind occurs."""
    return [
        a_session(),
        an_instrument(),
        a_snapshot(update_id=10),
        a_trade(1, "100.25", "0.5", T0 + 1_000_000),
        a_diff(11, 12, at_ns=T0 + 2_000_000),
        a_rest_trade(2, "100.5", "0.25", T0 + 3_000_000),
        a_quarantine(agg_id=3),
        a_trade(4, "99.75", "1.5", T0 + 4_000_000, seller=True),
        a_tick(last_agg_id=4, snapshot_seq=3, last_trade_recv_ns=T0 + 4_000_000),
        a_snapshot(update_id=20, at_ns=T0 + MINUTE_NS),
        a_gap(5, 9, at_ns=T0 + MINUTE_NS),
        a_trade(10, "101", "2", T0 + MINUTE_NS + 5_000_000),
        a_book_audit(missing=1, at_ns=T0 + MINUTE_NS + 6_000_000),
        a_book_reset(at_ns=T0 + MINUTE_NS + 7_000_000),
        a_clock_offset(at_ns=T0 + MINUTE_NS + 8_000_000),
        a_tick(T0 + 2 * MINUTE_NS),
    ]


def one_of_each_decision_kind() -> list[Fact]:
    """What an analyzer writes about a tick."""
    return [
        AnalyzerSession("started", "code", "lock", "parameters", "{}").fact(ANALYZER_SESSION, T0),
        Analysis(9, T0 + MINUTE_NS, '{"mid":"100"}').fact(ANALYSIS, T0 + MINUTE_NS),
        Recommendation(9, T0 + MINUTE_NS, "rules", T0 + MINUTE_NS + 5, 9, "{}").fact(RECOMMENDATION, T0 + MINUTE_NS),
        Recommendation(9, T0 + MINUTE_NS, "rules", None, None, "{}").fact(RECOMMENDATION, T0 + MINUTE_NS),
        ModelCall(
            market_seq=9, as_of_ns=T0 + MINUTE_NS, analyst="deepseek", agent="static", prompt_digest="p",
            request_digest="r", request="{}", attempt=1, sent_ns=T0, took_ms=5, verdict="unreachable", detail="gone",
            status=None, reply=None, model=None, fingerprint=None, prompt_tokens=0, cache_hit_tokens=0,
            cache_miss_tokens=0, completion_tokens=0, reasoning_tokens=0, cost_usd_e12=0,
        ).fact(MODEL_CALL, T0 + MINUTE_NS),
        ModelDecision(
            market_seq=9, as_of_ns=T0 + MINUTE_NS, analyst="deepseek", model=None, prompt_digest="p", fallback="gone",
            cut=True, anomalies=[], refusals=["one", "two"], numbers=3, ungrounded=1,
        ).fact(MODEL_DECISION, T0 + MINUTE_NS),
    ]  # fmt: skip


def as_entries(facts: Iterable[Fact], first_seq: int = 1) -> list[Entry]:
    """Facts, numbered."""
    return [Entry(first_seq + i, f.kind, f.recv_ns, f.data) for i, f in enumerate(facts)]


def as_tables(facts: Iterable[Fact], first_seq: int = 1, mapper: BinanceMapper = MAPPER) -> dict[str, pa.Table]:
    """Facts as one table a kind."""
    return decode_entries(as_entries(facts, first_seq), mapper.decoders)


def a_batch(facts: Sequence[Fact], first_seq: int = 1) -> Batch:
    """Facts as a stretch of a log."""
    return Batch.from_tables(first_seq, first_seq + len(facts) - 1, as_tables(facts, first_seq))


def a_cold_log(storage: Path, *segments: Sequence[Fact], name: LogName = EVENTS, created_ns: int = NOW) -> ColdLog:
    """A log in Parquet, a segment for each list of facts."""
    cold = ColdLog(storage, name)
    cold.create(created_ns)
    for facts in segments:
        first = cold.catalogue.last_seq + 1
        cold.append(first, first + len(facts) - 1, as_tables(facts, first))
    return cold


def a_log(storage: Path, *segments: Sequence[Fact]) -> Log:
    """As `a_cold_log`, to be read."""
    return Log(a_cold_log(storage, *segments), None, MAPPER.decoders)


def a_writer(storage: Path, client: Any, now_ns: int = NOW, **more: Any) -> LogWriter:
    """A writer of the market's log on a server."""
    return LogWriter(ColdLog(storage, EVENTS), HotLog(client, EVENTS), ManualClock(now_ns), **more)


def a_hot_log(storage: Path, client: Any) -> Log:
    """The market's log with its stream, to be read."""
    return Log(ColdLog(storage, EVENTS), HotLog(client, EVENTS), MAPPER.decoders)


def contents(batches: Iterable[Batch]) -> dict[str, list[dict[str, Any]]]:
    """Every row of every kind; batches must follow one another without a hole."""
    found: dict[str, list[dict[str, Any]]] = {}
    for batch in batches:
        for kind, rows in batch.rows.items():
            seqs = rows["seq"]
            assert batch.first_seq <= seqs.min()
            assert seqs.max() <= batch.last_seq
            found.setdefault(kind, []).extend(rows.table().to_pylist())
    return found


def pieces(batch: Batch, cuts: Iterable[int]) -> list[Batch]:
    """A batch cut after some of its seqs, each piece with tables of its own, as another reader would get them."""
    split = batch.split_after(np.array(sorted({c for c in cuts if batch.first_seq <= c < batch.last_seq}), np.int64))
    return [
        Batch.from_tables(
            piece.first_seq,
            piece.last_seq,
            {kind: rows.table() for kind, rows in piece.rows.items()},
        )
        for piece in split
    ]


def archive_row(agg_id: int, price: str = "100.5", quantity: str = "0.25", at: int = T0 // 10**6, **more: Any) -> str:
    """A line of Binance's archive: times in ms unless told otherwise."""
    first, last = more.get("first", agg_id), more.get("last", agg_id)
    return f"{agg_id},{price},{quantity},{first},{last},{at},{more.get('maker', True)},True"


HEADER = "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker,best_match"


def archive_csv(path: Path, rows: Iterable[str], header: str | None = None) -> Path:
    """An archive CSV."""
    path.write_text("".join(f"{line}\n" for line in ([header] if header else []) + list(rows)))
    return path


def brought(importer: Importer, tmp_path: Path, *rows: str) -> ImportSummary:
    """Import rows of an archive."""
    path = archive_csv(tmp_path / "rows.csv", rows)
    return import_trades(importer, path.name, Archive(path))


def archive_zip(path: Path, files: Mapping[str, str]) -> Path:
    """An archive zip."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


def a_recording(path: Path, lines: Iterable[tuple[int, bytes]]) -> Path:
    """A recording of messages, gzip where the name says so."""
    text = b"".join(b"%d %s\n" % line for line in lines)
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


def way_to(client: Any) -> tuple[str, str]:
    """The socket and the password of a client's server."""
    kwargs = client.connection_pool.connection_kwargs
    return kwargs["path"], kwargs["password"]


def another(client: Any) -> Any:
    """Another client of the same server."""
    path, password = way_to(client)
    return hot.connect(unix_socket=path, password=password)
