"""
The loop that the analyzer and the replay share: facts into the folds, and a stop at every tick.
"""

from collections.abc import Callable, Iterable, Iterator

from eventlog.facts.capture import TICK
from eventlog.store.batch import Batch
from projections.state import MarketState, TickEntry, read_ticks

OnTick = Callable[[TickEntry, MarketState], None]


def drive(batches: Iterable[Batch], state: MarketState, on_tick: OnTick) -> None:
    """
    Feed batches to the folds; at each tick the state holds everything up to it and nothing after.

    Args:
        batches: of a log, in seq order.
        state: the folds.
        on_tick: called at each tick, after it was closed, with the tick and the state.
    """
    for tick in ticks_of(batches, state):
        on_tick(tick, state)


def ticks_of(batches: Iterable[Batch], state: MarketState) -> Iterator[TickEntry]:
    """
    Feed batches to the folds, as `drive` does, and give each tick when the state holds everything up to it.

    Args:
        batches: of a log, in seq order.
        state: the folds.
    """
    for batch in batches:
        rows = batch.rows.get(TICK)
        if rows is None:
            state.apply(batch)
            continue
        ticks = read_ticks(rows)
        for i, piece in enumerate(batch.split_after(rows["seq"])):
            state.apply(piece)
            if i < len(ticks):
                state.close(ticks[i])
                yield ticks[i]
