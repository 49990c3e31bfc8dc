"""A file of zones is scored as an analyst's zones are, or refused with the row that is wrong."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pcsv
import pyarrow.parquet as pq
import pytest

from eventlog.clock import ManualClock
from projections.state import Windows
from replay.decisions import ticks_between
from replay.errors import BadZones
from replay.runs.own_zones import NAME, OwnZones, decide_own_zones, read_own_zones
from replay.runs.run import Request, Result, run
from replay.scoring.rules import ScoringRules
from runtime.open_log import open_log
from tests.market_builders import MARKET, SIGHT, T0, a_market, write_log

RULES = ScoringRules(2000, 250, 1.0, 0.0, 5, 1, 2.0, 2.0)
RULED = Request(str(MARKET), 0, 2**62, SIGHT, RULES)


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of 100 minutes."""
    folder = tmp_path_factory.mktemp("storage")
    write_log(folder, a_market(21, 100), segments=3)
    return folder


def a_run(storage: Path, out: Path, request: Request) -> Result:
    return run(partial(open_log, storage, MARKET), request, out, 1, ManualClock(T0), lambda done, total: None)


def zones_of(result: Result) -> list[dict[str, Any]]:
    """The zones that a run advised, as rows of a file."""
    decisions = pq.read_table(result.folder / "recommendations.parquet").to_pylist()
    return [
        {"as_of_seq": d["as_of_seq"]} | {name: zone[name] for name in ("side", "low", "high", "weight")}
        for d in decisions
        if d["body"] is not None
        for zone in json.loads(d["body"])["zones"]
    ]


