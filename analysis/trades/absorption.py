"""
Absorption: much aggressive volume at a price that does not give way (docs/measures.md §4).

"Its own last hour" is the same measure in the windows of the hour before: the most that this aggressor took in any band
of that width, wherever price was. The same level's own hour would be nearly all zeros wherever price was not: there two
ordinary trades are many deviations. Two other readings were tried. The market's whole volume of that side is so much
more than one band takes that half of the planted levels or more were missed. The bands at each window's own low or high
are so light that one tick in fifteen gave an alarm where nothing was planted.
"""

from typing import Literal

import msgspec
import numpy as np

from analysis.parameters import OrderFlowParameters
from analysis.trades import absorption_windows as windows
from market.arrays import I64
from market.timestamps import SECOND_NS
from projections.trades.trade_columns import Trades

Side = Literal["bid", "ask"]

NOTE = (
    "not shown to predict: on the real day levels that absorbed were rejected 0.42 of the time (n 19), price extremes"
    " alone 0.46 (n 553)"
)
"""Goes with every report of absorption."""

_SIDES: tuple[Side, Side] = ("bid", "ask")


class Absorption(msgspec.Struct, frozen=True):
    """
    Aggressive volume that a level absorbed.

    Attributes:
        level_e8: the level that was tested, or the price found. side: bid absorbed sells, ask absorbed buys.
        price_e8: within the band, the price where most of it was traded.
        volume_e8: of the band. mean_e8, sd_e8: of the heaviest band of each window in the hour before.
        z: the excess in standard deviations. baseline_windows: number of windows in that hour.
        beyond_e8: how far price went through the level, 0 where it did not.
        concentration: the part of the volume that was traded in the heaviest bin.
        start_ns, stop_ns: the window. held: whether price stayed within ε beyond the level until the tick.
        replenishment: (change of displayed size + volume) / volume, None without a book before and after.
    """

    level_e8: int
    side: Side
    price_e8: int
    volume_e8: int
    mean_e8: float
    sd_e8: float
    z: float
    baseline_windows: int
    beyond_e8: int
    start_ns: int
    stop_ns: int
    held: bool
    concentration: float
    replenishment: float | None = None
    note: str = NOTE


def find_absorption_at(
    frame: windows.Frame | None, level_e8: I64, bin_e8: int, parameters: OrderFlowParameters
) -> list[Absorption]:
    """
    Find which of k levels absorbed within the last minute.

    Every window that ends within the minute before the tick is tested, a second apart, and a level's strongest one is
    returned. A level may have absorbed sells and buys.

    Args:
        frame: the last minutes cut for windows; None gives nothing.
        level_e8: (k,) prices, 1e-8 quote.
        bin_e8: the width in which the heaviest price is looked for.
        parameters: `absorption_sd` is the least excess.
    """
    if frame is None or len(level_e8) == 0:
        return []
    levels = np.ascontiguousarray(level_e8, np.int64)
    best = windows.find_best_windows(frame, levels)
    absorptions = []
    for k, level in enumerate(levels.tolist()):
        for s, side in enumerate(_SIDES):
            stop = int(best[k, s])
            if stop >= 0:
                absorption = _absorption(frame, level, side, stop, bin_e8, parameters.absorption_sd)
                if absorption is not None:
                    absorptions.append(absorption)
    return absorptions


def find_absorption(frame: windows.Frame | None, bin_e8: int, parameters: OrderFlowParameters) -> list[Absorption]:
    """
    Find levels that absorbed within the last minute, from the trades alone: at most one bid and one ask.

    In each window the heaviest price within ε of its low (high) is the candidate; as many windows are tested, the least
    excess is `found_sd`, and at least `found_share` of the volume must have been traded in one bin.

    Args:
        frame: as for `find_absorption_at`.
        bin_e8: the candidate is the heaviest price of the heaviest bin of this width.
        parameters: `found_sd` and `found_share`.
    """
    if frame is None:
        return []
    near_e8 = frame.near_e8
    volumes, extreme = windows.measure_extremes(frame)
    absorptions = []
    for s, side in enumerate(_SIDES):
        strongest: Absorption | None = None
        bound = windows.excess_deviations(frame, s, volumes[s])
        for stop in np.argsort(-bound, kind="stable").tolist():
            if bound[stop] < parameters.found_sd or (strongest is not None and strongest.z >= bound[stop]):
                break
            edge = int(extreme[s, stop])
            band = (edge, edge + near_e8) if side == "bid" else (edge - near_e8, edge)
            candidate = windows.measure_band(frame, s, stop, *band, bin_e8)
            if candidate is None:
                continue
            absorption = _absorption(frame, candidate.price_e8, side, stop, bin_e8, parameters.found_sd)
            if absorption is None or absorption.concentration < parameters.found_share:
                continue  # spread over the band: no order absorbed it
            if strongest is None or absorption.z > strongest.z:
                strongest = absorption
        if strongest is not None:
            absorptions.append(strongest)
    return absorptions


def add_replenishment(absorption: Absorption, displayed_before_e8: int, displayed_after_e8: int) -> Absorption:
    """
    Add what the book displayed at the level before and after: 1 where all that was taken came back.

    Args:
        absorption: without it.
        displayed_before_e8, displayed_after_e8: displayed quantity, in the units of its volume.
    """
    change = displayed_after_e8 - displayed_before_e8
    return msgspec.structs.replace(
        absorption, replenishment=round((change + absorption.volume_e8) / absorption.volume_e8, 4)
    )


def _absorption(
    frame: windows.Frame, level: int, side: Side, stop: int, bin_e8: int, min_z: float
) -> Absorption | None:
    s = _SIDES.index(side)
    near_e8 = frame.near_e8
    band_volume = windows.measure_band(frame, s, stop, level - near_e8, level + near_e8, bin_e8)
    if band_volume is None or frame.sd[s] <= 0:
        return None
    z = round((band_volume.volume_e8 - frame.mean[s]) / frame.sd[s], 4)
    if z < min_z:
        return None
    return Absorption(
        level_e8=level,
        side=side,
        price_e8=band_volume.price_e8,
        volume_e8=band_volume.volume_e8,
        mean_e8=frame.mean[s],
        sd_e8=frame.sd[s],
        z=z,
        baseline_windows=frame.baseline_windows,
        beyond_e8=_penetration(frame.trades_in(stop), level, side),
        start_ns=frame.stop_ns(stop) - frame.window_s * SECOND_NS,
        stop_ns=frame.stop_ns(stop),
        held=_penetration(frame.trades_since(stop), level, side) <= near_e8,
        concentration=round(band_volume.inside_e8 / band_volume.volume_e8, 4),
    )


def _penetration(trades: Trades, level: int, side: Side) -> int:
    if len(trades) == 0:
        return 0
    return max(0, level - int(trades.price_e8.min()) if side == "bid" else int(trades.price_e8.max()) - level)
