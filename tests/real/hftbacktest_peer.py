"""
Plays orders through hftbacktest: run by the Python that has it, as `python hftbacktest_peer.py IN.npz OUT.npz`.

In: `events` (5, n) of flags, time ns, price, quantity, all float64 or int64 columns by name; `orders` by name; `model`
and `power`. Out: status, quantity left and time at the exchange of each order.
"""

import sys

import numba as nb
import numpy as np
from hftbacktest import (
    BUY_EVENT,
    DEPTH_EVENT,
    EXCH_EVENT,
    GTX,
    LIMIT,
    LOCAL_EVENT,
    SELL_EVENT,
    TRADE_EVENT,
    BacktestAsset,
    HashMapMarketDepthBacktest,
)  # fmt: skip
from hftbacktest.types import event_dtype


@nb.njit
def play(hbt, at_ns, order, is_cancel, is_buy, price, quantity, end_ns, status, left, exch_ns):
    """Send the requests in order of time, then read what became of each order."""
    hbt.elapse(1)  # its clock has no time before the first step
    for i in range(len(at_ns)):
        if at_ns[i] > hbt.current_timestamp and hbt.elapse(at_ns[i] - hbt.current_timestamp) != 0:
            return i
        k = order[i]
        if is_cancel[i]:
            hbt.cancel(0, k, False)
        elif is_buy[k]:
            hbt.submit_buy_order(0, k, price[k], quantity[k], GTX, LIMIT, False)
        else:
            hbt.submit_sell_order(0, k, price[k], quantity[k], GTX, LIMIT, False)
    hbt.elapse(end_ns - hbt.current_timestamp)
    orders = hbt.orders(0)
    for k in range(len(price)):
        found = orders.get(k)
        if found is not None:
            status[k], left[k], exch_ns[k] = found.status, found.leaves_qty, found.exch_timestamp
    return -1


def main(source: str, target: str) -> None:
    """Play one model."""
    given = np.load(source)
    events = np.zeros(len(given["at_ns"]), event_dtype)
    kind = np.where(given["is_trade"], TRADE_EVENT, DEPTH_EVENT) | np.where(given["is_buy"], BUY_EVENT, SELL_EVENT)
    events["ev"] = kind | EXCH_EVENT | LOCAL_EVENT
    events["exch_ts"] = events["local_ts"] = given["at_ns"]
    events["px"], events["qty"] = given["price"], given["quantity"]
    asset = (
        BacktestAsset().data(events).linear_asset(1.0).constant_order_latency(int(given["entry_ns"]), 1)
        .partial_fill_exchange().trading_value_fee_model(0.0, 0.0)
        .tick_size(float(given["tick"])).lot_size(float(given["lot"])).last_trades_capacity(0)
    )  # fmt: skip
    model = getattr(asset, str(given["model"]))
    asset = model(float(given["power"])) if "power" in str(given["model"]) else model()
    hbt = HashMapMarketDepthBacktest([asset])
    count = len(given["order_price"])
    status, left, exch_ns = np.full(count, -1, np.int64), np.full(count, np.nan), np.full(count, -1, np.int64)
    broke = play(
        hbt, given["request_ns"], given["request_order"], given["request_is_cancel"], given["order_is_buy"],
        given["order_price"], given["order_quantity"], int(given["end_ns"]), status, left, exch_ns,
    )  # fmt: skip
    hbt.close()
    np.savez(target, status=status, left=left, exch_ns=exch_ns, broke=broke)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
