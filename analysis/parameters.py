"""
Every threshold of the analysis in one frozen place; starting values, to be judged by scoring.
"""

from dataclasses import asdict, dataclass
from hashlib import blake2b
from typing import Literal

import msgspec

from analysis.fitted import CONFIDENCE, PULL_PRIOR, Logistic

CHOSEN_ON = ("2024-01-01", "2025-04-14")
"""
The UTC days of real recordings that were looked at while the values below were chosen: the trades of the first and the
book of the second are what the background of planted markets was fitted to (docs/decisions/0008-analysis.md).
"""


@dataclass(frozen=True, slots=True)
class OrderFlowParameters:
    """
    Thresholds of measures of trades (docs/measures.md §4); sigma counts are multiples of σ, sd of standard deviations.

    Attributes:
        near_sigma: a trade this near a level tests it. away_sigma, beyond_sigma: so far off it is rejected, so far
            through it is broken, within test_min.
        half_life_min: a test of this age counts half. recent_tests: number of outcomes that are listed.
        absorption_sd: excess of aggressive volume at a given level; found_sd: where the level itself is searched, among
            many windows, and `found_share` of it in one bin.
        sweep_levels, sweep_quantile: least number of distinct prices, and least rank among the last hour's runs.
        imbalance_ratio, imbalance_share: diagonal volume against volume, and its least part of the profile.
        thin_share: a crossing is thin below this part of the usual volume a row. fast_ratio: and fast above this
            multiple of a random walk's speed.
    """

    near_sigma: float = 0.25
    away_sigma: float = 2.0
    beyond_sigma: float = 2.0
    test_min: int = 60
    half_life_min: float = 60.0
    recent_tests: int = 5
    absorption_window_s: int = 60
    absorption_baseline_min: int = 60
    absorption_least_min: int = 15
    absorption_sd: float = 2.0
    found_sd: float = 2.5
    found_share: float = 0.5
    sweep_gap_ms: int = 1
    sweep_levels: int = 10
    sweep_quantile: float = 0.999
    sweep_hour_min: int = 60
    imbalance_ratio: float = 3.0
    imbalance_share: float = 0.01
    imbalance_stack: int = 3
    thin_share: float = 0.5
    fast_ratio: float = 2.0


@dataclass(frozen=True, slots=True)
class BookFlowParameters:
    """
    Thresholds of measures of changes of the book (docs/measures.md §5).

    Attributes:
        z_seconds, z_least: number of one-second intervals of a z-score, and their least number.
        ofi_weight, cvd_weight: weights of the z-scores in the fusion; strong beyond strong_fusion and
            strong_consistency.
        against_ofi_z, against_cvd_z: how far flow must run against price to be a divergence. opposed_ofi_z,
            opposed_cvd_z: how far OFI and CVD must run against each other to be inconsistent.
        full_trend_sigma: the minute's trend in σ that counts fully in a divergence's strength; flow counts fully from
            strong_fusion on.
        ema_seconds: spans of the moving averages of CVD, shortest first: the minute that a tick reports, and the memory
            of a z-score. Both are short beside the window: its start weighs less than 1e-10 in them after an hour.
        stale_seconds: after so long without an update the silence may be the stream's, not the market's.
        sum_from_bp: where tick or spread pass this, the five-level sum is used instead of the best quote's flow.
        impact_seconds: the interval of Kyle's λ and of the longer R². least_intervals: their least number.
        vpin_buckets: number of buckets of the window's volume. vpin_least: least number of trades.
        micro_imbalances, micro_spreads: number of states of the micro-price. micro_least: least number of seconds of a
            fit, micro_least_moves: of those with another mid, micro_least_seen: of those in the state of the quote.
    """

    z_seconds: int = 300
    z_least: int = 60
    z_clip: float = 10.0
    ofi_weight: float = 0.6
    cvd_weight: float = 0.4
    strong_fusion: float = 2.5
    strong_consistency: float = 0.7
    against_ofi_z: float = 1.0
    against_cvd_z: float = 0.5
    opposed_ofi_z: float = 2.0
    opposed_cvd_z: float = 1.0
    full_trend_sigma: float = 2.0
    ema_seconds: tuple[int, ...] = (60, 300)
    stale_seconds: int = 30
    sum_from_bp: float = 1.0
    impact_seconds: int = 10
    least_intervals: int = 30
    vpin_buckets: int = 50
    vpin_least: int = 200
    micro_imbalances: int = 10
    micro_spreads: int = 2
    micro_least: int = 300
    micro_least_moves: int = 30
    micro_least_seen: int = 10


@dataclass(frozen=True, slots=True)
class Parameters:
    """
    Thresholds and widths; bp are basis points of price.

    Attributes:
        bin_per_price: a book bin is the 1-2-5 number nearest price times this, at least one tick.
        row_bp: a profile row is the 1-2-5 number nearest this part of price, at least one bucket level.
        min_wall_e8: a wall holds at least this quantity, 1e-8 base; 0 leaves it to the share.
        pull, confidence: fitted offline; each names its fit.
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
    band_cap: float = 0.01
    band_kernel_bp: float = 2.0
    band_kernel_bins: int = 3
    band_ratio: float = 2.0
    band_hint: float = 1.5
    band_bp: float = 9.0
    band_bins: int = 10
    band_effective: float = 5.0
    vacuum_part: float = 0.4
    vacuum_seen: int = 3
    vacuum_of_last: int = 3
    vacuum_least_books: int = 10
    null_draws: int = 5
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
    ladder_policy: Literal["front", "behind"] = "front"
    away_sigma: float = 2.0
    beyond_sigma: float = 2.0
    pull: Logistic = PULL_PRIOR
    confidence: Logistic = CONFIDENCE
    order_flow: OrderFlowParameters = OrderFlowParameters()
    book_flow: BookFlowParameters = BookFlowParameters()

    def digest(self) -> str:
        """The digest of all values, 16 hex digits; runs with equal digests analysed with equal thresholds."""
        values = asdict(self)
        for fit in (values["pull"], values["confidence"]):
            if fit["resolution"] is None:  # not judged: the digest is that of fits from before they were
                del fit["resolution"]
        return blake2b(msgspec.json.encode(values, order="sorted"), digest_size=8).hexdigest()
