"""What the exchange allows one address, and what it replied."""

from hypothesis import given
from hypothesis import strategies as st

from exchanges.binance.limits import AddressLimits
from market.timestamps import MINUTE_NS, SECOND_NS

T0 = 29_460_000 * MINUTE_NS


def test_weight_is_spent_until_the_minute_is_full() -> None:
    """12 × 250 fit into 3000; the next one waits for the minute's end, and then fits."""
    limits = AddressLimits(3000)
    assert [limits.take_weight(250, T0 + i) for i in range(12)] == [0] * 12
    assert limits.take_weight(250, T0 + 20 * SECOND_NS) == 40 * SECOND_NS
    assert limits.used_weight == 3000
    assert limits.take_weight(250, T0 + MINUTE_NS) == 0
    assert limits.used_weight == 250


def test_everything_else_leaves_alone_what_is_reserved_for_books() -> None:
    """Of 3000 all else may have 500; books go on, and what books use is not taken from the others."""
    limits = AddressLimits(3000, reserve=2500)
    assert limits.take_weight(500, T0) == 0
    assert limits.take_weight(4, T0 + 1) == MINUTE_NS - 1
    assert [limits.take_weight(250, T0 + 2, is_book=True) for _ in range(10)] == [0] * 10
    assert limits.take_weight(1, T0 + 3, is_book=True) == MINUTE_NS - 3
    assert limits.take_weight(500, T0 + MINUTE_NS) == 0


def test_books_may_have_all_there_is() -> None:
    """More than what is reserved for them, if no other request came first."""
    limits = AddressLimits(3000, reserve=500)
    assert [limits.take_weight(250, T0, is_book=True) for _ in range(12)] == [0] * 12
    assert limits.take_weight(1, T0 + 1) == MINUTE_NS - 1


def test_a_request_larger_than_what_is_left_for_it_is_made_alone() -> None:
    """Reserving nearly all weight blocks no request permanently."""
    limits = AddressLimits(3000, reserve=2990)
    assert limits.take_weight(20, T0) == 0
    assert limits.take_weight(1, T0 + 1) == MINUTE_NS - 1
    assert limits.take_weight(20, T0 + MINUTE_NS) == 0


def test_a_request_larger_than_the_ceiling_is_made_alone() -> None:
    """A ceiling below one request's weight must not stop the recording permanently."""
    limits = AddressLimits(100)
    assert limits.take_weight(250, T0) == 0
    assert limits.take_weight(1, T0 + 1) == MINUTE_NS - 1


def test_the_venues_own_count_holds_where_it_is_higher() -> None:
    """Another client at this address used 2990; a count of the minute before is ignored."""
    limits = AddressLimits(3000)
    limits.take_weight(5, T0)
    limits.note_weight(2990, T0)
    assert limits.take_weight(11, T0 + 1) > 0
    assert limits.take_weight(4, T0 + MINUTE_NS) == 0
    limits.note_weight(2990, T0)
    assert limits.used_weight == 4


def test_429_stops_requests_and_418_stops_everything() -> None:
    """Too many requests are no reason to lose the feed; a ban of the address is."""
    limits = AddressLimits(3000)
    limits.note_refusal(429, 30, T0)
    assert limits.take_weight(1, T0 + 10 * SECOND_NS) == 20 * SECOND_NS
    assert limits.take_connection(T0 + 10 * SECOND_NS, overlapping=False) == 0
    limits.note_refusal(418, 120, T0 + 10 * SECOND_NS)
    assert limits.take_weight(1, T0 + 30 * SECOND_NS) == 100 * SECOND_NS
    assert limits.take_connection(T0 + 30 * SECOND_NS, overlapping=True) == 100 * SECOND_NS
    assert limits.refusals == 2


def test_a_refused_handshake_stops_connections() -> None:
    """429 at the handshake is about connections; requests go on."""
    limits = AddressLimits(3000)
    limits.note_refusal(429, 30, T0, connecting=True)
    assert limits.take_weight(1, T0) == 0
    assert limits.take_connection(T0, overlapping=False) == 30 * SECOND_NS


def test_a_shorter_refusal_does_not_shorten_a_ban() -> None:
    """The later end holds."""
    limits = AddressLimits(3000)
    limits.note_refusal(418, 120, T0)
    limits.note_refusal(429, 1, T0)
    assert limits.take_weight(1, T0) == 120 * SECOND_NS


def test_250_connections_and_30_more_in_reserve() -> None:
    """The 251st waits until the first is five minutes old, unless it takes over from one that still brings all."""
    limits = AddressLimits(3000)
    assert [limits.take_connection(T0 + i * SECOND_NS // 10, overlapping=False) for i in range(250)] == [0] * 250
    at = T0 + 25 * SECOND_NS
    assert limits.take_connection(at, overlapping=False) == 275 * SECOND_NS
    assert [limits.take_connection(at, overlapping=True) for _ in range(30)] == [0] * 30
    assert limits.take_connection(at, overlapping=True) == 275 * SECOND_NS
    assert limits.take_connection(T0 + 300 * SECOND_NS, overlapping=True) == 0


def test_a_clock_that_is_set_back_stops_nothing_for_long() -> None:
    """Attempts from the future count as made now."""
    limits = AddressLimits(3000)
    for _ in range(250):
        limits.take_connection(T0, overlapping=False)
    assert limits.take_connection(T0 - 60 * MINUTE_NS, overlapping=False) == 5 * MINUTE_NS


@given(st.lists(st.tuples(st.integers(0, 20 * SECOND_NS), st.booleans()), max_size=700))
def test_never_more_than_280_connections_in_five_minutes(steps: list[tuple[int, bool]]) -> None:
    """However often and with whatever claim they are asked for; 300 are allowed."""
    limits, now = AddressLimits(3000), T0
    attempts: list[int] = []
    for step, overlapping in steps:
        now += step // 20
        if limits.take_connection(now, overlapping) == 0:
            attempts.append(now)
    assert all(sum(at - 300 * SECOND_NS < other <= at for other in attempts) <= 280 for at in attempts[-20:])


@given(st.lists(st.tuples(st.integers(0, 5 * SECOND_NS), st.sampled_from([1, 4, 20, 250])), max_size=200))
def test_never_more_weight_than_the_ceiling_in_a_minute(steps: list[tuple[int, int]]) -> None:
    """Sums of a minute stay within 3000."""
    limits, now = AddressLimits(3000), T0
    spent: dict[int, int] = {}
    for step, weight in steps:
        now += step
        if limits.take_weight(weight, now) == 0:
            spent[now // MINUTE_NS] = spent.get(now // MINUTE_NS, 0) + weight
    assert max(spent.values(), default=0) <= 3000


@given(
    st.lists(st.tuples(st.integers(0, 5 * SECOND_NS), st.sampled_from([1, 4, 20, 250]), st.booleans()), max_size=200)
)
def test_what_is_reserved_is_there_for_books_at_any_time(steps: list[tuple[int, int, bool]]) -> None:
    """Whatever else was asked for, the rest of what is reserved can be had at once."""
    limits, now = AddressLimits(3000, reserve=2400), T0
    books: dict[int, int] = {}
    for step, weight, is_book in steps:
        now += step
        if limits.take_weight(weight, now, is_book) == 0 and is_book:
            books[now // MINUTE_NS] = books.get(now // MINUTE_NS, 0) + weight
    remaining = 2400 - books.get(now // MINUTE_NS, 0)
    assert remaining <= 0 or limits.take_weight(remaining, now, is_book=True) == 0
