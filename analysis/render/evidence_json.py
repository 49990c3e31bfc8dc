"""
The JSON of evidence: what a tool shows, the decision log keeps, and an evidence digest is of.
"""

from typing import Any

from analysis.evidence import Evidence
from market.fixed_point import format_e8


def render_evidence(evidence: Evidence) -> dict[str, Any]:
    """Render one piece of evidence for JSON."""
    return {
        "id": evidence.id,
        "basis": evidence.basis,
        "leg": evidence.leg,
        "low": format_e8(evidence.low_e8),
        "high": format_e8(evidence.high_e8),
        "price": format_e8(evidence.price_e8),
        "strength": evidence.strength,
    }
