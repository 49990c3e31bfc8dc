"""
Endpoints for tests that Binance does not have: `/simulated/...`.
"""

from collections.abc import Sequence

from aiohttp import web

from simulators.exchange.errors import ApiError
from simulators.exchange.listing import Listing
from simulators.exchange.venue import wire
from simulators.exchange.venue.queries import parse_integer
from simulators.exchange.venue.venue import Venue

_MAX_ROWS = 100_000  # rows of one answer
_COLUMNS = ("agg_id", "price_e8", "quantity_e8", "first_id", "last_id", "time_ns", "buyer_is_maker")


class Hooks:
    """Shows the markets (the query's `symbol`, by default the first) and ends or warns the connections."""

    def __init__(self, listings: Sequence[Listing]) -> None:
        self._listings = {listing.parameters.symbol: listing for listing in listings}
        self._hub = listings[0].hub

    def add_routes(self, app: web.Application) -> None:
        """Add the endpoints to an application."""
        app.router.add_get("/simulated/ledger", self._ledger)
        app.router.add_get("/simulated/diffs", self._diffs)
        app.router.add_get("/simulated/unobtainable", self._unobtainable)
        app.router.add_get("/simulated/state", self._state)
        app.router.add_post("/simulated/disconnect", self._disconnect)
        app.router.add_post("/simulated/shutdown-notice", self._shutdown_notice)

    async def _ledger(self, request: web.Request) -> web.Response:
        listing, venue = self._find_market(request)
        from_id, limit = _range(request)
        trades = venue.ledger.select_by_id(listing.conditions.agg_ids.to_internal(from_id), limit)
        public = listing.conditions.publish_trades(trades)
        return web.json_response(dict(zip(_COLUMNS, public.columns.tolist(), strict=True)))

    async def _diffs(self, request: web.Request) -> web.Response:
        listing, _ = self._find_market(request)
        return web.json_response(listing.hub.diffs.render(*_range(request)))

    async def _unobtainable(self, request: web.Request) -> web.Response:
        listing, _ = self._find_market(request)
        update_ids = [diff.last for diff in listing.hub.diffs.records if not diff.deliveries]
        return web.json_response({"agg_ids": sorted(listing.conditions.hidden_agg_ids), "update_ids": update_ids})

    async def _state(self, request: web.Request) -> web.Response:
        listing, venue = self._find_market(request)
        engine, ledger, conditions = venue.engine, venue.ledger, listing.conditions
        bids, asks = engine.level_counts
        return web.json_response(
            {
                "symbol": listing.parameters.symbol,
                "status": conditions.status,
                "now_ns": engine.now_ns,
                "trades": len(ledger),
                "first_agg_id": conditions.agg_ids.to_public(ledger.first_agg_id),
                "last_agg_id": conditions.agg_ids.to_public(ledger.next_agg_id - 1),
                "last_update_id": conditions.update_ids.to_public(engine.last_update_id),
                "fair_price_e8": engine.fair_price_e8,
                "bid_levels": bids,
                "ask_levels": asks,
                "connections": self._hub.connection_count,
                "connections_accepted": self._hub.total_connections,
            }
        )

    async def _disconnect(self, _: web.Request) -> web.Response:
        return web.json_response({"disconnected": await self._hub.drop_all()})

    async def _shutdown_notice(self, _: web.Request) -> web.Response:
        return web.json_response({"notified": self._hub.send_shutdown_notice()})

    def _find_market(self, request: web.Request) -> tuple[Listing, Venue]:
        listing = self._listings.get(request.query.get("symbol", next(iter(self._listings))))
        if listing is None or listing.venue is None:
            raise web.HTTPNotFound(text=f"no such symbol; traded: {', '.join(self._listings)}")
        return listing, listing.venue


def _range(request: web.Request) -> tuple[int, int]:
    try:
        from_id = parse_integer(request.query, "fromId")
        limit = parse_integer(request.query, "limit")
    except ApiError as refusal:
        body = wire.error_body(refusal.code, refusal.message).decode()
        raise web.HTTPBadRequest(text=body, content_type="application/json") from refusal
    return from_id or 0, _MAX_ROWS if limit is None else min(limit, _MAX_ROWS)
