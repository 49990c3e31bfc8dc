"""
The recommendation and the picture that the READMEs show: what the commands beside them give today.

`make golden` writes them anew, into both READMEs and docs/tick.png.
"""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from matplotlib.image import imread

from tests.conftest import ROOT

READMES = (ROOT / "README.md", ROOT / "README.zh-CN.md")
PICTURE = ROOT / "docs" / "tick.png"
AT = "2026-01-05T05:37"
RECORD = (
    "liquidity simulate exchange record --market binance:BTCFDUSD --storage simulated --from 2026-01-05 --days 0.25"
)
DRAW = f"liquidity picture --market binance:BTCFDUSD --storage simulated --at {AT} -o tick.png"
RUN = f"liquidity replay run --market binance:BTCFDUSD --storage simulated --from 2026-01-05T05:36 --to {AT} --out runs"

REWRITE = os.environ.get("GOLDEN") == "rewrite"
HERE = (platform.system(), platform.machine())
BLOCK = re.compile(r"(?<=```json\n).*?(?=\n```)", re.DOTALL)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        HERE != ("Linux", "x86_64"), reason="equal bytes are promised for one lock and one processor architecture"
    ),
]


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the commands were run."""
    folder = tmp_path_factory.mktemp("exhibits")
    for command in (RECORD, DRAW, RUN):
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        words = [sys.executable, "-c", "from cli.main import main; main()", *command.split()[1:]]
        done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=200)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return folder


@pytest.fixture(scope="module")
def advice(workplace: Path) -> dict[str, Any]:
    """What the rules recommend at the tick."""
    (table,) = (pq.read_table(path) for path in workplace.glob("runs/*/recommendations.parquet"))
    (row,) = table.to_pylist()
    return json.loads(row["body"])


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.name)
def test_the_recommendation_is_what_a_run_gives(readme: Path, advice: dict[str, Any]) -> None:
    """Every field and figure, in both languages; advice that stands aside would show nothing."""
    assert advice["zones"], f"no zones at {AT}: choose another tick"
    text = readme.read_text(encoding="utf-8")
    (block,) = BLOCK.findall(text)
    if REWRITE:
        block = laid_out(advice)
        readme.write_text(BLOCK.sub(lambda _: block, text), encoding="utf-8")
    assert json.loads(block) == advice, f"{readme.name} shows another recommendation; run make golden"
    assert block == laid_out(advice), f"{readme.name} lays it out differently; run make golden"


def test_the_picture_is_what_the_command_draws(workplace: Path) -> None:
    """Pixel by pixel; how the file is packed may differ."""
    drawn = workplace / "tick.png"
    if REWRITE and not (PICTURE.is_file() and same_pixels(PICTURE, drawn)):
        shutil.copyfile(drawn, PICTURE)
    assert same_pixels(PICTURE, drawn), "docs/tick.png shows something else; run make golden"


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.name)
def test_the_commands_stand_beside_them(readme: Path) -> None:
    """A reader can make both himself."""
    text = readme.read_text(encoding="utf-8")
    assert f"{RECORD}\n" in text
    assert f"{DRAW}\n" in text
    assert "(docs/tick.png)" in text


def laid_out(advice: dict[str, Any]) -> str:
    """A recommendation as JSON, its zones below one another."""
    fields = [(name, json.dumps(value, ensure_ascii=False)) for name, value in advice.items()]
    lines = [""]
    for name, value in fields:
        part = f'"{name}": {value}'
        if name == "zones":
            zones = ",\n  ".join(zone_laid_out(zone) for zone in advice["zones"])
            lines += [f'"zones": [\n  {zones}]', ""]
        elif len(lines[-1]) + len(part) > 130:
            lines.append(part)
        else:
            lines[-1] += f", {part}" if lines[-1] else part
    return "{" + ",\n ".join(line for line in lines if line) + "}"


def zone_laid_out(zone: dict[str, Any]) -> str:
    """A zone in two lines, the second for its ladder."""
    return json.dumps(zone, ensure_ascii=False).replace(' "ladder":', '\n   "ladder":')


def same_pixels(one: Path, other: Path) -> bool:
    """Whether two pictures look the same to the last pixel."""
    pixels, others = imread(one), imread(other)
    return pixels.shape == others.shape and bool(np.array_equal(pixels, others))
