"""
Ids of a market rise as time does: a smaller one at a later time is of another market, or the venue began anew.
"""

from dataclasses import dataclass

from market.timestamps import SECOND_NS, iso

_LARGEST_STRAY_NS = 10 * SECOND_NS
"""How far a venue's stamps stray, at the most."""


@dataclass(frozen=True, slots=True)
class Newest:
    """The largest id so far, and the time it is of."""

    number: int
    at_ns: int

    def is_before(self, number: int, at_ns: int) -> bool:
        """Whether an id of a time shows that ids began anew since."""
        return number < self.number and at_ns - self.at_ns > _LARGEST_STRAY_NS

    def in_words(self, number: int, at_ns: int) -> str:
        """Why such an id cannot be taken, and what to do."""
        return (
            f"id {number} of {iso(at_ns)} comes after id {self.number} of {iso(self.at_ns)}; ids of a market rise, so "
            "it is of another, or the venue began anew: cut the recording there and import what follows into another "
            "--storage"
        )