def write_csv(path: Path, rows: list[dict[str, Any]]) -> Path:
    names = list(rows[0])
    lines = [",".join(names), *(",".join(str(row[n]) for n in names) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_the_rules_zones_from_a_file_are_the_same_ideas(storage: Path, tmp_path: Path) -> None:
    """Same price and σ at every tick, same episodes, same outcomes: only rungs and what is said of them differ."""
    ruled = a_run(storage, tmp_path, RULED)
    rows = zones_of(ruled)
    assert len(rows) > 50
    parquet = tmp_path / "zones.parquet"
    pq.write_table(pa.Table.from_pylist(rows), parquet)
    own = read_own_zones(write_csv(tmp_path / "zones.csv", rows))
    assert read_own_zones(parquet).by_seq == own.by_seq
    result = a_run(storage, tmp_path, replace(RULED, analyst=NAME, own_zones=own))
    for table, names in (
        ("recommendations", ("as_of_seq", "as_of_ns", "reference_e8", "sigma", "stance", "zones")),
        ("episodes", ("side", "low_e8", "high_e8", "published_ns", "last_published_ns", "minutes", "outcome")),
    ):
        one, two = (pq.read_table(r.folder / f"{table}.parquet").select(names).to_pylist() for r in (ruled, result))
        assert one == two
        assert one
    figures = [
        {r["metric"]: r["advice"] for r in result_.scores if r["unit"] == "episode"} for result_ in (ruled, result)
    ]
    assert figures[0] == figures[1]
    assert result.manifest["inputs"]["zones"] == {"digest": own.digest, "zones": len(rows)}
    assert pq.read_table(result.folder / "episodes.parquet").column("confidence").null_count == len(one)
    assert not {"base_rate", "brier", "ece"} & {row["metric"] for row in result.scores}
    orders = pq.read_table(result.folder / "orders.parquet")
    assert orders.num_rows == pq.read_table(result.folder / "episodes.parquet").num_rows


def test_other_zones_are_another_run(storage: Path, tmp_path: Path) -> None:
    """A file's content is part of the run's id."""
    rows = zones_of(a_run(storage, tmp_path, RULED))
    runs = []
    for n, part in enumerate((rows, rows[:-1])):
        own = read_own_zones(write_csv(tmp_path / f"{n}.csv", part))
        runs.append(a_run(storage, tmp_path, replace(RULED, analyst=NAME, own_zones=own)))
    assert runs[0].folder != runs[1].folder


GOOD = {"as_of_seq": 5, "side": "buy", "low": "99.5", "high": "99.6", "weight": 1}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"as_of_seq": "-5"}, "row 2: as_of_seq is a whole number, not '-5'"),
        ({"as_of_seq": ""}, "row 2: as_of_seq is a whole number, not ''"),
        ({"side": "bid"}, "row 2: side is buy or sell, not 'bid'"),
        ({"low": "99.7"}, "row 2: low is above high"),
        ({"low": "nan"}, "row 2: 'nan' is not a plain decimal number"),
        ({"high": "1e5"}, "row 2: '1e5' is not a plain decimal number"),
        ({"low": "0"}, "row 2: '0' is zero"),
        ({"weight": "0"}, "row 2: weight is a number above 0, not '0'"),
        ({"weight": "nan"}, "row 2: weight is a number above 0, not 'nan'"),
        ({"weight": "inf"}, "row 2: weight is a number above 0, not 'inf'"),
        ({"weight": "much"}, "row 2: weight is a number above 0, not 'much'"),
    ],
)
def test_a_row_that_is_no_zone_is_named(tmp_path: Path, change: dict[str, str], reason: str) -> None:
    """The file, the row, and what is wrong with it."""
    path = write_csv(tmp_path / "zones.csv", [GOOD, GOOD | change])
    with pytest.raises(BadZones, match=r"zones\.csv, ") as refusal:
        read_own_zones(path)
    assert reason in str(refusal.value)


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    """Absent, a folder, other columns, bytes that are neither format."""
    with pytest.raises(BadZones, match="No such file"):
        read_own_zones(tmp_path / "absent.csv")
    with pytest.raises(BadZones, match="cannot be read"):
        read_own_zones(tmp_path)
    with pytest.raises(BadZones, match="has no column weight; it needs as_of_seq, side, low, high, weight"):
        read_own_zones(write_csv(tmp_path / "a.csv", [{k: v for k, v in GOOD.items() if k != "weight"}]))
    (tmp_path / "b.parquet").write_bytes(b"PAR1 and nothing else")
    with pytest.raises(BadZones, match="neither CSV with a header nor Parquet"):
        read_own_zones(tmp_path / "b.parquet")
    (tmp_path / "c.csv").write_bytes(b"")
    with pytest.raises(BadZones, match="neither CSV with a header nor Parquet"):
        read_own_zones(tmp_path / "c.csv")


def test_a_header_alone_advises_nothing(tmp_path: Path) -> None:
    """No zone at all is a file like any other."""
    pcsv.write_csv(pa.table({name: pa.array([], pa.string()) for name in GOOD}), tmp_path / "zones.csv")
    assert read_own_zones(tmp_path / "zones.csv").by_seq == {}


def test_a_seq_that_is_no_tick_is_refused(storage: Path, tmp_path: Path) -> None:
    """Zones hang on ticks: the first seq that is none is named, and how many are."""
    own = read_own_zones(write_csv(tmp_path / "zones.csv", [GOOD | {"as_of_seq": 999_999_999}]))
    with pytest.raises(BadZones, match="as_of_seq 999999999 is no tick of this stretch \\(1 such\\)"):
        a_run(storage, tmp_path, replace(RULED, analyst=NAME, own_zones=own))


def test_a_price_off_the_grid_is_refused(storage: Path) -> None:
    """No order can stand there."""
    with open_log(storage, MARKET) as log:
        ticks = ticks_between(log, 0, 2**62)
        seq = int(ticks.seq[50])
        off = OwnZones("x", {seq: (("buy", 9_950_000_001, 9_960_000_000, 1.0),)})
        with pytest.raises(BadZones, match="off the tick grid"):
            list(decide_own_zones(log, ticks, off, SIGHT, lambda _: None))
    assert isinstance(SIGHT.windows, Windows)
