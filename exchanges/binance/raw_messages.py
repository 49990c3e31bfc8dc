"""
Binance's own messages out of a log: as they came where the stream still has them, else written anew from the columns.

Source: binance-spot-api-docs, web-socket-streams.md and rest-api.md (July 2026), for the fields and their order.
"""

from collections.abc import Iterator, Mapping
from heapq import merge
from typing import Any

import msgspec

from eventlog.errors import BadEntry
from eventlog.facts.entry import Entry
from eventlog.facts.market import AGG_TRADE, DIFF
from eventlog.store.batch import Rows
from eventlog.store.log import Log

_BATCH_SIZE = 5_000
_KINDS = (AGG_TRADE, DIFF)


_MICROSECONDS_FROM = 10**15


class _Stamps(msgspec.Struct):
    E: int | None = None
    U: int | None = None
    u: int | None = None


_stamps = msgspec.json.Decoder(_Stamps)


def event_time_ns(data: bytes) -> int | None:
    """When the venue sent a message, None where it does not say (a REST row) or cannot be read."""
    try:
        return _ns(_stamps.decode(data).E)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def lines(log: Log, symbol: str, decimals: int) -> Iterator[bytes]:
    """
    Every trade and book update of a log, in seq order, as a JSON object on a line.

    Fields: seq, kind, ts_recv (ns), E, U, u (the venue's, null where it sends none), latency_event_ms (ts_recv − E),
    latency_pipeline_ms (null: a log does not say when an entry was stored), as_sent (false where the message was
    written anew), data (the message).

    Args:
        decimals: that the market's quantities keep.
    """
    at, end = 0, log.last_seq()
    while at < end:
        started = at
        if log.cold.exists():
            for batch in log.cold.read(at, min(end, log.cold.refresh().last_seq), _KINDS):
                at = batch.last_seq
                yield from _archived(batch.rows, symbol, decimals)
        while entries := log.entries(at, _BATCH_SIZE):
            if entries[0].seq > at + 1 and log.cold.exists() and log.cold.refresh().last_seq > at:
                break  # archived and trimmed while we looked
            yield from (_streamed(entry) for entry in entries if entry.kind in _KINDS and entry.seq <= end)
            at = entries[-1].seq
        if at == started:
            return


def rebuilt(kind: str, row: Mapping[str, Any], symbol: str, decimals: int) -> bytes:
    """A trade or a book update written anew from its row, as Binance writes it."""
    fields = _trade(row, symbol, decimals) if kind == AGG_TRADE else _diff(row, symbol, decimals)
    extra = msgspec.json.decode(row["extra"]) if row["extra"] else {}
    return msgspec.json.encode(fields | extra)


def _archived(rows: Mapping[str, Rows], symbol: str, decimals: int) -> Iterator[bytes]:
    in_order = merge(*(_rows_of(kind, each) for kind, each in rows.items()), key=lambda found: found[0])
    for seq, kind, row in in_order:
        data = rebuilt(kind, row, symbol, decimals)
        yield _line(seq, kind, row["recv_ns"], data, as_sent=False)


def _rows_of(kind: str, rows: Rows) -> Iterator[tuple[int, str, dict[str, Any]]]:
    for row in rows.table().to_pylist():
        yield row["seq"], kind, row


def _streamed(entry: Entry) -> bytes:
    return _line(entry.seq, entry.kind, entry.recv_ns, entry.data, as_sent=True)


def _line(seq: int, kind: str, recv_ns: int, data: bytes, *, as_sent: bool) -> bytes:
    try:
        stamps = _stamps.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadEntry(f"seq {seq}: not a {kind}: {error}") from error
    event_ns = _ns(stamps.E)
    return msgspec.json.encode(
        {
            "seq": seq,
            "kind": kind,
            "ts_recv": recv_ns,
            "E": stamps.E,
            "U": stamps.U,
            "u": stamps.u,
            "latency_event_ms": None if event_ns is None else round((recv_ns - event_ns) / 1e6, 3),
            "latency_pipeline_ms": None,
            "as_sent": as_sent,
            "data": msgspec.Raw(data),
        }
    )


def _trade(row: Mapping[str, Any], symbol: str, decimals: int) -> dict[str, Any]:
    head = {"e": "trade" if row["source"] == "trade" else "aggTrade", "E": _stamp(row["event_time_ns"]), "s": symbol}
    price, quantity = _decimal(row["price_e8"], 8), _decimal(row["quantity_e8"], decimals)
    tail = {"T": _stamp(row["trade_time_ns"]), "m": row["buyer_is_maker"]}
    tail |= {} if row["best_match"] is None else {"M": row["best_match"]}
    if row["source"] == "trade":
        return {**head, "t": row["agg_id"], "p": price, "q": quantity, **tail}
    ids = {"f": row["first_trade_id"], "l": row["last_trade_id"]}
    body = {"a": row["agg_id"], "p": price, "q": quantity, **ids, **tail}
    return body if row["source"] == "rest" else {**head, **body}


def _diff(row: Mapping[str, Any], symbol: str, decimals: int) -> dict[str, Any]:
    def side(name: str) -> list[list[str]]:
        pairs = zip(row[f"{name}_price_e8"], row[f"{name}_quantity_e8"], strict=True)
        return [[_decimal(price, 8), _decimal(quantity, decimals)] for price, quantity in pairs]

    ids = {"U": row["first_update_id"], "u": row["last_update_id"]}
    head = {"e": "depthUpdate", "E": _stamp(row["event_time_ns"]), "s": symbol}
    return {**head, **ids, "b": side("bid"), "a": side("ask")}


def _decimal(value: int, decimals: int) -> str:
    """Always eight decimals, as the venue writes them."""
    whole, part = divmod(value, 10**decimals)
    return f"{whole}.{part:0{decimals}d}".ljust(len(str(whole)) + 9, "0") if decimals else f"{whole}.00000000"


def _stamp(time_ns: int | None) -> int | None:
    if time_ns is None:
        return None
    return time_ns // 1_000 if time_ns % 1_000_000 else time_ns // 1_000_000


def _ns(stamp: int | None) -> int | None:
    return None if stamp is None else stamp * (1_000 if stamp >= _MICROSECONDS_FROM else 1_000_000)
