"""
Robustness test: does the decision about a minute stay the same when prices are shifted, the symbol and dates are
changed, or the sides are mirrored?
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from agents.recommendation import Advice, Side
from market.fixed_point import ONE_E8
from market.timestamps import HOUR_NS
from replay.decisions import Ticks
from replay.inference.blocks import Samples, difference
from replay.runs.model_share import ModelShare
from replay.trials.changes import NO_CHANGE, OTHER_SYMBOL, YEAR_NS, MarketChange, mirror_sum_e8

Decisions = Mapping[int, Advice]
"""Advice by the seq of its tick."""

NOISE = "asked again"
"""The name of the row of noise: the same question about the same minute, once more."""

_EXACT_WEIGHT, _CLOSE_WEIGHT = 0.001, 0.01  # differences of weight allowed in `exactly` and `closely`
_BP = 10_000  # basis points in one: prices closer than one are the same zone
_STEPS = 12  # a price is at least that many steps
_BLOCK_NS = 2 * HOUR_NS  # decisions with a half-life of ten minutes are forgotten in it


@dataclass(frozen=True, slots=True)
class Agreement:
    """
    How far one decision agrees with another.

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
    """
    A share of n decisions with its 95 % interval, over blocks of two hours; None for n = 0, and no interval where there
    are fewer than eight blocks, or all decisions are alike.
    """

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Row:
    """
    How far n decisions agree with those about one change of the market.

    Attributes:
        share: the share of decisions about the changed market that are the model's own; None for rules.
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
        fields = asdict(self)
        del fields["share"]
        return fields | ({} if self.share is None else {"model": self.share.as_json()})


def market_changes(reference_e8: int, tick_e8: int, steps: Sequence[int]) -> list[MarketChange]:
    """
    The changes that are tested: shifts, another symbol and date, and a mirror.

    Args:
        reference_e8: a price of the market, 1e-8 quote.
        tick_e8: the step of prices, 1e-8 quote.
        steps: one shift for each, in steps of `step_e8`; negative for lower prices.
    """
    step = step_e8(reference_e8, tick_e8)
    shifts = [MarketChange(f"{n * step / ONE_E8:+g}", shift_e8=n * step) for n in steps]
    relabelling = MarketChange("relabelled", symbol=OTHER_SYMBOL, later_ns=YEAR_NS)
    return [*shifts, relabelling, MarketChange("mirrored", mirror_e8=mirror_sum_e8(reference_e8, step, tick_e8))]


def step_e8(reference_e8: int, tick_e8: int) -> int:
    """
    The step by which prices are shifted: a power of ten in whole ticks, about a hundredth to a twelfth of the price,
    which is 1000 from 12,000 to 120,000.

    >>> step_e8(60_000 * 10**8, 10**6) // 10**8
    1000
    """
    step = 10 ** (len(str(max(1, reference_e8 // _STEPS))) - 1)
    return -(-step // tick_e8) * tick_e8


def select_every_nth(ticks: Ticks, n: int) -> Ticks:
    """Every n-th tick, beginning with the first."""
    return Ticks(ticks.seq[::n], ticks.boundary_ns[::n], ticks.recv_ns[::n])


def probe(
    decide: Callable[[MarketChange, int], Decisions],
    changes: Sequence[MarketChange],
    tick_e8: int,
    by_model: bool = False,
) -> list[Row]:
    """
    Compare the decisions about the market with those about each of its changes.

    Args:
        decide: decides about a changed market; its second argument is 0, or 1 to ask a second time.
        changes: the changes.
        tick_e8: the step of prices, 1e-8 quote.
        by_model: whether a model decides: decisions of the rules in its place are left out then.

    Returns:
        A row for each change; the last is the noise that they are to be compared with.
    """
    before = decide(NO_CHANGE, 0)

    def row(name: str, change: MarketChange, repeat: int) -> Row:
        after = decide(change, repeat)
        result = _row(name, _own_decisions(before), _own_decisions(after), change, tick_e8)
        if not by_model:
            return result
        return replace(result, share=ModelShare.from_fallbacks(advice.fallback for advice in after.values()))

    return [*(row(change.name, change, 0) for change in changes), row(NOISE, NO_CHANGE, 1)]


def _own_decisions(decisions: Decisions) -> Decisions:
    return {seq: advice for seq, advice in decisions.items() if advice.fallback is None}


def compare_advice(one: Advice, two: Advice, change: MarketChange, tick_e8: int) -> Agreement:
    """
    Compare a decision about a changed market with that about the market itself.

    Args:
        one: about the market. two: about the changed market.
        change: the change.
        tick_e8: the step of prices, 1e-8 quote.
    """
    stance = change.original_stance(two.stance) == one.stance
    first = sorted(((z.side, z.low_e8, z.high_e8), z.weight) for z in one.zones)
    second = sorted((change.original_zone(z), z.weight) for z in two.zones)
    overlap = (_weight_on(first, second) + _weight_on(second, first)) / 2 if first or second else 1.0
    return Agreement(
        exactly=stance and _same(first, second, tick_e8, _EXACT_WEIGHT),
        closely=stance and _same(first, second, max(tick_e8, (one.reference_e8 or 0) // _BP), _CLOSE_WEIGHT),
        overlap=round(overlap, 6),
        stance=stance,
    )


def share_with_interval(values: Sequence[float], at_ns: Sequence[int]) -> Share:
    """
    The mean of n values from 0 to 1, with the interval that scores have.

    Args:
        values: n of them.
        at_ns: when each was decided: those of one block of two hours are taken for one another's neighbours.
    """
    block = np.array(at_ns, np.int64) // _BLOCK_NS
    result = difference(Samples(np.array(values, np.float64), block), Samples(np.zeros(len(block)), block))
    if result.mean is None or result.low is None or result.high is None:
        return Share(None if result.mean is None else round(result.mean, 4), None, None)
    return Share(round(result.mean, 4), round(max(0.0, result.low), 4), round(min(1.0, result.high), 4))


def _row(name: str, before: Decisions, after: Decisions, change: MarketChange, tick_e8: int) -> Row:
    both = sorted(before.keys() & after.keys())
    agreements = [compare_advice(before[seq], after[seq], change, tick_e8) for seq in both]
    at_ns = [before[seq].as_of_ns for seq in both]
    return Row(
        name,
        len(agreements),
        share_with_interval([f.exactly for f in agreements], at_ns),
        share_with_interval([f.closely for f in agreements], at_ns),
        share_with_interval([f.overlap for f in agreements], at_ns),
        share_with_interval([f.stance for f in agreements], at_ns),
    )


_WeightedZone = tuple[tuple[Side, int, int], float]


def _same(one: Sequence[_WeightedZone], two: Sequence[_WeightedZone], price_e8: int, weight: float) -> bool:
    """Whether zones are the same one by one, within a tolerance of price and of weight."""
    return len(one) == len(two) and all(
        a[0] == b[0] and abs(a[1] - b[1]) <= price_e8 and abs(a[2] - b[2]) <= price_e8 and abs(v - w) <= weight + 1e-9
        for (a, v), (b, w) in zip(one, two, strict=True)
    )


def _weight_on(zones: Sequence[_WeightedZone], others: Sequence[_WeightedZone]) -> float:
    """The share of weight of some zones that meet one of others on their side."""
    meeting = [weight for place, weight in zones if any(_meets(place, other) for other, _ in others)]
    return sum(meeting) / sum(weight for _, weight in zones) if zones else 0.0


def _meets(one: tuple[Side, int, int], two: tuple[Side, int, int]) -> bool:
    return one[0] == two[0] and one[1] <= two[2] and two[1] <= one[2]


def share_lines(rows: Sequence[Row]) -> Iterator[str]:
    """Lines for a terminal: the share of a model's decisions that were its own; none for rules."""
    for row in rows:
        if row.share is not None:
            yield f"{row.change}: {row.share.sentence}"


def probe_lines(rows: Sequence[Row]) -> Iterator[str]:
    """Lines for a terminal: a row for each change."""
    heads = ("to the tick", "to a basis point", "weight on the same zones", "same stance")
    yield f"{'change':<12}{'n':>6}  " + "".join(f"{head:<26}" for head in heads).rstrip()
    for row in rows:
        cells = [_format_share(share) for share in (row.exactly, row.closely, row.overlap, row.stance)]
        yield f"{row.change:<12}{row.n:>6,}  " + "".join(f"{cell:<26}" for cell in cells).rstrip()


def _format_share(share: Share) -> str:
    if share.value is None:
        return "–"
    if share.low is None or share.high is None:
        return f"{100 * share.value:.1f} %"
    return f"{100 * share.value:.1f} % ({100 * share.low:.0f}–{100 * share.high:.0f} %)"
