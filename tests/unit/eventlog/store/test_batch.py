"""Stretches of a log: how they are cut."""

import numpy as np
import pyarrow as pa

from eventlog.facts.capture import TICK
from eventlog.facts.market import AGG_TRADE, DIFF, SNAPSHOT
from eventlog.store.batch import Batch, Columns
from tests.builders import T0, a_batch, a_diff, a_snapshot, a_tick, a_trade


def seqs(batch: Batch) -> dict[str, list[int]]:
    """Which seqs a batch holds."""
    return {kind: rows["seq"].tolist() for kind, rows in batch.rows.items()}


def test_a_batch_is_cut_after_each_seq_asked_for() -> None:
    """Pieces follow one another, each with its own rows of each kind, the rest last."""
    batch = a_batch([a_trade(1), a_tick(), a_trade(2), a_trade(3), a_tick(), a_snapshot()], first_seq=11)
    one, two, rest = batch.split_after(np.array([12, 15]))
    assert (one.first_seq, one.last_seq, seqs(one)) == (11, 12, {AGG_TRADE: [11], TICK: [12]})
    assert (two.first_seq, two.last_seq, seqs(two)) == (13, 15, {AGG_TRADE: [13, 14], TICK: [15]})
    assert (rest.first_seq, rest.last_seq, seqs(rest)) == (16, 16, {SNAPSHOT: [16]})


def test_a_cut_at_the_end_leaves_no_rest() -> None:
    """And no cut at all is the batch itself."""
    batch = a_batch([a_trade(1), a_tick()])
    assert [(b.first_seq, b.last_seq) for b in batch.split_after(np.array([2]))] == [(1, 2)]
    assert [seqs(b) for b in batch.split_after(np.array([], np.int64))] == [seqs(batch)]


def test_a_piece_can_be_cut_again() -> None:
    """Cuts go by seq, not by row."""
    batch = a_batch([a_trade(i) for i in range(1, 8)])
    *_, tail = batch.split_after(np.array([3]))
    middle, rest = tail.split_after(np.array([5]))
    assert seqs(middle) == {AGG_TRADE: [4, 5]}
    assert middle.rows[AGG_TRADE]["agg_id"].tolist() == [4, 5]
    assert seqs(rest) == {AGG_TRADE: [6, 7]}
    assert seqs(batch.truncate(2)) == {AGG_TRADE: [1, 2]}
    assert batch.truncate(99) is batch


def test_cells_are_read_as_python_values() -> None:
    """Nulls are None, level lists are int64."""
    rows = a_batch([a_tick(), a_snapshot()]).rows
    assert rows[TICK].columns.value("snapshot_seq", 0) is None
    assert rows[TICK].columns.value("boundary_ns", 0) == T0 + 60 * 10**9
    assert rows[SNAPSHOT].columns.levels("bid_price_e8", 0).dtype == np.int64
    assert len(rows[SNAPSHOT].columns) == 1


def test_lists_are_flat_columns_with_offsets() -> None:
    """Three diffs of two, no and one levels; a piece of them keeps its own offsets."""
    diffs = [a_diff(1, 1, [("1", "2"), ("3", "4")]), a_diff(2, 2, []), a_diff(3, 3, [("5", "0")])]
    columns = a_batch(diffs).rows[DIFF].columns
    offsets, prices = columns.flatten("bid_price_e8")
    assert (offsets.tolist(), prices.tolist()) == ([0, 2, 2, 3], [10**8, 3 * 10**8, 5 * 10**8])
    assert columns.flatten("bid_quantity_e8")[1].tolist() == [2 * 10**8, 4 * 10**8, 0]
    assert columns.flatten("bid_price_e8")[1] is prices
    offsets, prices = Columns(columns.table.slice(1)).flatten("bid_price_e8")
    assert [prices[offsets[i] : offsets[i + 1]].tolist() for i in range(2)] == [[], [5 * 10**8]]
    offsets, prices = Columns(pa.concat_tables([columns.table, columns.table])).flatten("bid_price_e8")
    assert offsets.tolist() == [0, 2, 2, 3, 5, 5, 6]
    assert prices[3:].tolist() == prices[:3].tolist()
