"""
What the folds of a log begin with: the past that a state depends on, and the grid that held before it.
"""

from collections.abc import Iterator
from itertools import chain

from eventlog.facts.market import INSTRUMENT
from eventlog.store.batch import Batch
from eventlog.store.log import Log
from projections.state import BOOK_KINDS, KINDS, READS, MarketState, Windows

_WITHOUT_BOOKS = tuple(kind for kind in KINDS if kind not in BOOK_KINDS)


def read_with_warm_up(log: Log, first_boundary_ns: int, last_seq: int, windows: Windows) -> Iterator[Batch]:
    """The log from a warm-up before a tick up to a seq, as the folds read it, and before it the grid that held then."""
    past, after = read_past(log, first_boundary_ns, windows)
    yield from past
    yield from log.read(after, last_seq, KINDS, READS)


def read_past(log: Log, first_boundary_ns: int, windows: Windows) -> tuple[Iterator[Batch], int]:
    """
    What of the past decides the state at a tick without its books, and the seq after which all of the log does.

    Trades are looked at for days; a book is as large as a thousand of them, and looked at for hours.
    """
    first = log.seq_before(first_boundary_ns - windows.warmup_ns)
    after = log.seq_before(first_boundary_ns - windows.book_warmup_ns)
    return chain(grid_before(log, first), log.read(first, after, _WITHOUT_BOOKS, READS)), after


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
