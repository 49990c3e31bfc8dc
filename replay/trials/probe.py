"""
How a decision follows when the same minute comes at other prices, under another name, or in a mirror.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from agents.recommendation import Advice, Side
from market.fixed_point import ONE_E8
from replay.decisions import Ticks
from replay.runs.model_share import ModelShare
from replay.trials.changes import NO_CHANGE, OTHER_SYMBOL, YEAR_NS, MarketChange, mirror_sum_e8

Decisions = Mapping[int, Advice]
"""By the seq of a tick."""

NOISE = "asked again"
"""The name of the noise: the same minute, the same question, once more."""

_EXACT_WEIGHT, _CLOSE_WEIGHT = 0.001, 0.01
_BP = 10_000
_STEPS = 12
_SURE = 1.959964


@dataclass(frozen=True, slots=True)
class Agreement:
    """
    How one decision followed another.

    Attributes:
        exactly: same stance, same zones to the tick, same weights to a thousandth.
        closely: the same to a basis point of price and a hundredth of weight: widths are measured in basis points.
        overlap: the share of weight on zones that meet, 0 to 1. stance: the same stance.
    """

    exactly: bool
    closely: bool
    overlap: float
    stance: bool


@dataclass(frozen=True, slots=True)
class Share:
    """A share of n decisions with its 95 % interval (Wilson), None without any."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Row:
    """
    How n decisions followed one change.

    Attributes:
        share: how many of the decisions about the changed market are the decider's own; None of rules.
    """

    change: str
    n: int
    exactly: Share
    closely: Share
    overlap: Share
    stance: Share
    share: ModelShare | None = None

    def as_json(self) -> dict[str, Any]:
        """Ready for JSON."""
        found = asdict(self)
        del found["share"]
        return found | ({} if self.share is None else {"model": self.share.as_json()})


def market_changes(reference_e8: int, tick_e8: int, steps: Sequence[int]) -> list[MarketChange]:
    """
    What is done to a market near a price: shifts by so many steps, another name and date, a mirror.

    A step is a round part of the price, see `step_e8`.
    """
    step = step_e8(reference_e8, tick_e8)
    shifted = [MarketChange(f"{n * step / ONE_E8:+g}", shift_e8=n * step) for n in steps]
    labels = MarketChange("relabelled", symbol=OTHER_SYMBOL, later_ns=YEAR_NS)
    return [*shifted, labels, MarketChange("mirrored", mirror_e8=mirror_sum_e8(reference_e8, step, tick_e8))]


