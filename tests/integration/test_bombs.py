"""Small files and answers that stand for huge ones: a line each, below one gigabyte of memory."""

import asyncio
import contextlib
import os
import resource
import subprocess
import sys
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import websockets
from aiohttp import web

from eventlog.disk.files import file_digest
from eventlog.disk.sealed_json import seal, seal_fields
from eventlog.facts.registry import SCHEMAS
from eventlog.names import SpillPosition
from eventlog.store.catalogue import Catalogue, FileRecord, Segment
from eventlog.store.cold import ColdLog
from tests.builders import EVENTS, MARKET, T0, a_cold_log, a_trade
from tests.conftest import ROOT

HUGE = 100 << 30
MAX_MEMORY = 1_000_000  # KB
ROWS = 20_000_000

SCRIPT = """
import sys
from pathlib import Path
import eventlog.errors, replay.errors
try:
    {body}
except (eventlog.errors.EventLogError, replay.errors.ReplayError) as error:
    sys.exit(f"error: {{error}}")
"""


def limited() -> None:
    """A guard: what goes wrong must not take the machine along."""
    resource.setrlimit(resource.RLIMIT_AS, (16 << 30, 16 << 30))


def measured(*words: object) -> tuple[int, str, str, int]:
    """Run Python on some words: exit code, output, errors, largest memory in KB as last seen."""
    with subprocess.Popen(
        [sys.executable, *map(str, words)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=limited,
    ) as process, ThreadPoolExecutor(1) as pool:  # fmt: skip
        said, most = pool.submit(process.communicate), 0
        while not said.done():
            most = max(most, _high_water(process.pid))  # what wait4 tells would count the process that began it
            wait([said], timeout=0.02)
        out, err = said.result()
    return process.returncode, out, err, most


def _high_water(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    peak = status.partition("VmHWM:")[2].split()
    return int(peak[0]) if peak else 0


def expect_one_line(*words: object) -> int:
    """A command is refused, in one line, below the limit; its largest memory in KB."""
    code, out, err, memory = measured(*words)
    assert code == 1, f"{words}: {code}\n{out}\n{err}"
    assert "Traceback" not in err, err
    assert len(err.splitlines()) == 1, f"{words}\n{err}"
    assert memory < MAX_MEMORY, f"{words}: {memory:,} KB"
    return int(memory)


def sparse(path: Path, start: bytes = b"") -> None:
    """A file of 100 GB that takes no room."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_bytes(start)
    os.truncate(path, HUGE)


def where(storage: Path) -> tuple[str, ...]:
    """The options that name a log."""
    return "--market", str(MARKET), "--storage", str(storage)


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    """A small log."""
    a_cold_log(tmp_path / "s", [a_trade(1), a_trade(2)])
    return tmp_path / "s"


READERS: dict[str, tuple[str, ...]] = {
    "check": ("eventlog", "check"),
    "check --day": ("eventlog", "check", "--day", "2024-01-01"),
    "tail": ("eventlog", "tail"),
    "export": ("eventlog", "export", "-o", "/dev/null"),
    "compact": ("eventlog", "compact"),
    "signals": ("replay", "signals"),
    "sql": ("research", "sql", "select sum(price_e8) from agg_trade"),
}


OFTEN = ("check", "compact", "sql")


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name in OFTEN else pytest.mark.soak) for name in READERS if name != "check --day"],
)
def test_a_huge_catalogue(storage: Path, name: str) -> None:
    """Sparse, or full of what no catalogue holds."""
    path = EVENTS.folder(storage) / "catalogue.json"
    sparse(path)
    expect_one_line("-m", *READERS[name], *where(storage))
    for body in (
        b'{"log":[' + b"{}," * 15_000_000 + b"{}]}",
        b'{"segments":[' + b'{"files":[]},' * 4_000_000 + b"{}]}",
    ):
        path.write_bytes(body)
        expect_one_line("-m", *READERS[name], *where(storage))


def test_a_huge_certificate(storage: Path) -> None:
    """Named, found beside the log, and that of the day before."""
    folder = EVENTS.folder(storage)
    sparse(folder / "certificate-2024-01-01.json", b"{")
    expect_one_line("-m", "eventlog", "check", "--against", folder / "certificate-2024-01-01.json", *where(storage))
    expect_one_line("-m", "research", "sql", "select 1", *where(storage))
    expect_one_line("-m", "eventlog", "check", "--day", "2024-01-02", *where(storage))


def test_a_huge_run(storage: Path, tmp_path: Path) -> None:
    """Its manifest, or a table that unpacks to a thousand times its size and has the right digest."""
    run = tmp_path / "runs" / "one"
    sparse(run / "manifest.json", b"{")
    expect_one_line("-m", "replay", "compare", run, run)
    expect_one_line("-m", "replay", "report", run, "--storage", storage)
    (run / "manifest.json").write_bytes(b'{"run_id":[' + b"[]," * 1_300_000 + b"[]]}")
    expect_one_line("-m", "replay", "compare", run, run)
    zeros = pa.array(np.zeros(ROWS, np.int64))
    names = ("metric", "unit", "model", "advice", "as_of_ns", "body", "x", "y", "z")
    pq.write_table(pa.table(dict.fromkeys(names, zeros)), run / "scores.parquet", row_group_size=ROWS)
    files = {"scores.parquet": file_digest(run / "scores.parquet")}
    (run / "manifest.json").write_bytes(seal_fields({"run_id": "a", "inputs": {"market": str(MARKET)}, "files": files}))
    expect_one_line("-m", "replay", "compare", run, run)


def test_huge_settings(tmp_path: Path) -> None:
    """A settings file, and the one that a log's settings name for fitted coefficients."""
    sparse(tmp_path / "a.yaml", b"app: {}\n")
    for script in ("agent_data_collector.py", "agent_analyzer.py"):
        expect_one_line(script, "--config", tmp_path / "a.yaml")
    sparse(tmp_path / "fit.json", b"{")
    (tmp_path / "b.yaml").write_text(f"analyzer: {{analysis: {{fitted_file: '{tmp_path / 'fit.json'}'}}}}\n")
    expect_one_line("agent_analyzer.py", "--config", tmp_path / "b.yaml")


def test_a_huge_ledger_and_huge_answers(tmp_path: Path) -> None:
    """What experiments leave in the folder of runs."""
    sparse(tmp_path / "variants.jsonl")
    ledger = "from replay.trials.variants import Ledger; Ledger(Path(sys.argv[1])).comparisons()"
    expect_one_line("-c", SCRIPT.format(body=ledger), tmp_path / "variants.jsonl")
    sparse(tmp_path / "a.jsonl")
    answers = "from replay.trials.answers import read_recording; read_recording(Path(sys.argv[1]))"
    expect_one_line("-c", SCRIPT.format(body=answers), tmp_path / "a.jsonl")


@pytest.mark.parametrize("start", [b"", b"\xff\xff\xff\x0f\0\0\0\0"])
def test_a_huge_spill(storage: Path, start: bytes) -> None:
    """What waits beside the log: nothing of it is copied or cut off."""
    folder = EVENTS.folder(storage)
    sparse(folder / "spill.log", start)
    (folder / "spill.position.json").write_bytes(seal(SpillPosition(0, 2)))
    expect_one_line(
        "-c", SCRIPT.format(body="from eventlog.spill.spill import Spill; Spill(Path(sys.argv[1]))"), folder
    )
    assert (folder / "spill.log").stat().st_size == HUGE


def _numbers(schema: pa.Schema) -> pa.Table:
    """Twenty million equal rows."""
    columns = {}
    for field in schema:
        if pa.types.is_int64(field.type):
            columns[field.name] = pa.array(np.full(ROWS, T0, np.int64))
        elif pa.types.is_boolean(field.type):
            columns[field.name] = pa.array(np.zeros(ROWS, np.bool_))
        else:
            columns[field.name] = pa.nulls(ROWS, field.type)
    return pa.table(columns)


def _texts(schema: pa.Schema) -> pa.Table:
    """Twenty thousand rows whose text is the same megabyte."""
    rows = 20_000
    long = pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), pa.array(["x" * 1_000_000]))
    columns = dict(zip(schema.names, _numbers(schema).slice(0, rows).columns, strict=True))
    return pa.table({**columns, "extra": long})


