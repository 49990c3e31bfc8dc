"""
nautilus_trader looping over a day of trades and doing nothing with them, as its users run a backtest. Run by
`bench.replay_cpu`, by a Python that need not be ours: `python nautilus_peer.py <aggTrades zip>`.
"""

import importlib
import sys
import zipfile
from typing import Any

_COLUMNS = ("trade_id", "price", "quantity", "first", "last", "timestamp", "buyer_maker", "best")


def main(path: str) -> None:
    """Run the engine on the trades of an archive, with a strategy that receives each trade and does no work."""
    names = (
        "backtest.engine",
        "config",
        "model.currencies",
        "model.enums",
        "model.identifiers",
        "model.objects",
        "persistence.wranglers",
        "test_kit.providers",
        "trading.strategy",
    )
    engines, config, currencies, enums, identifiers, objects, wranglers, providers, strategies = (
        importlib.import_module(f"nautilus_trader.{name}") for name in names
    )
    instrument = providers.TestInstrumentProvider.btcusdt_binance()

    class Idle(strategies.Strategy):  # type: ignore[name-defined, misc]
        def on_start(self) -> None:
            self.subscribe_trade_ticks(instrument.id)

        def on_trade_tick(self, tick: Any) -> None:
            """Nothing is done."""

    engine = engines.BacktestEngine(engines.BacktestEngineConfig(logging=config.LoggingConfig(bypass_logging=True)))
    engine.add_venue(
        identifiers.Venue("BINANCE"),
        enums.OmsType.NETTING,
        enums.AccountType.CASH,
        [objects.Money(1_000_000, currencies.USDT), objects.Money(10, currencies.BTC)],
    )
    engine.add_instrument(instrument)
    engine.add_data(wranglers.TradeTickDataWrangler(instrument).process(_read(path)))
    engine.add_strategy(Idle(config.StrategyConfig()))
    engine.run()
    engine.dispose()


def _read(path: str) -> Any:
    pandas = importlib.import_module("pandas")
    with zipfile.ZipFile(path) as archive, archive.open(archive.namelist()[0]) as file:
        rows = pandas.read_csv(file, names=_COLUMNS, header=None)
    rows["timestamp"] = pandas.to_datetime(rows["timestamp"], unit="ms", utc=True)
    return rows.set_index("timestamp")[["trade_id", "price", "quantity", "buyer_maker"]]


if __name__ == "__main__":
    main(sys.argv[1])
