"""
Decoders for a log that may not hold its instrument fact yet: the scale of quantities is learned when it comes.
"""

from collections.abc import Mapping, Sequence

import pyarrow as pa

from eventlog.codec import Decode
from eventlog.facts.entry import Entry
from eventlog.facts.market import INSTRUMENT
from eventlog.store.cold import ColdLog
from eventlog.store.hot import HotLog
from eventlog.store.log import Log
from exchanges.binance.mapper import BinanceMapper


class LateScale:
    """
    A mapper's decoders for one log, which scale quantities as the log's first instrument fact says once it is there;
    with 8 decimals before.

    Args:
        mapper: its quantity_decimals are set here.
        cold, hot: the log's archive and stream (None without a server); the log need not exist yet.

    Attributes:
        is_known: whether the instrument fact was read.
    """

    def __init__(self, mapper: BinanceMapper, cold: ColdLog, hot: HotLog | None) -> None:
        self._mapper = mapper
        self._log = Log(cold, hot, mapper.decoders)
        self._searched_seq = 0
        self.is_known = False

    @property
    def decoders(self) -> Mapping[str, Decode]:
        """See `BinanceMapper.decoders`."""
        return {kind: self._with_scale(decode) for kind, decode in self._mapper.decoders.items()}

    def learn(self) -> int:
        """
        Look for the instrument fact, and return the number of decimals that quantities keep by now.

        Raises:
            EventLogError: the log cannot be read.
        """
        last = self._log.last_seq() if not self.is_known else 0
        if last > self._searched_seq:
            for batch in self._log.read(self._searched_seq, last, [INSTRUMENT]):
                if INSTRUMENT in batch.rows:
                    self._mapper.quantity_decimals = int(batch.rows[INSTRUMENT]["quantity_decimals"][0])
                    self.is_known = True
                    break
            self._searched_seq = last
        return self._mapper.quantity_decimals

    def _with_scale(self, decode: Decode) -> Decode:
        def read(entries: Sequence[Entry]) -> pa.Table:
            self.learn()
            return decode(entries)

        return read
