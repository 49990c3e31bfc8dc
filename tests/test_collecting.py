"""What pytest collects is the same in every process, whenever it collects."""

import gzip

import pytest

from tests.conftest import pytest_make_parametrize_id as name_of


def test_packed_bytes_are_named_by_their_argument() -> None:
    """Their own would hold the second in which they were packed; text names itself."""
    assert name_of(gzip.compress(b"x"), "data") == "data"
    assert name_of(b"\xff\xfe1", "data") == "data"
    assert name_of(b"BZh91AY", "data") is None
    assert name_of("\x1f", "text") is None


def test_no_test_is_named_by_what_was_packed(request: pytest.FixtureRequest) -> None:
    """Else workers that collect in different seconds find different tests, and none is run."""
    starts = (r"\x1f\x8b", r"PK\x03\x04")
    assert not [item.nodeid for item in request.session.items if any(start in item.nodeid for start in starts)]
