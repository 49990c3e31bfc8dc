"""
The one loop: facts into the folds, and at every tick whoever wants to look. The analyzer and the replay both call it.
"""

from collections.abc import Callable, Iterable

from eventlog.facts.capture import TICK
from eventlog.store.batch import Batch
from projections.state import MarketState, TickEntry, ticks_of

OnTick = Callable[[TickEntry, MarketState], None]


def drive(batches: Iterable[Batch], state: MarketState, on_tick: OnTick) -> None:
    """
    Feed batches in seq order; at each tick the state holds everything up to it and nothing after.
    """
    for batch in batches:
        rows = batch.rows.get(TICK)
        if rows is None:
            state.apply(batch)
            continue
        ticks = ticks_of(rows)
        for i, piece in enumerate(batch.split_after(rows["seq"])):
            state.apply(piece)
            if i < len(ticks):
                state.close(ticks[i])
                on_tick(ticks[i], state)
