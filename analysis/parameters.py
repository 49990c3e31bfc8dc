"""
Every threshold of the analysis, in one frozen place; starting values to be judged by scoring, not beliefs.
"""

from dataclasses import asdict, dataclass
from hashlib import blake2b

import msgspec


@dataclass(frozen=True, slots=True)
class OrderFlowParameters:
    """
    Thresholds of what trades say (ANALYSIS §4).
    """


@dataclass(frozen=True, slots=True)
class BookFlowParameters:
    """
    Thresholds of what changes of the book say (ANALYSIS §5).
    """


@dataclass(frozen=True, slots=True)
class Parameters:
    """
    Thresholds and widths; bp are basis points of price.

    Attributes:
        bin_per_price: a book bin is the 1-2-5 number nearest price times this, at least one tick.
        row_bp: a profile row is the 1-2-5 number nearest this part of price, at least one bucket level.
        min_wall_e8: a wall holds at least this quantity, 1e-8 base; 0 leaves it to the share.
        uncalibrated_confidence: what a zone states before anything was fitted: the placebo's rate.
    """

    bin_per_price: float = 1.2e-5
    corridor_bp: float = 90.0
    corridor_bins: int = 25
    neighbourhood_bp: float = 6.0
    neighbourhood_bins: int = 10
    wall_contrast: float = 5.0
    wall_percentile: float = 80.0
    wall_share: float = 0.01
    major_share: float = 0.02
    wall_seen: int = 3
    wall_of_last: int = 5
    min_wall_e8: int = 0
    row_bp: float = 2.0
    rival_bp: float = 10.0
    ambiguous_from: float = 0.9
    value_area_share: float = 0.70
    node_bp: float = 6.0
    node_bins: int = 3
    node_prominence: float = 0.1
    horizons_min: tuple[int, ...] = (60, 240, 1440, 2880, 4320)
    sigma_minutes: int = 60
    sigma_least: int = 15
    zone_half_width_bp: float = 5.0
    zone_reach_sigma: float = 16.0
    zones_a_side: int = 3
    ladder_prices: int = 3
    away_sigma: float = 2.0
    beyond_sigma: float = 2.0
    uncalibrated_confidence: float = 0.5
    order_flow: OrderFlowParameters = OrderFlowParameters()
    book_flow: BookFlowParameters = BookFlowParameters()

    def digest(self) -> str:
        """The digest of all values; two runs with the same one saw with the same eyes."""
        return blake2b(msgspec.json.encode(asdict(self), order="sorted"), digest_size=8).hexdigest()
