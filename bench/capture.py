"""
From a WebSocket to the stream, against a bare redis-py pipeline of the same batch size.
"""

import asyncio
import logging
import multiprocessing
import time
from pathlib import Path
from statistics import median
from typing import Any

import structlog

from bench.measure import Figure
from collector.fact_queue import MAX_BATCH, FactQueue
from collector.sequencing.capture import Capture
from collector.sequencing.log_tail import LogTail
from collector.sequencing.tick_maker import CaptureProgress
from eventlog.clock import WallClock
from eventlog.names import LogName
from eventlog.server.embedded_server import EmbeddedServer
from eventlog.store.cold import ColdLog
from eventlog.store.hot import HotLog
from eventlog.store.log import Log
from eventlog.store.writer import LogWriter
from exchanges.binance.exchange import BinanceExchange
from exchanges.binance.feed.stream import BinanceStream
from exchanges.binance.mapper import BinanceMapper
from exchanges.binance.rest import BinanceRest
from market.instrument import Market

_MESSAGES = 100_000


def build_message(agg_id: int, now_ms: int) -> str:
    """Build one aggTrade message of the combined stream."""
    return (
        f'{{"stream":"btcfdusd@aggTrade","data":{{"e":"aggTrade","E":{now_ms},"s":"BTCFDUSD","a":{agg_id},'
        f'"p":"100000.{agg_id % 100:02d}000000","q":"0.00123000","f":{agg_id},"l":{agg_id},"T":{now_ms},'
        f'"m":true,"M":true}}}}'
    )


def _serve(port: Any) -> None:
    """Another process: sends everything as fast as it is received."""
    from websockets.asyncio.server import serve

    async def main() -> None:
        async def send(socket: Any) -> None:
            now_ms = time.time_ns() // 1_000_000
            for agg_id in range(1, _MESSAGES + 1):
                await socket.send(build_message(agg_id, now_ms))
            await socket.wait_closed()

        async with serve(send, "127.0.0.1", 0, compression=None) as server:
            port.send(next(iter(server.sockets)).getsockname()[1])
            await asyncio.Future()

    asyncio.run(main())


async def _record(url: str, storage: Path, client: Any) -> float:
    """Run the collector's own path: stream, mapper, sequencer, queue, server. Returns messages per second."""
    clock, market = WallClock(), Market.parse("binance:BTCFDUSD")
    name = LogName("events", market)
    mapper = BinanceMapper(market.symbol)
    cold = ColdLog(storage, name)
    writer = LogWriter(cold, HotLog(client, name), clock)

    async def ignore(_: Any) -> None:
        return None

    recorder = FactQueue(writer, lambda: None, ignore)
    stream = BinanceStream(url, ["btcfdusd@aggTrade"], clock)
    exchange = BinanceExchange(BinanceRest("http://127.0.0.1:9", market.symbol, 1, 6000, clock), stream, mapper)
    log = Log(cold, None, mapper.decoders)
    capture = Capture(exchange, log, recorder, clock, LogTail(1, 1, (), 0, None), 0, CaptureProgress())
    tasks = [asyncio.create_task(recorder.run()), asyncio.create_task(capture.feed())]
    while recorder.counts.get("agg_trade", 0) == 0:
        await asyncio.sleep(0.001)
    count_before, start_s = recorder.counts["agg_trade"], time.perf_counter()
    while recorder.counts["agg_trade"] < _MESSAGES:
        await asyncio.sleep(0.005)
    rate = (_MESSAGES - count_before) / (time.perf_counter() - start_s)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    recorder.close()
    writer.close()
    return rate


def _store_bare(client: Any) -> float:
    """Store with redis-py alone: a pipeline of XADDs with explicit ids, in batches of the recorder's size."""
    now_ms = time.time_ns() // 1_000_000
    rows = [build_message(i, now_ms)[40:-1].encode() for i in range(1, _MESSAGES + 1)]
    start_s = time.perf_counter()
    for start in range(0, _MESSAGES, MAX_BATCH):
        pipe = client.pipeline(transaction=True)
        for i, data in enumerate(rows[start : start + MAX_BATCH], start + 1):
            pipe.xadd("bare", {"kind": "agg_trade", "recv_ns": now_ms, "data": data}, id=f"{i}-0")
        pipe.execute()
    return _MESSAGES / (time.perf_counter() - start_s)


def measure_capture(folder: Path, repetitions: int) -> Figure:
    """Measure the collector's rate from a socket into the stream against a bare pipeline."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    context = multiprocessing.get_context("spawn")
    receiver, sender_end = context.Pipe()
    sender = context.Process(target=_serve, args=(sender_end,), daemon=True)
    sender.start()
    url = f"ws://127.0.0.1:{receiver.recv()}"
    server = EmbeddedServer(folder / "capture")
    client = server.hold()
    pairs = []
    try:
        for n in range(repetitions + 1):
            client.flushall()
            rate = asyncio.run(_record(url, folder / "capture" / str(n), server.connect()))
            client.delete("bare")
            pairs.append((rate, _store_bare(client)))
    finally:
        sender.kill()
        server.release(client)
    pairs = pairs[1:]
    ours, reference = median(p[0] for p in pairs), median(p[1] for p in pairs)
    detail = f"{ours:,.0f}/s / {reference:,.0f}/s, batches of up to {MAX_BATCH}"
    return Figure("socket → stream / bare pipeline", median(a / b for a, b in pairs), 0.6, False, detail)
