"""Pictures of a tick: valid files, the same bytes for the same scene, whatever is missing."""

import struct
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from eventlog.facts.capture import TICK
from eventlog.facts.market import AGG_TRADE, DIFF, INSTRUMENT, SNAPSHOT
from eventlog.store.log import Log
from market.timestamps import MINUTE_NS
from replay.errors import NothingToReplay
from replay.pictures.picture import Scene, _zone_labels, draw, short_amount
from replay.pictures.scene import build_scene
from tests.conftest import ROOT
from tests.market_builders import (
    MARKET,
    SIGHT,
    T0,
    Tables,
    a_market,
    e8,
    instrument_columns,
    last_seq_of,
    numbered,
    rows_between,
    tick_columns,
    trade_columns,
    write_log,
)

SIZE = (1540, 935)
"""14 by 8.5 inches at 110 dots."""


def png_size(file: Path) -> tuple[int, int]:
    """What a PNG's header says; the signature and the closing chunk must be there."""
    data = file.read_bytes()
    assert data[:16] == b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
    assert data[-12:] == b"\x00\x00\x00\x00IEND\xaeB`\x82"
    return struct.unpack(">II", data[16:24])


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """The last tick of ninety minutes by chance, with walls and advice."""
    log = write_log(tmp_path_factory.mktemp("log"), a_market(5, 90))
    return build_scene(log, 2**61, SIGHT)


@pytest.mark.parametrize("name", ["base rate", "confidence"])
def test_a_probability_is_called_what_its_fit_has_earned(scene: Scene, name: str) -> None:
    """Beside each zone; as shipped it is a base rate."""
    figure = Figure()
    _zone_labels(figure.add_subplot(), replace(scene, probability_name=name), 19_000.0, 21_000.0)
    assert scene.advice is not None
    zone = min(scene.advice.zones, key=lambda z: z.low_e8)
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts[0].startswith(f"{zone.side} {zone.weight:.0%} · {name} {zone.confidence:.2f}")
    assert scene.probability_name == "base rate"


def draw_picture(log: Log, file: Path, at_ns: int = 2**61) -> Scene:
    scene = build_scene(log, at_ns, SIGHT)
    draw(scene, file)
    return scene


def test_both_formats_are_written(scene: Scene, tmp_path: Path) -> None:
    """A PNG of the size that was asked for, an SVG that is XML and names the market; the suffix may be in capitals."""
    for name in ("a.png", "a.svg", "B.PNG"):
        draw(scene, tmp_path / name)
    assert png_size(tmp_path / "a.png") == png_size(tmp_path / "B.PNG") == SIZE
    root = ET.parse(tmp_path / "a.svg").getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert f"<!-- {MARKET.symbol} at 2026-03-02T01:30:00Z" in (tmp_path / "a.svg").read_text(encoding="utf-8")
    assert scene.advice is not None
    assert scene.advice.zones
    assert scene.static.sides is not None


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_the_same_scene_gives_the_same_bytes(scene: Scene, tmp_path: Path, suffix: str) -> None:
    """Nothing of the moment of drawing is in the file; another reference price gives another one."""
    files = [tmp_path / f"{n}{suffix}" for n in range(3)]
    for file, version in zip(files, (scene, scene, replace(scene, as_of_ns=scene.as_of_ns + MINUTE_NS)), strict=True):
        draw(version, file)
    one, two, other = (f.read_bytes() for f in files)
    assert one == two != other


@pytest.mark.slow
def test_other_processes_draw_the_same_bytes(tmp_path: Path) -> None:
    """Whatever addresses and hash seeds they have."""
    write_log(tmp_path / "log", a_market(5, 70))
    command = [sys.executable, "-m", "replay", "picture", "--market", str(MARKET), "--storage", str(tmp_path / "log"),
               "--at", "2026-03-02T01:05"]  # fmt: skip
    for seed in ("1", "2"):
        for suffix in ("png", "svg"):
            subprocess.run([*command, "-o", str(tmp_path / f"{seed}.{suffix}")], check=True, capture_output=True,
                           cwd=ROOT, env={"PYTHONHASHSEED": seed, "PATH": "", "HOME": str(tmp_path)})  # fmt: skip
    for suffix in ("png", "svg"):
        assert (tmp_path / f"1.{suffix}").read_bytes() == (tmp_path / f"2.{suffix}").read_bytes()


