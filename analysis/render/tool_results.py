"""
The JSON of the two tools, as a model and a person read it: at most 10,000 bytes each, every figure under an id.

What does not fit is counted, never silently left out: lists hold the strongest or the newest, `more` says how many
others there are.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from analysis.book.bands import Band
from analysis.book.static_book import StandingWall, StaticBook, StaticSide
from analysis.book.voids import LiquidityVoid
from analysis.book.wall_life import ENDINGS, Ended
from analysis.confluence import Confluence
from analysis.evidence import price
from analysis.grid import bp_between
from analysis.order_flow import OrderFlow
from analysis.render.flow_groups import book_flow_group, profiles_group
from analysis.render.tool_budget import Listed, cut_to
from analysis.trades.absorption import NOTE, Absorption
from analysis.trades.crossings import Crossing
from analysis.trades.footprint import Footprint
from analysis.trades.level_tests import LevelRecord
from analysis.trades.sweeps import Sweep
from market.fixed_point import DECIMALS, format_e8
from market.timestamps import iso

MAX_BYTES = 10_000
_WALLS = 9
_BANDS = 4
_VACUUMS = 4
_ENDED = 6
_NEW = 2
_NAKED = 3
_TESTS = 10
_OUTCOMES = 3
_SWEEPS = 4
_STACKS = 4
_IMBALANCES = 4
_ABSORBED = 2


def static_result(static: StaticBook, sigma: float | None, pull_fit: str, decimals: int) -> dict[str, Any]:
    """
    The result of `depth_snapshot_analytsis`.

    Args:
        sigma: the unit of distance, a fraction of price. pull_fit: what the pull probability was fitted on.
        decimals: that the market's quantities keep.
    """
    if static.sides is None:
        return {"found": "nothing", "reason": static.reason}
    result: dict[str, Any] = {
        "id": "D",
        "mid": price(static.mid_e8),
        "bin": format_e8(static.width_e8),
        "snapshots": static.snapshots,
        "seen_a_minute": "what came and went between two snapshots is not seen",
        "pull_probability_from": pull_fit,
    }
    for side, seen in static.sides.items():
        result[side] = _side(seen, static, sigma, decimals)
    result["ended"] = _ended(static.ended)
    result["book_now"] = _now(static, decimals)
    now = result["book_now"]["walls"] if result["book_now"] else {}
    lists = [Listed(result["ended"], "last", "more")]
    for side in static.sides:
        lists += [Listed(result[side], "walls", "more_walls", now), Listed(result[side], "bands", "more_bands"),
                  Listed(result[side], "vacuums", "more_vacuums")]  # fmt: skip
    return cut_to(result, lists, MAX_BYTES)


def _side(seen: StaticSide, static: StaticBook, sigma: float | None, decimals: int) -> dict[str, Any]:
    name = seen.book.side[0]
    return {
        "id": f"D.{seen.book.side}",
        "reach_bp": seen.book.reach_bp,
        "corridor_depth": format_e8(seen.book.corridor_depth_e8, decimals),
        "near_depth": format_e8(seen.near_depth_e8, decimals),
        "walls": [_wall(w, sigma, decimals) for w in seen.walls[:_WALLS]],
        "more_walls": max(0, len(seen.walls) - _WALLS),
        "bands": [_band(b, f"B{name}{n}", decimals) for n, b in enumerate(seen.bands[:_BANDS])],
        "more_bands": max(0, len(seen.bands) - _BANDS),
        "vacuums": None
        if seen.vacuums is None
        else [_vacuum(v, f"V{name}{n}", decimals) for n, v in enumerate(seen.vacuums[:_VACUUMS])],
        "more_vacuums": max(0, len(seen.vacuums or ()) - _VACUUMS),
        "this_book_alone": {"walls": seen.standing_out, "bands": seen.dense_now, "vacuums": seen.thin_now},
        "in_shuffled_books": {
            "walls": seen.null.walls, "bands": seen.null.bands, "vacuums": seen.null.vacuums
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
        "seen": wall.seen,
        "age_min": wall.age_min,
        "at_least": wall.censored,
        "life": life.state,
        "absorbed": format_e8(life.absorbed_e8, decimals),
        "refilled": life.refilled,
        "minutes_to_eat": standing.minutes_to_eat,
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
        "times_usual": band.ratio,
        "effective_bins": band.effective,
        "heavy_bin": format_e8(band.heavy_bin_e8),
    }


def _vacuum(thin: LiquidityVoid, name: str, decimals: int) -> dict[str, Any]:
    return {
        "id": name,
        "low": format_e8(thin.low_e8),
        "high": format_e8(thin.high_e8),
        "distance_bp": [thin.near_bp, thin.far_bp],
        "quantity": format_e8(thin.quantity_e8, decimals),
        "usual": format_e8(int(thin.median_e8), decimals),
        "cost_to_cross": format_e8(int(thin.cost * 10 ** (DECIMALS - decimals))),
        "far_edge_unknown": thin.censored,
    }


def _ended(ended: Sequence[Ended]) -> dict[str, Any]:
    counts: dict[str, Any] = {kind: sum(e.ending == kind for e in ended) for kind in ENDINGS}
    last = [
        {"id": f"E{n}", "side": e.side, "bin": format_e8(e.price_e8), "share": e.share, "ending": e.ending,
         "at": iso(e.minute_ns), "moved_to": price(e.moved_to_e8)}
        for n, e in enumerate(ended[::-1][:_ENDED])
    ]  # fmt: skip
    return {"id": "D.ended", **counts, "last": last, "more": max(0, len(ended) - _ENDED)}


def _now(static: StaticBook, decimals: int) -> dict[str, Any] | None:
    """The walls of the last snapshot in the book rebuilt from updates up to the tick, and what is new in it."""
    current = static.current
    if current is None or static.sides is None:
        return None
    mid = next(iter(current.sides.values())).mid_e8
    walls: dict[str, Mapping[str, Any]] = {}
    new: list[list[Any]] = []
    for side, seen in static.sides.items():
        book = current.sides[side]
        known = {w.wall.bin.price_e8 for w in seen.walls}
        fresh = sorted((b for b in current.standing_out[side] if b.price_e8 not in known), key=lambda b: -b.quantity_e8)
        new += [[side, format_e8(b.price_e8), format_e8(b.quantity_e8, decimals), b.share] for b in fresh[:_NEW]]
        for standing in seen.walls[:_WALLS]:
            bin_e8 = standing.wall.bin.price_e8
            held = book.held_e8(book.index(bin_e8))
            walls[standing.id] = {"quantity": format_e8(held, decimals), "distance_bp": bp_between(bin_e8, mid)}
    dense = {side: len(found) for side, found in current.bands.items()}
    return {"id": "D.now", "mid": price(mid), "walls": walls, "standing_out_besides": new, "bands": dense}


def flow_result(
    flow: OrderFlow,
    zones: Sequence[Confluence],
    tests: Mapping[str, LevelRecord],
    absorbed: Mapping[str, Absorption],
    decimals: int,
) -> dict[str, Any]:
    """
    The result of `orderflow_analysys`.

    Args:
        tests: by evidence id; shown are those of the strongest zones. absorbed: by the same id, what such a
            level took of the last minute's aggressors: id, level, volume, z and replenishment are listed.
    """
    tested = [e.id for z in zones for e in z.evidence if e.id in tests]
    found = flow.footprint
    result: dict[str, Any] = {
        "id": "O",
        "profile_ids": "P60.poc, P60.rival, P60.val and P60.vah are the figures of profile P60",
        "profiles": profiles_group(flow.profiles, decimals),
        "naked_points": [
            {"id": f"N{n}", "day": iso(p.day_ns)[:10], "low": format_e8(p.low_e8), "high": format_e8(p.high_e8),
             "share": p.share}
            for n, p in enumerate(flow.naked[:_NAKED])
        ],
        "more_naked_points": max(0, len(flow.naked) - _NAKED),
        "tests": [_record(name, tests[name]) for name in tested[:_TESTS]],
        "more_tests": max(0, len(tested) - _TESTS),
        "cvd": {"id": "O.cvd", **{f"{m}min": format_e8(c.delta_e8, decimals) for m, c in flow.cvds.items()}},
        "footprint": None if found is None else _footprint(found, decimals),
        "absorption": {
            "id": "O.absorption",
            "found": [_absorption(f"A{n}", a, decimals) for n, a in enumerate(flow.absorbed)],
            "at_zones": [
                [f"{name}.absorbed", format_e8(a.level_e8), format_e8(a.volume_e8, decimals), a.z, a.replenishment]
                for name, a in sorted(absorbed.items(), key=lambda item: -item[1].z)[:_ABSORBED]
            ],
            "more_at_zones": max(0, len(absorbed) - _ABSORBED),
            "note": NOTE,
        },
        "sweeps": [_sweep(f"S{n}", s, decimals) for n, s in enumerate(flow.swept[::-1][:_SWEEPS])],
        "more_sweeps": max(0, len(flow.swept) - _SWEEPS),
        "vacuums_passed": {name: _passage(p) for name, p in flow.passages.items() if int(name[2:]) < _VACUUMS},
        "book_flow": book_flow_group(flow.book_flow),
    }  # fmt: skip
    lists = [Listed(result, name, f"more_{name}") for name in ("tests", "naked_points", "sweeps")]
    lists.append(Listed(result["absorption"], "at_zones", "more_at_zones"))
    if found is not None:
        lists += [Listed(result["footprint"], name, f"more_{name}") for name in ("heaviest", "stacks")]
    return cut_to(result, lists, MAX_BYTES)


def _record(name: str, record: LevelRecord) -> dict[str, Any]:
    return {
        "id": name,
        "level": format_e8(record.level_e8),
        "tests": record.tests,
        "rejected": record.rejected,
        "broken": record.broken,
        "open": record.open,
        "last": None if record.last_ns is None else iso(record.last_ns)[11:19],
        "recent": list(record.outcomes[:_OUTCOMES]),
        "from": record.sides[0] if record.sides else None,
        "recent_rate": record.recent_rate,
    }


def _footprint(found: Footprint, decimals: int) -> dict[str, Any]:
    stacks = [[s.side, format_e8(s.low_e8), format_e8(s.high_e8), s.rows] for s in found.stacks[:_STACKS]]
    heaviest = sorted(found.imbalances, key=lambda i: (-i.volume_e8, i.low_e8))[:_IMBALANCES]
    rows = [[i.side, format_e8(i.low_e8), format_e8(i.volume_e8, decimals), i.ratio] for i in heaviest]
    return {
        "id": "O.footprint",
        "row": format_e8(found.width_e8),
        "heaviest": rows,
        "more_heaviest": max(0, len(found.imbalances) - _IMBALANCES),
        "stacks": stacks,
        "more_stacks": max(0, len(found.stacks) - _STACKS),
    }


def _absorption(name: str, found: Absorption, decimals: int) -> dict[str, Any]:
    return {
        "id": name,
        "side": found.side,
        "price": format_e8(found.price_e8),
        "volume": format_e8(found.volume_e8, decimals),
        "z": found.z,
        "through": format_e8(found.beyond_e8),
        "replenishment": found.replenishment,
    }


def _sweep(name: str, found: Sweep, decimals: int) -> dict[str, Any]:
    return {
        "id": name,
        "side": found.side,
        "at": iso(found.start_ns)[11:19],
        "from": format_e8(found.first_e8),
        "to": format_e8(found.last_e8),
        "levels": found.levels,
        "volume": format_e8(found.volume_e8, decimals),
    }


def _passage(passed: Crossing | None) -> dict[str, Any] | None:
    if passed is None:
        return None
    return {
        "at": iso(passed.start_ns)[11:19],
        "speed": passed.speed,
        "walk_speed": passed.walk_speed,
        "confirmed": passed.confirmed,
    }
