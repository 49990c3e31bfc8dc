"""A feed that nobody reads any more leaves nothing behind."""

import asyncio

from simulators.exchange.server import SimulatedExchange
from tests.exchange_feed import BUSY, SEED, Feed


def test_no_task_is_left_when_the_last_reader_leaves() -> None:
    """Neither of the connection nor of those who watch over it."""

    async def main() -> set[str]:
        exchange = SimulatedExchange(BUSY, SEED, speed=0, history_hours=0.2)
        await exchange.start()
        before = asyncio.all_tasks()
        feed = Feed(exchange)
        await feed.until(lambda: feed.stream.open_connections)
        await feed.close()
        left = {repr(task.get_coro()) for task in asyncio.all_tasks() - before}
        await exchange.stop()
        return {task for task in left if "simulators/exchange" not in task and "aiohttp" not in task}

    assert asyncio.run(main()) == set()