def cut(tables: Tables, *kinds: str) -> Tables:
    """A market without some kinds, numbered anew."""
    parts = {}
    for kind, complete in tables.items():
        if kind not in kinds:
            names = [n for n in complete.column_names if n != "seq"]
            parts[kind] = {n: complete.column(n).to_pylist() for n in names}
    return numbered(parts)


def test_a_log_without_books(tmp_path: Path) -> None:
    """From trades alone there are a price, a profile and zones, and a word instead of the book."""
    scene = draw_picture(write_log(tmp_path, cut(a_market(5, 70), SNAPSHOT, DIFF)), tmp_path / "a.svg")
    assert scene.snapshots == []
    assert len(scene.trades) > 0
    text = (tmp_path / "a.svg").read_text(encoding="utf-8")
    assert "no book on record" in text
    draw(scene, tmp_path / "a.png")
    assert png_size(tmp_path / "a.png") == SIZE


@pytest.mark.parametrize("prices", [[], [100], [100, 100]])
def test_a_log_of_a_single_tick(tmp_path: Path, prices: list[int]) -> None:
    """No trade at all, one, or two at one price: a picture with little in it."""
    parts = {INSTRUMENT: instrument_columns(T0), TICK: tick_columns([T0 + MINUTE_NS], lag_ns=1)}
    if prices:
        parts[AGG_TRADE] = trade_columns([T0 + 1 + n for n in range(len(prices))], [e8(p) for p in prices])
    scene = draw_picture(write_log(tmp_path, numbered(parts)), tmp_path / "a.png")
    assert png_size(tmp_path / "a.png") == SIZE
    assert scene.reference_e8 == (e8(100) if prices else None)
    assert len(scene.profile[0]) == min(1, len(prices))


def test_a_tick_without_live_trades(tmp_path: Path) -> None:
    """No advice is given there, and none is drawn."""
    tables = a_market(5, 40)
    at = tables[TICK].schema.get_field_index("trades")
    down = tables[TICK].set_column(at, tables[TICK].schema.field(at), [["down"] * tables[TICK].num_rows])
    scene = draw_picture(write_log(tmp_path, tables | {TICK: down}), tmp_path / "a.svg")
    assert scene.advice is None
    assert "no advice" in (tmp_path / "a.svg").read_text(encoding="utf-8")


def test_only_what_was_known_at_the_tick(tmp_path: Path) -> None:
    """The tick asked for is the last one up to a time, and what came after it changes no byte."""
    tables = a_market(5, 70)
    boundary, seq = (tables[TICK].column(n).to_pylist()[49] for n in ("boundary_ns", "seq"))
    complete = draw_picture(write_log(tmp_path / "whole", tables), tmp_path / "whole.png", boundary + MINUTE_NS - 1)
    assert complete.as_of_ns == boundary
    assert last_seq_of(tables) > seq
    draw_picture(write_log(tmp_path / "part", rows_between(tables, 0, seq)), tmp_path / "part.png")
    assert (tmp_path / "whole.png").read_bytes() == (tmp_path / "part.png").read_bytes()


def test_what_cannot_be_drawn(scene: Scene, tmp_path: Path) -> None:
    """Another format, a folder that is not there, a time before the first tick: said, and nothing is left behind."""
    with pytest.raises(ValueError, match=r"a\.jpg must end in \.png or \.svg"):
        draw(scene, tmp_path / "a.jpg")
    with pytest.raises(FileNotFoundError):
        draw(scene, tmp_path / "nowhere" / "a.png")
    log = write_log(tmp_path / "log", a_market(5, 3))
    with pytest.raises(NothingToReplay, match=r"holds no tick at or before 2026-03-02T00:00:59"):
        build_scene(log, T0 + MINUTE_NS - 1, SIGHT)
    assert [p.name for p in tmp_path.iterdir()] == ["log"]


@pytest.mark.parametrize(
    ("coins", "label"),
    [(0, "0"), (0.00025, "0.00025"), (12.5, "12.5"), (999, "999"), (1000, "1 k"), (250_000, "250 k"), (1.5e6, "1.5 M"),
     (2e9, "2 B"), (92_141_578_736, "92.14 B"), (4e14, "400 T"), (4e16, "40 Q")],
)  # fmt: skip
def test_amounts_are_short(coins: float, label: str) -> None:
    """Labels of a cheap coin's millions must not run into each other."""
    assert short_amount(coins) == label
