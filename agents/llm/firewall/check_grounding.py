"""
How much of a model's decision text is grounded in what it was shown, whether the decision was admitted or not.
"""

import json
from collections.abc import Iterator
from decimal import Decimal
from itertools import islice

from agents.llm.firewall.figures import ShownFigures
from agents.llm.firewall.grounding import Grounding
from agents.llm.firewall.reading import MAX_BYTES, Malformed, read
from market.fixed_point import ONE_E8

_MAX_ZONES = 64  # bound the work on an answer, whatever it holds
_MAX_TEXTS = 100  # bounds the work that one answer can cause


def check_grounding(content: str, material: str) -> Grounding:
    """
    Check the figures of an answer that should be a decision, refused or not, against what its model was shown.

    Args:
        content: the answer as it came. material: what was shown, JSON text of the tools' results and the candidates.

    Returns:
        Of a decision, the figures of its reasons, where the edges of its zones inside intervals that were shown count
        as shown; and edges outside of them and a reference of another tick. Of anything else, those of all its texts.
    """
    figures = ShownFigures(material)
    try:
        decision = read(content, _MAX_ZONES)
    except (Malformed, RecursionError):
        return _sum(figures.ground(text) for text in islice(_texts(content), _MAX_TEXTS))
    reference = Decimal(decision.reference_e8) / ONE_E8
    edges = [Decimal(e8) / ONE_E8 for zone in decision.zones for e8 in (zone.low_e8, zone.high_e8)]
    inside = {e for e in edges if any(low <= e <= high for low, high in figures.intervals)}
    with_edges = ShownFigures(" ".join([material, *(f"{edge:f}" for edge in sorted(inside))]))
    outside = [f"{edge:f}" for edge in edges if edge not in inside]
    stale = [f"{reference:f}"] if reference != figures.reference else []
    reasons = [decision.reason, *(zone.reason for zone in decision.zones)]
    return _sum(with_edges.ground(text) for text in (*reasons, *outside, *stale))


def _sum(groundings: Iterator[Grounding]) -> Grounding:
    all_groundings = list(groundings)
    return Grounding(sum(g.count for g in all_groundings), tuple(n for g in all_groundings for n in g.ungrounded))


def _texts(content: str) -> Iterator[str]:
    try:
        pending = [json.loads(content[: MAX_BYTES + 1])]
    except (ValueError, RecursionError):
        yield content
        return
    while pending:
        value = pending.pop()
        if isinstance(value, str):
            yield value
        pending += reversed(
            list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
        )
