"""
The quote at the end of a window: its imbalance, and where it says the mid is going.
"""

import msgspec

from analysis.flow.flow_grid import FlowGrid
from analysis.flow.micro_price import fit_micro_price, queue_imbalance, weighted_mid
from analysis.parameters import BookFlowParameters


class Quote(msgspec.Struct, frozen=True):
    """
    The best bid and ask at the end of the window, and the prices that follow from their quantities.

    Attributes:
        bid_e8, ask_e8: prices. spread_bp: between them. imbalance: of their quantities, −1 to 1.
        weighted_mid_e8: the mid weighted by the other side's quantity.
        micro_price_e8: of the fitted Markov chain, None where it could not be fitted. micro_by: how, or why not.
        age_s: seconds without an update.
    """

    bid_e8: int
    ask_e8: int
    spread_bp: float
    imbalance: float
    weighted_mid_e8: float
    micro_price_e8: float | None
    micro_by: str
    age_s: int


def last_quote(grid: FlowGrid, tick_size_e8: int, parameters: BookFlowParameters) -> Quote | None:
    """
    Describe the last quote of the window.

    Args:
        grid: the window's seconds.
        tick_size_e8: 1e-8 quote.
        parameters: states and least counts of the micro-price.

    Returns:
        None where no quote is known at the end of the window.
    """
    if not grid.quoted[-1]:
        return None
    bid, bid_quantity, ask, ask_quantity = (int(v) for v in grid.quote_e8[:, -1])
    micro, method = _micro_price(grid, tick_size_e8, parameters)
    return Quote(
        bid_e8=bid,
        ask_e8=ask,
        spread_bp=round(2e4 * (ask - bid) / (bid + ask), 4),
        imbalance=queue_imbalance(bid_quantity, ask_quantity),
        weighted_mid_e8=weighted_mid(bid, bid_quantity, ask, ask_quantity),
        micro_price_e8=micro,
        micro_by=method,
        age_s=grid.silent_s,
    )


def _micro_price(grid: FlowGrid, tick_size_e8: int, parameters: BookFlowParameters) -> tuple[float | None, str]:
    model = fit_micro_price(
        grid.quote_e8,
        grid.complete,
        tick_size_e8,
        parameters.micro_imbalances,
        parameters.micro_spreads,
        parameters.micro_least,
        parameters.micro_least_moves,
    )
    if isinstance(model, str):
        return None, f"weighted mid: {model}"
    bid, bid_quantity, ask, ask_quantity = (int(v) for v in grid.quote_e8[:, -1])
    price = model.price_e8(bid, bid_quantity, ask, ask_quantity, parameters.micro_least_seen)
    if price is None:
        return None, f"weighted mid: this imbalance and spread in fewer than {parameters.micro_least_seen} seconds"
    return price, f"Markov chain of {model.transitions} seconds, {model.moves} with another mid"
