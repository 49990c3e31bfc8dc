"""
What a recording holds, counted before anything of it is taken: which of its messages are of one market, and each once.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from eventlog.facts.market import AGG_TRADE, DIFF, SNAPSHOT
from eventlog.transfer.trade_import import LARGEST_STEP_BACK_NS
from exchanges.binance.messages import BadMessage
from exchanges.binance.recordings.recorded_messages import Futures, Recorded, recognise
from exchanges.binance.recordings.recording_lines import RecordedLines
from exchanges.binance.recordings.recording_streams import DepthStreams, TradeStreams, widened
from exchanges.binance.rising_ids import Newest
from exchanges.errors import BadFile
from market.timestamps import iso

_FAST_DEPTH, _SLOW_DEPTH = "depth@100ms", "depth"
_FUTURES_EVENTS = ("markPriceUpdate", "forceOrder", "bookTicker", "continuous_kline", "contractInfo")
"""Spot's bookTicker has no event's name."""
_NAMED = 3


class Restarted(Exception):
    """An id lies below those that came long before it."""


@dataclass(slots=True)
class Contents:
    """
    The messages of a recording, by what they are.

    Attributes:
        symbol: the market's. events: how many of each of the market's events, and of streams without a symbol.
        others: how many messages of each other symbol. like_futures: how many trades are as of a futures market.
        newest: each event's largest id, and the time it is of.
    """

    symbol: str
    lines: int = 0
    last_ns: int = 0
    events: Counter[str] = field(default_factory=Counter)
    others: Counter[str] = field(default_factory=Counter)
    streams: Counter[str] = field(default_factory=Counter)
    first_fault: str = ""
    like_futures: int = 0
    newest: dict[str, Newest] = field(default_factory=dict)
    _updates: dict[str, tuple[int, int]] = field(default_factory=dict)
    _books: list[tuple[int, int]] = field(default_factory=list)
    _foreign_books: frozenset[int] = frozenset()
    _trades: TradeStreams = field(default_factory=TradeStreams)
    _depth: DepthStreams = field(default_factory=DepthStreams)
    _doubled_diffs: frozenset[int] = frozenset()

    def add(self, number: int, found: Recorded, recv_ns: int) -> None:
        """
        Count a message of a line.

        Raises:
            Restarted: its id lies below those that came long before it.
        """
        if found.symbol not in (None, self.symbol):
            self.others[str(found.symbol)] += 1
        else:
            self.events[found.event] += 1
            self.streams[found.stream] += found.kind == DIFF
            self.like_futures += found.like_futures
            self._add_own(number, found, recv_ns)
        if found.ids is None:
            return
        if found.kind == DIFF and found.symbol is not None:
            self._updates[found.symbol] = widened(self._updates.get(found.symbol), found.ids)
        elif found.kind == SNAPSHOT and found.symbol is None:
            self._books.append((number, found.ids[0]))

    def _add_own(self, number: int, found: Recorded, recv_ns: int) -> None:
        """Which ids came on which stream, and whether they rise as time does."""
        ids = found.ids
        if found.kind == DIFF and found.stream == _SLOW_DEPTH:
            self._depth.add_slow(number, ids)
        elif ids and found.kind == DIFF and found.stream == _FAST_DEPTH:
            self._depth.add_fast(ids)
        elif ids and found.event == "aggTrade":
            self._trades.add_aggregated(ids)
        elif ids and found.event == "trade":
            self._trades.add_single(ids[0], recv_ns)
        if found.number is None or found.at_ns is None:
            return
        newest = self.newest.get(found.event)
        if newest is None or found.number > newest.number:
            self.newest[found.event] = Newest(found.number, found.at_ns)
        elif newest.is_before(found.number, found.at_ns):
            raise Restarted(newest.in_words(found.number, found.at_ns))

    def settle(self) -> None:
        """Everything was counted: books, which name no symbol, belong where their update ids do."""
        self._doubled_diffs = self._depth.covered()
        if self.others:
            self._foreign_books = frozenset(number for number, update in self._books if not self._is_ours(update))
        self._books = []

    def takes(self, number: int, found: Recorded) -> bool:
        """Whether a message of a line is a fact of this market."""
        if found.kind is None or found.symbol not in (None, self.symbol):
            return False
        if found.kind == AGG_TRADE:
            return found.event == self.trade_event
        if found.kind == DIFF:
            return number not in self._doubled_diffs
        return number not in self._foreign_books

    @property
    def futures_event(self) -> str | None:
        """An event of a futures market beside trades that may be of one; None for none."""
        found = (event for event in _FUTURES_EVENTS if self.events[event])
        return next(found, None) if self._is_like_futures else None

    @property
    def _is_like_futures(self) -> bool:
        return 0 < self.like_futures == self.events["aggTrade"] + self.events["trade"]

    @property
    def trade_event(self) -> str:
        """The stream that trades are taken from: aggTrade where it was recorded, else single trades."""
        return "aggTrade" if self.events["aggTrade"] else "trade"

    @property
    def skipped(self) -> int:
        """How many of the market's messages are not taken: other streams, and the same facts on a second stream."""
        passed = sum(
            n for event, n in self.events.items() if event not in ("aggTrade", "trade", "depthUpdate", "depth")
        )
        return passed + sum(count for count, _ in self._doubled())

    @property
    def foreign(self) -> int:
        """How many messages are of other symbols."""
        return self.others.total() + len(self._foreign_books)

    def notes(self) -> list[str]:
        """What a person must know of it."""
        found = [f"{count:,} messages of {what}" for count, what in self._doubled()]
        if self._is_like_futures:
            found.append("no trade has the field M, which spot's have and futures' have not: make sure that it is spot")
        if self._foreign_books and not self._updates:
            said = "books name no symbol; of several symbols without book updates nobody can tell whose they are"
            found.append(f"{len(self._foreign_books):,} books were passed over: {said}")
        if self.others:
            names = [f"{name} {count:,}" for name, count in self.others.most_common(_NAMED)]
            more = " …" if len(self.others) > _NAMED else ""
            books = f" and {len(self._foreign_books):,} books" if self._foreign_books and self._updates else ""
            found.append(f"messages of other symbols were passed over: {', '.join(names)}{more}{books}")
        return found

    def _doubled(self) -> list[tuple[int, str]]:
        """Facts that came on two streams, and how many are left out for it."""
        found = []
        if self.events["aggTrade"] and self.events["trade"]:
            alone = self._trades.alone
            but = f", but for {alone:,} that are not" if alone else ""
            said = f"`trade` were passed over: the same trades are there as `aggTrade`{but}"
            found.append((self.events["trade"], said))
        if self._doubled_diffs:
            said = f"`{_SLOW_DEPTH}` were passed over: their update ids lie among those of `{_FAST_DEPTH}`"
            found.append((len(self._doubled_diffs), said))
        return found

    @property
    def changed_ns(self) -> int | None:
        """When trades went over from one stream to the other; None where one has all of them."""
        return self._trades.changed_ns

    def _is_ours(self, update: int) -> bool:
        """Whether an update id lies nearer to those of this market than to those of any other in the recording."""
        ours = self._updates.get(self.symbol)
        if ours is None:
            return False
        if not self.others.keys() <= self._updates.keys():  # a symbol whose ids nobody knows: it may be of that one
            return ours[0] - 1 <= update <= ours[1]
        return all(
            _distance(update, ours) < _distance(update, theirs)
            for symbol, theirs in self._updates.items()
            if symbol != self.symbol
        )


