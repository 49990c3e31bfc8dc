"""A stretch in which little was traded is said to be one."""

import numpy as np
import pytest

from fills.trade_tape import TradeTape
from market.timestamps import MINUTE_NS
from replay.notes.quiet import quiet_notes
from replay.recorded.price_path import PricePath
from tests.builders import T0

ENDS = T0 + np.arange(1, 11, dtype=np.int64) * MINUTE_NS


def path_of(*minutes: int) -> PricePath:
    """One trade in the middle of each minute."""
    times = np.array([T0 + m * MINUTE_NS + MINUTE_NS // 2 for m in minutes], np.int64)
    same = np.ones_like(times)
    return PricePath.from_tape(TradeTape.from_columns(times, same, same, same), same)


@pytest.mark.parametrize(
    ("minutes", "said"),
    [
        ((), "nothing was traded in any of 10 minutes: no figure here says anything of advice or signals"),
        ((12, 30), "nothing was traded in any of 10 minutes: no figure here says anything of advice or signals"),
        ((0,), "nothing was traded in 9 of 10 minutes"),
        ((0, 3, 9, 9), "nothing was traded in 7 of 10 minutes"),
    ],
)
def test_minutes_without_a_trade_are_counted(minutes: tuple[int, ...], said: str) -> None:
    """Trades before and after the stretch do not count."""
    assert quiet_notes(path_of(*minutes).minutes, ENDS) == [said]


def test_a_calm_market_is_no_news() -> None:
    """Up to half of the minutes; and no minute at all."""
    assert quiet_notes(path_of(0, 2, 4, 6, 8).minutes, ENDS) == []
    assert quiet_notes(path_of().minutes, ENDS[:0]) == []