@pytest.mark.parametrize("make", [_numbers, pytest.param(_texts, marks=pytest.mark.soak)])
def test_a_parquet_bomb(tmp_path: Path, make: Callable[[pa.Schema], pa.Table]) -> None:
    """Named by a sound catalogue, with its right digest: refused before it is unpacked; SQL may read it in pieces."""
    cold = ColdLog(tmp_path / "s", EVENTS)
    cold.create(T0)
    names = {"recv_ns": "recv_lag_ns", "event_time_ns": "event_lag_ns"}
    schema = pa.schema([pa.field(names.get(f.name, f.name), f.type) for f in SCHEMAS["agg_trade"]])
    table = make(schema)
    name = f"{1:015d}-{ROWS:015d}.agg_trade.parquet"
    pq.write_table(table, cold.folder / name, compression="zstd", row_group_size=ROWS)
    path = cold.folder / name
    assert path.stat().st_size < 2_000_000
    record = FileRecord("agg_trade", name, table.num_rows, path.stat().st_size, file_digest(path))
    segment = Segment(1, ROWS, T0, T0, (record,), 1, ROWS)
    Catalogue(cold.name.key, cold.catalogue.log_id, segments=(segment,)).save(cold.folder)
    table = None  # type: ignore[assignment]
    for reader, words in READERS.items():
        code, out, err, memory = measured("-m", *words, *where(tmp_path / "s"))
        assert memory < MAX_MEMORY, f"{reader}: {memory:,} KB"
        assert "Traceback" not in err, f"{reader}\n{err}"
        assert len(err.splitlines()) <= 1, f"{reader}\n{err}"
        unpacks = reader not in ("sql", "compact")  # nothing is merged of a log of one segment
        assert code == (1 if unpacks else 0), f"{reader}: {out}\n{err}"
        assert not unpacks or any(word in out + err for word in ("unpacks to more than", "no tick")), (
            f"{reader}: {out}\n{err}"
        )
    path.with_name("catalogue.json").unlink()
    expect_one_line("-m", "eventlog", "rebuild-catalogue", *where(tmp_path / "s"))


