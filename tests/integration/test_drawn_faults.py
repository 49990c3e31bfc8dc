"""Drawn scripts over real sockets: what a client can have is what the exchange says it could have."""

import asyncio
import contextlib
import json

import pytest

from exchanges.errors import ExchangeError
from simulators.exchange.faults.scenarios import draw_rules
from simulators.exchange.server import SimulatedExchange
from tests.exchange_feed import QUICK, Feed, made, run, traded

_STEPS = 200
_STRUCK_REQUESTS = 12


async def every_trade(feed: Feed, first: int) -> set[int]:
    """The ids REST has: asked until no rule is left that could strike, then page by page."""
    for _ in range(_STRUCK_REQUESTS + 1):
        with contextlib.suppress(ExchangeError):
            await feed.rest.trades_from(first)
    ids: set[int] = set()
    while page := await feed.rest.trades_from(max(ids, default=first - 1) + 1):
        ids |= {row.agg_id for row in page}
    return ids


@pytest.mark.parametrize("seed", range(12))
def test_what_could_be_had_was_had(seed: int) -> None:
    """Stream and REST together hold every trade but the hidden ones; the diffs that came are those handed over."""

    async def check(exchange: SimulatedExchange, feed: Feed) -> None:
        for _ in range(_STEPS // 5):
            exchange.advance(5)
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.5)
        truth, hidden = traded(exchange), exchange.conditions.hidden_agg_ids
        assert await every_trade(feed, truth[0]) == set(truth) - hidden, reproduction
        assert set(feed.agg_ids) <= set(truth) - hidden, reproduction
        handed = {(diff.first, diff.last) for diff in exchange.hub.diffs.records if diff.deliveries}
        assert set(feed.diffs) == handed, reproduction
        assert handed <= set(made(exchange)), reproduction

    rules = draw_rules(seed)
    reproduction = json.dumps(rules)
    run(check, *rules, feed={"rules": QUICK, "timeout_s": 0.5})


def test_a_seed_draws_the_same_rules() -> None:
    """Twice the same for one seed, different ones for others, of every place."""
    assert draw_rules(1) == draw_rules(1)
    assert len({json.dumps(draw_rules(seed)) for seed in range(100)}) == 100
