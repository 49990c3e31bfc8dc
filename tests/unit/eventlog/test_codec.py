"""From bytes to columns."""

import msgspec
import pytest

from eventlog.codec import decode_entries
from eventlog.errors import BadEntry
from eventlog.facts.capture import GAP, TICK
from eventlog.facts.entry import Entry, Fact
from eventlog.facts.registry import KINDS, SCHEMAS, kinds_of
from tests.builders import (
    MAPPER,
    T0,
    a_rest_trade,
    a_tick,
    a_trade,
    as_entries,
    as_tables,
    one_of_each_decision_kind,
    one_of_each_market_kind,
)


def test_every_kind_becomes_its_own_table() -> None:
    """Each with the schema its readers count on, in seq order, no entry lost."""
    facts = one_of_each_market_kind()
    tables = as_tables(facts)
    assert set(tables) == set(kinds_of("events"))
    assert sum(t.num_rows for t in tables.values()) == len(facts)
    decisions = as_tables(one_of_each_decision_kind())
    assert set(tables) | set(decisions) == set(SCHEMAS)
    for kind, table in (tables | decisions).items():
        assert table.schema == SCHEMAS[kind]
        table.validate(full=True)
        seqs = table.column("seq").to_pylist()
        assert seqs == sorted(seqs)


def test_our_own_words_come_back_as_they_were_said() -> None:
    """Nothing given is null, what was not given is."""
    (row,) = as_tables([a_tick(last_agg_id=7)])[TICK].to_pylist()
    assert row["boundary_ns"] == T0 + 60 * 10**9
    assert (row["last_agg_id"], row["snapshot_seq"], row["trades"]) == (7, None, "live")


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"what":"x"}', b"\xff", a_tick().data])
def test_bytes_that_are_not_their_kind_name_the_seq(data: bytes) -> None:
    """The log is broken there: the error names the seq."""
    with pytest.raises(BadEntry, match="seq 42: not a gap"):
        decode_entries([Entry(42, GAP, T0, data)], {})


def test_a_venue_message_that_does_not_decode_names_its_seq() -> None:
    """The mapper knows only the place among those handed over."""
    entries = as_entries([a_trade(1), a_rest_trade(2), Fact("agg_trade", T0, b'{"a":"x"}')], first_seq=100)
    with pytest.raises(BadEntry, match="seq 102: not a agg_trade: not as documented"):
        decode_entries(entries, MAPPER.decoders)


def test_an_unknown_kind_is_not_skipped() -> None:
    """A newer version may have written it; without the venue's mapper its kinds are unknown too."""
    with pytest.raises(BadEntry, match="seq 5: kind 'order' is unknown"):
        decode_entries([Entry(5, "order", T0, b"{}")], MAPPER.decoders)
    for kind in (name for name, declaration in KINDS.items() if not declaration.is_ours):
        with pytest.raises(BadEntry, match="unknown here"):
            decode_entries([Entry(1, kind, T0, b"{}")], {})


def test_an_unknown_field_in_our_own_words_is_refused() -> None:
    """It would be lost silently."""
    fields = msgspec.json.decode(a_tick().data) | {"mood": "good"}
    with pytest.raises(BadEntry, match="mood"):
        decode_entries([Entry(1, TICK, T0, msgspec.json.encode(fields))], {})
