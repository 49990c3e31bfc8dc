"""
The recorder's own book: it gives the facts that the log must contain about the book, as facts go into the log.

A diff costs a comparison of ids when it comes; its levels are read with those of many others, when a snapshot is to be
compared.
"""

from collections.abc import Iterator, Mapping

import pyarrow as pa

from eventlog.codec import Decode, decode_entries
from eventlog.facts.capture import BOOK_AUDIT, BOOK_RESET, BookAudit, BookReset
from eventlog.facts.entry import Entry, Fact
from eventlog.facts.market import DIFF, SNAPSHOT
from eventlog.store.batch import Columns
from projections.book.book_audit import Audit
from projections.book.book_levels import SIDES, Sides
from projections.book.diff_buffer import UpdateGap
from projections.book.reference_book import BookDelta, BookSnapshot, ReferenceBook

_MAX_PENDING = 50  # few, so that facts about the book come soon; enough that reading them together is cheap


class LiveBook:
    """
    Follows the diffs and snapshots of one market, in the order in which they are logged.

    Args:
        decoders: of the venue's facts; only facts that they can read may come here.
        max_differing: largest number of differing levels of a healthy audit.

    Attributes:
        book: as of the last diff that was read; `read` reads the rest.
        audit: the last comparison of the book with the venue's, None before the first.
        audits, unhealthy, resets: number of each.
    """

    def __init__(self, decoders: Mapping[str, Decode], max_differing: int = 0) -> None:
        self.book = ReferenceBook(max_differing)
        self.audit: Audit | None = None
        self.audits = 0
        self.unhealthy = 0
        self.resets = 0
        self._decoders = decoders
        self._pending: list[Fact] = []
        self._chain_id: int | None = None  # the last update id of book and waiting diffs; None where none counts

    def take(self, fact: Fact, first_id: int = 0, last_id: int = 0) -> list[Fact]:
        """
        Take a fact that goes into the log.

        Args:
            fact: a diff or a snapshot; others are ignored.
            first_id, last_id: update ids of a diff.

        Returns:
            The facts that the log must contain after it: that the book was reset, or the result of an audit. Mostly
            none.
        """
        if fact.kind == DIFF:
            self._pending.append(fact)
            chain_id, pending_id = self._chain_id, self.book.pending_update_id
            is_missing = chain_id is not None and first_id > chain_id + 1
            if is_missing or (pending_id is not None and last_id >= pending_id) or len(self._pending) >= _MAX_PENDING:
                return self.read()
            if chain_id is not None and last_id > chain_id:
                self._chain_id = last_id
            return []
        if fact.kind == SNAPSHOT:
            facts = self.read()
            book = read_snapshot(decode_entries([_entry(fact)], self._decoders)[SNAPSHOT])
            facts += self._build_facts(self.book.apply_snapshot(book), fact.recv_ns)
            self._chain_id = self.book.chain_id
            return facts
        return []

    def read(self) -> list[Fact]:
        """Bring the book up to the last diff; returns the facts that the log must contain for it."""
        if not self._pending:
            return []
        table = decode_entries([_entry(fact) for fact in self._pending], self._decoders)[DIFF]
        self._pending = []
        facts = [
            fact for diff in read_diffs(table) for fact in self._build_facts(self.book.apply_diff(diff), diff.recv_ns)
        ]
        self._chain_id = self.book.chain_id
        return facts

    def _build_facts(self, change: tuple[UpdateGap | None, Audit | None], recv_ns: int) -> list[Fact]:
        gap, audit = change
        facts = []
        if gap is not None:
            self.resets += 1
            facts.append(BookReset(gap.cause, gap.first_missing, gap.last_missing).fact(BOOK_RESET, recv_ns))
        if audit is not None:
            self.audit = audit
            self.audits += 1
            self.unhealthy += not audit.healthy
            facts.append(build_audit_body(audit).fact(BOOK_AUDIT, recv_ns))
        return facts


def build_audit_body(audit: Audit) -> BookAudit:
    """Build the body of an audit fact."""
    return BookAudit(
        snapshot_update_id=audit.snapshot_update_id,
        update_id=audit.update_id,
        compared=audit.compared,
        excluded=audit.excluded,
        missing=audit.count("missing"),
        ghost=audit.count("ghost"),
        wrong_size=audit.count("wrong_size"),
        on_bids=sum(audit.counts[0]),
        by_distance=list(audit.by_distance),
        by_age=list(audit.by_age),
        examples=[str(example) for example in audit.examples],
        healthy=audit.healthy,
    )


def _entry(fact: Fact) -> Entry:
    return Entry(0, fact.kind, fact.recv_ns, fact.data)


def read_snapshot(table: pa.Table) -> BookSnapshot:
    """Read the first row of a table of snapshots."""
    columns = Columns(table)
    sides = Sides(*(columns.levels(f"{side}_{field}_e8", 0) for side in SIDES for field in ("price", "quantity")))
    recv_ns, update_id, limit = (int(columns[name][0]) for name in ("recv_ns", "last_update_id", "limit"))
    return BookSnapshot(recv_ns, update_id, limit, sides)


def read_diffs(table: pa.Table) -> Iterator[BookDelta]:
    """Read the rows of a table of diffs."""
    ids = (table.column(name).to_pylist() for name in ("recv_ns", "first_update_id", "last_update_id"))
    names = ("bid_price_e8", "ask_price_e8", "bid_quantity_e8", "ask_quantity_e8")
    levels = (table.column(name).to_pylist() for name in names)
    for recv_ns, first, last, bids, asks, bid_sizes, ask_sizes in zip(*ids, *levels, strict=True):
        yield BookDelta(recv_ns, first, last, (bids, asks), (bid_sizes, ask_sizes))
