"""
What a test may ask of the exchange beyond what Binance offers: `/simulated/...`.
"""

from aiohttp import web

from exchanges.simulated import wire
from exchanges.simulated.conditions import Conditions
from exchanges.simulated.errors import ApiError
from exchanges.simulated.queries import whole_number
from exchanges.simulated.streams import StreamHub
from exchanges.simulated.venue import Venue

_MOST_ROWS = 100_000
_COLUMNS = ("agg_id", "price_e8", "quantity_e8", "first_id", "last_id", "time_ns", "buyer_is_maker")


class Hooks:
    """Looks into the market and pulls at its connections."""

    def __init__(self, venue: Venue, hub: StreamHub, conditions: Conditions) -> None:
        self._venue = venue
        self._hub = hub
        self._conditions = conditions

    def add_to(self, app: web.Application) -> None:
        """Put the hooks on an application."""
        app.router.add_get("/simulated/ledger", self._ledger)
        app.router.add_get("/simulated/diffs", self._diffs)
        app.router.add_get("/simulated/unobtainable", self._unobtainable)
        app.router.add_get("/simulated/state", self._state)
        app.router.add_post("/simulated/disconnect", self._disconnect)
        app.router.add_post("/simulated/shutdown-notice", self._shutdown_notice)

    async def _ledger(self, request: web.Request) -> web.Response:
        from_id, limit = _range(request)
        trades = self._venue.ledger.range(self._conditions.agg_ids.inner(from_id), limit)
        given = self._conditions.trades(trades)
        return web.json_response(dict(zip(_COLUMNS, given.columns.tolist(), strict=True)))

    async def _diffs(self, request: web.Request) -> web.Response:
        return web.json_response(self._hub.diffs.render(*_range(request)))

    async def _unobtainable(self, _: web.Request) -> web.Response:
        lost = [diff.last for diff in self._hub.diffs.held if not diff.handed]
        return web.json_response({"agg_ids": sorted(self._conditions.hidden), "update_ids": lost})

    async def _state(self, _: web.Request) -> web.Response:
        engine, ledger = self._venue.engine, self._venue.ledger
        bids, asks = engine.level_counts
        return web.json_response(
            {
                "symbol": self._venue.parameters.symbol,
                "status": self._conditions.status,
                "now_ns": engine.now_ns,
                "trades": len(ledger),
                "first_agg_id": self._conditions.agg_ids.outer(ledger.first_agg_id),
                "last_agg_id": self._conditions.agg_ids.outer(ledger.next_agg_id - 1),
                "last_update_id": self._conditions.update_ids.outer(engine.last_update_id),
                "fair_price_e8": engine.fair_price_e8,
                "bid_levels": bids,
                "ask_levels": asks,
                "connections": self._hub.open_count,
                "connections_accepted": self._hub.accepted_count,
            }
        )

    async def _disconnect(self, _: web.Request) -> web.Response:
        return web.json_response({"disconnected": await self._hub.drop_all()})

    async def _shutdown_notice(self, _: web.Request) -> web.Response:
        return web.json_response({"notified": self._hub.give_notice()})


def _range(request: web.Request) -> tuple[int, int]:
    try:
        from_id = whole_number(request.query, "fromId")
        limit = whole_number(request.query, "limit")
    except ApiError as refusal:
        refused = wire.error_body(refusal.code, refusal.message).decode()
        raise web.HTTPBadRequest(text=refused, content_type="application/json") from refusal
    return from_id or 0, _MOST_ROWS if limit is None else min(limit, _MOST_ROWS)
