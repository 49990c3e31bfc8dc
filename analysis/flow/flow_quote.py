"""
The quote at the end of a window: its imbalance, and where it says the mid is going.
"""

from typing import Any

from analysis.flow.flow_grid import FlowGrid
from analysis.flow.micro_price import fit_micro_price, queue_imbalance, weighted_mid
from analysis.parameters import BookFlowParameters
from market.fixed_point import DECIMALS, ONE_E8, format_e8

_WHOLE = len(str(10_000 * ONE_E8))


def quote_group(grid: FlowGrid, tick_size_e8: int, parameters: BookFlowParameters) -> dict[str, Any]:
    """The figures of the last quote; `micro_by` says where the weighted mid stands in for the micro-price."""
    if not grid.quoted[-1]:
        return {"id": "F.quote", "bid": None, "ask": None, "reason": "no quote at the end of the window"}
    bid, bid_quantity, ask, ask_quantity = (int(v) for v in grid.quote_e8[:, -1])
    weighted = weighted_mid(bid, bid_quantity, ask, ask_quantity)
    micro, by = _micro_price(grid, tick_size_e8, parameters)
    return {
        "id": "F.quote",
        "bid": format_e8(bid),
        "ask": format_e8(ask),
        "mid": _price((bid + ask) / 2),
        "spread_bp": round(2e4 * (ask - bid) / (bid + ask), 4),
        "imbalance": queue_imbalance(bid_quantity, ask_quantity),
        "weighted_mid": _price(weighted),
        "micro_price": _price(weighted if micro is None else micro),
        "micro_by": by,
        "age_s": grid.silent_s,
    }


def _micro_price(grid: FlowGrid, tick_size_e8: int, parameters: BookFlowParameters) -> tuple[float | None, str]:
    fitted = fit_micro_price(
        grid.quote_e8,
        grid.known,
        tick_size_e8,
        parameters.micro_imbalances,
        parameters.micro_spreads,
        parameters.micro_least,
        parameters.micro_least_moves,
    )
    if isinstance(fitted, str):
        return None, f"weighted mid: {fitted}"
    bid, bid_quantity, ask, ask_quantity = (int(v) for v in grid.quote_e8[:, -1])
    found = fitted.price_e8(bid, bid_quantity, ask, ask_quantity, parameters.micro_least_seen)
    if found is None:
        return None, f"weighted mid: this imbalance and spread in fewer than {parameters.micro_least_seen} seconds"
    return found, f"Markov chain of {fitted.transitions} seconds, {fitted.moves} with another mid"


def _price(value_e8: float) -> str:
    """To 8 decimals from a price of 10,000 on, to one more for each power of ten below: it lies between two ticks."""
    finer = max(0, _WHOLE - len(str(int(value_e8))))
    return format_e8(round(value_e8 * 10**finer), DECIMALS + finer)
