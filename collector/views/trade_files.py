"""
The files of older systems, `trades_YYYYMMDD_HHMM.json`, one per minute, as soon as that minute leaves the window.

They are in `trade_files/` beside the market's logs; times are UTC. They are for other programs and never read back.
"""

from pathlib import Path

from eventlog.disk.files import create_private_folder, expect_no_link, translate_errors
from eventlog.transfer.export import write_minute_file
from market.timestamps import MINUTE_NS
from projections.state import MarketState
from projections.trades import minute_view

FOLDER = "trade_files"


class TradeFiles:
    """
    Writes the files of one market.

    Args:
        folder: that they are written to; created if missing.
        window_minutes: for which a minute with trades stays in the window.
    """

    def __init__(self, folder: Path, window_minutes: int) -> None:
        self.folder = folder
        self._window_minutes = window_minutes
        self._mark = 0
        self._start_ns: int | None = None

    def write(self, state: MarketState) -> int:
        """
        Write the minutes that have left the window since the last call, and those that changed after they had left; at
        the first call all that the folds still hold.

        Returns:
            Number of files written.

        Raises:
            StoreFull, EventLogError: one could not be written; the next call tries again.
            LogBroken: the folder is a link.
        """
        buckets = state.buckets
        start_ns = buckets.end_ns - self._window_minutes * MINUTE_NS
        mark, changed_minutes = buckets.changes_since(self._mark)
        previous_start_ns = self._start_ns
        late_minutes = set(
            buckets.minutes_with_trades() if changed_minutes is None or previous_start_ns is None else changed_minutes
        )
        with translate_errors(self.folder):
            expect_no_link(self.folder.parent, self.folder)
            create_private_folder(self.folder)
        count = 0
        for minute_ns in buckets.minutes_with_trades():
            if minute_ns < start_ns and (
                previous_start_ns is None or minute_ns >= previous_start_ns or minute_ns in late_minutes
            ):
                minute = buckets.minute(minute_ns)
                if minute is not None:
                    write_minute_file(
                        minute_ns, minute_view.to_json(minute_ns, minute, state.quantity_decimals), self.folder
                    )
                    count += 1
        self._mark, self._start_ns = mark, start_ns
        return count
