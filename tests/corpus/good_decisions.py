"""
Ways to say a sound decision that must be admitted, and what would be published of one.
"""

import json
from collections.abc import Callable
from typing import Any

from agents.llm.firewall.admit import AdmittedDecision
from agents.recommendation import Advice, evidence_digest
from analysis.view import MarketView
from tests.corpus.bad_values import raw, written


def advised(answer: AdmittedDecision, view: MarketView) -> Advice:
    """What would be published of an admitted decision."""
    return Advice(
        view.symbol, view.as_of_ns, view.as_of_seq, view.mid_e8, view.reference_e8, view.sigma, answer.stance,
        answer.reason, answer.zones, "a model", None, None, evidence_digest(view), (),
    )  # fmt: skip


def numbers_as_numbers(decision: dict[str, Any]) -> str:
    """Prices without quotes."""
    for zone in decision["zones"]:
        zone |= {"low": raw(zone["low"]), "high": raw(zone["high"])}
    return written(decision | {"reference": raw(decision["reference"])})


def with_zones(**changed: Any) -> Callable[[dict[str, Any]], str]:
    """The same change in every zone."""
    return lambda decision: written(decision | {"zones": [zone | changed for zone in decision["zones"]]})


def with_weights(*shares: Any) -> Callable[[dict[str, Any]], str]:
    """Weights of two zones; one zone alone gets their sum."""

    def spoken(decision: dict[str, Any]) -> str:
        zones = decision["zones"]
        given = shares if len(zones) == len(shares) else [raw("1.000")]
        return written(decision | {"zones": [z | {"weight": w} for z, w in zip(zones, given, strict=True)]})

    return spoken


def narrowed(decision: dict[str, Any]) -> str:
    """Every zone a single price."""
    return written(decision | {"zones": [zone | {"high": zone["low"]} for zone in decision["zones"]]})


def first_only(decision: dict[str, Any]) -> str:
    """One side alone."""
    zone = decision["zones"][0]
    stance = "bid_only" if zone["side"] == "buy" else "ask_only"
    return written(decision | {"stance": stance, "zones": [zone | {"weight": 1}]})


def last_only(decision: dict[str, Any]) -> str:
    """The other side alone."""
    return first_only(decision | {"zones": decision["zones"][-1:]})


def split(decision: dict[str, Any]) -> str:
    """The first zone as its lowest price and its highest, with weight for both."""
    first, *others = decision["zones"]
    half = first["weight"] / 2
    zones = [first | {"high": first["low"], "weight": half}, first | {"low": first["high"], "weight": half}, *others]
    return written(decision | {"zones": zones})


def touching(decision: dict[str, Any]) -> str:
    """The first zone as its lowest price and as the whole of it: they share an edge."""
    first, *others = decision["zones"]
    half = first["weight"] / 2
    return written(
        decision | {"zones": [first | {"high": first["low"], "weight": half}, first | {"weight": half}, *others]}
    )


GOOD_DECISIONS: dict[str, Callable[[dict[str, Any]], str]] = {
    "as it is": written,
    "prices as numbers": numbers_as_numbers,
    "in a json fence": lambda d: f"```json\n{written(d)}\n```",
    "in a plain fence": lambda d: f"\n```\n{written(d)}\n```\n",
    "indented": lambda d: json.dumps(d, indent=4),
    "with blanks around it": lambda d: f"\n\n  {written(d)} \n",
    "with escapes": lambda d: json.dumps(d | {"reason": "双边挂单"}, ensure_ascii=True),
    "fields in another order": lambda d: written(dict(reversed(d.items()))),
    "zones in another order": lambda d: written(d | {"zones": d["zones"][::-1]}),
    "reference with more zeros": lambda d: written(d | {"reference": f"{float(d['reference']):.8f}"}),
    "a Chinese reason": lambda d: written(d | {"reason": "价格在墙前被多次测试（3次），等待回踩；不追价。"}),
    "a Chinese reason for a zone": with_zones(reason="成交验证过的支撑，24小时内2次守住"),
    "the reference in a reason": lambda d: written(d | {"reason": f"last trade {d['reference']}, nothing above it"}),
    "edges in a reason": lambda d: written(
        d | {"reason": f"rest from {d['zones'][0]['low']} to {d['zones'][0]['high']}"}
    ),
    "ids, times and spans in a reason": lambda d: written(d | {"reason": "Z0 and P60.poc met at 14:05; valid 60 min"}),
    "small counts with units in a reason": lambda d: written(
        d | {"reason": "5 bp wide, 3x usual, risk 2:1 in 2-3 tests over 1h30min"}
    ),
    "a size at a shown price": lambda d: written(d | {"reason": f"12BTC@{d['zones'][0]['low']} held 3 times"}),
    "a range of shown prices": lambda d: written(
        d | {"reason": f"{d['zones'][0]['low']}-{d['zones'][0]['high']}，{d['reference']}下方"}
    ),
    "a wall that acts as support": with_zones(reason="the wall may act as a strong support"),
    "data after a colon": with_zones(reason="order-flow data: strong absorption"),
    "a comparison without blanks": with_zones(reason="mid<reference, so lean"),
    "a low that is ignored": with_zones(reason="traders ignore the prior low"),
    "a tool and a colon": with_zones(reason="Depth tool: one side dominates"),
    "no reasons": lambda d: written(d | {"reason": "", "zones": [z | {"reason": ""} for z in d["zones"]]}),
    "reasons of 400 characters": with_zones(reason="w" * 400),
    "punctuation": lambda d: written(d | {"reason": "held (twice) — price > mid; 'thin' above & below [see Z0]"}),
    "single prices": narrowed,
    "the first side alone": first_only,
    "the last side alone": last_only,
    "two zones a side": split,
    "weights a little short": with_weights(0.5, 0.4901),
    "weights a little over": with_weights(0.61, 0.4),
    "weights in many digits": with_weights(raw("0.333333333333333333"), raw("0.666666666666666667")),
    "zones that share an edge": touching,
    "a small weight": with_weights(0.9999, 0.0001),
    "standing aside": lambda d: written(d | {"stance": "stand_aside", "zones": [], "reason": "the book is too thin"}),
    "standing aside in Chinese": lambda d: written(
        d | {"stance": "stand_aside", "zones": [], "reason": "盘口太薄，观望"}
    ),
}
