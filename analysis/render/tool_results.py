"""
The JSON of the two tools, as a model and a person read it: at most 10,000 bytes each, every figure under an id.

Items that do not fit are counted, never silently left out: lists hold the strongest or the newest, `more` is the number
of others.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from analysis.book.bands import Band
from analysis.book.static_book import StandingWall, StaticBook, StaticSide
from analysis.book.voids import LiquidityVoid
from analysis.book.wall_life import ENDINGS, EndedWall
from analysis.confluence import Confluence
from analysis.evidence import format_price
from analysis.grid import bp_between
from analysis.order_flow import OrderFlow
from analysis.render.flow_groups import book_flow_group, profiles_group
from analysis.render.tool_budget import ItemList, trim_to
from analysis.trades.absorption import NOTE, Absorption
from analysis.trades.crossings import Crossing
from analysis.trades.footprint import Footprint
from analysis.trades.level_tests import LevelRecord
from analysis.trades.sweeps import Sweep
from market.fixed_point import DECIMALS, format_e8
from market.timestamps import iso

MAX_BYTES = 10_000  # of a tool's result: some 2,500 tokens, of which a conversation reads two
# Bounds of the lists, so that usual results stay below MAX_BYTES; `trim_to` shortens the rest.
_MAX_WALLS = 9
_MAX_BANDS = 4
_MAX_VOIDS = 4
_MAX_ENDED_WALLS = 6
_MAX_NEW = 2
_MAX_NAKED_POINTS = 3
_MAX_TESTS = 10
_MAX_OUTCOMES = 3
_MAX_SWEEPS = 4
_MAX_STACKS = 4
_MAX_IMBALANCES = 4
_MAX_ABSORPTIONS = 2


def render_static(static: StaticBook, sigma: float | None, pull_fit: str, decimals: int) -> dict[str, Any]:
    """
    Render the result of `depth_snapshot_analytsis`.

    Args:
        static: the findings of a tick.
        sigma: the unit of distance, a fraction of price; None without one.
        pull_fit: what the pull probability was fitted on.
        decimals: decimals of the market's quantities.
    """
    if static.sides is None:
        return {"found": "nothing", "reason": static.reason}
    result: dict[str, Any] = {
        "id": "D",
        "mid": format_price(static.mid_e8),
        "bin": format_e8(static.width_e8),
        "snapshots": static.snapshots,
        "seen_a_minute": "what came and went between two snapshots is not seen",
        "pull_probability_from": pull_fit,
    }
    for side, static_side in static.sides.items():
        result[side] = _side(static_side, static, sigma, decimals)
    result["ended"] = _ended_walls(static.ended_walls)
    result["book_now"] = _render_current_book(static, decimals)
    current_walls = result["book_now"]["walls"] if result["book_now"] else {}
    lists = [ItemList(result["ended"], "last", "more")]
    for side in static.sides:
        lists.append(ItemList(result[side], "walls", "more_walls", current_walls))
        lists += [ItemList(result[side], name, f"more_{name}") for name in ("bands", "vacuums")]
    return trim_to(result, lists, MAX_BYTES)


def _side(static_side: StaticSide, static: StaticBook, sigma: float | None, decimals: int) -> dict[str, Any]:
    name = static_side.book.side[0]
    return {
        "id": f"D.{static_side.book.side}",
        "reach_bp": static_side.book.reach_bp,
        "corridor_depth": format_e8(static_side.book.corridor_depth_e8, decimals),
        "near_depth": format_e8(static_side.near_depth_e8, decimals),
        "walls": [_wall(w, sigma, decimals) for w in static_side.walls[:_MAX_WALLS]],
        "more_walls": max(0, len(static_side.walls) - _MAX_WALLS),
        "bands": [_band(b, f"B{name}{n}", decimals) for n, b in enumerate(static_side.bands[:_MAX_BANDS])],
        "more_bands": max(0, len(static_side.bands) - _MAX_BANDS),
        "vacuums": None
        if static_side.voids is None
        else [_void(v, f"V{name}{n}", decimals) for n, v in enumerate(static_side.voids[:_MAX_VOIDS])],
        "more_vacuums": max(0, len(static_side.voids or ()) - _MAX_VOIDS),
        "this_book_alone": {
            "walls": static_side.outliers, "bands": static_side.current_bands, "vacuums": static_side.thin_cells
        },
        "in_shuffled_books": {
            "walls": static_side.null.walls, "bands": static_side.null.bands, "vacuums": static_side.null.voids
        },
    }  # fmt: skip


def _wall(standing: StandingWall, sigma: float | None, decimals: int) -> dict[str, Any]:
    wall, life = standing.wall, standing.life
    return {
        "id": standing.id,
        "bin": format_e8(wall.bin.price_e8),
        "quantity": format_e8(wall.bin.quantity_e8, decimals),
        "share": wall.bin.share,
        "major": wall.major,
        "contrast": wall.bin.contrast,
        "heavy_price": format_e8(wall.heavy_price_e8),
        "heavy_share": wall.heavy_share,
        "distance_bp": standing.distance_bp,
        "distance_sigma": round(standing.distance_bp / 1e4 / sigma, 2) if sigma else None,
        "seen": wall.appearances,
        "age_min": wall.age_min,
        "age_censored": wall.censored,
        "life": life.state,
        "absorbed": format_e8(life.absorbed_e8, decimals),
        "refilled": life.refill_share,
        "minutes_to_consume": standing.minutes_to_consume,
        "pull_probability": standing.pull_probability,
        "strength": standing.strength,
    }


def _band(band: Band, name: str, decimals: int) -> dict[str, Any]:
    return {
        "id": name,
        "low": format_e8(band.low_e8),
        "high": format_e8(band.high_e8),
        "distance_bp": [band.near_bp, band.far_bp],
        "quantity": format_e8(band.quantity_e8, decimals),
        "ratio_to_usual": band.ratio,
        "effective_bins": band.effective,
        "heavy_bin": format_e8(band.heavy_bin_e8),
    }


def _void(void: LiquidityVoid, name: str, decimals: int) -> dict[str, Any]:
    return {
        "id": name,
        "low": format_e8(void.low_e8),
        "high": format_e8(void.high_e8),
        "distance_bp": [void.near_bp, void.far_bp],
        "quantity": format_e8(void.quantity_e8, decimals),
        "usual": format_e8(int(void.median_e8), decimals),
        "cost_to_cross": format_e8(int(void.cost * 10 ** (DECIMALS - decimals))),
        "far_edge_unknown": void.censored,
    }


def _ended_walls(walls: Sequence[EndedWall]) -> dict[str, Any]:
    counts: dict[str, Any] = {kind: sum(e.ending == kind for e in walls) for kind in ENDINGS}
    last = [
        {"id": f"E{n}", "side": e.side, "bin": format_e8(e.price_e8), "share": e.share, "ending": e.ending,
         "at": iso(e.minute_ns), "moved_to": format_price(e.moved_to_e8)}
        for n, e in enumerate(walls[::-1][:_MAX_ENDED_WALLS])
    ]  # fmt: skip
    return {"id": "D.ended", **counts, "last": last, "more": max(0, len(walls) - _MAX_ENDED_WALLS)}


def _render_current_book(static: StaticBook, decimals: int) -> dict[str, Any] | None:
    """
    The walls of the last snapshot in the book rebuilt from updates up to the tick, and the bins that are new in it.
    """
    current = static.current
    if current is None or static.sides is None:
        return None
    mid = next(iter(current.sides.values())).mid_e8
    walls: dict[str, Mapping[str, Any]] = {}
    outliers: list[list[Any]] = []
    for side, static_side in static.sides.items():
        book = current.sides[side]
        wall_prices = {w.wall.bin.price_e8 for w in static_side.walls}
        new_bins = sorted(
            (b for b in current.outliers[side] if b.price_e8 not in wall_prices), key=lambda b: -b.quantity_e8
        )
        outliers += [
            [side, format_e8(b.price_e8), format_e8(b.quantity_e8, decimals), b.share] for b in new_bins[:_MAX_NEW]
        ]
        for standing in static_side.walls[:_MAX_WALLS]:
            bin_e8 = standing.wall.bin.price_e8
            quantity = book.quantity_at(book.index(bin_e8))
            walls[standing.id] = {"quantity": format_e8(quantity, decimals), "distance_bp": bp_between(bin_e8, mid)}
    band_counts = {side: len(bands) for side, bands in current.bands.items()}
    return {
        "id": "D.now",
        "mid": format_price(mid),
        "walls": walls,
        "new_outliers": outliers,
        "bands": band_counts,
    }


def render_flow(
    flow: OrderFlow,
    zones: Sequence[Confluence],
    tests: Mapping[str, LevelRecord],
    absorptions: Mapping[str, Absorption],
    decimals: int,
) -> dict[str, Any]:
    """
    Render the result of `orderflow_analysys`.

    Args:
        flow: the findings of a tick.
        zones: strongest first.
        tests: by evidence id; those of the strongest zones are listed.
        absorptions: by the same id, what such a level absorbed of the last minute's aggressors: id, level, volume, z
            and replenishment are listed.
        decimals: decimals of the market's quantities.
    """
    test_ids = [e.id for z in zones for e in z.evidence if e.id in tests]
    footprint = flow.footprint
    result: dict[str, Any] = {
        "id": "O",
        "profile_ids": "P60.poc, P60.rival, P60.val and P60.vah are the figures of profile P60",
        "profiles": profiles_group(flow.profiles, decimals),
        "naked_points": [
            {"id": f"N{n}", "day": iso(p.day_ns)[:10], "low": format_e8(p.low_e8), "high": format_e8(p.high_e8),
             "share": p.share}
            for n, p in enumerate(flow.naked_points[:_MAX_NAKED_POINTS])
        ],
        "more_naked_points": max(0, len(flow.naked_points) - _MAX_NAKED_POINTS),
        "tests": [_record(name, tests[name]) for name in test_ids[:_MAX_TESTS]],
        "more_tests": max(0, len(test_ids) - _MAX_TESTS),
        "cvd": {"id": "O.cvd", **{f"{m}min": format_e8(c.delta_e8, decimals) for m, c in flow.cvds.items()}},
        "footprint": None if footprint is None else _footprint(footprint, decimals),
        "absorption": {
            "id": "O.absorption",
            "found": [_absorption(f"A{n}", a, decimals) for n, a in enumerate(flow.absorptions)],
            "at_zones": [
                [f"{name}.absorbed", format_e8(a.level_e8), format_e8(a.volume_e8, decimals), a.z, a.replenishment]
                for name, a in sorted(absorptions.items(), key=lambda item: -item[1].z)[:_MAX_ABSORPTIONS]
            ],
            "more_at_zones": max(0, len(absorptions) - _MAX_ABSORPTIONS),
            "note": NOTE,
        },
        "sweeps": [_sweep(f"S{n}", s, decimals) for n, s in enumerate(flow.sweeps[::-1][:_MAX_SWEEPS])],
        "more_sweeps": max(0, len(flow.sweeps) - _MAX_SWEEPS),
        "vacuums_passed": {name: _crossing(p) for name, p in flow.crossings.items() if int(name[2:]) < _MAX_VOIDS},
        "book_flow": book_flow_group(flow.book_flow),
    }  # fmt: skip
    lists = [ItemList(result, name, f"more_{name}") for name in ("tests", "naked_points", "sweeps")]
    lists.append(ItemList(result["absorption"], "at_zones", "more_at_zones"))
    if footprint is not None:
        lists += [ItemList(result["footprint"], name, f"more_{name}") for name in ("heaviest", "stacks")]
    return trim_to(result, lists, MAX_BYTES)


def _record(name: str, record: LevelRecord) -> dict[str, Any]:
    return {
        "id": name,
        "level": format_e8(record.level_e8),
        "tests": record.tests,
        "rejected": record.rejected,
        "broken": record.broken,
        "open": record.open,
        "last": None if record.last_ns is None else iso(record.last_ns)[11:19],
        "recent": list(record.outcomes[:_MAX_OUTCOMES]),
        "from": record.sides[0] if record.sides else None,
        "recent_rate": record.recent_rate,
    }


def _footprint(footprint: Footprint, decimals: int) -> dict[str, Any]:
    stacks = [[s.side, format_e8(s.low_e8), format_e8(s.high_e8), s.rows] for s in footprint.stacks[:_MAX_STACKS]]
    heaviest = sorted(footprint.imbalances, key=lambda i: (-i.volume_e8, i.low_e8))[:_MAX_IMBALANCES]
    rows = [[i.side, format_e8(i.low_e8), format_e8(i.volume_e8, decimals), i.ratio] for i in heaviest]
    return {
        "id": "O.footprint",
        "row": format_e8(footprint.width_e8),
        "heaviest": rows,
        "more_heaviest": max(0, len(footprint.imbalances) - _MAX_IMBALANCES),
        "stacks": stacks,
        "more_stacks": max(0, len(footprint.stacks) - _MAX_STACKS),
    }


def _absorption(name: str, absorption: Absorption, decimals: int) -> dict[str, Any]:
    return {
        "id": name,
        "side": absorption.side,
        "price": format_e8(absorption.price_e8),
        "volume": format_e8(absorption.volume_e8, decimals),
        "z": absorption.z,
        "through": format_e8(absorption.beyond_e8),
        "replenishment": absorption.replenishment,
    }


def _sweep(name: str, sweep: Sweep, decimals: int) -> dict[str, Any]:
    return {
        "id": name,
        "side": sweep.side,
        "at": iso(sweep.start_ns)[11:19],
        "from": format_e8(sweep.first_e8),
        "to": format_e8(sweep.last_e8),
        "levels": sweep.levels,
        "volume": format_e8(sweep.volume_e8, decimals),
    }


def _crossing(crossing: Crossing | None) -> dict[str, Any] | None:
    if crossing is None:
        return None
    return {
        "at": iso(crossing.start_ns)[11:19],
        "speed": crossing.speed,
        "walk_speed": crossing.walk_speed,
        "confirmed": crossing.confirmed,
    }
