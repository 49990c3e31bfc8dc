"""
Random books for tests: snapshots and diffs as a venue and a network might send them.
"""

from typing import Any

from hypothesis import strategies as st

from eventlog.facts.entry import Fact
from market.timestamps import SECOND_NS
from tests.builders import T0, a_diff, a_snapshot

LEVELS = st.lists(
    st.tuples(st.integers(1, 40).map(str), st.sampled_from(["0", "0.5", "1", "2.25"])),
    max_size=6,
    unique_by=lambda p: p[0],
)


@st.composite
def streams(draw: Any) -> list[Fact]:
    """Diffs that mostly follow one another, some missed, doubled or overlapping; snapshots early, late and ahead."""
    facts: list[Fact] = []
    at, last = T0, 100
    for _ in range(draw(st.integers(1, 25))):
        at += draw(st.sampled_from([0, 100_000_000, 30 * SECOND_NS]))
        kind = draw(st.sampled_from(["diff"] * 6 + ["doubled", "missed", "snapshot", "snapshot"]))
        if kind == "snapshot":
            update_id = last + draw(st.integers(-6, 4))
            bids = [(str(p), "1") for p in sorted(draw(st.sets(st.integers(1, 20))), reverse=True)]
            asks = [(str(p), "1") for p in sorted(draw(st.sets(st.integers(21, 40))))]
            facts.append(a_snapshot(bids, asks, at_ns=at, update_id=update_id, limit=draw(st.sampled_from([3, 5, 50]))))
            continue
        first = last + {"diff": 1, "doubled": -1, "missed": 3}[kind]
        last = max(last, first + draw(st.integers(0, 2)))
        facts.append(a_diff(first, last, draw(LEVELS), draw(LEVELS), at))
    return facts
