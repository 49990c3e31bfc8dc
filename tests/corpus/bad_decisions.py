"""
Decisions that must be refused, each made from a sound one by one fault, with a word its reason must hold.
"""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from agents.recommendation import Side
from analysis.view import MarketView
from market.fixed_point import format_e8, parse_e8
from tests.corpus.bad_texts import FIGURE, INVENTED, TEXTS
from tests.corpus.bad_values import FORMS, ID_LISTS, PRICES, WEIGHTS, written
from tests.corpus.decisions import a_decision, views

Fields = dict[str, Any]
Spoil = Callable[[Fields, MarketView], Any]
"""Changes a decision in place and returns None, or returns the answer's text, or False where it cannot apply."""


@dataclass(frozen=True, slots=True)
class Bad:
    """An answer to refuse; the reason holds one of the words."""

    view: str
    content: str
    word: str


def bad_decisions() -> Iterator[tuple[str, Bad]]:
    """All of them by name: every fault in every view it can occur in."""
    for view_name, view in views().items():
        for fault, (spoil, word) in _FAULTS.items():
            decision = deepcopy(a_decision(view))
            made = spoil(decision, view)
            if made is not False:
                content = made if isinstance(made, str) else written(decision)
                yield f"{view_name}-{fault}", Bad(view_name, content, word)


# Ways to spoil


def _answer(make: Callable[[str], str]) -> Spoil:
    return lambda decision, view: make(written(decision))


def _field(name: str, value: Any) -> Spoil:
    return lambda decision, view: decision.__setitem__(name, value)


def _zone(name: str, value: Any, which: int = 0) -> Spoil:
    return lambda decision, view: decision["zones"][which].__setitem__(name, value)


def _without(name: str) -> Spoil:
    return lambda decision, view: decision.pop(name) and None


def _zone_without(name: str) -> Spoil:
    return lambda decision, view: decision["zones"][0].pop(name) and None


def _moved(name: str, steps: float) -> Spoil:
    """A price of the first zone moved by some ticks outwards or inwards."""

    def spoil(decision: Fields, view: MarketView) -> Any:
        zone = decision["zones"][0]
        zone[name] = format_e8(parse_e8(zone[name]) + int(steps * view.tick_size_e8))
        return False if steps % 1 and view.tick_size_e8 == 1 else None

    return spoil