def step_e8(reference_e8: int, tick_e8: int) -> int:
    """
    By how much prices are shifted: a power of ten in whole ticks, about a hundredth to a twelfth of the price, which is
    1000 from 12,000 to 120,000.
    """
    step = 10 ** (len(str(max(1, reference_e8 // _STEPS))) - 1)
    return -(-step // tick_e8) * tick_e8


def every_nth_tick(ticks: Ticks, n: int) -> Ticks:
    """Every n-th tick, from the first on."""
    return Ticks(ticks.seq[::n], ticks.boundary_ns[::n], ticks.recv_ns[::n])


def probe(
    decide: Callable[[MarketChange, int], Decisions],
    changed: Sequence[MarketChange],
    tick_e8: int,
    by_model: bool = False,
) -> list[Row]:
    """
    How decisions follow each change; last comes the noise that has to be told from it.

    Args:
        decide: what is decided about a changed market, asked for the first or the second time.
        by_model: whether a model decides: what the rules decided in its place follows nothing and is left out.
    """
    before = decide(NO_CHANGE, 0)

    def row(name: str, change: MarketChange, again: int) -> Row:
        after = decide(change, again)
        found = _row(name, _own(before), _own(after), change, tick_e8)
        return (
            replace(found, share=ModelShare.from_fallbacks(a.fallback for a in after.values())) if by_model else found
        )

    return [*(row(each.name, each, 0) for each in changed), row(NOISE, NO_CHANGE, 1)]


def _own(decisions: Decisions) -> Decisions:
    return {seq: advice for seq, advice in decisions.items() if advice.fallback is None}


def compare_advice(one: Advice, two: Advice, changed: MarketChange, tick_e8: int) -> Agreement:
    """How a decision about a changed market followed that about the market itself."""
    stance = changed.original_stance(two.stance) == one.stance
    first = sorted(((z.side, z.low_e8, z.high_e8), z.weight) for z in one.zones)
    second = sorted((changed.original_zone(z), z.weight) for z in two.zones)
    overlap = (_on(first, second) + _on(second, first)) / 2 if first or second else 1.0
    return Agreement(
        exactly=stance and _same(first, second, tick_e8, _EXACT_WEIGHT),
        closely=stance and _same(first, second, max(tick_e8, (one.reference_e8 or 0) // _BP), _CLOSE_WEIGHT),
        overlap=round(overlap, 6),
        stance=stance,
    )


def share(successes: float, n: int) -> Share:
    """A share with Wilson's interval; of values between 0 and 1 it is wider than need be."""
    if n == 0:
        return Share(None, None, None)
    p, z2 = successes / n, _SURE**2
    middle, reach = p + z2 / (2 * n), _SURE * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    low, high = ((middle + sign * reach) / (1 + z2 / n) for sign in (-1, 1))
    return Share(round(p, 4), round(max(0.0, low), 4), round(min(1.0, high), 4))


def _row(name: str, before: Decisions, after: Decisions, changed: MarketChange, tick_e8: int) -> Row:
    both = sorted(before.keys() & after.keys())
    found = [compare_advice(before[seq], after[seq], changed, tick_e8) for seq in both]
    n = len(found)
    return Row(
        name,
        n,
        share(sum(f.exactly for f in found), n),
        share(sum(f.closely for f in found), n),
        share(sum(f.overlap for f in found), n),
        share(sum(f.stance for f in found), n),
    )


_Placed = tuple[tuple[Side, int, int], float]


def _same(one: Sequence[_Placed], two: Sequence[_Placed], price_e8: int, weight: float) -> bool:
    """Whether zones are the same one by one, within so much of price and weight."""
    return len(one) == len(two) and all(
        a[0] == b[0] and abs(a[1] - b[1]) <= price_e8 and abs(a[2] - b[2]) <= price_e8 and abs(v - w) <= weight + 1e-9
        for (a, v), (b, w) in zip(one, two, strict=True)
    )


def _on(zones: Sequence[_Placed], others: Sequence[_Placed]) -> float:
    """The share of weight of some zones that meet one of others on their side."""
    meeting = [weight for place, weight in zones if any(_meets(place, other) for other, _ in others)]
    return sum(meeting) / sum(weight for _, weight in zones) if zones else 0.0


def _meets(one: tuple[Side, int, int], two: tuple[Side, int, int]) -> bool:
    return one[0] == two[0] and one[1] <= two[2] and two[1] <= one[2]


def share_lines(rows: Sequence[Row]) -> Iterator[str]:
    """For a terminal, how many of a model's decisions were its own; nothing of rules."""
    for row in rows:
        if row.share is not None:
            yield f"{row.change}: {row.share.sentence}"


def probe_lines(rows: Sequence[Row]) -> Iterator[str]:
    """The table for a terminal."""
    heads = ("to the tick", "to a basis point", "weight on the same zones", "same stance")
    yield f"{'change':<12}{'n':>6}  " + "".join(f"{head:<26}" for head in heads).rstrip()
    for row in rows:
        cells = [_told(each) for each in (row.exactly, row.closely, row.overlap, row.stance)]
        yield f"{row.change:<12}{row.n:>6,}  " + "".join(f"{cell:<26}" for cell in cells).rstrip()


def _told(found: Share) -> str:
    if found.value is None or found.low is None or found.high is None:
        return "–"
    return f"{100 * found.value:.1f} % ({100 * found.low:.0f}–{100 * found.high:.0f} %)"
