"""
The typed columns of every kind: what a reader gets, whether the entry came from the hot tail or from Parquet.

Unknown venue fields stay in `extra` as JSON, so that nothing the venue sent is lost.
"""

import pyarrow as pa

from eventlog import facts

_I64 = pa.int64()
_TEXT = pa.string()
_TEXTS = pa.list_(pa.field("element", _TEXT, nullable=False))
_LEVELS = pa.list_(pa.field("element", _I64, nullable=False))


def _schema(**columns: pa.DataType | tuple[pa.DataType, str]) -> pa.Schema:
    """Fields that allow nulls are written as (type, "null")."""
    fields = [pa.field("seq", _I64, nullable=False), pa.field("recv_ns", _I64, nullable=False)]
    for name, kind in columns.items():
        if isinstance(kind, tuple):
            fields.append(pa.field(name, kind[0], nullable=True))
        else:
            fields.append(pa.field(name, kind, nullable=False))
    return pa.schema(fields)


_NULL_I64 = (_I64, "null")
_NULL_TEXT = (_TEXT, "null")

SCHEMAS: dict[str, pa.Schema] = {
    facts.AGG_TRADE: _schema(
        trade_time_ns=_I64,
        event_time_ns=_NULL_I64,
        agg_id=_I64,
        price_e8=_I64,
        quantity_e8=_I64,
        first_trade_id=_I64,
        last_trade_id=_I64,
        buyer_is_maker=pa.bool_(),
        best_match=(pa.bool_(), "null"),
        source=_TEXT,
        extra=_NULL_TEXT,
    ),
    facts.SNAPSHOT: _schema(
        request_ns=_I64,
        response_ns=_I64,
        limit=_I64,
        last_update_id=_I64,
        bid_price_e8=_LEVELS,
        bid_quantity_e8=_LEVELS,
        ask_price_e8=_LEVELS,
        ask_quantity_e8=_LEVELS,
        extra=_NULL_TEXT,
    ),
    facts.DIFF: _schema(
        event_time_ns=_I64,
        first_update_id=_I64,
        last_update_id=_I64,
        bid_price_e8=_LEVELS,
        bid_quantity_e8=_LEVELS,
        ask_price_e8=_LEVELS,
        ask_quantity_e8=_LEVELS,
        extra=_NULL_TEXT,
    ),
    facts.INSTRUMENT: _schema(
        symbol=_TEXT,
        status=_TEXT,
        tick_size_e8=_I64,
        step_size_e8=_I64,
        min_notional_e8=_I64,
        quantity_decimals=_I64,
        source=_TEXT,
        extra=_NULL_TEXT,
    ),
    facts.TICK: _schema(
        boundary_ns=_I64,
        interval_ns=_I64,
        trades=_TEXT,
        depth=_TEXT,
        snapshot_seq=_NULL_I64,
        last_agg_id=_NULL_I64,
        last_trade_recv_ns=_NULL_I64,
        last_depth_recv_ns=_NULL_I64,
    ),
    facts.GAP: _schema(what=_TEXT, first=_I64, last=_I64, cause=_TEXT, state=_TEXT),
    facts.SESSION: _schema(event=_TEXT, detail=_TEXT, code=_TEXT, settings=_TEXT),
    facts.QUARANTINE: _schema(reason=_TEXT, source=_TEXT, data=pa.binary(), agg_id=_NULL_I64),
    facts.BOOK_AUDIT: _schema(
        snapshot_update_id=_I64,
        update_id=_I64,
        compared=_I64,
        excluded=_I64,
        missing=_I64,
        ghost=_I64,
        wrong_size=_I64,
        on_bids=_I64,
        by_distance=_LEVELS,
        by_age=_LEVELS,
        examples=_TEXTS,
        healthy=pa.bool_(),
    ),
    facts.BOOK_RESET: _schema(cause=_TEXT, first_missing=_I64, last_missing=_I64),
    facts.CLOCK_OFFSET: _schema(offset_ns=_I64, uncertainty_ns=_I64, round_trips=_I64),
    facts.ANALYZER_SESSION: _schema(
        event=_TEXT, code=_TEXT, lock_digest=_TEXT, parameters_digest=_TEXT, settings=_TEXT
    ),
    facts.ANALYSIS: _schema(market_seq=_I64, as_of_ns=_I64, body=_TEXT),
    facts.RECOMMENDATION: _schema(
        market_seq=_I64,
        as_of_ns=_I64,
        analyst=_TEXT,
        published_ns=_NULL_I64,
        published_seq=_NULL_I64,
        body=_TEXT,
    ),
    facts.MODEL_CALL: _schema(
        market_seq=_I64,
        as_of_ns=_I64,
        analyst=_TEXT,
        agent=_TEXT,
        prompt_digest=_TEXT,
        request_digest=_TEXT,
        request=_TEXT,
        attempt=_I64,
        sent_ns=_I64,
        took_ms=_I64,
        verdict=_TEXT,
        detail=_TEXT,
        status=_NULL_I64,
        reply=_NULL_TEXT,
        model=_NULL_TEXT,
        fingerprint=_NULL_TEXT,
        prompt_tokens=_I64,
        cache_hit_tokens=_I64,
        cache_miss_tokens=_I64,
        completion_tokens=_I64,
        reasoning_tokens=_I64,
        cost_usd_e12=_I64,
    ),
    facts.MODEL_DECISION: _schema(
        market_seq=_I64,
        as_of_ns=_I64,
        analyst=_TEXT,
        model=_NULL_TEXT,
        prompt_digest=_TEXT,
        fallback=_NULL_TEXT,
        cut=pa.bool_(),
        anomalies=_TEXTS,
        refusals=_TEXTS,
        numbers=_I64,
        ungrounded=_I64,
    ),
}

MARKET_KINDS = (
    facts.AGG_TRADE,
    facts.SNAPSHOT,
    facts.DIFF,
    facts.TICK,
    facts.INSTRUMENT,
    facts.GAP,
    facts.SESSION,
    facts.QUARANTINE,
    facts.BOOK_AUDIT,
    facts.BOOK_RESET,
    facts.CLOCK_OFFSET,
)
"""What a market's event log may hold, in the order `--help` lists them."""

VENUE_KINDS = frozenset({facts.AGG_TRADE, facts.SNAPSHOT, facts.DIFF, facts.INSTRUMENT})
"""Kinds whose bytes only the venue's mapper can read."""
