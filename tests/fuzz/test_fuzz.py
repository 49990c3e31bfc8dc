"""The corpus and inputs near it, through what `make fuzz` runs for longer: no crash, no hang, no wrong fact."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import TARGETS

CORPUS = Path(__file__).parent / "corpus"
INPUTS = sorted(path for path in CORPUS.rglob("*") if path.is_file())
NEAR = settings(deadline=2_000, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
PIECES = [
    b"\0",
    b"9" * 25,
    b"null",
    b'"',
    b"{",
    b"}",
    b"[",
    b"],[",
    b"},{",
    b",",
    b"-",
    b".",
    b"1e9",
    b"\xff",
    b"\n",
    b" ",
]


@pytest.mark.parametrize("path", INPUTS, ids=lambda p: f"{p.parent.name}-{p.name}")
def test_nothing_is_wrong_with_the_corpus(path: Path) -> None:
    """Usual inputs, odd ones, and every one that once broke a reader."""
    assert TARGETS[path.parent.name](path.read_bytes()) == []


def test_the_corpus_stays_small() -> None:
    """Every target has one, all of them together a few KB."""
    assert {path.parent.name for path in INPUTS} == set(TARGETS)
    assert sum(path.stat().st_size for path in INPUTS) < 32_000


def changed(draw: Callable[[st.SearchStrategy[int | bytes]], int | bytes], data: bytes) -> bytes:
    """Bytes near those given."""
    near = bytearray(data)
    for _ in range(int(draw(st.integers(1, 4)))):
        at = int(draw(st.integers(0, len(near))))
        near[at : at + int(draw(st.integers(0, 4)))] = bytes(draw(st.sampled_from(PIECES) | st.binary(max_size=3)))
    return bytes(near)


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_nothing_is_wrong_near_the_corpus(name: str) -> None:
    """A few bytes cut out, put in or put elsewhere."""
    seeds = [path.read_bytes() for path in INPUTS if path.parent.name == name]

    @NEAR
    @given(data=st.data())
    def law(data: st.DataObject) -> None:
        seed = data.draw(st.sampled_from(seeds))
        assert TARGETS[name](changed(data.draw, seed)) == []

    law()
