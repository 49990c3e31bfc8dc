"""
A recording's messages of one market as columns, a few thousand at a time; unreadable ones are kept apart.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pyarrow as pa

from eventlog.facts.capture import QUARANTINE
from eventlog.facts.entry import Entry
from eventlog.facts.market import AGG_TRADE, DIFF, SNAPSHOT
from exchanges.binance.mapper import BinanceMapper
from exchanges.binance.messages import BadMessage, pack_snapshot
from exchanges.binance.recordings.recorded_messages import recognise
from exchanges.binance.recordings.recording_contents import Contents
from exchanges.binance.recordings.recording_lines import RecordedLines
from market.errors import BadNumber

_MAX_FACTS = 20_000  # with _MAX_BYTES: bounds what is held before it is written
_MAX_BYTES = 8 * 1024**2  # as objects, numbers in text take ten times that

KINDS = (AGG_TRADE, DIFF, SNAPSHOT)


@dataclass(slots=True)
class Block:
    """
    n messages in the order of their lines.

    Attributes:
        recv_ns: when each came. messages: as they were sent.
        tables: by kind: indices of its messages, and their rows.
        quarantine: by index of a message that cannot be used: the reason, and its bytes.
        overflow_count: how many of these have a quantity that does not fit the mapper's decimals.
    """

    recv_ns: list[int]
    messages: list[bytes]
    tables: dict[str, tuple[list[int], pa.Table]]
    quarantine: dict[int, tuple[str, bytes]]
    overflow_count: int = 0


class RecordedFact(NamedTuple):
    """
    A line of a recording as a fact of its market.

    Attributes:
        kind: of the fact; quarantine for an unreadable line.
        recv_ns: when it came.
        data: its bytes in a log. message: its bytes as they were sent.
        fault: why it cannot be read, else empty.
    """

    kind: str
    recv_ns: int
    data: bytes
    message: bytes
    fault: str = ""


def facts_of(lines: RecordedLines, contents: Contents) -> Iterator[RecordedFact]:
    """The facts of a market in a recording, in the order of their lines, unreadable ones included."""
    for line in lines:
        if line.fault:
            yield RecordedFact(QUARANTINE, line.recv_ns, line.message, line.message, line.fault)
            continue
        try:
            message = recognise(line.message, line.address)
        except BadMessage as error:
            yield RecordedFact(QUARANTINE, line.recv_ns, line.message, line.message, str(error))
            continue
        if contents.includes(line.number, message) and message.kind is not None:
            data = message.body
            if message.kind == SNAPSHOT:
                data = pack_snapshot(line.recv_ns, line.recv_ns, message.limit, data)
            yield RecordedFact(message.kind, line.recv_ns, data, message.body)


def blocks_of(facts: Iterable[RecordedFact], mapper: BinanceMapper) -> Iterator[Block]:
    """Parse facts of a recording into blocks of columns."""
    pending: list[RecordedFact] = []
    size = 0
    for fact in facts:
        pending.append(fact)
        size += len(fact.message)
        if len(pending) >= _MAX_FACTS or size >= _MAX_BYTES:
            yield _build_block(pending, mapper)
            pending, size = [], 0
    if pending:
        yield _build_block(pending, mapper)


def _build_block(facts: Sequence[RecordedFact], mapper: BinanceMapper) -> Block:
    quarantine = {place: (fact.fault, fact.message) for place, fact in enumerate(facts) if fact.fault}
    block = Block([f.recv_ns for f in facts], [f.message for f in facts], {}, quarantine)
    for kind in KINDS:
        places = [place for place, fact in enumerate(facts) if fact.kind == kind]
        parts = list(_parse_readable(facts, places, kind, mapper, block))
        if parts:
            tables = [table for _, table in parts]
            block.tables[kind] = [place for part, _ in parts for place in part], pa.concat_tables(tables)
    return block


def _parse_readable(
    facts: Sequence[RecordedFact], places: list[int], kind: str, mapper: BinanceMapper, block: Block
) -> Iterator[tuple[list[int], pa.Table]]:
    """The facts at some indices as tables; on an error each half is tried, down to the unreadable fact."""
    if not places:
        return
    try:
        yield places, mapper.decoders[kind]([Entry(0, kind, facts[i].recv_ns, facts[i].data) for i in places])
    except BadMessage as error:
        if len(places) > 1:
            middle = len(places) // 2
            yield from _parse_readable(facts, places[:middle], kind, mapper, block)
            yield from _parse_readable(facts, places[middle:], kind, mapper, block)
            return
        cause = error.__cause__
        block.overflow_count += isinstance(cause, BadNumber) and cause.reason == "is too large"
        block.quarantine[places[0]] = str(error), facts[places[0]].message
