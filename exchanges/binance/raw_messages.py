"""
Binance's own messages out of a log: as they came where the stream still has them, else rebuilt from the columns.

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

_BATCH_SIZE = 5_000  # entries read at once: bounds memory
_KINDS = (AGG_TRADE, DIFF)


_MIN_MICROSECONDS = 10**15  # as in `market.timestamps`: smaller stamps are milliseconds


class _Stamps(msgspec.Struct):
    E: int | None = None
    U: int | None = None
    u: int | None = None


_stamps = msgspec.json.Decoder(_Stamps)


def event_time_ns(data: bytes) -> int | None:
    """When Binance sent a message (`E`); None where it has no such field (a REST row) or cannot be read."""
    try:
        return _to_ns(_stamps.decode(data).E)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def export_lines(log: Log, symbol: str, decimals: int) -> Iterator[bytes]:
    """
    Export every trade and book update of a log, in seq order, as one JSON object each.

    Fields: seq, kind, ts_recv (ns), E, U, u (of the message, null where it has none), latency_event_ms (ts_recv − E),
    latency_pipeline_ms (null: a log does not say when an entry was stored), as_sent (false where the message was
    rebuilt), data (the message).

    Args:
        log: open for reading, also while it is written to.
        symbol: upper case, as written into rebuilt messages.
        decimals: quantity decimals of the market.

    Raises:
        BadEntry: an entry is not a message of its kind.
    """
    after, end = 0, log.last_seq()
    while after < end:
        start = after
        if log.cold.exists():
            for batch in log.cold.read(after, min(end, log.cold.refresh().last_seq), _KINDS):
                after = batch.last_seq
                yield from _lines_of_rows(batch.rows, symbol, decimals)
        while entries := log.entries(after, _BATCH_SIZE):
            if entries[0].seq > after + 1 and log.cold.exists() and log.cold.refresh().last_seq > after:
                break  # archived and trimmed in the meantime
            yield from (_line_of_entry(entry) for entry in entries if entry.kind in _KINDS and entry.seq <= end)
            after = entries[-1].seq
        if after == start:
            return


def rebuild_message(kind: str, row: Mapping[str, Any], symbol: str, decimals: int) -> bytes:
    """
    Rebuild a trade or a book update from its row, as Binance writes it.

    Args:
        kind: agg_trade or diff.
        row: its columns, see `eventlog.facts.registry.SCHEMAS`; fields of `extra` are put back.
        symbol: upper case.
        decimals: quantity decimals of the market.
    """
    fields = _rebuild_trade(row, symbol, decimals) if kind == AGG_TRADE else _rebuild_diff(row, symbol, decimals)
    extra = msgspec.json.decode(row["extra"]) if row["extra"] else {}
    return msgspec.json.encode(fields | extra)


def _lines_of_rows(rows: Mapping[str, Rows], symbol: str, decimals: int) -> Iterator[bytes]:
    in_order = merge(*(_tag_rows(kind, part) for kind, part in rows.items()), key=lambda tagged: tagged[0])
    for seq, kind, row in in_order:
        data = rebuild_message(kind, row, symbol, decimals)
        yield _line(seq, kind, row["recv_ns"], data, as_sent=False)


def _tag_rows(kind: str, rows: Rows) -> Iterator[tuple[int, str, dict[str, Any]]]:
    for row in rows.table().to_pylist():
        yield row["seq"], kind, row


def _line_of_entry(entry: Entry) -> bytes:
    return _line(entry.seq, entry.kind, entry.recv_ns, entry.data, as_sent=True)


def _line(seq: int, kind: str, recv_ns: int, data: bytes, *, as_sent: bool) -> bytes:
    try:
        stamps = _stamps.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadEntry(f"seq {seq}: not a {kind}: {error}") from error
    event_ns = _to_ns(stamps.E)
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


def _rebuild_trade(row: Mapping[str, Any], symbol: str, decimals: int) -> dict[str, Any]:
    head = {"e": "trade" if row["source"] == "trade" else "aggTrade", "E": _to_stamp(row["event_time_ns"]), "s": symbol}
    price, quantity = _format_decimal(row["price_e8"], 8), _format_decimal(row["quantity_e8"], decimals)
    tail = {"T": _to_stamp(row["trade_time_ns"]), "m": row["buyer_is_maker"]}
    tail |= {} if row["best_match"] is None else {"M": row["best_match"]}
    if row["source"] == "trade":
        return {**head, "t": row["agg_id"], "p": price, "q": quantity, **tail}
    ids = {"f": row["first_trade_id"], "l": row["last_trade_id"]}
    body = {"a": row["agg_id"], "p": price, "q": quantity, **ids, **tail}
    return body if row["source"] == "rest" else {**head, **body}


def _rebuild_diff(row: Mapping[str, Any], symbol: str, decimals: int) -> dict[str, Any]:
    def side(name: str) -> list[list[str]]:
        pairs = zip(row[f"{name}_price_e8"], row[f"{name}_quantity_e8"], strict=True)
        return [[_format_decimal(price, 8), _format_decimal(quantity, decimals)] for price, quantity in pairs]

    ids = {"U": row["first_update_id"], "u": row["last_update_id"]}
    head = {"e": "depthUpdate", "E": _to_stamp(row["event_time_ns"]), "s": symbol}
    return {**head, **ids, "b": side("bid"), "a": side("ask")}


def _format_decimal(value: int, decimals: int) -> str:
    """Always eight decimals, as Binance writes them."""
    integer, fraction = divmod(value, 10**decimals)
    return f"{integer}.{fraction:0{decimals}d}".ljust(len(str(integer)) + 9, "0") if decimals else f"{integer}.00000000"


def _to_stamp(time_ns: int | None) -> int | None:
    if time_ns is None:
        return None
    return time_ns // 1_000 if time_ns % 1_000_000 else time_ns // 1_000_000


def _to_ns(stamp: int | None) -> int | None:
    return None if stamp is None else stamp * (1_000 if stamp >= _MIN_MICROSECONDS else 1_000_000)
