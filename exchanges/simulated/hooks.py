"""
What a test may ask of the exchange beyond what Binance offers: `/simulated/...`.
"""

from aiohttp import web

from exchanges.simulated.errors import ApiError
from exchanges.simulated.queries import whole_number
from exchanges.simulated.streams import StreamHub
from exchanges.simulated.venue import Venue

_MOST_ROWS = 100_000
_COLUMNS = ("agg_id", "price_e8", "quantity_e8", "first_id", "last_id", "time_ns", "buyer_is_maker")


class Hooks:
    """Looks into the market and pulls at its connections."""

    def __init__(self, venue: Venue, hub: StreamHub) -> None:
        self._venue = venue
        self._hub = hub

    def add_to(self, app: web.Application) -> None:
        """Put the hooks on an application."""
        app.router.add_get("/simulated/ledger", self._ledger)
        app.router.add_get("/simulated/state", self._state)
        app.router.add_post("/simulated/disconnect", self._disconnect)
        app.router.add_post("/simulated/shutdown-notice", self._shutdown_notice)

    async def _ledger(self, request: web.Request) -> web.Response:
        try:
            from_id = whole_number(request.query, "fromId")
            limit = whole_number(request.query, "limit")
        except ApiError as refusal:
            return web.json_response({"code": refusal.code, "msg": refusal.message}, status=refusal.status)
        first = self._venue.ledger.first_agg_id if from_id is None else from_id
        trades = self._venue.ledger.range(first, _MOST_ROWS if limit is None else min(limit, _MOST_ROWS))
        return web.json_response(dict(zip(_COLUMNS, trades.columns.tolist(), strict=True)))

    async def _state(self, _: web.Request) -> web.Response:
        engine, ledger = self._venue.engine, self._venue.ledger
        bids, asks = engine.level_counts
        return web.json_response(
            {
                "symbol": self._venue.parameters.symbol,
                "now_ns": engine.now_ns,
                "trades": len(ledger),
                "first_agg_id": ledger.first_agg_id,
                "last_agg_id": ledger.next_agg_id - 1,
                "last_update_id": engine.last_update_id,
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
