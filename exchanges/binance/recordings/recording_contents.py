"""
What a recording contains, counted in a first pass: which of its messages are facts of one market, each once.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from eventlog.facts.market import AGG_TRADE, DIFF, SNAPSHOT
from eventlog.transfer.trade_import import LARGEST_STEP_BACK_NS
from exchanges.binance.messages import BadMessage
from exchanges.binance.recordings.recorded_messages import FuturesMessage, RecordedMessage, recognise
from exchanges.binance.recordings.recording_lines import RecordedLines
from exchanges.binance.recordings.recording_streams import DepthStreams, TradeStreams, widen_range
from exchanges.binance.rising_ids import NewestId
from exchanges.errors import BadFile
from market.timestamps import iso

_FAST_DEPTH, _SLOW_DEPTH = "depth@100ms", "depth"
_FUTURES_EVENTS = ("markPriceUpdate", "forceOrder", "bookTicker", "continuous_kline", "contractInfo")
"""Spot has a bookTicker too, but without an event name."""
_MAX_NAMES = 3  # of streams in a message; the rest are counted


class IdsRestarted(Exception):
    """An id is smaller than ids that came long before it."""


@dataclass(slots=True)
class Contents:
    """
    The messages of a recording, counted by what they are.

    Attributes:
        symbol: of the market.
        lines: number of lines. last_ns: the latest receive time.
        events: number of messages by event, of the market and of streams without a symbol.
        others: number of messages by other symbol. streams: number of diffs by stream.
        first_fault: why the first unreadable line cannot be read, empty for none.
        like_futures: number of trades that look like those of a futures market.
        newest: by event, the largest id and its time.
    """

    symbol: str
    lines: int = 0
    last_ns: int = 0
    events: Counter[str] = field(default_factory=Counter)
    others: Counter[str] = field(default_factory=Counter)
    streams: Counter[str] = field(default_factory=Counter)
    first_fault: str = ""
    like_futures: int = 0
    newest: dict[str, NewestId] = field(default_factory=dict)
    _updates: dict[str, tuple[int, int]] = field(default_factory=dict)
    _books: list[tuple[int, int]] = field(default_factory=list)
    _foreign_books: frozenset[int] = frozenset()
    _trades: TradeStreams = field(default_factory=TradeStreams)
    _depth: DepthStreams = field(default_factory=DepthStreams)
    _duplicate_diffs: frozenset[int] = frozenset()

    def add(self, number: int, message: RecordedMessage, recv_ns: int) -> None:
        """
        Count a message.

        Args:
            number: of its line, from 1.
            message: as recognised.
            recv_ns: when it came.

        Raises:
            IdsRestarted: its id is smaller than ids that came long before it.
        """
        if message.symbol not in (None, self.symbol):
            self.others[str(message.symbol)] += 1
        else:
            self.events[message.event] += 1
            self.streams[message.stream] += message.kind == DIFF
            self.like_futures += message.like_futures
            self._add_own(number, message, recv_ns)
        if message.ids is None:
            return
        if message.kind == DIFF and message.symbol is not None:
            self._updates[message.symbol] = widen_range(self._updates.get(message.symbol), message.ids)
        elif message.kind == SNAPSHOT and message.symbol is None:
            self._books.append((number, message.ids[0]))

    def _add_own(self, number: int, message: RecordedMessage, recv_ns: int) -> None:
        """Note which ids came on which stream, and check that ids rise with time."""
        ids = message.ids
        if message.kind == DIFF and message.stream == _SLOW_DEPTH:
            self._depth.add_slow(number, ids)
        elif ids and message.kind == DIFF and message.stream == _FAST_DEPTH:
            self._depth.add_fast(ids)
        elif ids and message.event == "aggTrade":
            self._trades.add_aggregate(ids)
        elif ids and message.event == "trade":
            self._trades.add_single(ids[0], recv_ns)
        if message.number is None or message.time_ns is None:
            return
        newest = self.newest.get(message.event)
        if newest is None or message.number > newest.number:
            self.newest[message.event] = NewestId(message.number, message.time_ns)
        elif newest.shows_restart(message.number, message.time_ns):
            raise IdsRestarted(newest.describe_restart(message.number, message.time_ns))

    def finish(self) -> None:
        """Finish counting: books name no symbol and are assigned by their update ids."""
        self._duplicate_diffs = self._depth.redundant_lines()
        if self.others:
            self._foreign_books = frozenset(number for number, update in self._books if not self._is_ours(update))
        self._books = []

    def includes(self, number: int, message: RecordedMessage) -> bool:
        """Whether a message, in line `number`, is a fact of this market."""
        if message.kind is None or message.symbol not in (None, self.symbol):
            return False
        if message.kind == AGG_TRADE:
            return message.event == self.trade_event
        if message.kind == DIFF:
            return number not in self._duplicate_diffs
        return number not in self._foreign_books

    @property
    def futures_event(self) -> str | None:
        """An event that only futures markets have, if the trades look like futures too; None for none."""
        events = (event for event in _FUTURES_EVENTS if self.events[event])
        return next(events, None) if self._is_like_futures else None

    @property
    def _is_like_futures(self) -> bool:
        return 0 < self.like_futures == self.events["aggTrade"] + self.events["trade"]

    @property
    def trade_event(self) -> str:
        """The stream that trades are taken from: aggTrade where it was recorded, else single trades."""
        return "aggTrade" if self.events["aggTrade"] else "trade"

    @property
    def skip_count(self) -> int:
        """Number of the market's messages that are skipped: other streams, and the same facts on a second stream."""
        other_streams = sum(
            n for event, n in self.events.items() if event not in ("aggTrade", "trade", "depthUpdate", "depth")
        )
        return other_streams + sum(count for count, _ in self._duplicate_streams())

    @property
    def foreign_count(self) -> int:
        """Number of messages of other symbols."""
        return self.others.total() + len(self._foreign_books)

    def notes(self) -> list[str]:
        """Warnings for the user, one line each."""
        notes = [f"{count:,} messages of {what}" for count, what in self._duplicate_streams()]
        if self._is_like_futures:
            notes.append("no trade has the field M, which spot's have and futures' have not: make sure that it is spot")
        if self._foreign_books and not self._updates:
            reason = "books name no symbol; without book updates it is unknown which of several symbols they belong to"
            notes.append(f"{len(self._foreign_books):,} books were passed over: {reason}")
        if self.others:
            names = [f"{name} {count:,}" for name, count in self.others.most_common(_MAX_NAMES)]
            ellipsis = " …" if len(self.others) > _MAX_NAMES else ""
            books = f" and {len(self._foreign_books):,} books" if self._foreign_books and self._updates else ""
            notes.append(f"messages of other symbols were passed over: {', '.join(names)}{ellipsis}{books}")
        return notes

    def _duplicate_streams(self) -> list[tuple[int, str]]:
        """For facts that came on two streams, the number that is left out, and a text that says so."""
        duplicates = []
        if self.events["aggTrade"] and self.events["trade"]:
            singles_only = self._trades.single_count
            exception = f", but for {singles_only:,} that are not" if singles_only else ""
            text = f"`trade` were passed over: the same trades are there as `aggTrade`{exception}"
            duplicates.append((self.events["trade"], text))
        if self._duplicate_diffs:
            text = f"`{_SLOW_DEPTH}` were passed over: their update ids lie among those of `{_FAST_DEPTH}`"
            duplicates.append((len(self._duplicate_diffs), text))
        return duplicates

    @property
    def switch_ns(self) -> int | None:
        """When the recording switched from one trade stream to the other (ns); None where one has all trades."""
        return self._trades.switch_ns

    def _is_ours(self, update: int) -> bool:
        """Whether an update id is nearer to those of this market than to those of any other in the recording."""
        ours = self._updates.get(self.symbol)
        if ours is None:
            return False
        if not self.others.keys() <= self._updates.keys():  # it may be of a symbol without known ids
            return ours[0] - 1 <= update <= ours[1]
        return all(
            _distance(update, ours) < _distance(update, other_ids)
            for symbol, other_ids in self._updates.items()
            if symbol != self.symbol
        )