def contents_of(lines: RecordedLines, symbol: str) -> Contents:
    """
    Read a recording through.

    Raises:
        BadFile: it is of a futures market, its times step back, or it holds nothing of the symbol that can be read.
    """
    contents = Contents(symbol)
    for line in lines:
        contents.lines += 1
        if line.recv_ns < contents.last_ns - LARGEST_STEP_BACK_NS:
            raise BadFile(
                f"{lines.path} line {line.number} is stamped {iso(line.recv_ns)}, after one stamped "
                f"{iso(contents.last_ns)}; one of them is wrong"
            )
        contents.last_ns = max(contents.last_ns, line.recv_ns)
        if line.fault:
            contents.first_fault = contents.first_fault or line.fault
            continue
        try:
            contents.add(line.number, recognise(line.message, line.address), line.recv_ns)
        except Restarted as error:
            raise BadFile(f"{lines.path} line {line.number}: {error}") from error
        except Futures as error:
            raise _of_futures(f"{lines.path} line {line.number}", str(error), symbol) from error
        except BadMessage as error:
            contents.first_fault = contents.first_fault or f"line {line.number}: {error}"
    contents.settle()
    if contents.changed_ns is not None:
        raise BadFile(
            f"{lines.path}: at {iso(contents.changed_ns)} it goes over from `trade` to `aggTrade`, or back, which "
            "count trades otherwise; cut it there and import the parts into storages of their own"
        )
    if contents.futures_event is not None:
        raise _of_futures(str(lines.path), contents.futures_event, symbol)
    return contents


def _of_futures(where: str, event: str, symbol: str) -> BadFile:
    return BadFile(
        f"{where}: its {event} message is of a futures market, and {symbol} here is spot; record the spot streams"
    )


def expect_any(lines: RecordedLines, contents: Contents, facts: Iterable[object]) -> None:
    """
    Refuse a recording of which nothing is a fact of its market.

    Raises:
        BadFile: it says what there was instead.
    """
    if any(True for _ in facts):
        return
    if contents.others:
        said = "; ".join(contents.notes())
        raise BadFile(f"{lines.path} holds nothing of {contents.symbol}; {said}; check --market")
    torn = f"; {lines.torn}: it is cut short, fetch it again" if lines.torn else ""
    if contents.first_fault:
        raise BadFile(f"{lines.path}: nothing in it can be read; {contents.first_fault}{torn}")
    raise BadFile(f"{lines.path} holds no trade, depth update or snapshot{torn}")


def _distance(number: int, reach: tuple[int, int]) -> int:
    return max(reach[0] - number, number - reach[1], 0)