def _shifted(share: float) -> Spoil:
    """The whole first zone moved by a share of price: a level nobody saw."""

    def spoil(decision: Fields, view: MarketView) -> None:
        tick = view.tick_size_e8
        for name in ("low", "high"):
            price = parse_e8(decision["zones"][0][name])
            decision["zones"][0][name] = format_e8(int(price * share) // tick * tick)

    return spoil


def _inverted(decision: Fields, view: MarketView) -> None:
    zone = decision["zones"][0]
    zone["low"], zone["high"] = zone["high"], zone["low"]


def _stale(ticks: int) -> Spoil:
    def spoil(decision: Fields, view: MarketView) -> None:
        decision["reference"] = format_e8((view.reference_e8 or 0) + ticks * view.tick_size_e8)

    return spoil


def _other_side(decision: Fields, view: MarketView) -> None:
    zone = decision["zones"][0]
    zone["side"] = "sell" if zone["side"] == "buy" else "buy"


def _cites_other_side(also: bool) -> Spoil:
    """The first zone cites what lies across the price, alone or also."""

    def spoil(decision: Fields, view: MarketView) -> Any:
        zone, reference = decision["zones"][0], view.reference_e8 or 0
        across = [z.id for z in view.zones if (z.price_e8 > reference) == (zone["side"] == "buy")]
        if not across:
            return False
        zone["evidence"] = [*zone["evidence"], across[0]] if also else [across[0]]
        return None

    return spoil


def _cites_another(decision: Fields, view: MarketView) -> Any:
    """The first zone cites a zone of its own side that lies elsewhere."""
    zone = decision["zones"][0]
    reference = view.reference_e8 or 0
    mine = [z for z in view.zones if (z.price_e8 < reference) == (zone["side"] == "buy")]
    others = [z.id for z in mine if z.high_e8 < parse_e8(zone["low"]) or z.low_e8 > parse_e8(zone["high"])]
    if not others:
        return False
    zone["evidence"] = [others[0]]
    return None


def _across_the_price(decision: Fields, view: MarketView) -> None:
    edge = "high" if decision["zones"][0]["side"] == "buy" else "low"
    decision["zones"][0][edge] = decision["reference"]


def _beyond(side: Side, name: str) -> Spoil:
    """Rests on evidence that lies beyond the book."""

    def spoil(decision: Fields, view: MarketView) -> Any:
        far = {e.id: e for e in view.evidence}.get(name)
        if far is None or view.mid_e8 is None:
            return False
        zone = {"side": side, "low": format_e8(far.low_e8), "high": format_e8(far.high_e8), "weight": 1,
                "evidence": [name], "reason": ""}  # fmt: skip
        decision |= {"zones": [zone], "stance": "bid_only" if side == "buy" else "ask_only"}
        return None

    return spoil


def _copies(count: int, narrower: bool) -> Spoil:
    """The first zone again and again, the copies a tick narrower or not, weights kept whole."""

    def spoil(decision: Fields, view: MarketView) -> None:
        first = decision["zones"][0]
        share = first["weight"] / (count + 1)
        copies = [first | {"weight": share} for _ in range(count)]
        if narrower:
            for copy in copies:
                copy["low"] = format_e8(parse_e8(copy["low"]) + view.tick_size_e8)
        first["weight"] = share
        decision["zones"] += copies

    return spoil


def _weights(*shares: Any) -> Spoil:
    """Weights for two zones; a single one gets the first."""

    def spoil(decision: Fields, view: MarketView) -> None:
        for zone, share in zip(decision["zones"], shares, strict=False):
            zone["weight"] = share

    return spoil


def _stance(name: str, fits: int) -> Spoil:
    """A stance that does not fit, where the decision has so many sides."""

    def spoil(decision: Fields, view: MarketView) -> Any:
        decision["stance"] = name
        return None if len(decision["zones"]) == fits else False

    return spoil


def _aside(decision: Fields, view: MarketView) -> None:
    decision |= {"stance": "stand_aside", "zones": [], "reason": "  "}


def _names_a_price(words: str, times: float = 1, zone: bool = False) -> Spoil:
    """A reason that names a price three percent away, which nobody showed."""

    def spoil(decision: Fields, view: MarketView) -> None:
        text = words.format(times * round((view.reference_e8 or 0) / 1e8 * 0.9713, 2))
        (decision["zones"][0] if zone else decision)["reason"] = text

    return spoil


def _nothing_to_do(stance: str) -> Spoil:
    return lambda decision, view: decision.update(zones=[], stance=stance)


# The faults


_FAULTS: dict[str, tuple[Spoil, str]] = {
    **{name: (_answer(make), word) for name, (make, word) in FORMS.items()},
    **{f"no_{n}": (_without(n), f"{n} is missing") for n in ("reference", "stance", "reason", "zones")},
    **{f"zone_without_{n}": (_zone_without(n), f"{n} is missing")
       for n in ("side", "low", "high", "weight", "evidence", "reason")},
    **{f"unknown_{n}": (_field(n, 1), "unknown field") for n in ("confidence", "symbol", "Zones", "stop_loss")},
    "an_unknown_field_turned_round": (_field("\u202e", 1), "unknown field"),
    **{f"zone_with_{n}": (_zone(n, 1), "unknown field")
       for n in ("confidence", "invalidation", "ladder", "risk_reward", "Low", "low ")},
    **{f"zones_{n}": (_field("zones", v), "zones must be a list")
       for n, v in {"null": None, "object": {"0": {}}, "text": "none", "number": 0, "true": True}.items()},
    **{f"zone_{n}": (_field("zones", [v]), "must be an object")
       for n, v in {"null": None, "list": [99.5, 99.6], "text": "buy 99.5", "number": 1}.items()},
    **{f"stance_{n}": (_field("stance", v), "stance must be one of")
       for n, v in {"word": "bullish", "upper": "TWO_SIDED", "null": None, "list": ["two_sided"], "number": 2,
                    "blank": "", "chinese": "双边"}.items()},
    **{f"side_{n}": (_zone("side", v), "side must be one of")
       for n, v in {"bid": "bid", "upper": "BUY", "null": None, "list": ["buy"], "true": True,
                    "chinese": "买"}.items()},
    **{f"reference_{n}": (_field("reference", v), word) for n, (v, word) in PRICES.items()},
    **{f"low_{n}": (_zone("low", v), word) for n, (v, word) in PRICES.items()},
    **{f"high_{n}": (_zone("high", v), word) for n, (v, word) in PRICES.items()},
    **{f"weight_{n}": (_zone("weight", v), word) for n, (v, word) in WEIGHTS.items()},
    **{f"evidence_{n}": (_zone("evidence", v), word) for n, (v, word) in ID_LISTS.items()},
    **{f"reason_{n}": (_field("reason", v), "reason must be text")
       for n, v in {"null": None, "number": 1, "list": ["x"], "object": {}, "true": True}.items()},
    **{f"zone_reason_{n}": (_zone("reason", v), "reason must be text")
       for n, v in {"null": None, "number": 99.6, "list": ["x"], "object": {}}.items()},
    **{f"reason_with_{n}": (_field("reason", v), word) for n, (v, word) in TEXTS.items()},
    **{f"zone_reason_with_{n}": (_zone("reason", v, -1), word) for n, (v, word) in TEXTS.items()},
    **{f"reason_with_{n}": (_field("reason", v), FIGURE) for n, v in INVENTED.items()},
    **{f"zone_reason_with_{n}": (_zone("reason", v, -1), FIGURE) for n, v in INVENTED.items()},
    "a_price_nobody_showed": (_names_a_price("held at {:.2f} twice"), "nobody showed"),
    "such_a_price_in_a_zone": (_names_a_price("held at {:.2f}", zone=True), "nobody showed"),
    "such_a_price_with_commas": (_names_a_price("held at {:,.2f}"), "nobody showed"),
    "such_a_price_in_chinese": (_names_a_price("支撑位于{:.2f}附近，测试过3次"), "nobody showed"),
    "such_a_price_with_a_sign": (_names_a_price("held at ${:.2f}"), "nobody showed"),
    "such_a_price_in_ten_thousands": (_names_a_price("支撑约{:.6f}万", 1e-4), "nobody showed"),
    "such_a_price_in_thousands": (_names_a_price("held at {:.5f}k", 1e-3), "nobody showed"),
    "such_a_price_with_an_exponent": (_names_a_price("held at {:.6e}"), "nobody showed"),
    "a_tick_stale": (_stale(1), "another moment"),
    "a_tick_stale_below": (_stale(-1), "another moment"),
    "far_stale": (_stale(50), "another moment"),
    "inverted": (_inverted, "above high"),
    "wrong_side": (_other_side, "wrong side"),
    "reaches_the_reference": (_across_the_price, "wrong side"),
    "low_off_grid": (_moved("low", 0.5), "off the tick grid"),
    "high_off_grid": (_moved("high", -0.5), "off the tick grid"),
    "low_below_its_zone": (_moved("low", -40), "wholly inside"),
    "high_above_its_zone": (_moved("high", 40), "wholly inside"),
    "a_tick_below_its_zone": (_moved("low", -1), "wholly inside"),
    "a_tick_above_its_zone": (_moved("high", 1), "wholly inside"),
    "fabricated_below": (_shifted(0.985), "wholly inside"),
    "fabricated_above": (_shifted(1.015), "wholly inside"),
    "tenfold": (_shifted(10), "wholly inside"),
    "a_tenth": (_shifted(0.1), "wholly inside"),
    "evidence_of_the_other_side": (_cites_other_side(False), "other side"),
    "evidence_of_both_sides": (_cites_other_side(True), "other side"),
    "evidence_elsewhere": (_cites_another, "wholly inside"),
    "buy_beyond_the_book": (_beyond("buy", "Wb9"), "beyond the observed book"),
    "sell_beyond_the_book": (_beyond("sell", "Wa9"), "beyond the observed book"),
    "overlapping": (_copies(1, True), "overlaps"),
    "twice_the_same": (_copies(1, False), "duplicate"),
    "seven_zones": (_copies(6, False), "too many zones"),
    "a_thousand_zones": (_copies(300, False), "too many zones"),
    "weights_of_half": (_weights(0.25, 0.25), "sum to"),
    "weights_of_more": (_weights(0.9, 0.9), "sum to"),
    "weights_just_short": (_weights(0.5, 0.489), "sum to"),
    "weights_tiny": (_weights(1e-4, 1e-4), "sum to"),
    "aside_with_zones": (_field("stance", "stand_aside"), "does not fit"),
    "bid_only_with_both": (_stance("bid_only", 2), "does not fit"),
    "ask_only_with_both": (_stance("ask_only", 2), "does not fit"),
    "two_sided_with_one": (_stance("two_sided", 1), "does not fit"),
    "ask_only_with_bids": (_stance("ask_only", 1), "does not fit"),
    "aside_without_reason": (_aside, "needs a reason"),
    "two_sided_without_zones": (_nothing_to_do("two_sided"), "does not fit"),
    "bid_only_without_zones": (_nothing_to_do("bid_only"), "does not fit"),
}  # fmt: skip
