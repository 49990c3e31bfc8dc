"""The page about settings: every key described, and the file as the code says."""

import os
from pathlib import Path

import pytest
from pydantic import BaseModel, Field, SecretStr

from runtime.settings.reference import NAME, Entry, entries, reference
from runtime.settings.settings import Settings
from tests.conftest import ROOT

PAGE = ROOT / "docs" / "settings.md"
ENTRIES = list(entries(Settings))


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: ".".join(entry.path))
def test_every_key_has_a_description(entry: Entry) -> None:
    """One plain sentence each."""
    description = entry.info.description
    assert description is not None
    assert description[0].isupper()
    assert description.endswith(".")
    assert "\n" not in description
    assert len(description.split()) >= 3


def test_the_walk_reaches_every_key() -> None:
    """Sections, what is in them, and what is in a price."""
    paths = {entry.path for entry in ENTRIES}
    assert len(paths) == len(ENTRIES) >= 84
    assert ("app",) in paths
    assert ("data_collector", "depth_snapshot", "limit") in paths
    assert ("analyzer", "deepseek", "prices", NAME, "cache_hit") in paths


def test_the_page_is_what_the_code_says() -> None:
    """`GOLDEN=rewrite pytest tests/unit/runtime/settings/test_reference.py` writes it anew."""
    text = reference(Settings)
    if os.environ.get("GOLDEN") == "rewrite":
        PAGE.write_text(text, encoding="utf-8")
    same = PAGE.is_file() and PAGE.read_text(encoding="utf-8") == text
    assert same, "docs/settings.md differs; run GOLDEN=rewrite pytest tests/unit/runtime/settings/test_reference.py"


def test_the_page_names_every_key_with_its_limits() -> None:
    """A row a key; choices and ranges are in it."""
    text = reference(Settings)
    for entry in ENTRIES:
        assert f"`{'.'.join(entry.path)}`" in text
    for row in (
        "| `redis.port` | whole number | `6379` | from 1 to 65,535 |",
        "| `analyzer.analysis.ladder_policy` | text | `front` | front or behind |",
        "| `binance.symbols` | list of texts | `[]` | at most 500 entries |",
        "| `data_collector.order_flow.price_precision` | number or null | null | from 0.00000001 to 1,000,000 |",
        "| `metrics.port` | whole number or null | null | from 1 to 65,535 |",
        "| `analyzer.deepseek.prices.<name>.cache_hit` | number | must be given | from 0 to 1,000 |",
        "| `redis.embedded` | true or false | `false` | – |",
        "| `app.logs_dir` | path | `logs` | – |",
    ):
        assert row in text


def test_defaults_of_secrets_are_not_on_the_page() -> None:
    """Whatever they are."""

    class Inside(BaseModel):
        key: SecretStr = Field(default=SecretStr("sk-secret"), description="A key | of a door.")

    class Outside(BaseModel):
        section: Inside = Field(default=Inside(), description="A section.")

    text = reference(Outside)
    assert "secret-" not in text
    assert "sk-" not in text
    assert "| `section.key` | secret text | – | – | A key \\| of a door. |" in text


def test_the_page_needs_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the same anywhere, and so on every run."""
    here = reference(Settings)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert reference(Settings) == here
