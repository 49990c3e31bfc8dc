"""What the options of commands name."""

from pathlib import Path

import pytest

from cli.console import Failure
from cli.options import end_of, log_source, time_of
from market.errors import BadMarket
from market.timestamps import DAY_NS
from runtime.settings.settings import SettingsError
from tests.builders import MARKET, T0

CONFIG = """
redis: {{embedded: {embedded}, storage_dir: {folder}/kept{more}}}
binance: {{symbol: ETHUSDT}}
"""


def a_config(folder: Path, name: str = "settings.yaml", embedded: bool = True) -> Path:
    """A settings file of ETHUSDT in a storage of its own."""
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    more = "" if embedded else ", host: 127.0.0.1, port: 6399"
    file.write_text(CONFIG.format(embedded=str(embedded).lower(), folder=folder, more=more))
    return file


def test_what_is_named_is_taken(tmp_path: Path) -> None:
    """Without a look at any settings."""
    source = log_source("binance:BTCFDUSD", tmp_path, "redis://localhost:1/0")
    assert (source.market, source.storage) == (MARKET, tmp_path)
    assert (source.redis, source.settings) == ("redis://localhost:1/0", None)


def test_a_settings_file_names_what_is_left_out(tmp_path: Path) -> None:
    """Market, storage and server; what is named beside it wins, and another storage has another server."""
    file = a_config(tmp_path, embedded=False)
    source = log_source(None, None, None, file)
    assert (str(source.market), source.storage) == ("binance:ETHUSDT", tmp_path / "kept")
    assert source.redis == source.settings.redis.server_url  # type: ignore[union-attr]
    assert source.redis is not None
    other = log_source("binance:BTCFDUSD", tmp_path / "other", None, file)
    assert (other.market, other.storage, other.redis) == (MARKET, tmp_path / "other", None)
    assert log_source(None, None, "redis://localhost:1/0", file).redis == "redis://localhost:1/0"


def test_runs_lie_where_the_option_or_the_settings_file_says(tmp_path: Path) -> None:
    """And in `runs` where neither says."""
    file = a_config(tmp_path)
    file.write_text(file.read_text() + f"app: {{runs_dir: {tmp_path}/kept-runs}}\n")
    source = log_source(None, None, None, file)
    assert source.runs_dir(None) == tmp_path / "kept-runs"
    assert source.runs_dir(tmp_path / "here") == tmp_path / "here"
    assert log_source("binance:BTCFDUSD", tmp_path).runs_dir(None) == Path("runs")


def test_the_daemons_file_is_taken_where_a_name_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As they take it; where there is none, one line says what to name."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Failure, match="give --market and --storage, or --config"):
        log_source(None, tmp_path)
    a_config(tmp_path, "config/development.yaml")
    source = log_source(None, tmp_path)
    assert (str(source.market), source.storage) == ("binance:ETHUSDT", tmp_path)
    assert source.settings is not None


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    """A market that is none, settings that are not there."""
    with pytest.raises(BadMarket):
        log_source("BTCFDUSD", tmp_path)
    with pytest.raises(SettingsError, match="cannot read settings"):
        log_source(None, None, None, tmp_path / "none.yaml")


def test_times_are_read() -> None:
    """A time, a default; a date as the last moment means its end."""
    assert time_of("2024-01-01", 5) == T0
    assert time_of(None, 5) == 5
    with pytest.raises(Failure, match="is no date or time"):
        time_of("soon", 5)
    assert end_of("2024-01-01") == T0 + DAY_NS
    assert end_of("2024-01-01T00:00") == T0
    assert end_of(None) == 2**62
