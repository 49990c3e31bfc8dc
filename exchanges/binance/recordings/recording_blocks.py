"""
A recording's messages of one market as columns, a few thousand at a time; what nobody can read is set aside.
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

_MAX_FACTS = 20_000
_MAX_BYTES = 8 * 1024**2  # as objects, numbers in text take ten times that

KINDS = (AGG_TRADE, DIFF, SNAPSHOT)


@dataclass(slots=True)
class Block:
    """
    n messages in the order of their lines.

    Attributes:
        recv_ns: when each came. messages: as they were sent.
        tables: for a kind, which of the messages are of it, and their rows.
        aside: for a message nobody can read, why, and its bytes.
        too_large: how many of them are so for a quantity that does not fit so many decimals.
    """

    recv_ns: list[int]
    messages: list[bytes]
    tables: dict[str, tuple[list[int], pa.Table]]
    aside: dict[int, tuple[str, bytes]]
    too_large: int = 0


class RecordedFact(NamedTuple):
    """
    A line of a recording as a fact of its market.

    Attributes:
        data: its bytes in a log. message: as they were sent. fault: why nobody can read them, else empty.
    """

    kind: str
    recv_ns: int
    data: bytes
    message: bytes
    fault: str = ""


def facts_of(lines: RecordedLines, contents: Contents) -> Iterator[RecordedFact]:
    """The facts of a market in a recording, in the order of their lines, unreadable ones among them."""
    for line in lines:
        if line.fault:
            yield RecordedFact(QUARANTINE, line.recv_ns, line.message, line.message, line.fault)
            continue
        try:
            found = recognise(line.message, line.address)
        except BadMessage as error:
            yield RecordedFact(QUARANTINE, line.recv_ns, line.message, line.message, str(error))
            continue
        if contents.takes(line.number, found) and found.kind is not None:
            data = found.body
            if found.kind == SNAPSHOT:
                data = pack_snapshot(line.recv_ns, line.recv_ns, found.limit, data)
            yield RecordedFact(found.kind, line.recv_ns, data, found.body)


def blocks_of(facts: Iterable[RecordedFact], mapper: BinanceMapper) -> Iterator[Block]:
    """Facts of a recording as columns."""
    pending: list[RecordedFact] = []
    size = 0
    for fact in facts:
        pending.append(fact)
        size += len(fact.message)
        if len(pending) >= _MAX_FACTS or size >= _MAX_BYTES:
            yield _block(pending, mapper)
            pending, size = [], 0
    if pending:
        yield _block(pending, mapper)


def _block(facts: Sequence[RecordedFact], mapper: BinanceMapper) -> Block:
    aside = {place: (fact.fault, fact.message) for place, fact in enumerate(facts) if fact.fault}
    block = Block([f.recv_ns for f in facts], [f.message for f in facts], {}, aside)
    for kind in KINDS:
        places = [place for place, fact in enumerate(facts) if fact.kind == kind]
        parts = list(_readable(facts, places, kind, mapper, block))
        if parts:
            tables = [table for _, table in parts]
            block.tables[kind] = [place for some, _ in parts for place in some], pa.concat_tables(tables)
    return block


def _readable(
    facts: Sequence[RecordedFact], places: list[int], kind: str, mapper: BinanceMapper, block: Block
) -> Iterator[tuple[list[int], pa.Table]]:
    """The facts at some places as tables; halves are tried where a whole cannot be read."""
    if not places:
        return
    try:
        yield places, mapper.decoders[kind]([Entry(0, kind, facts[i].recv_ns, facts[i].data) for i in places])
    except BadMessage as error:
        if len(places) > 1:
            middle = len(places) // 2
            yield from _readable(facts, places[:middle], kind, mapper, block)
            yield from _readable(facts, places[middle:], kind, mapper, block)
            return
        cause = error.__cause__
        block.too_large += isinstance(cause, BadNumber) and cause.reason == "is too large"
        block.aside[places[0]] = str(error), facts[places[0]].message
