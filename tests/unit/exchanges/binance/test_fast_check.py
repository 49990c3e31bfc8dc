"""A look at a message says no more than the mapper does."""

import re
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventlog.facts.entry import Entry, Fact
from eventlog.facts.market import DIFF
from exchanges.binance import fast_check
from exchanges.binance.mapper import BinanceMapper
from exchanges.binance.messages import BadMessage
from tests.builders import MAPPER, T0, a_diff, a_trade, as_entries

LAW = settings(deadline=None, max_examples=300)
TEXTS = st.one_of(
    st.sampled_from(
        ["1.00000000", "0.00000000", "000000000.00000001", "999999999.99999999", "9999999999.00000000", "1.5", "1",
         "1.000000001", "-1.00000000", "1e5", "", "٣.00000000", "1.00000000,1.00000000", "0.00000000\n", " 1.00000000"]
    ),
    st.from_regex(r"[0-9]{1,10}\.[0-9]{7,9}", fullmatch=True),
)  # fmt: skip
NUMBERS = st.sampled_from([-1, 0, 1, 7, 2**62 - 1, 2**62, 2**63 - 1, 2**63])
STAMPS = st.sampled_from([0, T0 // 10**6, T0 // 10**3, 1_500_000_000_000, 4_000_000_000_000, 4_102_444_800_000, 10**18])
MAPPERS = st.sampled_from([MAPPER, BinanceMapper(MAPPER.symbol, 4)])


def with_fields(fact: Fact, **fields: Any) -> Entry:
    """A JSON fact with other fields."""
    return as_entries([Fact(fact.kind, fact.recv_ns, msgspec.json.encode(msgspec.json.decode(fact.data) | fields))])[0]


def verdict(read: Any, *arguments: Any) -> Any:
    """What a reading gives, or why it gives nothing."""
    try:
        return read(*arguments)
    except BadMessage as error:
        return str(error)


def ids_of_the_table(mapper: BinanceMapper, entry: Entry) -> tuple[int, int]:
    """What the mapper reads of a diff as a whole."""
    (row,) = mapper.diffs([entry]).to_pylist()
    return row["first_update_id"], row["last_update_id"]


@pytest.mark.slow
@LAW
@given(MAPPERS, NUMBERS, NUMBERS, STAMPS, st.lists(st.tuples(TEXTS, TEXTS), max_size=3), st.sampled_from(["b", "a"]))
def test_a_diff_is_looked_at_as_it_is_read(
    mapper: BinanceMapper, first: int, last: int, stamp: int, levels: list[tuple[str, str]], side: str
) -> None:
    """The same ids, or the same refusal, whatever its ids, time and levels are."""
    entry = with_fields(a_diff(1, 2, [("99", "1")], []), U=first, u=last, E=stamp, **{side: levels})
    assert verdict(mapper.diff_ids, entry) == verdict(ids_of_the_table, mapper, entry)


@LAW
@given(MAPPERS, NUMBERS, NUMBERS, NUMBERS, STAMPS, STAMPS, TEXTS, TEXTS)
def test_a_trade_is_looked_at_as_it_is_read(
    mapper: BinanceMapper, agg_id: int, first: int, last: int, at: int, sent: int, price: str, quantity: str
) -> None:
    """The same id and time, or the same refusal."""
    entry = with_fields(a_trade(7), a=agg_id, f=first, l=last, T=at, E=sent, p=price, q=quantity)
    table = verdict(lambda: mapper.agg_trades([entry]).select(["agg_id", "trade_time_ns"]).to_pylist())
    read = table if isinstance(table, str) else [(row["agg_id"], row["trade_time_ns"]) for row in table]
    assert verdict(mapper.agg_trade_ids, [entry]) == read


@pytest.mark.parametrize(
    ("price", "quantity", "is_usual"),
    [
        ("42283.58000000", "0.00069000", True),
        ("42283.58", "0.00069000", False),
        ("0.00000000", "1.00000000", False),
        ("1.00000000", "0.00000000", False),
    ],
)
def test_what_is_usual(price: str, quantity: str, is_usual: bool) -> None:
    """Eight decimals as the venue writes them; of a level, only the quantity may be zero."""
    assert fast_check.check_trade(price, quantity) == is_usual
    assert fast_check.check_levels([(price, quantity)]) == (is_usual or quantity == "0.00000000")


@pytest.mark.parametrize(
    "levels",
    [
        [("1.00000000,2.00000000", "3.00000000,4.00000000")],
        [("1.00000000", "2.00000000,3.00000000"), ("4.00000000", "")],
    ],
)
def test_a_number_that_is_two_is_not_usual(levels: list[tuple[str, str]]) -> None:
    """What stands between numbers may stand in a text, too: it is refused as the mapper refuses it."""
    assert not fast_check.check_levels(levels)
    entry = with_fields(a_diff(1, 2, [("99", "1")], []), b=levels)
    assert verdict(MAPPER.diff_ids, entry) == verdict(ids_of_the_table, MAPPER, entry)
    assert isinstance(verdict(MAPPER.diff_ids, entry), str)


def test_another_symbol_is_refused() -> None:
    """Its diff and its trade, with the mapper's own words."""
    with pytest.raises(BadMessage, match="it is about 'OTHER'"):
        MAPPER.diff_ids(with_fields(a_diff(1, 2, [], []), s="OTHER"))
    with pytest.raises(BadMessage, match="it is about 'OTHER'"):
        MAPPER.agg_trade_ids([with_fields(a_trade(1), s="OTHER")])


def test_bytes_that_are_no_diff_are_refused() -> None:
    """As the mapper refuses them."""
    entry = Entry(1, DIFF, T0, b'{"e":"depthUpdate"')
    with pytest.raises(BadMessage) as read:
        MAPPER.diffs([entry])
    with pytest.raises(BadMessage, match=re.escape(str(read.value))):
        MAPPER.diff_ids(entry)
