"""
The peak memory of the daemons, with full windows.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from bench.analysis import record_three_days
from cli.demo import daemon, exchange

_LIVE_S = 45

_FULL = """
import sys
from pathlib import Path
from eventlog.store.cold import ColdLog
from runtime.open_log import open_log
from market.instrument import Market
from runtime.decide import Decider
from agents.rules import RulesAnalyst
from analysis.parameters import Parameters
from projections.state import KINDS, READS, MarketState, Windows
from runtime.loop import drive
with open_log(Path(sys.argv[1]), Market.parse("binance:BTCFDUSD")) as log:
    state, parameters = MarketState(Windows()), Parameters()
    decider = Decider("BTCFDUSD", state, RulesAnalyst(parameters), parameters)
    drive(log.read(kinds=KINDS, columns=READS), state, lambda tick, now: decider.decide(tick, now))
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def measure_peak_memory(folder: Path) -> Iterator[str]:
    """
    Measure each daemon live with 72 h of trades, and a fold with 60 books in the window as well; yields lines of text.
    """
    with exchange(folder) as (_, _, _, rest_url, _, websocket_url, *_):
        environment = {"DEMO_DIR": str(folder), "DEMO_REST_URL": rest_url, "DEMO_WEBSOCKET_URL": websocket_url}
        with (
            daemon("collector", "agent_data_collector.py", environment, folder) as collector,
            daemon("analyzer", "agent_analyzer.py", environment, folder) as analyzer,
        ):
            time.sleep(_LIVE_S)
            for name, pid in (("collector", collector.process.pid), ("analyzer", analyzer.process.pid)):
                yield f"     peak memory of the {name}, live, 72 h of trades: {_peak_kib(pid) / 1024:.0f} MiB"
    storage = record_three_days(folder)
    process = subprocess.run([sys.executable, "-c", _FULL, str(storage)], check=True, capture_output=True, text=True)
    peak = int(process.stdout) / 1024
    yield f"     peak memory of fold and analysis, 72 h of trades and 60 books of 5000 levels: {peak:.0f} MiB"


def _peak_kib(pid: int) -> int:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in text.splitlines() if line.startswith("VmHWM")))
