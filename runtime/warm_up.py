"""
What the folds of a log begin with: the past that a state depends on, and the grid that held before it.
"""

from collections.abc import Iterator

from eventlog.facts.market import INSTRUMENT
from eventlog.store.batch import Batch
from eventlog.store.log import Log
from projections.state import KINDS, READS, MarketState, Windows


def warmed_up(log: Log, first_boundary_ns: int, last_seq: int, windows: Windows) -> Iterator[Batch]:
    """The log from a warm-up before a tick up to a seq, as the folds read it, and before it the grid that held then."""
    after = log.seq_before(first_boundary_ns - windows.warmup_ns)
    yield from grid_before(log, after)
    yield from log.read(after, last_seq, KINDS, READS)


def grid_before(log: Log, until_seq: int) -> Iterator[Batch]:
    """The instrument facts up to a seq: a grid holds until the next one, however long ago it was logged."""
    for batch in log.read(0, until_seq, [INSTRUMENT]):
        if INSTRUMENT in batch.rows:
            yield batch


def state_of(log: Log, windows: Windows) -> MarketState:
    """
    The folds of a log before its first fact. Its quantities are counted as its first instrument fact says, also where
    that stands behind what is folded: it is how the log is written, and nothing that a market did.
    """
    for batch in log.read(kinds=[INSTRUMENT], columns={INSTRUMENT: ("quantity_decimals",)}):
        if INSTRUMENT in batch.rows:
            return MarketState(windows, int(batch.rows[INSTRUMENT]["quantity_decimals"][0]))
    return MarketState(windows)
