"""What the venue's bytes mean, read the slow and plain way: the standard library's JSON and CSV, and Decimal."""

import json
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

E8 = Decimal(10**8)
TRADE_FIELDS = {"a": "agg_id", "f": "first_trade_id", "l": "last_trade_id", "m": "buyer_is_maker", "M": "best_match"}


def plain(data: bytes) -> Any:
    """Bytes as the standard library reads them; numbers with a point stay exact."""
    return json.loads(data, parse_float=Decimal)


def trade_wrongs(row: Mapping[str, Any], data: bytes) -> list[str]:
    """In what a trade's row differs from its message."""
    said = plain(data)
    single = said.get("e") == "trade"
    names = {"t": "agg_id", "m": "buyer_is_maker", "M": "best_match"} if single else TRADE_FIELDS
    expected: dict[str, Any] = {column: said.get(name) for name, column in names.items()}
    if single:
        expected |= {"first_trade_id": said["t"], "last_trade_id": said["t"]}
    expected |= {"price_e8": Decimal(said["p"]) * E8, "quantity_e8": Decimal(said["q"]) * E8}
    expected |= {"trade_time_ns": ns(said["T"]), "event_time_ns": None if said.get("E") is None else ns(said["E"])}
    used = {"p", "q", "T", "E", "e", "s", *names}
    return [*_differing(row, expected), *_lost(row, said, used)]


def diff_wrongs(row: Mapping[str, Any], data: bytes) -> list[str]:
    """In what an update's row differs from its message."""
    said = plain(data)
    expected = {"first_update_id": said["U"], "last_update_id": said["u"], "event_time_ns": ns(said["E"])}
    expected |= _sides(said["b"], said["a"])
    return [*_differing(row, expected), *_lost(row, said, set("eEsUuba"))]


def snapshot_wrongs(row: Mapping[str, Any], data: bytes) -> list[str]:
    """In what a snapshot's row differs from its body."""
    said = plain(data)
    expected = {"last_update_id": said["lastUpdateId"], **_sides(said["bids"], said["asks"])}
    return [*_differing(row, expected), *_lost(row, said, {"lastUpdateId", "bids", "asks"})]


def instrument_wrongs(row: Mapping[str, Any], data: bytes) -> list[str]:
    """In what an instrument's row differs from its object."""
    said = plain(data)
    if "inferred" in said:
        return _differing(row, {name: said["inferred"][name] for name in ("symbol", "status", "tick_size_e8")})
    filters = {each["filterType"]: each for each in said["filters"]}
    expected = {"symbol": said["symbol"], "status": said["status"]}
    expected["tick_size_e8"] = Decimal(filters["PRICE_FILTER"]["tickSize"]) * E8
    expected["step_size_e8"] = Decimal(filters["LOT_SIZE"]["stepSize"]) * E8
    return _differing(row, expected)


def archive_wrongs(columns: Mapping[str, Sequence[Any]], text: bytes) -> list[str]:
    """In what an archive's columns differ from its lines."""
    lines = [line.strip() for line in text.replace(b"\r", b"\n").split(b"\n") if line.strip()]
    if not lines[0][:1].isdigit():
        lines = lines[1:]
    cells = [[cell.strip().strip(b'"').decode() for cell in line.split(b",")] for line in lines]
    names = ("agg_id", "price_e8", "quantity_e8", "first_trade_id", "last_trade_id", "trade_time_ns", "buyer_is_maker")
    if len(cells) != len(columns["agg_id"]):
        return [f"{len(columns['agg_id'])} rows of {len(cells)} lines"]
    wrongs = []
    for i, (a, p, q, f, last, at, maker, *_) in enumerate(cells):
        values = (int(a), Decimal(p) * E8, Decimal(q) * E8, int(f), int(last), ns(int(at)), maker.lower() == "true")
        row = {name: columns[name][i] for name in names}
        wrongs += _differing(row, dict(zip(names, values, strict=True)))
    return wrongs


def ns(stamp: int) -> int:
    """A venue's stamp: microseconds from 10^15 on, else milliseconds."""
    return stamp * 1_000 if stamp >= 10**15 else stamp * 1_000_000


def _sides(bids: Iterable[Sequence[str]], asks: Iterable[Sequence[str]]) -> dict[str, list[Decimal]]:
    sides = {"bid": list(bids), "ask": list(asks)}
    columns = ((0, "price"), (1, "quantity"))
    return {
        f"{side}_{name}_e8": [Decimal(level[i]) * E8 for level in levels]
        for side, levels in sides.items()
        for i, name in columns
    }


def _differing(row: Mapping[str, Any], expected: Mapping[str, Any]) -> list[str]:
    return [f"{name} is {row[name]!r}, said {value!r}" for name, value in expected.items() if row[name] != value]


def _lost(row: Mapping[str, Any], said: Mapping[str, Any], used: set[str]) -> list[str]:
    kept = set(plain(row["extra"].encode())) if row["extra"] else set()
    return [f"field {name!r} is lost" for name in sorted(set(said) - used - kept)]
