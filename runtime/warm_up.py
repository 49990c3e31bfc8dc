"""
Reads the past that the state at a tick depends on, and the tick and lot sizes from before it.
"""

from collections.abc import Iterator
from itertools import chain

from eventlog.facts.market import INSTRUMENT
from eventlog.store.batch import Batch
from eventlog.store.log import Log
from market.fixed_point import DECIMALS
from projections.state import BOOK_KINDS, READS, STATE_KINDS, MarketState, Windows

_WITHOUT_BOOKS = tuple(kind for kind in STATE_KINDS if kind not in BOOK_KINDS)


def read_with_warm_up(log: Log, first_boundary_ns: int, last_seq: int, windows: Windows) -> Iterator[Batch]:
    """
    Read a log from the warm-up before a tick up to a seq, preceded by all earlier instrument facts.

    Args:
        log: of a market.
        first_boundary_ns: the first tick that is needed, UTC ns.
        last_seq: the last entry to read.
        windows: how far back the folds look.
    """
    past, after = read_past(log, first_boundary_ns, windows)
    yield from past
    yield from log.read(after, last_seq, STATE_KINDS, READS)


def read_past(log: Log, first_boundary_ns: int, windows: Windows) -> tuple[Iterator[Batch], int]:
    """
    Read the past that decides the state at a tick, in two parts: trades cover days, the much larger books only hours.

    Args:
        log: of a market.
        first_boundary_ns: the first tick that is needed, UTC ns.
        windows: how far back the folds look.

    Returns:
        The past without books, and the seq after which all kinds must be read.
    """
    first = log.seq_before(first_boundary_ns - windows.warmup_ns)
    after = log.seq_before(first_boundary_ns - windows.book_warmup_ns)
    return chain(read_instruments(log, first), log.read(first, after, _WITHOUT_BOOKS, READS)), after


def read_instruments(log: Log, until_seq: int) -> Iterator[Batch]:
    """Read the instrument facts up to a seq: one is valid until the next, however old it is."""
    for batch in log.read(0, until_seq, [INSTRUMENT]):
        if INSTRUMENT in batch.rows:
            yield batch


def state_of(log: Log, windows: Windows) -> MarketState:
    """The empty folds of a log."""
    return MarketState(windows, quantity_decimals_of(log))


def quantity_decimals_of(log: Log) -> int:
    """
    How many decimals the quantities of a log keep. Its first instrument fact says so, also where that comes after the
    facts that are read: it describes how the log is written, not what the market did.
    """
    for batch in log.read(kinds=[INSTRUMENT], columns={INSTRUMENT: ("quantity_decimals",)}):
        if INSTRUMENT in batch.rows:
            return int(batch.rows[INSTRUMENT]["quantity_decimals"][0])
    return DECIMALS
