"""Ticks: one a boundary, after the snapshot or without it, none made up."""

import msgspec

from collector.sequencing.tick_maker import SNAPSHOT_TIMEOUT_NS, CaptureProgress, TickMaker
from eventlog.facts.capture import Tick
from market.timestamps import MINUTE_NS, SECOND_NS

T0 = 1_700_000_040 * SECOND_NS // MINUTE_NS * MINUTE_NS


def a_maker(interval_s: int = 10, snapshot_s: int = 60) -> TickMaker:
    """Ticks every ten seconds, a book a minute."""
    return TickMaker(interval_s * SECOND_NS, snapshot_s * SECOND_NS, T0 + 1)


def make_tick(maker: TickMaker, boundary_ns: int, now_ns: int, progress: CaptureProgress) -> Tick:
    """The tick a maker makes."""
    return msgspec.json.decode(maker.make_tick(boundary_ns, now_ns, "live", progress).data, type=Tick)


def test_a_boundary_without_a_snapshot_is_due_at_once() -> None:
    """Between snapshots a tick waits for nothing."""
    maker = a_maker()
    assert maker.due_boundary(T0 + 10 * SECOND_NS - 1) is None
    assert maker.due_boundary(T0 + 10 * SECOND_NS) == T0 + 10 * SECOND_NS


def test_a_snapshot_boundary_waits_for_its_book_but_not_for_ever() -> None:
    """The tick comes with the snapshot, or five seconds later without it."""
    maker = TickMaker(MINUTE_NS, MINUTE_NS, T0)
    boundary = T0 + MINUTE_NS
    assert maker.due_boundary(boundary + SECOND_NS) is None
    assert maker.due_boundary(boundary + SNAPSHOT_TIMEOUT_NS) == boundary
    maker.note_snapshot(boundary)
    assert maker.due_boundary(boundary + SECOND_NS) == boundary


def test_missed_boundaries_are_not_made_up() -> None:
    """After a pause only the newest boundary that passed gets its tick."""
    maker = a_maker()
    late = T0 + 95 * SECOND_NS
    make_tick(maker, T0 + 10 * SECOND_NS, late, CaptureProgress())
    assert maker.next_boundary_ns == T0 + 90 * SECOND_NS


def test_depth_is_live_stale_or_down() -> None:
    """The book that was due makes it live; an older one is stale, whatever updates came since; none is down."""
    maker = TickMaker(10 * SECOND_NS, MINUTE_NS, T0)
    boundary = T0 + MINUTE_NS
    between = boundary + 10 * SECOND_NS
    fresh = CaptureProgress(5, 9, 1, last_depth_recv_ns=boundary + 1, last_snapshot_recv_ns=boundary + 1)
    tick = CaptureProgress(5, 9, 1, last_depth_recv_ns=boundary + 1, last_snapshot_recv_ns=boundary - MINUTE_NS + 1)
    assert make_tick(maker, boundary, boundary, CaptureProgress()).depth == "down"
    assert make_tick(maker, boundary, boundary, fresh).depth == "live"
    assert make_tick(maker, between, between, fresh).depth == "live"
    assert make_tick(maker, boundary, boundary, tick).depth == "stale"
    assert make_tick(maker, between, between, tick).depth == "stale"
    assert make_tick(maker, boundary, boundary, CaptureProgress(snapshot_seq=5)).depth == "stale"