def contents_of(lines: RecordedLines, symbol: str) -> Contents:
    """
    Count what a recording contains, in one pass.

    Raises:
        BadFile: it is of a futures market, its times or ids step back, or it switches between trade streams.
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
        except IdsRestarted as error:
            raise BadFile(f"{lines.path} line {line.number}: {error}") from error
        except FuturesMessage as error:
            raise _futures_error(f"{lines.path} line {line.number}", str(error), symbol) from error
        except BadMessage as error:
            contents.first_fault = contents.first_fault or f"line {line.number}: {error}"
    contents.finish()
    if contents.switch_ns is not None:
        raise BadFile(
            f"{lines.path}: at {iso(contents.switch_ns)} it goes over from `trade` to `aggTrade`, or back, which "
            "count trades otherwise; cut it there and import the parts into storages of their own"
        )
    if contents.futures_event is not None:
        raise _futures_error(str(lines.path), contents.futures_event, symbol)
    return contents


def _futures_error(where: str, event: str, symbol: str) -> BadFile:
    return BadFile(
        f"{where}: its {event} message is of a futures market, and {symbol} here is spot; record the spot streams"
    )


def expect_any(lines: RecordedLines, contents: Contents, facts: Iterable[object]) -> None:
    """
    Refuse a recording without any fact of its market.

    Args:
        lines: of the recording, read to the end.
        contents: of the recording; they tell what there is instead.
        facts: of the market; only the first is consumed.

    Raises:
        BadFile: there is none.
    """
    if any(True for _ in facts):
        return
    if contents.others:
        notes = "; ".join(contents.notes())
        raise BadFile(f"{lines.path} holds nothing of {contents.symbol}; {notes}; check --market")
    truncation = f"; {lines.truncation}: it is cut short, fetch it again" if lines.truncation else ""
    if contents.first_fault:
        raise BadFile(f"{lines.path}: nothing in it can be read; {contents.first_fault}{truncation}")
    raise BadFile(f"{lines.path} holds no trade, depth update or snapshot{truncation}")


def _distance(number: int, span: tuple[int, int]) -> int:
    return max(span[0] - number, number - span[1], 0)