# What the venue and a model answer

GIGABYTE = 1 << 30


def _packed(way: str) -> bytes:
    """A gigabyte of blanks, packed to a megabyte."""
    packer = zlib.compressobj(9, wbits=31 if way == "gzip" else 15)
    piece = b" " * (1 << 24)
    return b"".join(packer.compress(piece) for _ in range(64)) + packer.flush()


ASK_VENUE = """
import asyncio, sys
from eventlog.clock import WallClock
from exchanges.binance.rest import BinanceRest
from exchanges.errors import ExchangeError

async def main():
    rest = BinanceRest(sys.argv[1], "BTCFDUSD", 60.0, 6000, WallClock())
    for ask in (rest.instrument, lambda: rest.trades_from(1), rest.server_time, lambda: rest.snapshot(100)):
        try:
            fact = await ask()
            print("a fact of", len(fact.data))
        except ExchangeError as error:
            print(error)
    await rest.close()

asyncio.run(main())
"""


@pytest.mark.parametrize("way", ["gzip", pytest.param("deflate", marks=pytest.mark.soak), "plain", "redirect"])
def test_a_venues_answer_that_is_a_bomb(way: str) -> None:
    """A line each, in bounded memory; a redirect is not followed."""
    packed = b"" if way in ("plain", "redirect") else _packed(way)
    asked: list[str] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        if way == "redirect":
            return web.Response(status=302, headers={"Location": "/elsewhere"})
        if packed:
            return web.Response(body=packed, headers={"Content-Encoding": way})
        reply = web.StreamResponse()
        await reply.prepare(request)
        for _ in range(GIGABYTE >> 22):
            await reply.write(b" " * (1 << 22))
        return reply

    code, out, err, memory = asyncio.run(_served(handler, ASK_VENUE))
    assert (code, err) == (0, ""), err
    said = [line for line in out.splitlines() if "[debug" not in line]
    assert len(said) == 4, out
    assert memory < MAX_MEMORY, f"{memory:,} KB"
    assert "/elsewhere" not in asked


async def _served(handler: Any, script: str) -> tuple[int, str, str, int]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        return await asyncio.to_thread(measured, "-c", script, url)
    finally:
        await runner.cleanup()


HOLD = """
import asyncio, sys
from eventlog.clock import WallClock
from exchanges.binance.feed.stream import BinanceStream

NAME = "btcfdusd@aggTrade"

async def main():
    stream = BinanceStream(sys.argv[1], [NAME], WallClock())
    batches = stream.batches()
    first = await anext(batches)
    async with asyncio.timeout(120):
        while stream._has_room.is_set() and not (sys.argv[2] == "too long" and stream.connection_count > 1):
            await asyncio.sleep(0.01)
    held = await anext(batches)
    print(len([each for each in held if each.what == "message"]), *(each.data.decode() for each in held
          if each.what == "disconnected"), sep=chr(10))
    await batches.aclose()

asyncio.run(main())
"""


@pytest.mark.parametrize("kind", ["many", "too long"])
def test_a_feed_of_huge_messages(kind: str) -> None:
    """They are left with the venue while nobody takes them; one that is too long ends the connection, and says so."""
    length = 3 << 20 if kind == "many" else 64 << 20
    message = b'{"stream":"btcfdusd@aggTrade","data":{"x":"' + b" " * length + b'"}}'

    async def serve(socket: websockets.ServerConnection) -> None:
        with contextlib.suppress(websockets.ConnectionClosed):
            for _ in range(500):
                await socket.send(message, text=True)

    async def run() -> tuple[int, str, str, int]:
        async with websockets.serve(serve, "127.0.0.1", 0, compression=None) as server:
            url = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
            return await asyncio.to_thread(measured, "-c", HOLD, url, kind)

    code, out, err, memory = asyncio.run(run())
    assert (code, err) == (0, ""), err
    count, *reasons = out.splitlines()
    assert memory < MAX_MEMORY, f"{memory:,} KB"
    if kind == "many":
        assert 0 < int(count) < 40
    else:
        assert (count, len(reasons)) == ("0", 1)
        assert "too big" in reasons[0] or "exceeds" in reasons[0]
